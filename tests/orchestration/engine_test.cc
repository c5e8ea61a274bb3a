// The engine when nothing fails. See engine_fixture.h for how it is run.
#include "service/orchestration/engine.h"

#include <optional>
#include <set>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/orchestration/engine_fixture.h"

namespace leasehold {
namespace {

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

TEST_F(EngineTest, AnUnknownOneIsAbsentAndCommandsForItAreNotFound) {
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

TEST_F(EngineTest, AWaitForAReplacedOneContinuesWithTheNewOne) {
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

TEST_F(EngineTest, AWaitForAStartIsToldTheInputOfTheNewExecution) {
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

TEST_F(EngineTest, WaitForWhatHasHappenedIsAnsweredAtOnce) {
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
