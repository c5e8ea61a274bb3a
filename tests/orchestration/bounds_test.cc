#include "service/orchestration/bounds.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "service/orchestration/turn.h"

namespace leasehold {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

std::string Message(const absl::Status& status) {
  return std::string(status.message());
}

TEST(Bounds, SayTheFieldTheSizeAndTheBound) {
  EXPECT_TRUE(CheckName("name", std::string(kNameBytesMax, 'n')).ok());
  const absl::Status status = CheckName("name", std::string(1025, 'n'));
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Message(status), "name: has 1025 bytes; at most 1024 are allowed");
  EXPECT_FALSE(CheckVersion("version", std::string(257, 'v')).ok());
}

TEST(Bounds, OfTagsAreCountKeyAndValue) {
  EXPECT_TRUE(CheckTags("tags", StringMap(kTagsMax, {"k", "v"})).ok());
  EXPECT_EQ(Message(CheckTags("tags", StringMap(101, {"k", "v"}))),
            "tags: there are 101; at most 100 are allowed");
  EXPECT_EQ(Message(CheckTags("tags", {{std::string(257, 'k'), "v"}})),
            "tags: a key: has 257 bytes; at most 256 are allowed");
  EXPECT_EQ(Message(CheckTags("tags", {{"k", std::string(4097, 'v')}})),
            "tags: the value of \"k\": has 4097 bytes; at most 4096 are "
            "allowed");
}

TEST(Bounds, OfATimeAreTheYears1To9999) {
  EXPECT_TRUE(CheckTime("at", {-62'135'596'800, 0}).ok());
  EXPECT_TRUE(CheckTime("at", {253'402'300'799, 999'999'999}).ok());
  for (const Timestamp& time : std::vector<Timestamp>{{-62'135'596'801, 0},
                                                      {253'402'300'800, 0},
                                                      {8'640'000'000'000, 0},
                                                      {0, -1},
                                                      {0, 1'000'000'000}}) {
    EXPECT_THAT(Message(CheckTime("at", time)),
                StartsWith("at: is not a time of the years 1 to 9999"))
        << time.seconds << " " << time.nanos;
  }
}

// An action with some of its members set.
template <typename Action, typename Set>
OrchestratorAction With(int32_t id, Set set) {
  Action action;
  set(action);
  return {id, std::move(action)};
}

OrchestratorAction Fine() {
  return With<TaskScheduled>(1, [](TaskScheduled& task) { task.name = "t"; });
}

TEST(Bounds, HoldForAllThatAnAnswerAsksFor) {
  const std::string name(kNameBytesMax + 1, 'n');
  const std::string version(257, 'v');
  const std::string id(4097, 'i');
  using Child = SubOrchestrationCreated;
  const std::vector<OrchestratorAction> broken = {
      With<TaskScheduled>(7, [&](auto& task) { task.name = name; }),
      With<TaskScheduled>(7, [&](auto& task) { task.version = version; }),
      With<TaskScheduled>(7, [](auto& task) { task.tags.resize(101); }),
      With<Child>(7, [&](auto& child) { child.instance_id = id; }),
      With<Child>(7, [&](auto& child) { child.name = name; }),
      With<Child>(7, [&](auto& child) { child.version = version; }),
      With<Child>(7, [](auto& child) { child.tags.resize(101); }),
      With<TimerCreated>(
          7, [](auto& timer) { timer.fire_at.seconds = 253'402'300'800; }),
      With<EventSent>(7, [&](auto& sent) { sent.name = name; }),
      With<EventSent>(7, [&](auto& sent) { sent.instance_id = id; }),
      With<TerminateOther>(7, [&](auto& other) { other.instance_id = id; }),
      With<CompleteExecution>(7, [&](auto& end) { end.new_version = version; }),
  };
  for (size_t i = 0; i < broken.size(); ++i) {
    TurnAnswer answer;
    answer.actions = {Fine(), broken[i]};
    EXPECT_THAT(Message(CheckAnswer(answer)), HasSubstr("action 7: its ")) << i;
  }
  TurnAnswer answer;
  answer.actions = {Fine()};
  EXPECT_TRUE(CheckAnswer(answer).ok());
}

TEST(Bounds, AnAnswerThatBreaksOneFailsTheOrchestration) {
  TurnAnswer answer;
  answer.actions.push_back({1, TimerCreated{{8'640'000'000'000, 0}}});
  const TurnOutcome outcome = ConcludeTurn({}, "a", std::move(answer), {}, {});
  EXPECT_TRUE(outcome.timers.empty());
  ASSERT_EQ(outcome.events.size(), 1u);
  const auto* end = outcome.events[0].As<ExecutionCompleted>();
  ASSERT_NE(end, nullptr);
  EXPECT_EQ(end->status, static_cast<int32_t>(OrchestrationStatus::kFailed));
  EXPECT_THAT(outcome.limit, HasSubstr("years 1 to 9999"));
}

TEST(Bounds, ARefusedAnswerFailsTheOrchestrationWithItsReason) {
  TurnAnswer answer;
  answer.actions = {Fine()};
  answer.refusal = FailureDetails{.type = "AnswerTooLarge", .message = "9 > 8"};
  const TurnOutcome outcome = ConcludeTurn({}, "a", std::move(answer), {}, {});
  EXPECT_TRUE(outcome.tasks.empty());
  ASSERT_EQ(outcome.events.size(), 1u);
  const auto* end = outcome.events[0].As<ExecutionCompleted>();
  ASSERT_NE(end, nullptr);
  EXPECT_EQ(DecodeMessage<FailureDetails>(*end->failure.bytes),
            (FailureDetails{"AnswerTooLarge", "9 > 8"}));
}

}  // namespace
}  // namespace leasehold
