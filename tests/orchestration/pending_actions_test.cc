// What an execution waits for, and at which attempt, as its history shows.
#include "service/orchestration/pending_actions.h"

#include <string>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace leasehold {
namespace {

using testing::IsEmpty;
using testing::Key;
using testing::SizeIs;
using testing::UnorderedElementsAre;

class PendingActionsTest : public testing::Test {
 protected:
  template <typename Body>
  void Add(int32_t id, Body body, Timestamp time = {}) {
    HistoryEvent event;
    event.id = id;
    event.time = time;
    event.body = std::move(body);
    pending_.Apply(event);
  }
  template <typename Body>
  void Add(Body body) {
    Add(HistoryEvent::kFromOutside, std::move(body));
  }
  void Turn() { Add(OrchestratorStarted()); }
  void Call(int32_t id, std::string name, Payload input = {}) {
    TaskScheduled task;
    task.name = std::move(name);
    task.input = std::move(input);
    Add(id, std::move(task));
  }
  void Fail(int32_t id, std::string why) {
    TaskFailed failed;
    failed.task_scheduled_id = id;
    failed.failure = MakeFailure("Error", std::move(why));
    Add(std::move(failed));
  }
  void Timer(int32_t id, int64_t at) {
    Add(id, TimerCreated{Timestamp{.seconds = at}});
  }

  PendingActions pending_;
};

TEST_F(PendingActionsTest, WhatHasEndedIsNotWaitedFor) {
  Turn();
  Call(1, "A");
  Call(2, "B");
  Timer(3, 5);
  SubOrchestrationCreated child;
  child.instance_id = "c";
  child.name = "Child";
  Add(4, child);
  Turn();
  TaskCompleted done;
  done.task_scheduled_id = 1;
  Add(done);
  Add(TimerFired{Timestamp{.seconds = 5}, 3});
  pending_.End();
  EXPECT_THAT(pending_.activities(), UnorderedElementsAre(Key(2)));
  EXPECT_THAT(pending_.timers(), IsEmpty());
  ASSERT_THAT(pending_.children(), SizeIs(1));
  EXPECT_EQ(pending_.children().at(4).instance_id, "c");
  SubOrchestrationCompleted ended;
  ended.task_scheduled_id = 4;
  Add(ended);
  EXPECT_THAT(pending_.children(), IsEmpty());
}

TEST_F(PendingActionsTest, AnActivityThatIsTriedAgainHasAnAttempt) {
  Turn();
  Call(1, "Charge", "5");
  Turn();
  Fail(1, "one\nand more");
  Timer(2, 5);
  pending_.End();
  ASSERT_TRUE(pending_.timers().at(2).retries.has_value());
  EXPECT_EQ(pending_.timers().at(2).retries->name, "Charge");
  EXPECT_EQ(pending_.timers().at(2).retries->before.failed, 1);
  Turn();
  Add(TimerFired{Timestamp{.seconds = 5}, 2});
  Call(3, "Charge", "5");
  EXPECT_EQ(pending_.activities().at(3).before.failed, 1);
  EXPECT_EQ(pending_.activities().at(3).before.last_failure, "Error: one");
  Turn();
  Fail(3, "two");
  Timer(4, 9);
  Turn();
  Call(5, "Charge", "5");
  EXPECT_EQ(pending_.activities().at(5).before.failed, 2);
  EXPECT_EQ(pending_.activities().at(5).before.last_failure, "Error: two");
}

TEST_F(PendingActionsTest, OthersOfItsNameAreNoAttempts) {
  Turn();
  Call(1, "Charge", "5");
  Call(2, "Charge", "6");
  Turn();
  Fail(1, "one");
  Call(3, "Charge", "7");
  EXPECT_EQ(pending_.activities().at(3).before.failed, 0);
  // Two of the same name and input: each failure has one attempt after it.
  Call(4, "Charge", "5");
  Call(5, "Charge", "5");
  EXPECT_EQ(pending_.activities().at(4).before.failed, 1);
  EXPECT_EQ(pending_.activities().at(5).before.failed, 0);
}

TEST_F(PendingActionsTest, TimersBelongToFailuresOnlyIfThereIsOneForEach) {
  Turn();
  Call(1, "A");
  Call(2, "B");
  Turn();
  Fail(1, "one");
  Fail(2, "two");
  Timer(3, 5);
  Turn();
  EXPECT_FALSE(pending_.timers().at(3).retries.has_value());
  Call(4, "A");
  Call(5, "B");
  Turn();
  Fail(5, "two");
  Fail(4, "one");
  Timer(6, 5);
  Timer(7, 5);
  pending_.End();
  EXPECT_EQ(pending_.timers().at(6).retries->name, "B");
  EXPECT_EQ(pending_.timers().at(7).retries->name, "A");
  // A timer that the code sets in a turn without a failure is just a timer.
  Turn();
  Timer(8, 5);
  pending_.End();
  EXPECT_FALSE(pending_.timers().at(8).retries.has_value());
}

TEST_F(PendingActionsTest, EntitiesAreWaitedForUntilTheyAnswer) {
  Turn();
  EntityOperationCalled call{.request_id = "r", .operation = "add"};
  call.target = "@c@1";
  Add(1, call);
  Add(2, EntityLockRequested{"s", {"@c@1", "@c@2"}});
  EXPECT_EQ(pending_.calls().at("r").instance_id, "@c@1");
  EXPECT_EQ(pending_.calls().at("r").operation, "add");
  EXPECT_THAT(pending_.locks().at("s"), SizeIs(2));
  Add(EntityOperationCompleted{"r", std::nullopt});
  Add(EntityLockGranted{"s"});
  EXPECT_THAT(pending_.calls(), IsEmpty());
  EXPECT_THAT(pending_.locks(), IsEmpty());
}

TEST_F(PendingActionsTest, ASuspensionLastsUntilTheResume) {
  Turn();
  ExecutionSuspended suspended;
  suspended.reason = "a look";
  Add(HistoryEvent::kFromOutside, suspended, Timestamp{.seconds = 7});
  ASSERT_TRUE(pending_.suspension().has_value());
  EXPECT_EQ(pending_.suspension()->since.seconds, 7);
  EXPECT_EQ(pending_.suspension()->reason, "a look");
  Add(ExecutionResumed());
  EXPECT_FALSE(pending_.suspension().has_value());
}

TEST_F(PendingActionsTest, TextsForPeopleAreOneShortLine) {
  EXPECT_EQ(BriefText("one\ntwo"), "one");
  EXPECT_EQ(BriefText(std::string(1000, 'x')), std::string(300, 'x') + "...");
  EXPECT_EQ(BriefFailure({}), "");
  EXPECT_EQ(BriefFailure(MakeFailure("", "it broke")), "it broke");
}

TEST_F(PendingActionsTest, WhatIsNotFramesIsTold) {
  EXPECT_FALSE(pending_.ApplyFrames("\xff\xff"));
  std::string frames;
  AppendFrame(frames, kStoredFrame,
              EncodeEvent({1, {}, TimerCreated{Timestamp{.seconds = 5}}}));
  EXPECT_TRUE(pending_.ApplyFrames(frames));
  EXPECT_THAT(pending_.timers(), SizeIs(1));
}

}  // namespace
}  // namespace leasehold
