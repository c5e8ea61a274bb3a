#include "service/host/console.h"

#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "service/instance/instance_registry.h"
#include "service/instance/shared_provider.h"
#include "tests/server/pipe.h"
#include "tests/support/manual_executor.h"
#include "tests/support/simulated_clock.h"
#include "tests/support/test_key.h"

namespace leasehold {
namespace {

using ::testing::ElementsAre;

class NoWaiter final : public PinWaiter {
 public:
  using PinWaiter::PinWaiter;
  void OnGrant(absl::StatusOr<PinGrant>) override { std::abort(); }
};

class ConsoleTest : public testing::Test {
 protected:
  // What was shown.
  std::vector<std::string> Lines() {
    writer_.reset();
    pipe_.CloseWriter();
    return pipe_.ReadAll();
  }

  Pipe pipe_;
  std::unique_ptr<LineWriter> writer_ =
      std::make_unique<LineWriter>(pipe_.writer());
  Console console_{*writer_};
};

TEST_F(ConsoleTest, RequestShowsMethodTextAndWhereItsIdCameFrom) {
  InstanceRequest request;
  request.key = TestKey("room-1");
  console_.OnRequest("Echo", request, "Apple");
  request.id_generated = true;
  console_.OnRequest("Echo", request, "");
  EXPECT_THAT(Lines(),
              ElementsAre("operation request  \"room-1\"  Echo \"Apple\"",
                          "ID found           \"room-1\"",
                          "operation request  \"room-1\"  Echo \"\"",
                          "ID generated       \"room-1\""));
}

TEST_F(ConsoleTest, WhatACallerSendsCannotForgeALine) {
  InstanceRequest request;
  request.key = TestKey("a\"b");
  console_.OnRequest("Echo", request, "x\ncontext removed\x1b[2J");
  EXPECT_THAT(Lines(), ElementsAre("operation request  \"a\\\"b\"  Echo "
                                   "\"x\\x0acontext removed\\x1b[2J\"",
                                   "ID found           \"a\\\"b\""));
}

TEST_F(ConsoleTest, LongTextIsCut) {
  InstanceRequest request;
  request.key = TestKey("a");
  console_.OnRequest("Echo", request, std::string(1000, 'x'));
  EXPECT_EQ(Lines().at(0), "operation request  \"a\"  Echo \"" +
                               std::string(64, 'x') + "\"...");
}

// A context's whole life, as a registry tells it.
TEST_F(ConsoleTest, LifeOfAContextIsShownLineByLine) {
  SimulatedClock clock;
  ManualExecutor executor;
  SharedProvider provider;
  InstanceRegistry registry(clock, executor, provider, {}, {&console_}, {});
  registry.WatchUse();
  const auto call = [&registry, this](const char* text) {
    InstanceRequest request;
    request.key = TestKey("room-1");
    NoWaiter waiter(request);
    std::optional<absl::StatusOr<PinGrant>> grant = registry.Acquire(waiter);
    console_.OnResponse("Echo", *(*grant)->pin, text);
  };
  call("Apple");
  call("Pear");
  clock.Advance(absl::Seconds(20));
  registry.RunDueLeases();
  executor.RunAll();
  registry.Shutdown([] {});
  executor.RunAll();

  EXPECT_THAT(
      Lines(),
      ElementsAre(
          "context created    \"room-1\"  generation 1577836800000000, "
          "idle timeout 20s",
          "operation response \"room-1\"  Echo \"Apple\"",
          "lease started      \"room-1\"  20s", "lease stopped      \"room-1\"",
          "operation response \"room-1\"  Echo \"Pear\"",
          "lease started      \"room-1\"  20s", "lease expired      \"room-1\"",
          "context removed    \"room-1\"  generation 1577836800000000, "
          "idle"));
}

TEST_F(ConsoleTest, FailuresAreShownWithTheirStatus) {
  console_.OnEvent({.kind = InstanceEventKind::kDetachFailed,
                    .tenant = "default",
                    .instance_id = "a",
                    .status = absl::InternalError("it threw: x"),
                    .extension = "Counter"});
  console_.OnEvent({.kind = InstanceEventKind::kOpenFailed,
                    .tenant = "default",
                    .instance_id = "a",
                    .status = absl::NotFoundError("no row")});
  EXPECT_THAT(Lines(),
              ElementsAre("detach failed      \"a\"  Counter: "
                          "INTERNAL: it threw: x",
                          "context failed     \"a\"  NOT_FOUND: no row"));
}

}  // namespace
}  // namespace leasehold
