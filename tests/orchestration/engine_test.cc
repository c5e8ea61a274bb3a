// The engine when nothing fails. See engine_fixture.h for how it is run.
#include "service/orchestration/engine.h"

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/orchestration/engine_fixture.h"

namespace leasehold {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

using Code = absl::StatusCode;
using Status = OrchestrationStatus;

// ---- From start to end ------------------------------------------------------

TEST_F(EngineTest, RunsFromStartThroughAnActivityToItsEnd) {
  FakeWorker& worker = Connect();
  const auto start = Start("a", "in");
  Settle();
  ASSERT_TRUE(start.ok());
  EXPECT_TRUE(start.value().created);
  EXPECT_EQ(start.value().instance_id, "a");

  const FakeItem first = worker.TakeTurn();
  EXPECT_EQ(first.instance_id, "a");
  EXPECT_EQ(first.execution_id, start.value().execution_id);
  EXPECT_THAT(first.past, IsEmpty());
  EXPECT_THAT(Words(first.events), ElementsAre("turn", "started(in)"));
  const AskedStatus answer = Answer(first, {CallTask(1, "Work")});
  Settle();
  EXPECT_TRUE(answer.ok());

  const FakeItem activity = worker.TakeActivity();
  EXPECT_EQ(activity.name, "Work");
  EXPECT_EQ(activity.id, 1);
  EXPECT_EQ(activity.instance_id, "a");
  const AskedStatus done = Done(activity, "7");
  Settle();
  EXPECT_TRUE(done.ok());

  const FakeItem second = worker.TakeTurn();
  EXPECT_THAT(Words(second.past),
              ElementsAre("turn", "started(in)", "task Work"));
  EXPECT_THAT(Words(second.events), ElementsAre("turn", "task 1 done"));
  const AskedStatus end = Answer(second, {Complete("out")});
  Settle();
  EXPECT_TRUE(end.ok());

  const AskedInfo info = Get("a");
  Settle();
  ASSERT_TRUE(info.ok());
  ASSERT_TRUE(info.value().has_value());
  EXPECT_EQ(info.value()->status, Status::kCompleted);
  EXPECT_EQ(info.value()->input, "in");
  EXPECT_EQ(info.value()->output, "out");
  EXPECT_TRUE(info.value()->finished.has_value());
  EXPECT_THAT(History("a"), ElementsAre("turn", "started(in)", "task Work",
                                        "turn", "task 1 done", "ended(1)"));
  EXPECT_EQ(engine().counts().open, 0u);
  EXPECT_EQ(pins("a"), 0u);
}

TEST_F(EngineTest, UnknownOneIsNoneAndCommandsForItAreNotFound) {
  EXPECT_EQ(StatusOf("a"), "none");
  const auto raise = Raise("a", "e");
  const auto suspend = Suspend("a");
  const auto wait = Wait("a", Until::kFinished);
  Settle();
  EXPECT_EQ(raise.code(), Code::kNotFound);
  EXPECT_THAT(std::string(raise.status().message()), HasSubstr("\"a\""));
  EXPECT_EQ(suspend.code(), Code::kNotFound);
  ASSERT_TRUE(wait.ok());
  EXPECT_FALSE(wait.value().has_value());
  EXPECT_EQ(registry_->size(), 0u);
}

TEST_F(EngineTest, CommandsForOneThatHasEndedAreRefusedAndChangeNothing) {
  FakeWorker& worker = Connect();
  Run(worker, "a", {Complete("out")});
  const AskedStatus asked[] = {Raise("a", "e"), Suspend("a"), Resume("a"),
                               Terminate("a")};
  Settle();
  for (const AskedStatus& one : asked) {
    EXPECT_EQ(one.code(), Code::kFailedPrecondition);
    EXPECT_THAT(std::string(one.status().message()),
                HasSubstr("\"a\" is Completed"));
  }
  EXPECT_EQ(StatusOf("a"), "Completed");
  EXPECT_THAT(History("a"), ElementsAre("turn", "started()", "ended(1)"));
}

// ---- Nothing is visible before its commit -----------------------------------

TEST_F(EngineTest, StartIsSeenByNobodyBeforeItsCommit) {
  FakeWorker& worker = Connect();
  const auto start = Start("a");
  const AskedInfo get = Get("a");
  readers_.RunAll();
  EXPECT_FALSE(start.answered());
  EXPECT_THAT(worker.items, IsEmpty());
  ASSERT_TRUE(get.ok());
  EXPECT_FALSE(get.value().has_value());
  Settle();
  EXPECT_TRUE(start.ok());
  EXPECT_THAT(worker.items, SizeIs(1));
}

TEST_F(EngineTest, AnswerIsSeenByNobodyBeforeItsCommit) {
  FakeWorker& worker = Connect();
  Start("a");
  Settle();
  const AskedInfo wait = Wait("a", Until::kFinished);
  const AskedInfo started = Wait("a", Until::kStarted);
  const AskedStatus answer = Answer(worker.TakeTurn(), {Complete("out")});
  const AskedInfo before = Get("a");
  readers_.RunAll();
  tasks_.RunAll();
  EXPECT_FALSE(answer.answered());
  EXPECT_FALSE(wait.answered());
  EXPECT_FALSE(started.answered());
  EXPECT_EQ(before.value()->status, Status::kPending);
  Settle();
  EXPECT_TRUE(answer.ok());
  ASSERT_TRUE(wait.ok());
  EXPECT_EQ(wait.value()->status, Status::kCompleted);
  EXPECT_EQ(wait.value()->output, "out");
  ASSERT_TRUE(started.ok());
}

TEST_F(EngineTest, ActivityGoesOutOnlyWhenItsTurnIsDurable) {
  FakeWorker& worker = Connect();
  Start("a");
  Settle();
  Answer(worker.TakeTurn(), {CallTask(1, "Work")});
  EXPECT_THAT(worker.items, IsEmpty());
  Settle();
  EXPECT_THAT(worker.items, SizeIs(1));
}

TEST_F(EngineTest, EventIsInATurnOnlyWhenItIsDurable) {
  FakeWorker& worker = Connect();
  Run(worker, "a");
  const AskedStatus raise = Raise("a", "e");
  tasks_.RunAll();
  readers_.RunAll();
  EXPECT_FALSE(raise.answered());
  EXPECT_THAT(worker.items, IsEmpty());
  Settle();
  EXPECT_TRUE(raise.ok());
  EXPECT_THAT(Words(worker.TakeTurn().events), ElementsAre("turn", "raised e"));
}

TEST_F(EngineTest, WhatComesDuringATurnIsInTheNextOne) {
  FakeWorker& worker = Connect();
  Start("a");
  Settle();
  const FakeItem turn = worker.TakeTurn();
  Raise("a", "one");
  Raise("a", "two");
  Settle();
  EXPECT_THAT(worker.items, IsEmpty());
  Answer(turn);
  Settle();
  EXPECT_THAT(Words(worker.TakeTurn().events),
              ElementsAre("turn", "raised one", "raised two"));
}

TEST_F(EngineTest, EventsThatAWorkerDidNotLookAtAreInTheNextTurn) {
  FakeWorker& worker = Connect();
  Run(worker, "a");
  Raise("a", "one");
  Settle();
  Raise("a", "two");
  Raise("a", "three");
  Settle();
  const FakeItem turn = worker.TakeTurn();
  ASSERT_THAT(Words(turn.events), ElementsAre("turn", "raised one"));
  Answer(turn);
  Settle();
  const FakeItem both = worker.TakeTurn();
  ASSERT_THAT(Words(both.events),
              ElementsAre("turn", "raised two", "raised three"));
  TurnAnswer answer;
  answer.events_processed = 2;
  Answer(both, std::move(answer));
  Settle();
  EXPECT_THAT(Words(worker.TakeTurn().events),
              ElementsAre("turn", "raised three"));
  Reopen();
  EXPECT_THAT(History("a"), ElementsAre("turn", "started()", "turn",
                                        "raised one", "turn", "raised two"));
}

TEST_F(EngineTest, ClockOfAnOrchestratorAlwaysGoesForward) {
  FakeWorker& worker = Connect();
  Start("a");
  Settle();
  Timestamp last;
  for (int i = 0; i < 5; ++i) {
    const FakeItem turn = worker.TakeTurn();
    const Timestamp time = turn.events.front().time;
    EXPECT_GE(ToTime(time), ToTime(last) + absl::Milliseconds(1));
    last = time;
    Answer(turn, {AsNew("")});  // Nor when a new execution begins.
    Settle();
  }
}

// ---- Starts of one ID -------------------------------------------------------

TEST_F(EngineTest, OfTwoStartsInOneBatchOneCreates) {
  const auto first = Start("a", "1");
  const auto second = Start("a", "2");
  Settle();
  ASSERT_TRUE(first.ok());
  EXPECT_TRUE(first.value().created);
  EXPECT_EQ(second.code(), Code::kAlreadyExists);
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("Pending"));
}

TEST_F(EngineTest, AttachedStartIsAnsweredNotBeforeTheOtherIsDurable) {
  const auto first = Start("a");
  StartRequest request = Request("a");
  request.policy.attachable = {Status::kPending};
  const auto second = Start(std::move(request));
  EXPECT_FALSE(second.answered());
  Settle();
  ASSERT_TRUE(second.ok());
  EXPECT_FALSE(second.value().created);
  EXPECT_EQ(second.value().execution_id, first.value().execution_id);
}

TEST_F(EngineTest, WithoutAPolicyAnEndedOneIsReplaced) {
  FakeWorker& worker = Connect();
  Run(worker, "a", {Complete("1")});
  const auto start = Start("a", "again");
  Settle();
  ASSERT_TRUE(start.ok());
  EXPECT_TRUE(start.value().created);
  EXPECT_EQ(StatusOf("a"), "Pending");
  EXPECT_THAT(Words(worker.TakeTurn().events),
              ElementsAre("turn", "started(again)"));
}

TEST_F(EngineTest, PolicyThatReplacesNothingKeepsAnEndedOne) {
  FakeWorker& worker = Connect();
  Run(worker, "a", {Complete("1")});
  StartRequest request = Request("a");
  request.policy.replaceable.emplace();
  const auto start = Start(std::move(request));
  Settle();
  EXPECT_EQ(start.code(), Code::kAlreadyExists);
  EXPECT_THAT(std::string(start.status().message()), HasSubstr("Completed"));
  EXPECT_EQ(StatusOf("a"), "Completed");
}

// Whether it has ended is known only once its end is durable.
TEST_F(EngineTest, PolicyIsAskedOfTheEndThatIsOnItsWayToTheStore) {
  FakeWorker& worker = Connect();
  Start("a");
  Settle();
  const AskedStatus end = Answer(worker.TakeTurn(), {Complete("1")});
  StartRequest request = Request("a", "2");
  request.policy.replaceable.emplace();
  const auto start = Start(std::move(request));
  readers_.RunAll();  // The store still has it running.
  Settle();
  EXPECT_TRUE(end.ok());
  EXPECT_EQ(start.code(), Code::kAlreadyExists);
  EXPECT_EQ(StatusOf("a"), "Completed");
}

TEST_F(EngineTest, StartBehindAnEndThatIsOnItsWayCreates) {
  FakeWorker& worker = Connect();
  Start("a", "1");
  Settle();
  const AskedInfo wait = Wait("a", Until::kFinished);
  const AskedStatus end = Answer(worker.TakeTurn(), {Complete("1")});
  const auto start = Start("a", "2");
  Settle();
  EXPECT_TRUE(end.ok());
  ASSERT_TRUE(start.ok());
  EXPECT_TRUE(start.value().created);
  EXPECT_EQ(wait.value()->output, "1");
  EXPECT_THAT(Words(worker.TakeTurn().events),
              ElementsAre("turn", "started(2)"));
}

TEST_F(EngineTest, StartWithAPolicyBehindAPurgeFindsNothing) {
  Run(Connect(), "a", {Complete("1")});
  const auto purge = Purge("a");
  StartRequest request = Request("a");
  request.policy.replaceable.emplace();
  const auto start = Start(std::move(request));
  Settle();
  ASSERT_TRUE(purge.ok());
  EXPECT_EQ(purge.value().erased, 1);
  EXPECT_TRUE(start.ok()) << start.status();
  EXPECT_EQ(StatusOf("a"), "Pending");
}

TEST_F(EngineTest, StartWithAPolicyBeforeAPurgeFindsWhatIsThere) {
  Run(Connect(), "a", {Complete("1")});
  StartRequest request = Request("a");
  request.policy.replaceable.emplace();
  const auto start = Start(std::move(request));
  const auto purge = Purge("a");
  Settle();
  EXPECT_EQ(start.code(), Code::kAlreadyExists);
  EXPECT_EQ(purge.value().erased, 1);
  EXPECT_EQ(StatusOf("a"), "none");
}

// ---- Replaced ---------------------------------------------------------------

StartRequest Replacing(StartRequest request) {
  request.policy.replaceable =
      std::set<Status>{Status::kPending, Status::kRunning, Status::kSuspended,
                       Status::kCompleted, Status::kTerminated};
  return request;
}

TEST_F(EngineTest, ReplacedWhileATurnIsOutItsAnswerIsNotFound) {
  FakeWorker& worker = Connect();
  Start("a", "1");
  Settle();
  const FakeItem old = worker.TakeTurn();
  const auto start = Start(Replacing(Request("a", "2")));
  EXPECT_EQ(Answer(old, {Complete()}).code(), Code::kNotFound);
  Settle();
  ASSERT_TRUE(start.ok());
  EXPECT_EQ(Answer(old, {Complete()}).code(), Code::kNotFound);
  const FakeItem turn = worker.TakeTurn();
  EXPECT_THAT(Words(turn.events), ElementsAre("turn", "started(2)"));
  Answer(turn, {Complete("2")});
  Settle();
  EXPECT_EQ(StatusOf("a"), "Completed");
  EXPECT_EQ(pins("a"), 0u);
}

TEST_F(EngineTest, ReplacedWhileItsAnswerIsCommittingNothingOfItStays) {
  FakeWorker& worker = Connect();
  Start("a", "1");
  Settle();
  const AskedStatus answer =
      Answer(worker.TakeTurn(),
             {CallTask(1, "Work"), TimerAt(2, Now() + absl::Seconds(5)),
              CallChild(3, "child")});
  const auto start = Start(Replacing(Request("a", "2")));
  Settle();
  EXPECT_TRUE(answer.ok());
  ASSERT_TRUE(start.ok());
  // The new one's first turn and the child's, but no activity.
  ASSERT_THAT(worker.items, SizeIs(2));
  for (int i = 0; i < 2; ++i) {
    Answer(worker.TakeTurn());
    Settle();
  }
  Pass(absl::Seconds(10));
  EXPECT_THAT(worker.items, IsEmpty());
  EXPECT_THAT(History("a"), ElementsAre("turn", "started(2)"));
  EXPECT_EQ(engine().NextDue(), std::nullopt);
}

TEST_F(EngineTest, WhoWaitsForAReplacedOneWaitsForTheNew) {
  FakeWorker& worker = Connect();
  Run(worker, "a");
  const AskedInfo wait = Wait("a", Until::kFinished);
  Start(Replacing(Request("a", "2")));
  Settle();
  EXPECT_FALSE(wait.answered());
  Answer(worker.TakeTurn(), {Complete("2")});
  Settle();
  ASSERT_TRUE(wait.ok());
  EXPECT_EQ(wait.value()->output, "2");
}

// ---- Suspended, terminated --------------------------------------------------

TEST_F(EngineTest, SuspendedOneIsHeldUntilItIsResumed) {
  FakeWorker& worker = Connect();
  Run(worker, "a");
  Suspend("a");
  Settle();
  Answer(worker.TakeTurn());
  Settle();
  EXPECT_EQ(StatusOf("a"), "Suspended");
  const AskedStatus raise = Raise("a", "e");
  Settle();
  EXPECT_TRUE(raise.ok());
  EXPECT_THAT(worker.items, IsEmpty());
  Resume("a");
  Settle();
  const FakeItem turn = worker.TakeTurn();
  EXPECT_THAT(Words(turn.events), ElementsAre("turn", "raised e", "resumed"));
  Answer(turn);
  Settle();
  EXPECT_EQ(StatusOf("a"), "Running");
}

TEST_F(EngineTest, SuspendedOneCanBeTerminated) {
  FakeWorker& worker = Connect();
  Run(worker, "a");
  Suspend("a");
  Settle();
  Answer(worker.TakeTurn());
  Settle();
  Reopen();  // This also holds after a restart.
  FakeWorker& other = Connect();
  Settle();
  EXPECT_THAT(other.items, IsEmpty());
  Terminate("a");
  Settle();
  const FakeItem turn = other.TakeTurn();
  EXPECT_THAT(Words(turn.events), ElementsAre("turn", "terminated"));
  Answer(turn, {Complete("out", 1, Status::kTerminated)});
  Settle();
  EXPECT_EQ(StatusOf("a"), "Terminated");
}

TEST_F(EngineTest, SuspendOfASuspendedOneAddsNothing) {
  FakeWorker& worker = Connect();
  Run(worker, "a");
  Suspend("a");
  Settle();
  Answer(worker.TakeTurn());
  Settle();
  const AskedStatus again = Suspend("a");
  Settle();
  EXPECT_TRUE(again.ok());
  Resume("a");
  Settle();
  EXPECT_THAT(Words(worker.TakeTurn().events), ElementsAre("turn", "resumed"));
}

// The last command counts: no turn has taken the one before.
TEST_F(EngineTest, ResumeOfOneThatIsNotSuspendedAddsNothing) {
  FakeWorker& worker = Connect();
  Run(worker, "a");
  const AskedStatus resumed = Resume("a");
  Settle();
  EXPECT_TRUE(resumed.ok());
  EXPECT_THAT(worker.items, IsEmpty());
  Suspend("a");
  Settle();
  const FakeItem turn = worker.TakeTurn();
  Resume("a");
  Settle();
  Answer(turn);
  Settle();
  EXPECT_THAT(Words(worker.TakeTurn().events), ElementsAre("turn", "resumed"));
}

TEST_F(EngineTest, ResumeIsTheSameAfterAReopen) {
  {
    FakeWorker& worker = Connect();
    Run(worker, "a");
    Suspend("a");
    Settle();
    Answer(worker.TakeTurn());
    Settle();
  }
  Reopen();
  FakeWorker& worker = Connect();
  Suspend("a");
  Settle();
  EXPECT_THAT(worker.items, IsEmpty());
  Resume("a");
  Settle();
  EXPECT_THAT(Words(worker.TakeTurn().events), ElementsAre("turn", "resumed"));
}

TEST_F(EngineTest, TerminateAndSuspendOutliveContinueAsNew) {
  FakeWorker& worker = Connect();
  for (const bool terminate : {true, false}) {
    const std::string id = terminate ? "t" : "s";
    Start(id);
    Settle();
    if (terminate) {
      Terminate(id);
    } else {
      Suspend(id);
    }
    const FakeItem first = worker.TakeTurn();
    Settle();
    Answer(first);
    Settle();
    // The worker acts as if it had not seen it.
    Answer(worker.TakeTurn(), {AsNew("2")});
    Settle();
    EXPECT_THAT(Words(worker.TakeTurn().events),
                ElementsAre("turn", "started(2)",
                            terminate ? "terminated" : "suspended"));
  }
}

TEST_F(EngineTest, AnActivityOfTheNumberMinusOneIsGivenBackAndComesAgain) {
  FakeWorker& worker = Connect();
  Run(worker, "a", {CallTask(-1, "Work")});
  Abandon(worker.TakeActivity());
  Pass(absl::Seconds(1));
  EXPECT_EQ(worker.TakeActivity().id, -1);
}

TEST_F(EngineTest, ATerminateOutlivesContinueAsNewOnce) {
  FakeWorker& worker = Connect();
  Run(worker, "a");
  Terminate("a");
  Settle();
  for (int i = 0; i < 2; ++i) {
    Answer(worker.TakeTurn(), {AsNew("2")});
    Settle();
  }
  EXPECT_THAT(worker.items, IsEmpty());
  EXPECT_EQ(StatusOf("a"), "Terminated");
  EXPECT_THAT(Told(WorkEventKind::kEndedByServer).instance_id, "a");
}

TEST_F(EngineTest, ATerminateThatAWorkerSawAndDidNotActOnEndsIt) {
  FakeWorker& worker = Connect();
  Run(worker, "a");
  Suspend("a");
  Settle();
  Answer(worker.TakeTurn());
  Settle();
  EXPECT_EQ(StatusOf("a"), "Suspended");
  const AskedInfo end = Wait("a", Until::kFinished);
  Terminate("a");
  Settle();
  const FakeItem turn = worker.TakeTurn();
  EXPECT_THAT(Words(turn.events), ElementsAre("turn", "terminated"));
  EXPECT_FALSE(end.answered());
  // Like Go's worker while it is suspended.
  Answer(turn);
  Settle();
  ASSERT_TRUE(end.answered());
  EXPECT_EQ(end.value()->status, OrchestrationStatus::kTerminated);
  EXPECT_EQ(end.value()->output, "out");
  EXPECT_EQ(Told(WorkEventKind::kEndedByServer).worker, worker.id);
}

TEST_F(EngineTest, SuspendBehindAResumeThatWaitsIsNotLost) {
  FakeWorker& worker = Connect();
  Run(worker, "a");
  Suspend("a");
  Settle();
  Answer(worker.TakeTurn());
  Settle();
  Resume("a");
  const AskedStatus suspend = Suspend("a");
  Settle();
  EXPECT_TRUE(suspend.ok());
  for (int i = 0; i < 2 && !worker.items.empty(); ++i) {
    Answer(worker.TakeTurn());
    Settle();
  }
  EXPECT_EQ(StatusOf("a"), "Suspended");
}

TEST_F(EngineTest, TerminateTakesTheChildrenAlong) {
  FakeWorker& worker = Connect();
  Run(worker, "a", {CallChild(1, "child")});
  Answer(worker.TakeTurn());  // The child's first.
  Settle();
  Terminate("a", true);
  Settle();
  Answer(worker.TakeTurn(), {Complete("out", 2, Status::kTerminated)});
  Settle();
  const FakeItem child = worker.TakeTurn();
  EXPECT_EQ(child.instance_id, "child");
  EXPECT_THAT(Words(child.events), ElementsAre("turn", "terminated"));
}

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

// ---- Purge, wipe, restart ---------------------------------------------------

TEST_F(EngineTest, PurgeErasesWhatHasEndedAndPassesOverOthers) {
  FakeWorker& worker = Connect();
  Run(worker, "ended", {Complete()});
  Run(worker, "running");
  Asked<PurgeResult> purge;
  engine().Purge({Key("ended"), Key("running"), Key("none")}, false,
                 purge.done());
  Settle();
  ASSERT_TRUE(purge.ok());
  EXPECT_EQ(purge.value().erased, 1);
  EXPECT_TRUE(purge.value().complete);
  EXPECT_EQ(StatusOf("ended"), "none");
  EXPECT_EQ(StatusOf("running"), "Running");
}

TEST_F(EngineTest, RecursivePurgeTakesChildrenThatHaveEnded) {
  FakeWorker& worker = Connect();
  Run(worker, "a", {CallChild(1, "child"), CallChild(2, "other"), Complete()});
  Answer(worker.TakeTurn(), {Complete()});
  Answer(worker.TakeTurn());
  Settle();
  const auto purge = Purge("a", true);
  Settle();
  ASSERT_TRUE(purge.ok());
  EXPECT_EQ(purge.value().erased, 2);
  EXPECT_EQ(StatusOf("child"), "none");
  EXPECT_EQ(StatusOf("other"), "Running");
}

TEST_F(EngineTest, PurgeByFilterGoesThroughAllPages) {
  FakeWorker& worker = Connect();
  for (const char* id : {"a-1", "a-2", "a-3", "b-1"}) {
    Run(worker, id, {Complete()});
  }
  RowQuery filter;
  filter.tenant = "default";
  filter.id_prefix = "a-";
  filter.count_max = 1;
  Asked<PurgeResult> purge;
  engine().PurgeMatching(filter, false, absl::InfiniteDuration(), purge.done());
  Settle();
  ASSERT_TRUE(purge.ok());
  EXPECT_EQ(purge.value().erased, 3);
  EXPECT_TRUE(purge.value().complete);
  EXPECT_EQ(StatusOf("b-1"), "Completed");
}

TEST_F(EngineTest, PurgeByFilterSaysSoIfItsTimeIsOver) {
  Run(Connect(), "a", {Complete()});
  RowQuery filter;
  filter.tenant = "default";
  Asked<PurgeResult> purge;
  engine().PurgeMatching(filter, false, absl::Seconds(1), purge.done());
  clock_.Advance(absl::Seconds(2));
  Settle();
  ASSERT_TRUE(purge.ok());
  EXPECT_FALSE(purge.value().complete);
  EXPECT_EQ(purge.value().erased, 0);
  EXPECT_EQ(StatusOf("a"), "Completed");
}

TEST_F(EngineTest, APageHasABoundOfBytesAndTheNextOneGoesOnBehindIt) {
  for (int i = 0; i < 10; ++i) {
    Start(absl::StrCat("a-", i), std::string(1'000'000, 'x'));
    Settle();
  }
  OrchestrationQuery query{.rows = {.tenant = "default"}, .payloads = true};
  std::vector<std::string> found;
  size_t pages = 0;
  for (bool more = true; more; ++pages) {
    Asked<OrchestrationPage> page;
    engine().Query(query, page.done());
    Settle();
    ASSERT_TRUE(page.ok());
    size_t bytes = 0;
    for (const OrchestrationInfo& info : page.value().orchestrations) {
      found.push_back(info.id);
      bytes += SizeOf(info);
    }
    EXPECT_LT(bytes, size_t{4} << 20);
    more = page.value().next.has_value();
    if (more) query.rows.after = *page.value().next;
  }
  EXPECT_EQ(pages, 4u);
  EXPECT_THAT(found, SizeIs(10));
  EXPECT_EQ(std::set(found.begin(), found.end()).size(), 10u);
}

TEST_F(EngineTest, OneThatIsTooLargeForAPageIsThereWithoutItsPayload) {
  Start("a", std::string(5 << 20, 'x'));
  Start("b");
  Settle();
  Asked<OrchestrationPage> page;
  engine().Query({.rows = {.tenant = "default"}, .payloads = true},
                 page.done());
  Settle();
  ASSERT_TRUE(page.ok());
  ASSERT_THAT(page.value().orchestrations, SizeIs(2));
  EXPECT_THAT(*page.value().orchestrations[0].input,
              AllOf(testing::StartsWith("\"(the input has 5242880 bytes"),
                    testing::EndsWith("\"")));
  const AskedInfo alone = Get("a");
  Settle();
  EXPECT_EQ(alone.value()->input->size(), size_t{5} << 20);
}

TEST_F(EngineTest, QueryTellsPayloadsAlsoOfThoseThatArePending) {
  FakeWorker& worker = Connect();
  Start("ended", "1");
  Settle();
  Answer(worker.TakeTurn(), {Complete("out")});
  Settle();
  Start("pending", "2");
  Settle();
  OrchestrationQuery query;
  query.rows.tenant = "default";
  query.payloads = true;
  Asked<OrchestrationPage> page;
  engine().Query(query, page.done());
  FinishedQuery finished;
  finished.tenant = "default";
  Asked<FinishedPage> list;
  engine().ListFinished(finished, list.done());
  Settle();
  ASSERT_TRUE(page.ok());
  ASSERT_THAT(page.value().orchestrations, SizeIs(2));
  EXPECT_EQ(page.value().orchestrations[0].input, "1");
  EXPECT_EQ(page.value().orchestrations[0].output, "out");
  EXPECT_EQ(page.value().orchestrations[1].input, "2");
  EXPECT_EQ(page.value().orchestrations[1].output, std::nullopt);
  ASSERT_TRUE(list.ok());
  ASSERT_THAT(list.value().rows, SizeIs(1));
  EXPECT_EQ(list.value().rows[0].id, "ended");
}

TEST_F(EngineTest, HistoryIsThatOfThePresentExecutionOnly) {
  FakeWorker& worker = Connect();
  const auto start = Start("a");
  Settle();
  Answer(worker.TakeTurn(), {AsNew("2")});
  Settle();
  const FakeItem next = worker.TakeTurn();
  Answer(next);
  Settle();
  const auto read = [this](Payload execution_id) {
    return Page("a", {.execution_id = std::move(execution_id)}).code();
  };
  EXPECT_EQ(read(next.execution_id), Code::kOk);
  EXPECT_EQ(read(""), Code::kOk);
  EXPECT_EQ(read(start.value().execution_id), Code::kNotFound);
}

TEST_F(EngineTest, WipeErasesAlsoWhatIsRunning) {
  FakeWorker& worker = Connect();
  Run(worker, "ended", {Complete()});
  Run(worker, "running", {TimerAt(1, Now() + absl::Seconds(1))});
  Start("out");
  Settle();
  const FakeItem turn = worker.TakeTurn();
  const AskedInfo wait = Wait("running", Until::kFinished);
  AskedStatus wipe;
  engine().Wipe(wipe.done());
  Settle();
  EXPECT_TRUE(wipe.ok());
  for (const char* id : {"ended", "running", "out"}) {
    EXPECT_EQ(StatusOf(id), "none");
  }
  EXPECT_EQ(Answer(turn, {Complete()}).code(), Code::kNotFound);
  EXPECT_EQ(engine().NextDue(), std::nullopt);
  // As if it were purged.
  ASSERT_TRUE(wait.ok()) << wait.status();
  EXPECT_FALSE(wait.value().has_value());
  const auto start = Start("running");
  Settle();
  EXPECT_TRUE(start.ok());
}

TEST_F(EngineTest, StartBehindAPurgeAndAWipeIsAnswered) {
  FakeWorker& worker = Connect();
  Run(worker, "a", {Complete()});
  const auto purge = Purge("a");
  readers_.RunAll();  // Looked up, but not committed.
  AskedStatus wipe;
  engine().Wipe(wipe.done());
  StartRequest request = Request("a");
  request.policy.replaceable.emplace();
  const auto start = Start(std::move(request));
  Settle();
  EXPECT_TRUE(purge.answered());
  EXPECT_TRUE(wipe.ok());
  EXPECT_TRUE(start.ok()) << start.status();
}

TEST_F(EngineTest, RestartStartsItAsItWasStarted) {
  FakeWorker& worker = Connect();
  StartRequest request = Request("a", "in");
  request.version = "2";
  request.tags = {{"k", "v"}};
  Start(std::move(request));
  Settle();
  Answer(worker.TakeTurn(), {Complete("out")});
  Settle();
  Asked<StartReceipt> restart;
  engine().Restart(Key("a"), std::nullopt, restart.done());
  Settle();
  ASSERT_TRUE(restart.ok());
  EXPECT_EQ(restart.value().instance_id, "a");
  const FakeItem turn = worker.TakeTurn();
  ASSERT_THAT(Words(turn.events), ElementsAre("turn", "started(in)"));
  EXPECT_EQ(turn.events[1].As<ExecutionStarted>()->version, "2");
  EXPECT_EQ(turn.events[1].As<ExecutionStarted>()->tags,
            (StringMap{{"k", "v"}}));
}

TEST_F(EngineTest, RestartOfARunningOneNeedsANewId) {
  FakeWorker& worker = Connect();
  Run(worker, "a");
  Asked<StartReceipt> same;
  engine().Restart(Key("a"), std::nullopt, same.done());
  EXPECT_EQ(same.code(), Code::kFailedPrecondition);
  Asked<StartReceipt> fresh;
  engine().Restart(Key("a"), "new", fresh.done());
  Asked<StartReceipt> unknown;
  engine().Restart(Key("none"), "new", unknown.done());
  Settle();
  ASSERT_TRUE(fresh.ok());
  EXPECT_NE(fresh.value().instance_id, "a");
  EXPECT_EQ(unknown.code(), Code::kNotFound);
}

// ---- Waiters ----------------------------------------------------------------

TEST_F(EngineTest, WaitForTheStartEndsWithTheFirstTurn) {
  FakeWorker& worker = Connect();
  Start("a", "in");
  Settle();
  const AskedInfo wait = Wait("a", Until::kStarted);
  Settle();
  EXPECT_FALSE(wait.answered());
  Answer(worker.TakeTurn());
  Settle();
  ASSERT_TRUE(wait.ok());
  EXPECT_EQ(wait.value()->status, Status::kRunning);
  EXPECT_EQ(wait.value()->input, "in");
}

TEST_F(EngineTest, WhoWaitsForAStartIsToldTheInputOfTheNewExecution) {
  FakeWorker& worker = Connect();
  Start("a", "1");
  Settle();
  const AskedInfo wait = Wait("a", Until::kStarted);
  Answer(worker.TakeTurn(), {AsNew("2")});
  Settle();
  ASSERT_TRUE(wait.ok());
  EXPECT_EQ(wait.value()->status, Status::kRunning);
  EXPECT_EQ(wait.value()->input, "2");
}

TEST_F(EngineTest, WaitForWhatIsSoAlreadyIsAnsweredAtOnce) {
  FakeWorker& worker = Connect();
  Run(worker, "a");
  Run(worker, "b", {Complete("out")});
  const AskedInfo started = Wait("a", Until::kStarted);
  const AskedInfo finished = Wait("b", Until::kFinished);
  Settle();
  EXPECT_EQ(started.value()->status, Status::kRunning);
  EXPECT_EQ(finished.value()->output, "out");
}

TEST_F(EngineTest, AConnectionWithTooManyWaitsLosesItsOldestAndNoOther) {
  options_.waits_max = 2;
  FakeWorker& worker = Connect();
  Run(worker, "a");
  Run(worker, "b");
  const AskedInfo stranger = Wait("a", Until::kFinished, 0, "stranger");
  const AskedInfo one = Wait("a", Until::kFinished, 0, "peer");
  const AskedInfo two = Wait("b", Until::kFinished, 0, "peer");
  EXPECT_FALSE(one.answered());
  const AskedInfo three = Wait("a", Until::kFinished, 0, "peer");
  EXPECT_EQ(one.code(), Code::kResourceExhausted);
  EXPECT_THAT(std::string(one.status().message()), HasSubstr("begun 2 other"));
  EXPECT_FALSE(two.answered());
  EXPECT_FALSE(three.answered());
  EXPECT_FALSE(stranger.answered());
  // A cancelled wait makes room.
  EXPECT_TRUE(engine().CancelWait(Key("a"), last_wait_));
  const AskedInfo four = Wait("a", Until::kFinished, 0, "peer");
  EXPECT_FALSE(two.answered());
  Raise("a", "go");
  Settle();
  Answer(worker.TakeTurn(), {Complete("out")});
  Settle();
  EXPECT_EQ(four.value()->output, "out");
  EXPECT_EQ(stranger.value()->output, "out");
  EXPECT_FALSE(three.answered());
}

TEST_F(EngineTest, CancelledWaitIsNeverAnswered) {
  FakeWorker& worker = Connect();
  Run(worker, "a");
  const AskedInfo wait = Wait("a", Until::kFinished);
  EXPECT_TRUE(engine().CancelWait(Key("a"), last_wait_));
  EXPECT_FALSE(engine().CancelWait(Key("a"), last_wait_));
  Raise("a", "e");
  Settle();
  Answer(worker.TakeTurn(), {Complete()});
  Settle();
  EXPECT_FALSE(wait.answered());
  EXPECT_EQ(StatusOf("a"), "Completed");
}

TEST_F(EngineTest, DrainEndsWaitsAndRefusesStartsAndWorkGoesOn) {
  FakeWorker& worker = Connect();
  Start("a");
  Settle();
  const AskedInfo wait = Wait("a", Until::kFinished);
  engine().Drain();
  EXPECT_EQ(wait.code(), Code::kUnavailable);
  const auto start = Start("b");
  const AskedInfo late = Wait("a", Until::kFinished);
  const AskedStatus answer = Answer(worker.TakeTurn(), {Complete()});
  Settle();
  EXPECT_EQ(start.code(), Code::kUnavailable);
  EXPECT_EQ(late.code(), Code::kUnavailable);
  EXPECT_TRUE(answer.ok());
  EXPECT_EQ(StatusOf("a"), "Completed");
}

// ---- Limits -----------------------------------------------------------------

TEST_F(EngineTest, PayloadsOfCallersAreBounded) {
  options_.limits.payload_bytes_max = 4;
  FakeWorker& worker = Connect();
  Run(worker, "a");
  const auto start = Start("b", "12345");
  EXPECT_EQ(start.code(), Code::kResourceExhausted);
  EXPECT_EQ(std::string(start.status().message()),
            "the input has 5 bytes; at most 4 are allowed (--max-payload)");
  AskedStatus raise;
  engine().RaiseEvent(Key("a"), "e", "12345", raise.done());
  EXPECT_EQ(raise.code(), Code::kResourceExhausted);
  AskedStatus terminate;
  engine().Terminate(Key("a"), "12345", false, terminate.done());
  EXPECT_EQ(terminate.code(), Code::kResourceExhausted);
}

TEST_F(EngineTest, ActivityResultThatIsTooLargeIsAFailure) {
  options_.limits.payload_bytes_max = 4;
  FakeWorker& worker = Connect();
  Run(worker, "a", {CallTask(1, "Work")});
  const AskedStatus done = Done(worker.TakeActivity(), "12345");
  Settle();
  EXPECT_TRUE(done.ok());
  const FakeItem turn = worker.TakeTurn();
  ASSERT_THAT(Words(turn.events), ElementsAre("turn", "task 1 failed"));
  EXPECT_THAT(*turn.events[1].As<TaskFailed>()->failure.bytes,
              HasSubstr("the result has 5 bytes; at most 4"));
}

}  // namespace
}  // namespace leasehold
