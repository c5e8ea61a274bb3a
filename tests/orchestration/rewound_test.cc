#include "service/orchestration/rewound.h"

#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace leasehold {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Key;
using testing::SizeIs;

std::string Event(int32_t id, EventBody body) {
  return EncodeEvent({id, {1, 0}, std::move(body)});
}
std::string Started(std::string execution_id) {
  ExecutionStarted started;
  started.name = "Main";
  started.orchestration = {"a", std::move(execution_id)};
  return Event(-1, std::move(started));
}
TaskScheduled Task(std::string name) {
  TaskScheduled task;
  task.name = std::move(name);
  return task;
}
SubOrchestrationCreated Child(std::string id) {
  SubOrchestrationCreated child;
  child.name = "Child";
  child.instance_id = std::move(id);
  return child;
}

// Two tasks and two children, of which one each has ended, and a timer.
std::vector<std::string> History() {
  return {Started("e-2"),
          Event(1, Task("done")),
          Event(2, Task("again")),
          Event(3, Child("c")),
          Event(4, Child("d")),
          Event(5, TimerCreated{{60, 0}}),
          Event(-1, TaskCompleted{1, "x"}),
          Event(-1, SubOrchestrationCompleted{3, "x"})};
}

TEST(Rewound, WhatItsHistoryDoesNotEndStartsAgain) {
  const auto history = ReadRewoundHistory(History());
  ASSERT_TRUE(history.ok()) << history.status();
  EXPECT_EQ(history->execution_id(), "e-2");
  EXPECT_THAT(history->tasks, ElementsAre(Key(2)));
  EXPECT_THAT(history->children, ElementsAre(Key(4)));
  EXPECT_EQ(history->state.event_count, 8);
}

TEST(Rewound, AHistoryThatCannotBeContinuedIsRefused) {
  EXPECT_THAT(ReadRewoundHistory({"\xff"}).status().message(),
              HasSubstr("cannot be read"));
  EXPECT_THAT(ReadRewoundHistory({}).status().message(),
              HasSubstr("does not begin with a new execution"));
  EXPECT_THAT(ReadRewoundHistory({Started("")}).status().message(),
              HasSubstr("does not begin with a new execution"));
  std::vector<std::string> ended = History();
  ended.push_back(Event(
      9, ExecutionCompleted{static_cast<int32_t>(OrchestrationStatus::kFailed),
                            std::nullopt,
                            {}}));
  EXPECT_THAT(ReadRewoundHistory(ended).status().message(),
              HasSubstr("it has an end"));
}

TEST(Rewound, GoesOnWithItInPlaceOfTheFormerHistory) {
  auto history = ReadRewoundHistory(History());
  ASSERT_TRUE(history.ok());
  const std::string frames = history->frames;
  HotState hot;
  hot.summary.execution_id = "e-1";
  hot.past = "what failed";
  hot.chunks = 4;
  SentTurn sent;
  sent.time = {100, 0};
  sent.last_sequence = 12;
  const std::vector<Change> rows =
      GoOnWith(*history, 7, "e-1", sent, Timestamp{90, 0}, hot);
  EXPECT_EQ(hot.past, frames);
  EXPECT_EQ(hot.chunks, 1);
  EXPECT_EQ(hot.summary.chunks, 1);
  EXPECT_EQ(hot.summary.execution_id, "e-2");
  EXPECT_THAT(hot.summary.former_executions, ElementsAre("e-1"));
  EXPECT_EQ(hot.summary.updated, (Timestamp{100, 0}));  // Never before a turn.
  EXPECT_EQ(hot.state.status, OrchestrationStatus::kRunning);

  ASSERT_THAT(rows, SizeIs(6));
  EXPECT_TRUE(std::holds_alternative<ClearExecution>(rows[0]));
  EXPECT_EQ(std::get<AppendHistory>(rows[1]).events, frames);
  EXPECT_EQ(std::get<TakeMessages>(rows[2]).last_sequence, 12);
  EXPECT_EQ(std::get<PutTask>(rows[3]).row.sequence, 2);
  EXPECT_EQ(std::get<PutTimer>(rows[4]).row.sequence, 5);
  EXPECT_EQ(std::get<UpdateRun>(rows[5]).finished, std::nullopt);
}

TEST(Rewound, KeepsTheLastHundredFormerExecutions) {
  HotState hot;
  for (int i = 0; i < 100; ++i) {
    hot.summary.former_executions.push_back("e-" + std::to_string(i));
  }
  auto history = ReadRewoundHistory(History());
  ASSERT_TRUE(history.ok());
  GoOnWith(*history, 7, "last", SentTurn{}, Timestamp{}, hot);
  EXPECT_THAT(hot.summary.former_executions, SizeIs(100));
  EXPECT_EQ(hot.summary.former_executions.front(), "e-1");
  EXPECT_EQ(hot.summary.former_executions.back(), "last");
}

FoundChild Found(OrchestrationStatus status, std::string parent) {
  FoundChild found;
  found.row.number = 8;
  found.info.status = status;
  found.info.summary.parent_id = std::move(parent);
  return found;
}

TEST(Rewound, AChildThatRunsIsLeftAlone) {
  const FoundChild found = Found(OrchestrationStatus::kRunning, "a");
  EXPECT_EQ(StepOfChild("a", 8, &found), ChildStep::kNone);
}

TEST(Rewound, AChildThatIsNotThereIsStarted) {
  EXPECT_EQ(StepOfChild("a", std::nullopt, nullptr), ChildStep::kStart);
}

TEST(Rewound, AChildWhoseIdAnotherHasIsStartedAndFails) {
  const FoundChild others = Found(OrchestrationStatus::kFailed, "b");
  EXPECT_EQ(StepOfChild("a", std::nullopt, &others), ChildStep::kStart);
  const FoundChild replaced = Found(OrchestrationStatus::kFailed, "a");
  EXPECT_EQ(StepOfChild("a", 9, &replaced), ChildStep::kStart);
  EXPECT_EQ(StepOfChild("a", 9, nullptr), ChildStep::kStart);
}

TEST(Rewound, AChildThatHasFailedIsRewoundAndAnotherEndIsToldAgain) {
  const FoundChild failed = Found(OrchestrationStatus::kFailed, "a");
  EXPECT_EQ(StepOfChild("a", std::nullopt, &failed), ChildStep::kReopen);
  const FoundChild ended = Found(OrchestrationStatus::kTerminated, "a");
  EXPECT_EQ(StepOfChild("a", std::nullopt, &ended), ChildStep::kTellEnd);
}

}  // namespace
}  // namespace leasehold
