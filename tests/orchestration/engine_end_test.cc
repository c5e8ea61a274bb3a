// Ends without a worker: by force, and for orchestrations that were told to
// terminate when no worker can carry that out.
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/orchestration/engine_fixture.h"

namespace leasehold {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

using Code = absl::StatusCode;

class EngineEndTest : public EngineTest {
 protected:
  // Checks that it was terminated and left nothing behind.
  void ExpectTerminated(std::string_view id) {
    const AskedInfo info = Get(id);
    Settle();
    ASSERT_TRUE(info.ok() && info.value().has_value()) << id;
    EXPECT_EQ(info.value()->status, OrchestrationStatus::kTerminated) << id;
    EXPECT_EQ(info.value()->output, "out") << id;
    EXPECT_EQ(pins(id), 0u) << id;
  }
  // `top` with a child `middle` with a child `bottom`, each waiting.
  void RunThree(FakeWorker& worker) {
    Run(worker, "top", {CallChild(1, "middle")});
    Answer(worker.TakeTurn(), {CallChild(1, "bottom")});
    Settle();
    Answer(worker.TakeTurn());
    Settle();
  }
};

// ---- By force ---------------------------------------------------------------

TEST_F(EngineEndTest, ForceEndsWhatAWorkerHasAndItsAnswerIsTooLate) {
  FakeWorker& worker = Connect();
  Run(worker, "a", {CallTask(1, "Work")});
  const FakeItem activity = worker.TakeActivity();
  Raise("a", "e");
  Settle();
  const FakeItem turn = worker.TakeTurn();
  const AskedInfo end = Wait("a", Until::kFinished);
  const AskedStatus forced = TerminateByForce("a");
  Settle();
  EXPECT_TRUE(forced.ok()) << forced.status();
  ASSERT_TRUE(end.answered());
  EXPECT_EQ(end.value()->status, OrchestrationStatus::kTerminated);
  ExpectTerminated("a");
  EXPECT_THAT(History("a"), ElementsAre("turn", "started()", "task Work",
                                        "turn", "terminated", "ended(5)"));
  EXPECT_EQ(Told(WorkEventKind::kEndedByServer).instance_id, "a");
  EXPECT_THAT(Told(WorkEventKind::kEndedByServer).reason, HasSubstr("force"));
  EXPECT_EQ(Answer(turn, {Complete("late")}).code(), Code::kNotFound);
  const AskedStatus done = Done(activity);
  Settle();
  EXPECT_EQ(done.code(), Code::kNotFound);
  ExpectTerminated("a");
  EXPECT_EQ(engine().counts().open, 0u);
  EXPECT_THAT(worker.items, IsEmpty());
}

TEST_F(EngineEndTest, ForceNeedsNoWorker) {
  Start("a", "in");
  Settle();
  const AskedStatus forced = TerminateByForce("a");
  Settle();
  EXPECT_TRUE(forced.ok()) << forced.status();
  ExpectTerminated("a");
  EXPECT_THAT(History("a"),
              ElementsAre("turn", "started(in)", "terminated", "ended(5)"));
}

TEST_F(EngineEndTest, ForceOfWhatIsNotOpenSaysSo) {
  Run(Connect(), "ended", {Complete()});
  const AskedStatus none = TerminateByForce("none");
  const AskedStatus ended = TerminateByForce("ended");
  Settle();
  EXPECT_EQ(none.code(), Code::kNotFound);
  EXPECT_EQ(ended.code(), Code::kFailedPrecondition);
  EXPECT_EQ(StatusOf("ended"), "Completed");
}

TEST_F(EngineEndTest, AnAnswerThatIsOnItsWayToTheStoreComesBeforeForce) {
  FakeWorker& worker = Connect();
  Start("ends");
  Start("goes on");
  Settle();
  const AskedStatus end = Answer(worker.TakeTurn(), {Complete("own")});
  const AskedStatus on = Answer(worker.TakeTurn(), {CallTask(1, "Work")});
  const AskedStatus first = TerminateByForce("ends");
  const AskedStatus second = TerminateByForce("goes on");
  Settle();
  EXPECT_TRUE(end.ok()) << end.status();
  EXPECT_EQ(first.code(), Code::kFailedPrecondition);
  EXPECT_EQ(StatusOf("ends"), "Completed");
  EXPECT_TRUE(on.ok()) << on.status();
  EXPECT_TRUE(second.ok()) << second.status();
  ExpectTerminated("goes on");
}

TEST_F(EngineEndTest, ForceLeavesChildrenAloneUnlessItIsRecursive) {
  FakeWorker& worker = Connect();
  RunThree(worker);
  TerminateByForce("top");
  Settle();
  ExpectTerminated("top");
  EXPECT_EQ(StatusOf("middle"), "Running");
  TerminateByForce("middle", /*recursive=*/true);
  Settle();
  ExpectTerminated("middle");
  ExpectTerminated("bottom");
  EXPECT_THAT(worker.items, IsEmpty());
}

TEST_F(EngineEndTest, TheParentOfWhatWasEndedByForceIsTold) {
  FakeWorker& worker = Connect();
  RunThree(worker);
  TerminateByForce("middle");
  Settle();
  const FakeItem turn = worker.TakeTurn();
  EXPECT_EQ(turn.instance_id, "top");
  EXPECT_THAT(Words(turn.events), ElementsAre("turn", "child 1 failed"));
}

TEST_F(EngineEndTest, WhenTheStoreCannotBeReadForceChangesNothing) {
  FakeWorker& worker = Connect();
  Run(worker, "a");
  store_.FailRead(0, absl::UnavailableError("busy"));
  const AskedStatus forced = TerminateByForce("a");
  Settle();
  EXPECT_EQ(forced.code(), Code::kUnavailable);
  EXPECT_EQ(StatusOf("a"), "Running");
  Raise("a", "e");
  Settle();
  Pass(absl::Seconds(1));
  Answer(worker.TakeTurn(), {Complete()});
  Settle();
  EXPECT_EQ(StatusOf("a"), "Completed");
}

TEST_F(EngineEndTest, WhenTheStoreFailsForceIsNotAnsweredWithOk) {
  FakeWorker& worker = Connect();
  Run(worker, "a");
  store_.FailCommit(0, FaultStore::Effect::kNone);
  const AskedStatus forced = TerminateByForce("a");
  Settle();
  EXPECT_EQ(forced.code(), Code::kUnavailable);
  Pass(absl::Seconds(3));
  EXPECT_EQ(StatusOf("a"), "Running");
  const AskedStatus again = TerminateByForce("a");
  Settle();
  EXPECT_TRUE(again.ok()) << again.status();
  ExpectTerminated("a");
}

TEST_F(EngineEndTest, AWaitForTheEndIsAnsweredWhenTheEndIsDurable) {
  Run(Connect(), "a");
  TerminateByForce("a");
  writer_.RunAll();
  readers_.RunAll();
  // Now its end is being committed.
  const AskedInfo end = Wait("a", Until::kFinished);
  readers_.RunAll();
  EXPECT_FALSE(end.answered());
  Settle();
  ASSERT_TRUE(end.answered());
  EXPECT_EQ(end.value()->status, OrchestrationStatus::kTerminated);
}

TEST_F(EngineEndTest, AStartBehindForceGetsTheId) {
  FakeWorker& worker = Connect();
  Run(worker, "a");
  const AskedStatus forced = TerminateByForce("a");
  const auto start = Start("a");  // Replaces the ended one.
  Settle();
  EXPECT_TRUE(forced.ok()) << forced.status();
  ASSERT_TRUE(start.ok()) << start.status();
  EXPECT_TRUE(start.value().created);
  EXPECT_THAT(Words(worker.TakeTurn().events),
              ElementsAre("turn", "started()"));
}

// ---- While it is undecided whether it ends ----------------------------------
//
// Goal: until the end is in the commit queue, nothing rests on it. Method: its
// rows are being read meanwhile, and then cannot be read.

TEST_F(EngineEndTest, WhatIsSentToOneThatDoesNotEndAfterAllIsNotLost) {
  FakeWorker& worker = Connect();
  Run(worker, "parent", {CallChild(1, "child"), CallTask(2, "Work")});
  const FakeItem child = worker.TakeTurn();
  const FakeItem activity = worker.TakeActivity();
  const AskedStatus forced = TerminateByForce("parent");
  const AskedStatus answered = Answer(child, {Complete("well")});
  const AskedStatus done = Done(activity, "7");
  writer_.RunAll();
  EXPECT_TRUE(answered.ok()) << answered.status();
  EXPECT_TRUE(done.ok()) << done.status();
  store_.FailRead(0, absl::UnavailableError("busy"));
  Settle();
  EXPECT_EQ(forced.code(), Code::kUnavailable);
  Pass(absl::Seconds(1));
  EXPECT_THAT(
      Words(worker.TakeTurn().events),
      testing::UnorderedElementsAre("turn", "child 1 done", "task 2 done"));
}

TEST_F(EngineEndTest, WhatIsSentToOneWhoseEndIsLostIsThereAfterACrash) {
  {
    FakeWorker& worker = Connect();
    Run(worker, "parent", {CallChild(1, "child")});
    const FakeItem child = worker.TakeTurn();
    TerminateByForce("parent");
    Answer(child, {Complete("well")});
    writer_.RunAll();
    store_.FailCommit(0, FaultStore::Effect::kNone);
    Settle();
  }
  Crash();
  FakeWorker& worker = Connect();
  Settle();
  ASSERT_EQ(StatusOf("parent"), "Running");
  EXPECT_THAT(Words(worker.TakeTurn().events),
              ElementsAre("turn", "child 1 done"));
}

TEST_F(EngineEndTest, AStartUnderItsIdWaitsForTheDecision) {
  FakeWorker& worker = Connect();
  Run(worker, "a");
  const AskedStatus forced = TerminateByForce("a");
  StartRequest request = Request("a");
  request.policy.replaceable = {OrchestrationStatus::kTerminated};
  const auto asks = Start(std::move(request));
  const auto start = Start("a");
  writer_.RunAll();  // The writer is idle meanwhile.
  EXPECT_FALSE(asks.answered());
  EXPECT_FALSE(start.answered());
  store_.FailRead(0, absl::UnavailableError("busy"));
  Settle();
  EXPECT_EQ(forced.code(), Code::kUnavailable);
  EXPECT_EQ(asks.code(), Code::kAlreadyExists);
  EXPECT_EQ(start.code(), Code::kAlreadyExists);
  EXPECT_EQ(StatusOf("a"), "Running");
}

TEST_F(EngineEndTest, AChildUnderItsIdFails) {
  FakeWorker& worker = Connect();
  Run(worker, "a");
  Start("parent");
  Settle();
  TerminateByForce("a");
  Answer(worker.TakeTurn(), {CallChild(1, "a")});
  writer_.RunAll();
  Settle();
  EXPECT_THAT(Words(worker.TakeTurn().events),
              ElementsAre("turn", "child 1 failed"));
  ExpectTerminated("a");
}

// ---- Terminating without a worker -------------------------------------------

TEST_F(EngineEndTest, TerminateWithoutAWorkerIsCarriedOutByTheEngine) {
  Start("a", "in");
  Settle();
  const AskedStatus told = Terminate("a");
  Settle();
  EXPECT_TRUE(told.ok()) << told.status();
  ExpectTerminated("a");
  EXPECT_THAT(Told(WorkEventKind::kEndedByServer).reason,
              HasSubstr("no connected worker"));
  EXPECT_EQ(CountTold(WorkEventKind::kUnwanted), 0u);
}

TEST_F(EngineEndTest, WhatIsInTheStoreAloneIsReadForTheEnd) {
  const std::string large(Inbox::kSmallBytes + 1, 'x');
  Start("a", large);
  Start("b", large);
  Settle();
  AskedStatus told;
  engine().Terminate(Key("a"), large, false, told.done());
  const AskedStatus forced = TerminateByForce("b");
  Settle();
  EXPECT_TRUE(told.ok()) << told.status();
  EXPECT_TRUE(forced.ok()) << forced.status();
  for (const char* id : {"a", "b"}) {
    const AskedInfo info = Get(id);
    Settle();
    EXPECT_EQ(info.value()->status, OrchestrationStatus::kTerminated) << id;
    EXPECT_TRUE(info.value()->input == large) << id;
    EXPECT_TRUE(info.value()->output == (*id == 'a' ? large : "out")) << id;
  }
}

TEST_F(EngineEndTest, AWorkerThatTakesItCarriesATerminateOut) {
  FakeWorker& worker = Connect();
  Run(worker, "a");
  Terminate("a");
  Settle();
  EXPECT_EQ(StatusOf("a"), "Running");
  const FakeItem turn = worker.TakeTurn();
  EXPECT_THAT(Words(turn.events), ElementsAre("turn", "terminated"));
  Answer(turn, {Complete("out", 100, OrchestrationStatus::kTerminated)});
  Settle();
  ExpectTerminated("a");
  EXPECT_EQ(CountTold(WorkEventKind::kEndedByServer), 0u);
}

TEST_F(EngineEndTest, WhenTheLastWorkerGoesATerminateIsCarriedOut) {
  FakeWorker& worker = Connect();
  Run(worker, "a");
  Suspend("a");
  Settle();
  Answer(worker.TakeTurn());
  Settle();
  Terminate("a");
  Settle();
  worker.TakeTurn();
  EXPECT_EQ(StatusOf("a"), "Suspended");
  work().Disconnect(worker.id);
  Settle();
  ExpectTerminated("a");
}

TEST_F(EngineEndTest, WhenEveryWorkerDisownsItATerminateIsCarriedOut) {
  FakeWorker& worker = Connect();
  Start("a");
  Settle();
  Terminate("a");
  Settle();
  EXPECT_EQ(StatusOf("a"), "Pending");
  CompleteExecution unknown;
  unknown.status = OrchestrationStatus::kFailed;
  unknown.failure = MakeFailure("OrchestratorTaskNotFound",
                                "No orchestrator task named 'Main' was found.");
  Answer(worker.TakeTurn(), {{100, std::move(unknown)}});
  Settle();
  ExpectTerminated("a");
}

TEST_F(EngineEndTest, ATerminateDoesNotWaitForASilentWorker) {
  work_options_.turn_timeout = absl::Seconds(60);
  FakeWorker& worker = Connect();
  Start("a");
  Start("b");
  Settle();
  Terminate("a");
  Settle();
  Pass(absl::Seconds(60));
  ExpectTerminated("a");  // It was out when it was told.
  Terminate("b");
  Settle();
  // The worker has it, to show that it answers; and work that was lost twice is
  // delayed.
  Pass(absl::Seconds(60));
  Pass(absl::Seconds(1));
  ExpectTerminated("b");
  Start("c");
  Settle();
  worker.TakeTurn();
  Start("d");
  Settle();
  Terminate("d");
  Settle();
  ExpectTerminated("d");
}

TEST_F(EngineEndTest, ATerminateThatWasStoredIsCarriedOutAfterARestart) {
  FakeWorker& worker = Connect();
  Run(worker, "a");
  Terminate("a");
  Settle();
  EXPECT_EQ(StatusOf("a"), "Running");
  Reopen();
  Settle();
  ExpectTerminated("a");
}

TEST_F(EngineEndTest, OnlyARecursiveTerminateWithoutAWorkerReachesChildren) {
  FakeWorker& worker = Connect();
  RunThree(worker);
  work().Disconnect(worker.id);
  Terminate("top");
  Settle();
  ExpectTerminated("top");
  EXPECT_EQ(StatusOf("middle"), "Running");
  Terminate("middle", /*recursive=*/true);
  Settle();
  ExpectTerminated("middle");
  ExpectTerminated("bottom");
}

TEST_F(EngineEndTest, WhatWasContinuedAsNewBesideATerminateEndsWithItsWorker) {
  FakeWorker& worker = Connect();
  Run(worker, "a");
  Raise("a", "e");
  Settle();
  const FakeItem turn = worker.TakeTurn();
  Terminate("a");
  Settle();
  Answer(turn, {AsNew("2")});
  Settle();
  EXPECT_EQ(StatusOf("a"), "Running");
  work().Disconnect(worker.id);
  Settle();
  ExpectTerminated("a");
}

}  // namespace
}  // namespace leasehold
