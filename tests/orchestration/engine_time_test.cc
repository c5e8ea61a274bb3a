// What comes later while nothing fails: scheduled starts, timers, the execution
// that follows a continue-as-new. See engine_fixture.h for how the engine is
// run.

#include <optional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "service/orchestration/engine.h"
#include "tests/orchestration/engine_fixture.h"

namespace leasehold {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

using Code = absl::StatusCode;
using Status = OrchestrationStatus;

// ---- Scheduled starts -------------------------------------------------------

TEST_F(EngineTest, ScheduledStartWaitsForItsTime) {
  FakeWorker& worker = Connect();
  StartRequest request = Request("a");
  request.scheduled_start = ToTimestamp(Now() + absl::Minutes(1));
  const auto start = Start(std::move(request));
  Settle();
  EXPECT_TRUE(start.ok());
  Raise("a", "e");
  Pass(absl::Seconds(59));
  EXPECT_THAT(worker.items, IsEmpty());
  EXPECT_EQ(StatusOf("a"), "Pending");
  Pass(absl::Seconds(1));
  EXPECT_THAT(Words(worker.TakeTurn().events),
              ElementsAre("turn", "started()", "raised e"));
}

TEST_F(EngineTest, ScheduledStartOutlivesARestartAndIsOverdueThen) {
  StartRequest request = Request("a");
  request.scheduled_start = ToTimestamp(Now() + absl::Minutes(1));
  Start(std::move(request));
  Settle();
  Reopen();
  {
    FakeWorker& worker = Connect();
    Pass(absl::Seconds(10));
    EXPECT_THAT(worker.items, IsEmpty());
  }
  clock_.Advance(absl::Hours(1));
  Reopen();
  FakeWorker& worker = Connect();
  Settle();
  EXPECT_THAT(worker.items, SizeIs(1));
}

TEST_F(EngineTest, ScheduledStartCanBeTerminatedBefore) {
  FakeWorker& worker = Connect();
  StartRequest request = Request("a");
  request.scheduled_start = ToTimestamp(Now() + absl::Minutes(1));
  Start(std::move(request));
  Settle();
  Terminate("a");
  Settle();
  const FakeItem turn = worker.TakeTurn();
  EXPECT_THAT(Words(turn.events),
              ElementsAre("turn", "started()", "terminated"));
  Answer(turn, {Complete("out", 0, Status::kTerminated)});
  Settle();
  EXPECT_EQ(StatusOf("a"), "Terminated");
  EXPECT_EQ(engine().NextDue(), std::nullopt);
  Pass(absl::Minutes(2));
  EXPECT_THAT(worker.items, IsEmpty());
}

// ---- Timers -----------------------------------------------------------------

TEST_F(EngineTest, TimersFireInOrderOfTimeThenId) {
  FakeWorker& worker = Connect();
  const absl::Time at = Now() + absl::Seconds(1);
  Run(worker, "a",
      {TimerAt(9, at), TimerAt(3, at), TimerAt(1, at + absl::Seconds(1)),
       TimerAt(2, at - absl::Seconds(5))});
  engine().FireTimers();
  Settle();
  const FakeItem overdue = worker.TakeTurn();
  EXPECT_THAT(Words(overdue.events), ElementsAre("turn", "timer 2 fired"));
  Answer(overdue);
  Settle();
  Pass(absl::Milliseconds(999));
  EXPECT_THAT(worker.items, IsEmpty());
  Pass(absl::Seconds(2));
  EXPECT_THAT(
      Words(worker.TakeTurn().events),
      ElementsAre("turn", "timer 3 fired", "timer 9 fired", "timer 1 fired"));
}

TEST_F(EngineTest, TurnIsNeverBeforeTheTimerThatItTellsOf) {
  FakeWorker& worker = Connect();
  const absl::Time at = Now() + absl::Seconds(1) + absl::Nanoseconds(999);
  Run(worker, "a", {TimerAt(1, at)});
  Pass(absl::Seconds(1));
  const FakeItem turn = worker.TakeTurn();
  ASSERT_THAT(Words(turn.events), ElementsAre("turn", "timer 1 fired"));
  EXPECT_GE(ToTime(turn.events[0].time), at);
  EXPECT_EQ(turn.events[1].As<TimerFired>()->fire_at, ToTimestamp(at));
}

TEST_F(EngineTest, TheClockOfARunThatIsStartedAgainGoesOn) {
  FakeWorker& worker = Connect();
  Start("a");
  Settle();
  const FakeItem first = worker.TakeTurn();
  Answer(first, {AsNew("again", {})});
  Settle();
  const FakeItem second = worker.TakeTurn();
  Answer(second, {Complete("done")});
  Settle();
  const Asked<StartReceipt> restart;
  engine().Restart(Key("a"), std::nullopt, {}, {}, restart.done());
  Settle();  // No time has passed: the clock is the test's.
  const FakeItem next = worker.TakeTurn();
  const absl::Duration step = absl::Milliseconds(1);
  EXPECT_EQ(ToTime(second.events[0].time), ToTime(first.events[0].time) + step);
  EXPECT_EQ(ToTime(next.events[0].time), ToTime(second.events[0].time) + step);
}

TEST_F(EngineTest, OverdueTimersFireAfterARestart) {
  Run(Connect(), "a", {TimerAt(1, Now() + absl::Seconds(1))});
  clock_.Advance(absl::Hours(1));
  Reopen();
  FakeWorker& worker = Connect();
  engine().FireTimers();
  Settle();
  EXPECT_THAT(Words(worker.TakeTurn().events),
              ElementsAre("turn", "timer 1 fired"));
}

TEST_F(EngineTest, TimersOfOneThatHasEndedNeverFire) {
  FakeWorker& worker = Connect();
  Run(worker, "a", {TimerAt(1, Now() + absl::Seconds(1))});
  Raise("a", "e");
  Settle();
  Answer(worker.TakeTurn(), {Complete()});
  Settle();
  EXPECT_EQ(engine().NextDue(), std::nullopt);
  Pass(absl::Seconds(5));
  EXPECT_THAT(worker.items, IsEmpty());
}

// The timer's event has no row: it must not overtake one that is being
// committed.
TEST_F(EngineTest, EventThatIsOnItsWayWhenATimerFiresIsNotLost) {
  FakeWorker& worker = Connect();
  Run(worker, "a", {TimerAt(1, Now() + absl::Seconds(1))});
  const AskedStatus raise = Raise("a", "e");
  clock_.Advance(absl::Seconds(1));
  engine().FireTimers();
  Settle();
  EXPECT_TRUE(raise.ok());
  std::vector<std::string> seen;
  for (int i = 0; i < 2 && !worker.items.empty(); ++i) {
    const FakeItem turn = worker.TakeTurn();
    for (const std::string& word : Words(turn.events)) {
      if (word != "turn") seen.push_back(word);
    }
    Answer(turn);
    Settle();
  }
  EXPECT_THAT(seen, testing::UnorderedElementsAre("raised e", "timer 1 fired"));
}

// ---- Continue as new --------------------------------------------------------

TEST_F(EngineTest, ContinuesAsNewWithWhatItCarriesOverAndWhatHasCome) {
  FakeWorker& worker = Connect();
  const auto start = Start("a", "0");
  Settle();
  const FakeItem turn = worker.TakeTurn();
  const AskedInfo wait = Wait("a", Until::kFinished);
  Raise("a", "meanwhile");
  Settle();
  Answer(turn, {AsNew("1", {EncodeEvent({-1, {}, EventRaised{"kept", {}}})}),
                SendTo(1, "a", "to myself")});
  Raise("a", "after");
  Settle();
  const FakeItem next = worker.TakeTurn();
  EXPECT_NE(next.execution_id, start.value().execution_id);
  EXPECT_THAT(next.past, IsEmpty());
  EXPECT_THAT(
      Words(next.events),
      ElementsAre("turn", "started(1)", "raised kept", "raised meanwhile",
                  "raised to myself", "raised after"));
  EXPECT_FALSE(wait.answered());
  EXPECT_EQ(StatusOf("a"), "Running");
  // The same from the store alone.
  Reopen();
  FakeWorker& other = Connect();
  Settle();
  EXPECT_THAT(
      Words(other.TakeTurn().events),
      ElementsAre("turn", "started(1)", "raised kept", "raised meanwhile",
                  "raised to myself", "raised after"));
}

TEST_F(EngineTest, WhatTheExecutionBeforeWaitedForIsOverWithIt) {
  FakeWorker& worker = Connect();
  Run(worker, "a",
      {CallTask(1, "Work"), CallTask(2, "Work"),
       TimerAt(3, Now() + absl::Seconds(1)), CallChild(4, "child")});
  const FakeItem one = worker.TakeActivity();
  const FakeItem two = worker.TakeActivity();
  const FakeItem child = worker.TakeTurn();
  Raise("a", "e");
  Settle();
  const FakeItem turn = worker.TakeTurn();
  const AskedStatus answer = Answer(turn, {AsNew("1")});
  // Decided before the new execution is durable.
  const AskedStatus done = Done(one);
  Answer(child, {Complete("c")});
  Settle();
  EXPECT_TRUE(answer.ok());
  EXPECT_TRUE(done.ok());
  EXPECT_EQ(Done(two).code(), Code::kNotFound);
  Pass(absl::Seconds(5));
  const FakeItem next = worker.TakeTurn();
  EXPECT_THAT(Words(next.events), ElementsAre("turn", "started(1)"));
  Answer(next);
  Settle();
  EXPECT_THAT(worker.items, IsEmpty());
  EXPECT_EQ(pins("a"), 0u);
}

}  // namespace
}  // namespace leasehold
