// OrchestrationCommandRun: what tests of `leasehold orchestration …` stand on.
//
// Thread-safety: one thread.   Lifetime: one test.
#ifndef LEASEHOLD_TESTS_CLIENT_ORCHESTRATION_COMMAND_RUN_H_
#define LEASEHOLD_TESTS_CLIENT_ORCHESTRATION_COMMAND_RUN_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "tests/client/fake_orchestration_server.h"
#include "tests/client/leasehold_run.h"
#include "tests/client/streaming_run.h"

namespace leasehold::client::cli {

namespace v1 = leasehold::v1;

using Fake = FakeOrchestrationServer;
using State = v1::OrchestrationState;

class OrchestrationCommandRun : public testing::Test {
 protected:
  std::vector<std::string> At(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(),
                     {"--address=" + server_.address(), "orchestration"});
    return arguments;
  }
  Outcome Execute(std::vector<std::string> arguments) {
    LeaseholdRun run;
    run.in = in_;
    run.interactive = interactive_;
    run.now = now_;
    run.With(At(std::move(arguments)));
    return {run.code, run.out, run.err};
  }
  // The same, which is to be done.
  std::string Done(std::vector<std::string> arguments) {
    const Outcome run = Execute(std::move(arguments));
    EXPECT_EQ(run.code, 0);
    EXPECT_EQ(run.err, "");
    return run.out;
  }
  // Exit code 2, nothing on standard output, and one line that says `what`.
  void ExpectWrongUsage(std::vector<std::string> arguments,
                        const std::string& what) {
    const Outcome run = Execute(std::move(arguments));
    EXPECT_EQ(run.code, 2);
    EXPECT_EQ(run.out, "");
    EXPECT_EQ(Lines(run.err).size(), 1u);
    EXPECT_THAT(run.err, testing::StartsWith("leasehold: "));
    EXPECT_THAT(run.err, testing::HasSubstr(what));
  }
  // The exit code of a call that failed, and why.
  void ExpectFailure(const Outcome& run, const std::string& err) {
    EXPECT_EQ(run.code, ExitCodeOf(err));
    EXPECT_EQ(run.out, "");
    EXPECT_EQ(run.err, err);
  }
  template <typename Request>
  Request Asked() {
    const auto asked = server_.Asked<Request>();
    EXPECT_EQ(asked.size(), 1u);
    return asked.empty() ? Request() : asked[0];
  }

  Fake server_;
  std::string in_;
  bool interactive_ = false;
  absl::Time now_ = absl::FromUnixSeconds(1728064000);
};

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_TESTS_CLIENT_ORCHESTRATION_COMMAND_RUN_H_
