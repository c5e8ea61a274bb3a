// Replay of exported histories: it passes with the code that made them, and
// names the place at which other code does something else.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "client/testing/test_environment.h"
#include "tests/support/temporary_directory.h"
#include "tests/testing/testing_code.h"

namespace leasehold::testkit {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// An order that was charged, waited for a minute and was shipped.
constexpr std::string_view kOrder =
    R"({"format":"leasehold.history.v1","instance_id":"order-1"}
{"id":-1,"time":"2026-01-05T09:00:00.25+00:00","event":"turn_started"}
{"id":-1,"time":"2026-01-05T09:00:00.25+00:00","event":"execution_started","name":"Order","execution_id":"e1","input":"\"tea\""}
{"id":1,"time":"2026-01-05T09:00:00.25+00:00","event":"activity_scheduled","name":"Charge","input":"\"tea\""}
{"id":-1,"time":"2026-01-05T09:00:00.25+00:00","event":"turn_completed"}
{"id":-1,"time":"2026-01-05T09:00:01+00:00","event":"turn_started"}
{"id":-1,"time":"2026-01-05T09:00:01+00:00","event":"activity_completed","scheduled_id":1,"output":"\"paid\""}
{"id":2,"time":"2026-01-05T09:00:01+00:00","event":"timer_created","fire_time":"2026-01-05T09:01:01+00:00"}
{"id":-1,"time":"2026-01-05T09:00:01+00:00","event":"turn_completed"}
{"id":-1,"time":"2026-01-05T09:01:01+00:00","event":"turn_started"}
{"id":-1,"time":"2026-01-05T09:01:01+00:00","event":"timer_fired","scheduled_id":2,"fire_time":"2026-01-05T09:01:01+00:00"}
{"id":3,"time":"2026-01-05T09:01:01+00:00","event":"activity_scheduled","name":"Ship","input":"\"paid\""}
{"id":-1,"time":"2026-01-05T09:01:01+00:00","event":"turn_completed"}
{"id":-1,"time":"2026-01-05T09:01:02+00:00","event":"turn_started"}
{"id":-1,"time":"2026-01-05T09:01:02+00:00","event":"activity_completed","scheduled_id":3,"output":"\"shipped\""}
{"id":4,"time":"2026-01-05T09:01:02+00:00","event":"execution_completed","status":"COMPLETED","output":"\"shipped\""}
{"id":-1,"time":"2026-01-05T09:01:02+00:00","event":"turn_completed"}
)";

// What makes the code other than it was.
struct Change {
  bool packs = false;       // Calls "Pack" instead of "Ship".
  bool hurries = false;     // Does not wait.
  bool wraps = false;       // Calls "Wrap" at the end.
  std::string output = {};  // Returns this.
};

absl::Status ReplayWith(Change change, std::string_view history = kOrder) {
  TestEnvironment env;
  env.AddOrchestrator("Order",
                      [change](OrchestrationContext& context,
                               std::string order) -> Task<std::string> {
                        auto paid = co_await context.CallActivity<std::string>(
                            "Charge", order);
                        if (!change.hurries)
                          co_await context.CreateTimer(absl::Minutes(1));
                        auto sent = co_await context.CallActivity<std::string>(
                            change.packs ? "Pack" : "Ship", paid);
                        if (change.wraps) co_await context.CallActivity("Wrap");
                        co_return change.output.empty() ? sent : change.output;
                      });
  return env.Replay(history);
}

// The first lines of kOrder.
std::string FirstLines(int count) {
  size_t end = 0;
  for (int i = 0; i < count; ++i) end = kOrder.find('\n', end) + 1;
  return std::string(kOrder.substr(0, end));
}

TEST(Replay, TheCodeThatMadeAHistoryMatchesIt) {
  EXPECT_EQ(ReplayWith({}), absl::OkStatus());
}

TEST(Replay, AnyPartThatEndsWithATurnMatchesToo) {
  for (const int lines : {1 + 4, 1 + 8, 1 + 12}) {
    EXPECT_EQ(ReplayWith({}, FirstLines(lines)), absl::OkStatus()) << lines;
  }
}

TEST(Replay, AnotherActivityIsNamedWithItsPlace) {
  const absl::Status status = ReplayWith({.packs = true});
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(std::string(status.message()),
            "orchestration \"order-1\", event 11 of 16 (line 12): the history "
            "has \"task 3: activity \"Ship\" was scheduled\", the code now "
            "calls activity \"Pack\"; orchestrator code must do the same on "
            "each replay");
}

TEST(Replay, SomethingElseIsNamedWithItsPlace) {
  EXPECT_THAT(std::string(ReplayWith({.hurries = true}).message()),
              HasSubstr("event 7 of 16 (line 8): the history has \"task 2: a "
                        "timer was created\", the code now calls activity "
                        "\"Ship\""));
}

TEST(Replay, WhatTheHistoryDoesNotHaveIsNamed) {
  EXPECT_THAT(std::string(ReplayWith({.wraps = true}).message()),
              HasSubstr("event 15 of 16 (line 16): the history has that it "
                        "completes with \"shipped\", the code now calls "
                        "activity \"Wrap\" as task 4"));
  // In the middle of a history that goes on, or has not ended.
  EXPECT_THAT(
      std::string(ReplayWith({.hurries = true}, FirstLines(1 + 6)).message()),
      HasSubstr("event 6 of 6 (line 7): the history ends here, the code now "
                "calls activity \"Ship\" as task 2"));
}

TEST(Replay, AnotherOutputIsNamed) {
  EXPECT_THAT(std::string(ReplayWith({.output = "lost"}).message()),
              HasSubstr("event 15 of 16 (line 16): the history has that it "
                        "completes with \"shipped\", the code now completes "
                        "with \"lost\""));
}

TEST(Replay, AFailureIsComparedByItsTypeAndMessage) {
  std::string history = FirstLines(1 + 5);
  absl::StrAppend(
      &history,
      R"({"id":-1,"time":"2026-01-05T09:00:01+00:00","event":"activity_failed","scheduled_id":1,"failure":{"type":"NoMoney","message":"broke","cause":{"type":"X","message":"y"}}})",
      "\n",
      R"({"id":2,"time":"2026-01-05T09:00:01+00:00","event":"execution_completed","status":"FAILED","failure":{"type":"leasehold::worker::TaskFailedError","message":"task 1, activity \"Charge\", failed: NoMoney: broke"}})",
      "\n");
  const absl::Status status = ReplayWith({}, history);
  // The failure of the activity is the cause of the orchestration's.
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("because of NoMoney: broke, because of X: y"));
}

TEST(Replay, AFileIsNamed) {
  const TemporaryDirectory folder;
  const std::string path = folder.path() + "/order-1.history";
  std::ofstream(path) << kOrder;
  TestEnvironment env;
  EXPECT_THAT(std::string(env.ReplayFile(path).message()),
              AllOf(HasSubstr(path + ": "),
                    HasSubstr("this test has no orchestrator \"Order\"")));
  EXPECT_EQ(env.ReplayFile(path).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(env.ReplayFile(path + "x"),
            absl::NotFoundError(absl::StrCat("cannot read ", path, "x")));
}

TEST(Replay, WhatIsNoExportIsRefusedWithTheLine) {
  const auto message = [](std::string_view text) {
    TestEnvironment env;
    const absl::Status status = env.Replay(text);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  };
  const std::string heading = FirstLines(1);
  EXPECT_THAT(message(""), HasSubstr("line 1: "));
  EXPECT_THAT(message("{}"), HasSubstr("line 1: this is not an exported"));
  EXPECT_THAT(message(heading + "[1]"), HasSubstr("line 2: it is not a JSON"));
  EXPECT_THAT(message(heading + "{\"id\":1}"),
              HasSubstr("line 2: it has no \"event\""));
  EXPECT_THAT(message(heading + "{\"event\":\"turn_started\",\"time\":\"x\"}"),
              HasSubstr("line 2: \"time\" is \"x\", which is not an RFC 3339"));
  EXPECT_THAT(message(heading), HasSubstr("no event \"execution_started\""));
}

}  // namespace
}  // namespace leasehold::testkit
