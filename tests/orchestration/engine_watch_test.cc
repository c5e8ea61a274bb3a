// Workers that hang: their work is taken back in time, and other workers come
// first until they answer again.
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
using testing::Not;
using testing::SizeIs;

using Code = absl::StatusCode;

class EngineWatchTest : public EngineTest {
 protected:
  static constexpr absl::Duration kTurnTimeout = absl::Seconds(60);

  EngineWatchTest() { work_options_.turn_timeout = kTurnTimeout; }

  FakeWorker& ConnectAs(std::string peer) {
    return Connect({.peer = std::move(peer)});
  }
  std::string WaitingFor(std::string_view id) {
    const AskedInfo info = Get(id);
    Settle();
    return info.value()->waiting_for;
  }
  // Starts an orchestration. Returns its first turn.
  FakeItem Begin(FakeWorker& worker, std::string_view id) {
    Start(id);
    Settle();
    return worker.TakeTurn();
  }
};

// ---- Turns ------------------------------------------------------------------

TEST_F(EngineWatchTest, ATurnThatIsOutForTooLongGoesToAnotherWorker) {
  FakeWorker& hangs = ConnectAs("ipv4:10.0.0.1:7");
  const FakeItem turn = Begin(hangs, "a");
  FakeWorker& other = Connect();
  Pass(kTurnTimeout - absl::Microseconds(1));
  EXPECT_THAT(other.items, IsEmpty());
  EXPECT_EQ(CountTold(WorkEventKind::kTimedOut), 0u);
  Pass(absl::Microseconds(1));
  const FakeItem again = other.TakeTurn();
  EXPECT_EQ(again.instance_id, "a");

  const WorkEvent late = Told(WorkEventKind::kTimedOut);
  EXPECT_EQ(late.instance_id, "a");
  EXPECT_EQ(late.worker, hangs.id);
  EXPECT_EQ(late.count, 1u);
  EXPECT_THAT(late.reason,
              AllOf(HasSubstr("1m"), HasSubstr("--turn-timeout-on-worker")));
  const WorkEvent silent = Told(WorkEventKind::kWorkerSilent);
  EXPECT_EQ(silent.worker, hangs.id);
  EXPECT_EQ(silent.peer, "ipv4:10.0.0.1:7");
  EXPECT_EQ(CountTold(WorkEventKind::kLost), 0u);

  const AskedStatus stale = Answer(turn, {Complete("stale")});
  EXPECT_EQ(stale.code(), Code::kNotFound);
  EXPECT_EQ(Told(WorkEventKind::kWorkerAnswers).worker, hangs.id);
  const AskedStatus answer = Answer(again, {Complete("good")});
  Settle();
  EXPECT_TRUE(answer.ok()) << answer.status();
  const AskedInfo info = Get("a");
  Settle();
  EXPECT_EQ(info.value()->output, "good");
  EXPECT_EQ(pins("a"), 0u);
}

TEST_F(EngineWatchTest, WithoutATimeLimitATurnStaysOut) {
  work_options_.turn_timeout = absl::ZeroDuration();
  const FakeItem turn = Begin(Connect(), "a");
  FakeWorker& other = Connect();
  EXPECT_EQ(engine().NextDue(), std::nullopt);
  Pass(absl::Hours(100));
  EXPECT_THAT(other.items, IsEmpty());
  Answer(turn, {Complete()});
  Settle();
  EXPECT_EQ(StatusOf("a"), "Completed");
}

TEST_F(EngineWatchTest, AnsweredInTimeNothingIsTaken) {
  FakeWorker& worker = Connect();
  Run(worker, "a");
  EXPECT_EQ(engine().NextDue(), ToStored(Now() + kTurnTimeout));
  Pass(kTurnTimeout / 2);
  Raise("a", "e");
  Settle();
  const FakeItem turn = worker.TakeTurn();
  Pass(kTurnTimeout / 2);
  // The returned turn leaves nothing but this check.
  EXPECT_EQ(engine().NextDue(), ToStored(Now() + kTurnTimeout / 2));
  Answer(turn);
  Settle();
  Pass(kTurnTimeout / 2);
  EXPECT_EQ(engine().NextDue(), std::nullopt);
  EXPECT_EQ(CountTold(WorkEventKind::kTimedOut), 0u);
}

TEST_F(EngineWatchTest, TheTimeRunsFromWhenATurnWasSent) {
  FakeWorker& worker = Connect();
  Run(worker, "a");
  // It is cold: its history is read before the turn is sent.
  Pass(kLease * 2);
  Raise("a", "e");
  while (writer_.RunAll() + tasks_.RunAll() > 0) {
  }
  ASSERT_THAT(worker.items, IsEmpty());
  clock_.Advance(kTurnTimeout * 2);
  engine().FireTimers();
  EXPECT_EQ(CountTold(WorkEventKind::kTimedOut), 0u);
  Settle();
  Answer(worker.TakeTurn(), {Complete()});
  Settle();
  EXPECT_EQ(StatusOf("a"), "Completed");
}

TEST_F(EngineWatchTest, ATurnThatIsTooLateTenTimesFailsItsOrchestration) {
  FakeWorker& worker = Connect();
  Start("a");
  Settle();
  for (int i = 0; i < 10; ++i) {
    ASSERT_EQ(StatusOf("a"), "Pending") << i;
    worker.TakeTurn();
    Pass(kTurnTimeout);
    Pass(absl::Seconds(27));  // The longest delay.
  }
  EXPECT_EQ(StatusOf("a"), "Failed");
  EXPECT_THAT(worker.items, IsEmpty());
  EXPECT_THAT(Told(WorkEventKind::kFailedByLimit).reason,
              HasSubstr("--turn-timeout-on-worker"));
}

TEST_F(EngineWatchTest, ALateAnswerCountsUntilTheTurnHasGoneOutAgain) {
  FakeWorker& worker = Connect();
  Begin(worker, "a");
  Pass(kTurnTimeout);
  const FakeItem second = worker.TakeTurn();
  Pass(kTurnTimeout);
  ASSERT_THAT(worker.items, IsEmpty());  // Delayed: lost twice.
  const AskedStatus answer = Answer(second, {Complete()});
  Settle();
  EXPECT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(StatusOf("a"), "Completed");
  Pass(absl::Minutes(10));
  EXPECT_THAT(worker.items, IsEmpty());
}

TEST_F(EngineWatchTest, EachPartOfAnAnswerGivesTheNextOneTime) {
  FakeWorker& worker = Connect();
  const FakeItem turn = Begin(worker, "a");
  TurnAnswer part;
  part.partial = true;
  for (int i = 0; i < 3; ++i) {
    Pass(kTurnTimeout - absl::Seconds(1));
    part.part = i;
    EXPECT_TRUE(Answer(turn, part).ok());
  }
  EXPECT_THAT(worker.items, IsEmpty());
  Pass(kTurnTimeout);
  EXPECT_THAT(worker.items, SizeIs(1));
}

TEST_F(EngineWatchTest, TurnsThatStandInLineAtAWorkerAreNotLate) {
  FakeWorker& worker = Connect();
  for (const char* id : {"a", "b", "c", "d"}) Start(id);
  Settle();
  FakeWorker& other = Connect();
  const auto answer_next = [&] {
    Answer(worker.TakeTurn());
    Settle();
  };
  Pass(kTurnTimeout - absl::Seconds(1));
  answer_next();
  Pass(kTurnTimeout - absl::Seconds(1));
  answer_next();
  // The worker has answered earlier turns meanwhile.
  EXPECT_EQ(CountTold(WorkEventKind::kTimedOut), 0u);
  EXPECT_THAT(WaitingFor("d"), HasSubstr("for 118 s"));
  // `d` overtakes `c`, which is late now.
  Answer(worker.items.back());
  Settle();
  Pass(kTurnTimeout);
  EXPECT_EQ(CountTold(WorkEventKind::kTimedOut), 1u);
  EXPECT_EQ(CountTold(WorkEventKind::kWorkerSilent), 0u);
  EXPECT_EQ(other.TakeTurn().instance_id, "c");
}

TEST_F(EngineWatchTest, AWorkerThatHangsAmidItsLineLosesTheRest) {
  FakeWorker& worker = Connect();
  for (const char* id : {"a", "b", "c"}) Start(id);
  Settle();
  Pass(kTurnTimeout / 2);
  Answer(worker.TakeTurn());
  Settle();
  Pass(kTurnTimeout / 2);
  EXPECT_EQ(CountTold(WorkEventKind::kTimedOut), 0u);
  FakeWorker& other = Connect();
  Pass(kTurnTimeout);
  EXPECT_EQ(Told(WorkEventKind::kWorkerSilent).worker, worker.id);
  EXPECT_THAT(other.items, SizeIs(2));
}

// ---- Activities -------------------------------------------------------------

TEST_F(EngineWatchTest, AnActivityHasTheTimeThatItTakes) {
  FakeWorker& worker = Connect();
  Run(worker, "a", {CallTask(1, "Work")});
  const FakeItem activity = worker.TakeActivity();
  Pass(absl::Hours(100));
  EXPECT_THAT(worker.items, IsEmpty());
  EXPECT_TRUE(Done(activity).code() == Code::kUnknown);  // Not durable yet.
  Settle();
  EXPECT_THAT(Words(worker.TakeTurn().events),
              ElementsAre("turn", "task 1 done"));
}

TEST_F(EngineWatchTest, AnActivityOverItsTimeGoesOutAgainAndThenHasFailed) {
  work_options_.activity_timeout = absl::Hours(1);
  options_.deliveries_max = 2;
  FakeWorker& hangs = Connect();
  Run(hangs, "a", {CallTask(1, "Work")});
  const FakeItem first = hangs.TakeActivity();
  FakeWorker& other = Connect();
  Pass(absl::Hours(1));
  const FakeItem second = other.TakeActivity();
  EXPECT_THAT(Told(WorkEventKind::kTimedOut).reason,
              HasSubstr("--activity-timeout"));
  EXPECT_EQ(Told(WorkEventKind::kTimedOut).task_id, 1);
  EXPECT_EQ(Told(WorkEventKind::kWorkerSilent).worker, hangs.id);
  EXPECT_EQ(Done(first).code(), Code::kNotFound);
  Pass(absl::Hours(1));
  EXPECT_THAT(Told(WorkEventKind::kFailedByLimit).reason,
              AllOf(HasSubstr("Work"), HasSubstr("--activity-timeout")));
  EXPECT_THAT(Words(hangs.TakeTurn().events),
              ElementsAre("turn", "task 1 failed"));
  EXPECT_EQ(Done(second).code(), Code::kNotFound);
}

// ---- Answering workers ------------------------------------------------------

TEST_F(EngineWatchTest, AWorkerThatAnswersOtherWorkIsNotSilent) {
  FakeWorker& worker = Connect();
  const FakeItem hangs = Begin(worker, "a");
  Run(worker, "b");
  FakeWorker& other = Connect();
  Pass(kTurnTimeout);
  EXPECT_EQ(Told(WorkEventKind::kTimedOut).worker, worker.id);
  EXPECT_EQ(CountTold(WorkEventKind::kWorkerSilent), 0u);
  // Even so, another worker gets it.
  EXPECT_EQ(other.TakeTurn().instance_id, "a");
}

TEST_F(EngineWatchTest, AnswersFromBeforeATurnWasSentAreNoSignOfLife) {
  FakeWorker& worker = Connect();
  Run(worker, "b");
  Begin(worker, "a");
  Pass(kTurnTimeout);
  EXPECT_EQ(Told(WorkEventKind::kWorkerSilent).worker, worker.id);
}

TEST_F(EngineWatchTest, NewWorkGoesToThoseThatAnswerUntilTheSilentOneDoes) {
  FakeWorker& hangs = Connect();
  const FakeItem turn = Begin(hangs, "a");
  FakeWorker& other = Connect();
  Pass(kTurnTimeout);
  for (const char* id : {"b", "c", "d"}) Start(id);
  Settle();
  EXPECT_THAT(hangs.items, IsEmpty());
  EXPECT_THAT(other.items, SizeIs(4));
  EXPECT_EQ(CountTold(WorkEventKind::kWorkerAnswers), 0u);
  Abandon(turn);  // Any answer will do.
  EXPECT_EQ(CountTold(WorkEventKind::kWorkerAnswers), 1u);
  Start("e");
  Settle();
  EXPECT_THAT(hangs.items, SizeIs(1));
}

TEST_F(EngineWatchTest, ASilentWorkerThatIsAloneShowsWithOneTurnThatItAnswers) {
  FakeWorker& worker = Connect();
  for (const char* id : {"a", "b", "c"}) Start(id);
  Settle();
  worker.items.clear();
  Pass(kTurnTimeout);
  EXPECT_EQ(CountTold(WorkEventKind::kTimedOut), 3u);
  EXPECT_EQ(CountTold(WorkEventKind::kWorkerSilent), 1u);
  ASSERT_THAT(worker.items, SizeIs(1));
  EXPECT_THAT(WaitingFor("c"),
              AllOf(HasSubstr("no connected worker that takes the orchestrator "
                              "\"Main\" answers"),
                    HasSubstr("do not answer: 1")));
  Answer(worker.TakeTurn());
  Settle();
  EXPECT_THAT(worker.items, SizeIs(2));
}

TEST_F(EngineWatchTest, ASilentWorkerThatReconnectsIsLikeAnyOther) {
  FakeWorker& worker = Connect();
  for (const char* id : {"a", "b"}) Start(id);
  Settle();
  Pass(kTurnTimeout);
  work().Disconnect(worker.id);
  FakeWorker& back = Connect();
  Settle();
  Pass(absl::Seconds(1));  // Work lost twice is delayed.
  EXPECT_THAT(back.items, SizeIs(2));
}

// ---- Reports ----------------------------------------------------------------

TEST_F(EngineWatchTest, StatusSaysWithWhomATurnHasBeenForLong) {
  FakeWorker& worker = ConnectAs("ipv4:10.0.0.1:7");
  Begin(worker, "a");
  Pass(absl::Seconds(4));
  EXPECT_EQ(WaitingFor("a"), "");
  Pass(absl::Seconds(3));
  EXPECT_EQ(WaitingFor("a"),
            absl::StrCat("its turn has been with worker ", worker.id,
                         " (ipv4:10.0.0.1:7) for 7 s, which does not answer"));
  Run(worker, "b");
  EXPECT_EQ(WaitingFor("a"),
            absl::StrCat("its turn has been with worker ", worker.id,
                         " (ipv4:10.0.0.1:7) for 7 s"));
}

TEST_F(EngineWatchTest, StatusSaysOfAnActivityOnlyThatItsWorkerDoesNotAnswer) {
  FakeWorker& worker = Connect({.peer = "p"});
  Run(worker, "a", {CallTask(1, "Work")});
  worker.TakeActivity();
  Pass(absl::Hours(1));
  EXPECT_EQ(WaitingFor("a"), "");
  Begin(worker, "b");
  Pass(kTurnTimeout);
  EXPECT_EQ(WaitingFor("a"),
            absl::StrCat("the activity \"Work\" has been with worker ",
                         worker.id, " (p) for 3660 s, which does not answer"));
  EXPECT_THAT(WaitingFor("b"), Not(HasSubstr("the activity")));
}

}  // namespace
}  // namespace leasehold
