// Rewinding: a failed orchestration continues from its last good point.
#include <string>
#include <vector>

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

class EngineRewindTest : public EngineTest {
 protected:
  AskedStatus FailActivity(const FakeItem& activity) {
    AskedStatus asked;
    work().CompleteActivity(activity.work_name(),
                            TaskFailed{0, MakeFailure("E", "no")},
                            asked.done());
    return asked;
  }
  // An orchestration that failed because its activity 1 did.
  void RunToFailure(FakeWorker& worker, std::string_view id) {
    Run(worker, id, {CallTask(1, "Work")});
    FailActivity(worker.TakeActivity());
    Settle();
    Answer(worker.TakeTurn(), {Fail("E")});
    Settle();
    ASSERT_EQ(StatusOf(id), "Failed");
  }
  // Rewinds it, and has a worker make the history to continue with.
  void RewindWith(FakeWorker& worker, std::string_view id,
                  std::string execution_id) {
    const AskedStatus asked = Rewind(id);
    Settle();
    ASSERT_TRUE(asked.ok()) << asked.status();
    const FakeItem turn = worker.TakeTurn();
    const AskedStatus answered =
        Answer(turn, {GoOn(turn, std::move(execution_id))});
    Settle();
    ASSERT_TRUE(answered.ok()) << answered.status();
  }
};

TEST_F(EngineRewindTest, WorkerIsSentTheWholeHistoryAndTheRewindAlone) {
  FakeWorker& worker = Connect();
  RunToFailure(worker, "a");
  const AskedStatus asked = Rewind("a");
  Settle();
  EXPECT_TRUE(asked.ok());
  EXPECT_EQ(StatusOf("a"), "Running");
  const AskedInfo info = Get("a");
  Settle();
  EXPECT_FALSE(info.value()->finished.has_value());
  EXPECT_FALSE(info.value()->failure.has_value());
  const FakeItem turn = worker.TakeTurn();
  EXPECT_THAT(Words(turn.past),
              ElementsAre("turn", "started()", "task Work", "turn",
                          "task 1 failed", "ended(3)"));
  EXPECT_THAT(Words(turn.events), ElementsAre("turn", "rewound"));
}

TEST_F(EngineRewindTest, GoesOnWithTheNewHistoryInANewExecution) {
  FakeWorker& worker = Connect();
  RunToFailure(worker, "a");
  RewindWith(worker, "a", "second");
  const FakeItem turn = worker.TakeTurn();
  EXPECT_EQ(turn.execution_id, "second");
  EXPECT_THAT(Words(turn.past),
              ElementsAre("turn", "started()", "turn", "turn", "rewound"));
  EXPECT_THAT(Words(turn.events), ElementsAre("turn"));
  Answer(turn, {CallTask(1, "Work")});
  Settle();
  Done(worker.TakeActivity(), "7");
  Settle();
  Answer(worker.TakeTurn(), {Complete("done")});
  Settle();
  const AskedInfo info = Get("a");
  Settle();
  EXPECT_EQ(StatusOf("a"), "Completed");
  EXPECT_EQ(info.value()->output, "done");
  EXPECT_EQ(info.value()->summary.execution_id, "second");
}

TEST_F(EngineRewindTest, EventsThatComeMeanwhileComeInTheNextTurn) {
  FakeWorker& worker = Connect();
  RunToFailure(worker, "a");
  Rewind("a");
  Settle();
  Raise("a", "early");
  Settle();
  const FakeItem turn = worker.TakeTurn();
  Answer(turn, {GoOn(turn, "second")});
  Raise("a", "late");
  Settle();
  EXPECT_THAT(Words(worker.TakeTurn().events),
              ElementsAre("turn", "raised early", "raised late"));
}

TEST_F(EngineRewindTest, OnlyOneThatHasFailedIsRewound) {
  FakeWorker& worker = Connect();
  const AskedStatus none = Rewind("none");
  Run(worker, "done", {Complete("x")});
  const AskedStatus done = Rewind("done");
  Run(worker, "open");
  const AskedStatus open = Rewind("open");
  Settle();
  EXPECT_EQ(none.code(), Code::kNotFound);
  EXPECT_EQ(done.code(), Code::kFailedPrecondition);
  EXPECT_THAT(std::string(done.status().message()),
              HasSubstr("Completed, which does not allow rewinding"));
  EXPECT_EQ(open.code(), Code::kFailedPrecondition);
  EXPECT_THAT(std::string(open.status().message()),
              HasSubstr("Running, which does not allow rewinding"));
}

TEST_F(EngineRewindTest, OfTwoThatAskAtOnceOneIsRefused) {
  FakeWorker& worker = Connect();
  RunToFailure(worker, "a");
  const AskedStatus first = Rewind("a");
  const AskedStatus second = Rewind("a");
  Settle();
  EXPECT_TRUE(first.ok());
  EXPECT_EQ(second.code(), Code::kFailedPrecondition);
  EXPECT_THAT(worker.items, SizeIs(1));
}

TEST_F(EngineRewindTest, WhatWasUnderWayWhenItFailedStartsAgain) {
  FakeWorker& worker = Connect();
  Run(worker, "a",
      {CallTask(1, "Bad"), CallTask(2, "Slow"),
       TimerAt(3, Now() + absl::Minutes(1))});
  FailActivity(worker.TakeActivity());
  const FakeItem slow = worker.TakeActivity();
  Settle();
  Answer(worker.TakeTurn(), {Fail("E")});
  Settle();
  RewindWith(worker, "a", "second");
  EXPECT_EQ(Done(slow).code(), Code::kNotFound);  // That was the former run.
  const FakeItem again = worker.TakeActivity();
  EXPECT_EQ(again.name, "Slow");
  Done(again);
  Settle();
  Answer(worker.TakeTurn(), {CallTask(1, "Bad")});
  Settle();
  Answer(worker.TakeTurn());
  Pass(absl::Minutes(1));
  EXPECT_THAT(Words(worker.TakeTurn().events),
              ElementsAre("turn", "timer 3 fired"));
}

TEST_F(EngineRewindTest, AChildThatFailedIsRewoundAndItsEndIsTold) {
  FakeWorker& worker = Connect();
  Run(worker, "parent", {CallChild(1, "child")});
  Answer(worker.TakeTurn(), {Fail("E")});
  Settle();
  Answer(worker.TakeTurn(), {Fail("E")});
  Settle();
  ASSERT_EQ(StatusOf("parent"), "Failed");
  RewindWith(worker, "parent", "second");
  EXPECT_EQ(StatusOf("child"), "Running");
  FakeItem turn = worker.TakeTurn();
  ASSERT_EQ(turn.instance_id, "parent");
  Answer(turn);
  turn = worker.TakeTurn();
  ASSERT_EQ(turn.instance_id, "child");
  EXPECT_EQ(
      std::get<ExecutionRewound>(turn.events.back().body).parent_execution_id,
      "second");
  Answer(turn, {GoOn(turn, "child-second")});
  Settle();
  Answer(worker.TakeTurn(), {Complete("good")});
  Settle();
  // Its own link still names the parent's former execution.
  EXPECT_THAT(Words(worker.TakeTurn().events),
              ElementsAre("turn", "child 1 done"));
}

TEST_F(EngineRewindTest, ChildrenThatEndedMeanwhileAreToldAndThoseGoneAreMade) {
  FakeWorker& worker = Connect();
  Run(worker, "parent",
      {CallTask(1, "Bad"), CallChild(2, "ended"), CallChild(3, "open"),
       CallChild(4, "gone")});
  FailActivity(worker.TakeActivity());
  FakeItem turns[] = {worker.TakeTurn(), worker.TakeTurn(), worker.TakeTurn()};
  Settle();
  Answer(worker.TakeTurn(), {Fail("E")});
  Settle();
  Answer(turns[0], {Complete("well")});
  Answer(turns[1]);
  Answer(turns[2], {Complete()});
  Settle();
  const Asked<PurgeResult> purged = Purge("gone");
  Settle();
  ASSERT_TRUE(purged.ok());
  RewindWith(worker, "parent", "second");
  Answer(worker.TakeTurn(), {CallTask(1, "Bad")});
  const FakeItem made = worker.TakeTurn();
  EXPECT_EQ(made.instance_id, "gone");
  EXPECT_THAT(Words(made.events), ElementsAre("turn", "started()"));
  EXPECT_EQ(StatusOf("open"), "Running");
  const FakeItem parent = worker.TakeTurn();
  EXPECT_EQ(parent.instance_id, "parent");
  EXPECT_THAT(Words(parent.events), ElementsAre("turn", "child 2 done"));
  Answer(parent);
  Raise("open", "end");
  Settle();
  Answer(worker.TakeTurn(), {Complete("late")});
  Settle();
  EXPECT_THAT(Words(worker.TakeTurn().events),
              ElementsAre("turn", "child 3 done"));
}

TEST_F(EngineRewindTest, AChildsIdThatIsSomebodyElsesNowIsNotTouched) {
  FakeWorker& worker = Connect();
  Run(worker, "parent", {CallChild(1, "c")});
  Answer(worker.TakeTurn(), {Fail("E")});
  Settle();
  Answer(worker.TakeTurn(), {Fail("E")});
  Settle();
  StartRequest request = Request("c");
  Start(std::move(request));
  Settle();
  Answer(worker.TakeTurn());
  Settle();
  RewindWith(worker, "parent", "second");
  Answer(worker.TakeTurn());
  Settle();
  EXPECT_EQ(StatusOf("c"), "Running");
  EXPECT_THAT(Words(worker.TakeTurn().events),
              ElementsAre("turn", "child 1 failed"));
}

TEST_F(EngineRewindTest, ItSurvivesARestartAtEveryStep) {
  {
    FakeWorker& worker = Connect();
    RunToFailure(worker, "a");
    Rewind("a");
    Settle();
  }
  Reopen();
  {
    FakeWorker& worker = Connect();
    Settle();
    const FakeItem turn = worker.TakeTurn();
    EXPECT_THAT(Words(turn.events), ElementsAre("turn", "rewound"));
    Answer(turn, {GoOn(turn, "second")});
    Settle();
  }
  Reopen();
  FakeWorker& worker = Connect();
  Settle();
  const FakeItem turn = worker.TakeTurn();
  EXPECT_EQ(turn.execution_id, "second");
  EXPECT_THAT(Words(turn.events), ElementsAre("turn"));
  Answer(turn, {Complete("x")});
  Settle();
  EXPECT_EQ(StatusOf("a"), "Completed");
}

TEST_F(EngineRewindTest, FormerExecutionsOfTheParentOutliveARestart) {
  {
    FakeWorker& worker = Connect();
    Run(worker, "parent", {CallTask(1, "Bad"), CallChild(2, "child")});
    const FakeItem child = worker.TakeTurn();
    Answer(child);
    FailActivity(worker.TakeActivity());
    Settle();
    Answer(worker.TakeTurn(), {Fail("E")});
    Settle();
    RewindWith(worker, "parent", "second");
    Answer(worker.TakeTurn(), {CallTask(1, "Bad")});
    Settle();
  }
  Reopen();
  FakeWorker& worker = Connect();
  Raise("child", "end");
  Settle();
  Answer(worker.TakeTurn(), {Complete("late")});
  Settle();
  EXPECT_THAT(Words(worker.TakeTurn().events),
              ElementsAre("turn", "child 2 done"));
}

TEST_F(EngineRewindTest, AWorkerThatCannotDoItEndsItAgain) {
  FakeWorker& worker = Connect();
  RunToFailure(worker, "a");
  Rewind("a");
  Settle();
  Answer(worker.TakeTurn(), {Fail("Unknown event")});
  Settle();
  EXPECT_EQ(StatusOf("a"), "Failed");
  RewindWith(worker, "a", "second");
  EXPECT_EQ(StatusOf("a"), "Running");
}

TEST_F(EngineRewindTest,
       AHistoryThatCannotBeParsedFailsTheRewindWithTheReason) {
  FakeWorker& worker = Connect();
  RunToFailure(worker, "a");
  for (const auto& [events, why] :
       std::vector<std::pair<std::vector<std::string>, std::string>>{
           {{}, "does not begin with a new execution"},
           {{"\x01"}, "one of its events cannot be read"}}) {
    Rewind("a");
    Settle();
    const AskedStatus answered =
        Answer(worker.TakeTurn(), {{-1, RewindHistory{events}}});
    Settle();
    EXPECT_TRUE(answered.ok());
    const AskedInfo info = Get("a");
    Settle();
    EXPECT_EQ(StatusOf("a"), "Failed");
    EXPECT_THAT(*info.value()->failure.bytes, HasSubstr(why));
  }
}

TEST_F(EngineRewindTest, NobodyElsesTurnRewinds) {
  FakeWorker& worker = Connect();
  Start("a");
  Settle();
  const FakeItem turn = worker.TakeTurn();
  Answer(turn, {GoOn(turn, "second")});
  Settle();
  const AskedInfo info = Get("a");
  Settle();
  EXPECT_EQ(StatusOf("a"), "Failed");
  EXPECT_THAT(*info.value()->failure.bytes, HasSubstr("was not asked to"));
}

TEST_F(EngineRewindTest, ACommitThatFailsLeavesItToBeAskedAgain) {
  FakeWorker& worker = Connect();
  RunToFailure(worker, "a");
  Rewind("a");
  Settle();
  FakeItem turn = worker.TakeTurn();
  store_.FailCommit(0, FaultStore::Effect::kNone);
  const AskedStatus answered = Answer(turn, {GoOn(turn, "second")});
  Settle();
  EXPECT_EQ(answered.code(), Code::kUnavailable);
  Pass(absl::Seconds(3));
  turn = worker.TakeTurn();
  EXPECT_THAT(Words(turn.events), ElementsAre("turn", "rewound"));
  Answer(turn, {GoOn(turn, "second")});
  Settle();
  EXPECT_THAT(Words(worker.TakeTurn().events), ElementsAre("turn"));
}

TEST_F(EngineRewindTest, OneThatIsReplacedMeanwhileStaysSo) {
  FakeWorker& worker = Connect();
  Run(worker, "parent", {CallChild(1, "child")});
  Answer(worker.TakeTurn(), {Fail("E")});
  Settle();
  Answer(worker.TakeTurn(), {Fail("E")});
  Settle();
  Rewind("parent");
  Settle();
  const FakeItem turn = worker.TakeTurn();
  const AskedStatus answered = Answer(turn, {GoOn(turn, "second")});
  StartRequest request = Request("parent");
  request.policy = PolicyOf(IfActive::kTerminate, IfFinished::kReplace);
  const Asked<StartReceipt> started = Start(std::move(request));
  Settle();
  EXPECT_TRUE(started.ok());
  EXPECT_TRUE(answered.answered());
  EXPECT_EQ(StatusOf("parent"), "Pending");
  EXPECT_THAT(Words(worker.TakeTurn().events),
              ElementsAre("turn", "started()"));
}

// ---- Ending without a worker ------------------------------------------------

TEST_F(EngineRewindTest, TerminateNowEndsWhatIsOpenAndTellsTheParent) {
  FakeWorker& worker = Connect();
  Run(worker, "parent", {CallChild(1, "child")});
  Answer(worker.TakeTurn());
  Settle();
  Run(worker, "done", {Complete()});
  Start("pending");
  Asked<std::vector<InstanceKey>> asked;
  Settle();
  const FakeItem pending = worker.TakeTurn();
  engine().TerminateNow(
      {Key("child"), Key("done"), Key("none"), Key("pending")}, "why",
      asked.done());
  Settle();
  ASSERT_TRUE(asked.ok());
  EXPECT_THAT(asked.value(), ElementsAre(Key("done"), Key("none")));
  EXPECT_EQ(StatusOf("child"), "Terminated");
  EXPECT_EQ(StatusOf("pending"), "Terminated");
  EXPECT_EQ(Answer(pending).code(), Code::kNotFound);
  const AskedInfo info = Get("child");
  Settle();
  EXPECT_EQ(info.value()->output, "why");
  EXPECT_THAT(Words(worker.TakeTurn().events),
              ElementsAre("turn", "child 1 failed"));
  EXPECT_THAT(worker.items, IsEmpty());
}

}  // namespace
}  // namespace leasehold
