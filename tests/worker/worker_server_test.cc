// Each feature of the worker SDK, through a real server.
#include <string>
#include <vector>

#include "client/worker/worker.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/worker/task_hub.h"

namespace leasehold::worker {
namespace {

class WorkerServerTest : public ::testing::Test {
 protected:
  // Runs the orchestrator "Main" to its end.
  OrchestrationState Run(const std::optional<std::string>& input = {}) {
    Serve();
    hub_.Start("a", "Main", input);
    return hub_.AwaitWhileTimePasses("a");
  }
  void Serve() {
    const absl::Status status = worker_.Start();
    ASSERT_TRUE(status.ok()) << status;
  }

  TaskHub hub_;
  Worker worker_{hub_.address()};
};

TEST_F(WorkerServerTest, ActivitiesAreCalledInAChain) {
  worker_.AddActivity("Hello",
                      [](std::string name) { return "Hello, " + name + "!"; });
  worker_.AddOrchestrator(
      "Main",
      [](OrchestrationContext& ctx,
         std::vector<std::string> names) -> Task<std::vector<std::string>> {
        std::vector<std::string> said;
        for (const std::string& name : names) {
          said.push_back(co_await ctx.CallActivity<std::string>("Hello", name));
        }
        co_return said;
      });
  const OrchestrationState state = Run(R"(["Tokyo","Seattle"])");
  EXPECT_EQ(state.orchestrationstatus(), ORCHESTRATION_STATUS_COMPLETED);
  EXPECT_EQ(state.output().value(), R"(["Hello, Tokyo!","Hello, Seattle!"])");
}

}  // namespace
}  // namespace leasehold::worker
