// The engine and its workers: work that is out, returned or taken away, and
// contexts that come and go meanwhile.
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/orchestration/engine_fixture.h"

namespace leasehold {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

using Code = absl::StatusCode;
using Status = OrchestrationStatus;

class EngineWorkTest : public EngineTest {
 protected:
  void ForceRelease(std::string_view id) {
    EXPECT_TRUE(registry_->Release(Key(id), /*force=*/true).ok());
  }
  bool HasContext(std::string_view id) {
    return registry_->Describe(Key(id)).has_value();
  }
};

// ---- Parked -----------------------------------------------------------------

TEST_F(EngineWorkTest, WorkThatIsOutPinsTheContextAndNothingElseDoes) {
  FakeWorker& worker = Connect();
  Start("a");
  Settle();
  EXPECT_EQ(pins("a"), 1u);
  Pass(kLease * 3);
  EXPECT_TRUE(HasContext("a"));
  Answer(worker.TakeTurn(), {TimerAt(1, Now() + absl::Hours(1))});
  Settle();
  EXPECT_EQ(pins("a"), 0u);
  Pass(kLease + absl::Seconds(1));
  EXPECT_FALSE(HasContext("a"));
  EXPECT_EQ(StatusOf("a"), "Running");
  EXPECT_FALSE(HasContext("a"));  // A read does not thaw it.
}

TEST_F(EngineWorkTest, ACallerThatHasAnAnswerMayReleaseTheInstance) {
  int started = 0, answered = 0, ended = 0;
  engine().Start(Request("a"), [&](const absl::StatusOr<StartReceipt>& got) {
    EXPECT_TRUE(got.ok()) << got.status();
    EXPECT_EQ(pins("a"), 0u);
    ++started;
  });
  Settle();
  engine().Start(Request("a"), [&](const absl::StatusOr<StartReceipt>& got) {
    EXPECT_FALSE(got.ok());  // It exists.
    EXPECT_EQ(pins("a"), 0u);
    ++started;
  });
  Settle();
  EXPECT_EQ(started, 2);
  engine().Wait({.key = Key("a"), .payloads = true}, [&](const auto&) {
    EXPECT_EQ(pins("a"), 0u);
    ++ended;
  });
  FakeWorker& worker = Connect();
  TurnAnswer answer;
  answer.actions = {Complete("done")};
  work().CompleteTurn(worker.TakeTurn().work_name(), std::move(answer),
                      [&](const absl::Status& status) {
                        EXPECT_TRUE(status.ok()) << status;
                        EXPECT_EQ(pins("a"), 0u);
                        ++answered;
                      });
  Settle();
  EXPECT_EQ(answered, 1);
  EXPECT_EQ(ended, 1);
}

TEST_F(EngineWorkTest, ParkedOneThawsAtTheNextEventAndReadsItsHistoryOnce) {
  FakeWorker& worker = Connect();
  Run(worker, "a", {CallTask(1, "Work")});
  const FakeItem activity = worker.TakeActivity();
  Done(activity, "7");
  Settle();
  Answer(worker.TakeTurn());
  Settle();
  Pass(kLease + absl::Seconds(1));
  ASSERT_FALSE(HasContext("a"));
  const int64_t reads = store_.reads();
  Raise("a", "e");
  Settle();
  EXPECT_EQ(store_.reads(), reads + 2);  // Its row and its history.
  const FakeItem turn = worker.TakeTurn();
  EXPECT_THAT(Words(turn.past), ElementsAre("turn", "started()", "task Work",
                                            "turn", "task 1 done"));
  EXPECT_THAT(Words(turn.events), ElementsAre("turn", "raised e"));
  for (int i = 0; i < 3; ++i) {
    Raise("a", "more");
    Settle();
    Answer(i == 0 ? turn : worker.TakeTurn());
    Settle();
  }
  EXPECT_EQ(store_.reads(), reads + 2);
}

TEST_F(EngineWorkTest, TimerOfAParkedOneThawsIt) {
  FakeWorker& worker = Connect();
  Run(worker, "a", {TimerAt(1, Now() + absl::Hours(1))});
  Pass(kLease + absl::Seconds(1));
  ASSERT_FALSE(HasContext("a"));
  Pass(absl::Hours(1));
  EXPECT_THAT(Words(worker.TakeTurn().events),
              ElementsAre("turn", "timer 1 fired"));
}

TEST_F(EngineWorkTest, CustomStatusAndTraceOutliveParking) {
  FakeWorker& worker = Connect();
  Start("a");
  Settle();
  TurnAnswer answer;
  answer.custom_status = "";
  answer.trace_context = {"\x0a\x01t"};
  Answer(worker.TakeTurn(), std::move(answer));
  Settle();
  Pass(kLease + absl::Seconds(1));
  Raise("a", "e");
  Settle();
  Answer(worker.TakeTurn());
  Settle();
  const AskedInfo info = Get("a");
  Settle();
  EXPECT_EQ(info.value()->summary.custom_status, "");
  EXPECT_EQ(info.value()->summary.trace_context.bytes, "\x0a\x01t");
}

// ---- Disconnected -----------------------------------------------------------

TEST_F(EngineWorkTest, WorkOfADisconnectedWorkerGoesToAnotherAtOnce) {
  FakeWorker& first = Connect();
  Run(first, "a", {CallTask(1, "Work")});
  const FakeItem old = first.TakeActivity();
  FakeWorker& second = Connect();
  EXPECT_THAT(second.items, IsEmpty());
  work().Disconnect(first.id);
  Settle();
  const FakeItem again = second.TakeActivity();
  EXPECT_NE(again.token, old.token);
  EXPECT_EQ(Done(old).code(), Code::kNotFound);
  const AskedStatus done = Done(again);
  Settle();
  EXPECT_TRUE(done.ok());
  EXPECT_EQ(pins("a"), 1u);  // The next turn.
}

// A stopping worker closes its stream first, and then finishes its work.
TEST_F(EngineWorkTest, AnswerAfterADisconnectCountsUntilTheWorkGoesOutAgain) {
  FakeWorker& worker = Connect();
  Run(worker, "a", {CallTask(1, "Work")});
  const FakeItem activity = worker.TakeActivity();
  Raise("a", "e");
  Settle();
  const FakeItem turn = worker.TakeTurn();
  work().Disconnect(worker.id);
  Settle();
  EXPECT_EQ(pins("a"), 0u);
  const AskedStatus done = Done(activity);
  const AskedStatus answer = Answer(turn);
  Settle();
  EXPECT_TRUE(done.ok());
  EXPECT_TRUE(answer.ok());
  EXPECT_EQ(pins("a"), 0u);
  FakeWorker& other = Connect();
  Settle();
  ASSERT_THAT(other.items, SizeIs(1));
  EXPECT_THAT(Words(other.TakeTurn().events),
              ElementsAre("turn", "task 1 done"));
}

TEST_F(EngineWorkTest, LateAnswerOfATurnIsNotFoundOnceItsHistoryIsForgotten) {
  FakeWorker& worker = Connect();
  Start("a");
  Settle();
  const FakeItem turn = worker.TakeTurn();
  work().Disconnect(worker.id);
  Settle();
  Pass(kLease + absl::Seconds(1));
  EXPECT_EQ(Answer(turn, {Complete()}).code(), Code::kNotFound);
  FakeWorker& other = Connect();
  Settle();
  EXPECT_THAT(other.items, SizeIs(1));
}

TEST_F(EngineWorkTest, WorkWithoutATokenIsFoundByItsName) {
  FakeWorker& worker = Connect();
  Start("a");
  Settle();
  worker.TakeTurn();
  AskedStatus answer;
  TurnAnswer actions;
  actions.actions = {CallTask(1, "Work"), CallTask(2, "Work")};
  work().CompleteTurn({.token = "", .key = Key("a")}, std::move(actions),
                      answer.done());
  Settle();
  EXPECT_TRUE(answer.ok());
  AskedStatus done;
  work().CompleteActivity({.token = "", .key = Key("a"), .task_id = 2},
                          TaskCompleted{}, done.done());
  AskedStatus twice;
  work().CompleteActivity({.token = "", .key = Key("a"), .task_id = 2},
                          TaskCompleted{}, twice.done());
  AskedStatus unknown;
  work().CompleteActivity({.token = "", .key = Key("a"), .task_id = 3},
                          TaskCompleted{}, unknown.done());
  Settle();
  EXPECT_TRUE(done.ok());
  // Dropped: such workers take an error for the end of their connection.
  EXPECT_TRUE(twice.ok());
  EXPECT_TRUE(unknown.ok());
  EXPECT_THAT(History("a"),
              ElementsAre("turn", "started()", "task Work", "task Work"));
}

TEST_F(EngineWorkTest, TokenOfATurnEndsNoActivityNorTheOtherWayRound) {
  FakeWorker& worker = Connect();
  Run(worker, "a", {CallTask(1, "Work")});
  const FakeItem activity = worker.TakeActivity();
  Raise("a", "e");
  Settle();
  const FakeItem turn = worker.TakeTurn();
  EXPECT_EQ(Done(turn).code(), Code::kNotFound);
  EXPECT_EQ(Answer(activity).code(), Code::kNotFound);
  work().Abandon(WorkKind::kTurn, activity.work_name());
  work().Abandon(WorkKind::kActivity, turn.work_name());
  EXPECT_EQ(engine().NextDue(), std::nullopt);
}

TEST_F(EngineWorkTest, TurnIsAnsweredOnce) {
  FakeWorker& worker = Connect();
  Start("a");
  Settle();
  const FakeItem turn = worker.TakeTurn();
  const AskedStatus first = Answer(turn, {CallTask(1, "Work")});
  EXPECT_EQ(Answer(turn, {Complete()}).code(), Code::kNotFound);
  Settle();
  EXPECT_EQ(Answer(turn, {Complete()}).code(), Code::kNotFound);
  EXPECT_TRUE(first.ok());
  EXPECT_EQ(StatusOf("a"), "Running");
}

// ---- Given back -------------------------------------------------------------

TEST_F(EngineWorkTest, GivenBackItGoesOutAgainLaterEachTimeToAnotherWorker) {
  FakeWorker& first = Connect();
  Start("a");
  Settle();
  FakeWorker& second = Connect();
  FakeWorker* has = &first;
  FakeWorker* other = &second;
  absl::Duration delay = absl::Milliseconds(200);
  for (int i = 0; i < 4; ++i) {
    Abandon(has->TakeTurn());
    Settle();
    EXPECT_EQ(pins("a"), 0u);
    Pass(delay - absl::Milliseconds(1));
    EXPECT_THAT(first.items, IsEmpty());
    EXPECT_THAT(second.items, IsEmpty());
    Pass(absl::Milliseconds(1));
    EXPECT_THAT(other->items, SizeIs(1));
    std::swap(has, other);
    delay *= 2;
  }
}

TEST_F(EngineWorkTest, WhatComesForATurnThatWasGivenBackWaitsForItsTime) {
  FakeWorker& worker = Connect();
  Start("a");
  Settle();
  Abandon(worker.TakeTurn());
  Raise("a", "e");
  Settle();
  EXPECT_THAT(worker.items, IsEmpty());
  Pass(absl::Milliseconds(200));
  EXPECT_THAT(Words(worker.TakeTurn().events),
              ElementsAre("turn", "started()", "raised e"));
}

TEST_F(EngineWorkTest, AnswerToATurnThatWasGivenBackHoldsUpNothing) {
  FakeWorker& worker = Connect();
  Start("a");
  Settle();
  const FakeItem turn = worker.TakeTurn();
  Abandon(turn);
  const AskedStatus answer = Answer(turn);
  Raise("a", "e");
  Settle();
  EXPECT_TRUE(answer.ok());
  EXPECT_THAT(Words(worker.TakeTurn().events), ElementsAre("turn", "raised e"));
  Pass(absl::Seconds(1));
  EXPECT_THAT(worker.items, IsEmpty());
}

TEST_F(EngineWorkTest, ActivityThatWasGivenBackAndEndedDoesNotGoOutAgain) {
  FakeWorker& worker = Connect();
  Run(worker, "a", {CallTask(1, "Work")});
  const FakeItem activity = worker.TakeActivity();
  Abandon(activity);
  const AskedStatus done = Done(activity);
  clock_.Advance(absl::Milliseconds(200));
  engine().FireTimers();  // Its end is not durable yet.
  Settle();
  EXPECT_TRUE(done.ok());
  ASSERT_THAT(worker.items, SizeIs(1));
  EXPECT_THAT(Words(worker.TakeTurn().events),
              ElementsAre("turn", "task 1 done"));
}

TEST_F(EngineWorkTest, UnknownTokenIsGivenBackWithoutEffect) {
  Connect();
  work().Abandon(WorkKind::kTurn, {.token = "none", .key = Key("")});
  work().Abandon(WorkKind::kActivity, {.token = "", .key = Key("")});
  EXPECT_EQ(engine().NextDue(), std::nullopt);
}

// ---- Released by force ------------------------------------------------------

TEST_F(EngineWorkTest, ForcedReleasePutsWorkBackAndItGoesOutAgain) {
  FakeWorker& worker = Connect();
  Run(worker, "a", {CallTask(1, "Work")});
  const FakeItem activity = worker.TakeActivity();
  Raise("a", "e");
  Settle();
  const FakeItem turn = worker.TakeTurn();
  const uint64_t generation = registry_->Describe(Key("a"))->generation;
  ForceRelease("a");
  Settle();
  ASSERT_THAT(worker.items, SizeIs(2));
  EXPECT_GT(registry_->Describe(Key("a"))->generation, generation);
  EXPECT_EQ(Answer(turn).code(), Code::kNotFound);
  EXPECT_EQ(Done(activity).code(), Code::kNotFound);
  const AskedStatus done = Done(worker.TakeActivity());
  const AskedStatus answer = Answer(worker.TakeTurn());
  Settle();
  EXPECT_TRUE(done.ok());
  EXPECT_TRUE(answer.ok());
  EXPECT_THAT(Words(worker.TakeTurn().events),
              ElementsAre("turn", "task 1 done"));
}

TEST_F(EngineWorkTest, ForcedReleaseWhileAnAnswerIsCommittingLosesNothing) {
  FakeWorker& worker = Connect();
  Run(worker, "a", {CallTask(1, "Work")});
  worker.TakeActivity();
  Raise("a", "e");
  Settle();
  const AskedStatus answer = Answer(worker.TakeTurn(), {CallTask(2, "More")});
  const uint64_t generation = registry_->Describe(Key("a"))->generation;
  ForceRelease("a");
  tasks_.RunAll();
  // The activity does not delay it.
  EXPECT_GT(registry_->Describe(Key("a"))->generation, generation);
  Settle();
  EXPECT_TRUE(answer.ok());
  for (int i = 0; i < 2; ++i) {
    const AskedStatus done = Done(worker.TakeActivity());
    Settle();
    EXPECT_TRUE(done.ok());
  }
  const AskedStatus end = Answer(worker.TakeTurn());
  Settle();
  EXPECT_TRUE(end.ok());
  EXPECT_THAT(Words(worker.TakeTurn().events),
              ElementsAre("turn", "task 2 done"));
  EXPECT_EQ(pins("a"), 1u);
}

TEST_F(EngineWorkTest, ForcedReleaseWhileAnActivityIsEndingKeepsTheOthers) {
  FakeWorker& worker = Connect();
  Run(worker, "a", {CallTask(1, "Work"), CallTask(2, "Work")});
  Suspend("a");  // So that no turn goes out.
  Settle();
  Answer(worker.TakeTurn());
  Settle();
  const AskedStatus one = Done(worker.TakeActivity());
  worker.TakeActivity();
  ForceRelease("a");  // The second goes out again, to a new context.
  writer_.RunAll();
  Settle();
  EXPECT_TRUE(one.ok());
  ASSERT_THAT(worker.items, SizeIs(1));
  EXPECT_EQ(pins("a"), 1u);
  const AskedStatus two = Done(worker.TakeActivity());
  Settle();
  EXPECT_TRUE(two.ok());
  EXPECT_EQ(pins("a"), 0u);
}

// ---- Versions and filters ---------------------------------------------------

TEST_F(EngineWorkTest, ActivityWithoutAVersionHasThatOfItsOrchestration) {
  WorkerOptions options;
  options.filters[1].emplace().push_back({"Work", {"2"}});
  FakeWorker& worker = Connect(std::move(options));
  StartRequest request = Request("a");
  request.version = "2";
  Start(std::move(request));
  Settle();
  TaskScheduled own;
  own.name = "Work";
  own.version = "3";
  Answer(worker.TakeTurn(), {CallTask(1, "Work"), {2, own}});
  Settle();
  ASSERT_THAT(worker.items, SizeIs(1));
  EXPECT_EQ(worker.TakeActivity().id, 1);
}

// ---- Children ---------------------------------------------------------------

TEST_F(EngineWorkTest, ChildWhoseIdIsInUseFailsAndTheOtherGoesOn) {
  FakeWorker& worker = Connect();
  Run(worker, "taken");
  Run(worker, "a", {CallChild(1, "taken"), CallChild(2, "a")});
  const FakeItem turn = worker.TakeTurn();
  EXPECT_THAT(Words(turn.events),
              ElementsAre("turn", "child 1 failed", "child 2 failed"));
  EXPECT_THAT(*turn.events[1].As<SubOrchestrationFailed>()->failure.bytes,
              testing::HasSubstr("OrchestrationAlreadyExists"));
  EXPECT_THAT(*turn.events[1].As<SubOrchestrationFailed>()->failure.bytes,
              testing::HasSubstr("Wait for its end"));
  // Waiting for the end of its own parent would not help.
  EXPECT_THAT(*turn.events[2].As<SubOrchestrationFailed>()->failure.bytes,
              testing::AllOf(testing::HasSubstr("of its own parent, \"a\""),
                             testing::Not(testing::HasSubstr("Wait for"))));
  EXPECT_EQ(StatusOf("taken"), "Running");
}

TEST_F(EngineWorkTest, ChildWithTheIdOfAnEndedOneReplacesIt) {
  FakeWorker& worker = Connect();
  Run(worker, "child", {Complete("old")});
  Run(worker, "a", {CallChild(1, "child")});
  const FakeItem child = worker.TakeTurn();
  EXPECT_EQ(child.instance_id, "child");
  Answer(child, {Complete("new")});
  Settle();
  const FakeItem turn = worker.TakeTurn();
  ASSERT_THAT(Words(turn.events), ElementsAre("turn", "child 1 done"));
  EXPECT_EQ(turn.events[1].As<SubOrchestrationCompleted>()->result, "new");
}

TEST_F(EngineWorkTest, ParentThatHasContinuedAsNewIsNotTold) {
  FakeWorker& worker = Connect();
  Run(worker, "a", {CallChild(1, "child")});
  const FakeItem child = worker.TakeTurn();
  Raise("a", "e");
  Settle();
  Answer(worker.TakeTurn(), {AsNew("2")});
  Settle();
  Answer(worker.TakeTurn());
  Settle();
  Answer(child, {Complete("c")});
  Settle();
  EXPECT_THAT(worker.items, IsEmpty());
  EXPECT_EQ(StatusOf("child"), "Completed");
}

TEST_F(EngineWorkTest, ParentLinkOutlivesTheChildsContinueAsNew) {
  FakeWorker& worker = Connect();
  Run(worker, "a", {CallChild(1, "child")});
  Answer(worker.TakeTurn(), {AsNew("2")});
  Settle();
  Answer(worker.TakeTurn(), {Complete("c")});
  Settle();
  EXPECT_THAT(Words(worker.TakeTurn().events),
              ElementsAre("turn", "child 1 done"));
  const AskedInfo info = Get("child");
  Settle();
  EXPECT_EQ(info.value()->summary.parent_id, "a");
}

TEST_F(EngineWorkTest, EventsForThoseThatAreNotThereAreDropped) {
  FakeWorker& worker = Connect();
  Run(worker, "ended", {Complete()});
  Run(worker, "a", {SendTo(1, "none", "e"), SendTo(2, "ended", "e")});
  EXPECT_THAT(worker.items, IsEmpty());
  EXPECT_EQ(StatusOf("none"), "none");
}

// ---- The wall clock is set --------------------------------------------------

TEST_F(EngineWorkTest, ATimerIsNotDelayedByAClockThatIsSetBack) {
  FakeWorker& worker = Connect();
  Run(worker, "a", {TimerAt(1, Now() + absl::Seconds(10))});
  Pass(absl::Seconds(4));
  clock_.SetWall(-absl::Hours(1));
  Pass(absl::Seconds(5));
  EXPECT_THAT(worker.items, IsEmpty());
  Pass(absl::Seconds(1));
  const FakeItem turn = worker.TakeTurn();
  EXPECT_THAT(Words(turn.events), ElementsAre("turn", "timer 1 fired"));
  // The orchestrator's clock continues, and its next timer has its full length.
  const absl::Time its_now = ToTime(turn.events.front().time);
  EXPECT_GT(its_now, Now() + absl::Minutes(59));
  Answer(turn, {TimerAt(2, its_now + absl::Seconds(10))});
  Settle();
  Pass(absl::Seconds(9));
  EXPECT_THAT(worker.items, IsEmpty());
  Pass(absl::Seconds(2));
  EXPECT_THAT(Words(worker.TakeTurn().events),
              ElementsAre("turn", "timer 2 fired"));
}

TEST_F(EngineWorkTest, ATimerThatWasMovedGoesWithItsExecution) {
  FakeWorker& worker = Connect();
  Run(worker, "a", {TimerAt(1, Now() + absl::Seconds(10))});
  clock_.SetWall(-absl::Hours(1));
  Pass(absl::Seconds(1));
  Raise("a", "e");
  Settle();
  const FakeItem turn = worker.TakeTurn();
  Answer(turn, {AsNew("in")});
  Settle();
  Answer(worker.TakeTurn());
  Settle();
  Pass(absl::Hours(2));
  EXPECT_THAT(worker.items, IsEmpty());
  EXPECT_EQ(engine().NextDue(), std::nullopt);
}

TEST_F(EngineWorkTest, WhatIsDueAfterAJumpAheadFiresAtOnce) {
  FakeWorker& worker = Connect();
  Run(worker, "a", {TimerAt(1, Now() + absl::Minutes(30))});
  clock_.SetWall(absl::Hours(1));
  engine().OnWallClockSet();
  engine().FireTimers();
  Settle();
  EXPECT_THAT(Words(worker.TakeTurn().events),
              ElementsAre("turn", "timer 1 fired"));
}

TEST_F(EngineWorkTest, AScheduledStartWaitsForItsTimeOfDay) {
  FakeWorker& worker = Connect();
  StartRequest request = Request("a");
  request.scheduled_start = ToTimestamp(Now() + absl::Seconds(10));
  Start(std::move(request));
  Settle();
  clock_.SetWall(-absl::Hours(1));
  Pass(absl::Minutes(1));
  EXPECT_THAT(worker.items, IsEmpty());
  Pass(absl::Hours(1));
  EXPECT_EQ(worker.TakeTurn().instance_id, "a");
}

TEST_F(EngineWorkTest, WorkThatWasGivenBackDoesNotWaitForTheTimeOfDay) {
  FakeWorker& worker = Connect();
  Start("a");
  Settle();
  Abandon(worker.TakeTurn());
  clock_.SetWall(-absl::Hours(1));
  Pass(absl::Milliseconds(201));
  EXPECT_EQ(worker.TakeTurn().instance_id, "a");
}

}  // namespace
}  // namespace leasehold
