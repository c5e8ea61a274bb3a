// Work that does not come back: how often it goes out again, and when it fails;
// answers in parts, and histories that workers fetch themselves.
#include <algorithm>
#include <string>
#include <vector>

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

class EngineLossTest : public EngineTest {
 protected:
  // A worker connects, and goes with everything that it got within `wait`.
  // Returns the number of items.
  size_t LoseAll(absl::Duration wait = absl::Minutes(1)) {
    FakeWorker& worker = Connect();
    Settle();
    Pass(wait);
    work().Disconnect(worker.id);
    Settle();
    return worker.items.size();
  }
  std::string FailureOf(std::string_view id) {
    const AskedInfo info = Get(id);
    Settle();
    return info.value()->failure.bytes.value_or("");
  }
};

// ---- Poison -----------------------------------------------------------------

TEST_F(EngineLossTest, ATurnThatIsLostTenTimesFailsItsOrchestration) {
  Start("a");
  Settle();
  for (int i = 0; i < 10; ++i) {
    ASSERT_EQ(StatusOf("a"), "Pending") << i;
    ASSERT_EQ(LoseAll(), 1u) << i;
  }
  EXPECT_EQ(StatusOf("a"), "Failed");
  EXPECT_THAT(FailureOf("a"),
              AllOf(HasSubstr("DeliveryLimit"), HasSubstr("10 times"),
                    HasSubstr("stream ended"), HasSubstr("--max-deliveries")));
  // Its size was not the cause.
  EXPECT_THAT(FailureOf("a"), Not(HasSubstr("MiB")));
  EXPECT_THAT(History("a"), ElementsAre("turn", "started()", "ended(3)"));
  EXPECT_EQ(LoseAll(), 0u);
}

TEST_F(EngineLossTest, OfALargeTurnThatIsLostTheSizeIsTold) {
  Start("a", std::string(5 << 20, 'x'));
  Settle();
  while (StatusOf("a") == "Pending") LoseAll();
  EXPECT_THAT(FailureOf("a"), AllOf(HasSubstr("a message of 52"),
                                    HasSubstr("no more than 4 MiB")));
}

TEST_F(EngineLossTest, AnActivityThatIsLostTenTimesHasFailed) {
  Run(Connect({.slots = {1, 0}, .filters = {{{}, {{}}}}}), "a",
      {CallTask(1, "Bad")});
  WorkerOptions activities;
  activities.filters[0].emplace();
  for (int i = 0; i < 10; ++i) {
    FakeWorker& worker = Connect(activities);
    Settle();
    Pass(absl::Minutes(1));
    ASSERT_THAT(worker.items, SizeIs(1)) << i;
    work().Disconnect(worker.id);
    Settle();
  }
  EXPECT_THAT(History("a"), ElementsAre("turn", "started()", "task Bad"));
  FakeWorker& worker = Connect();
  Settle();
  ASSERT_THAT(worker.items, IsEmpty());  // The first worker has the turn.
}

TEST_F(EngineLossTest, AnswersThatCannotBeReadCountAndGivingBackDoesNot) {
  options_.deliveries_max = 3;
  FakeWorker& worker = Connect();
  Start("a");
  Settle();
  for (int i = 0; i < 30; ++i) {
    Abandon(worker.TakeTurn());
    Pass(absl::Minutes(1));
  }
  ASSERT_EQ(StatusOf("a"), "Pending");
  for (int i = 0; i < 3; ++i) {
    work().RefuseAnswer(WorkKind::kTurn, worker.TakeTurn().work_name(),
                        "its answer could not be read");
    Pass(absl::Minutes(1));
  }
  EXPECT_THAT(worker.items, IsEmpty());
  EXPECT_EQ(StatusOf("a"), "Failed");
  EXPECT_THAT(FailureOf("a"), HasSubstr("could not be read"));
}

TEST_F(EngineLossTest, AnAnswerForgetsLosses) {
  options_.deliveries_max = 3;
  Start("a");
  Settle();
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(LoseAll(), 1u);
    EXPECT_EQ(LoseAll(), 1u);
    FakeWorker& worker = Connect();
    Settle();
    Pass(absl::Minutes(1));
    Answer(worker.TakeTurn());
    Raise("a", "e");
    Settle();
    work().Disconnect(worker.id);
    ASSERT_EQ(StatusOf("a"), "Running");
    // The worker lost that one too.
    FakeWorker& next = Connect();
    Settle();
    Answer(next.TakeTurn());
    Settle();
    work().Disconnect(next.id);
    Raise("a", "e");
    Settle();
  }
}

TEST_F(EngineLossTest, TheFirstTwoTimesItGoesOutAgainAtOnceThenLaterAndLater) {
  Start("a");
  Settle();
  EXPECT_EQ(LoseAll(absl::ZeroDuration()), 1u);
  EXPECT_EQ(LoseAll(absl::ZeroDuration()), 1u);
  EXPECT_EQ(LoseAll(absl::Milliseconds(199)), 0u);
  EXPECT_EQ(LoseAll(absl::Milliseconds(51)), 1u);
  EXPECT_EQ(LoseAll(absl::Milliseconds(399)), 0u);
  EXPECT_EQ(LoseAll(absl::Milliseconds(51)), 1u);
}

TEST_F(EngineLossTest, OthersThatWentDownWithItAreNotBlamed) {
  options_.deliveries_max = 4;
  constexpr int kGood = 5;
  for (int i = 0; i < kGood; ++i) Start(absl::StrCat("good-", i));
  Start("bad");
  Settle();
  // It kills its worker at once; the worker completes the others.
  int deaths = 0;
  int with_others = 0;
  for (int step = 0; step < 100; ++step) {
    FakeWorker& worker = Connect();
    Settle();
    const auto has_bad = [&worker] {
      return std::any_of(
          worker.items.begin(), worker.items.end(),
          [](const FakeItem& i) { return i.instance_id == "bad"; });
    };
    while (!worker.items.empty() && !has_bad()) {
      Answer(worker.TakeTurn(), {Complete()});
      Settle();
    }
    if (has_bad()) {
      ++deaths;
      if (worker.items.size() > 1) ++with_others;
    }
    work().Disconnect(worker.id);
    Settle();
    Pass(absl::Seconds(10));
  }
  EXPECT_EQ(deaths, 4);
  EXPECT_EQ(with_others, 2);
  EXPECT_EQ(StatusOf("bad"), "Failed");
  for (int i = 0; i < kGood; ++i) {
    EXPECT_EQ(StatusOf(absl::StrCat("good-", i)), "Completed");
  }
}

TEST_F(EngineLossTest, AWorkerHasOneUnderSuspicionAtATimeAndAllElseBeside) {
  for (const char* id : {"a", "b", "c"}) Start(id);
  Settle();
  EXPECT_EQ(LoseAll(absl::ZeroDuration()), 3u);
  EXPECT_EQ(LoseAll(absl::ZeroDuration()), 3u);
  Pass(absl::Minutes(1));
  FakeWorker& first = Connect();
  Start("new");
  Settle();
  EXPECT_THAT(first.items, SizeIs(2));
  FakeWorker& second = Connect();
  Settle();
  EXPECT_THAT(second.items, SizeIs(1));
  Answer(second.TakeTurn());
  Settle();
  EXPECT_THAT(second.items, SizeIs(1));
}

TEST_F(EngineLossTest, WorkThatWasNotSentYetIsNotLost) {
  options_.deliveries_max = 1;
  Start("a");
  Settle();
  Reopen();
  FakeWorker& worker = Connect();
  work().Disconnect(worker.id);  // Its history is being read.
  Settle();
  EXPECT_EQ(StatusOf("a"), "Pending");
  EXPECT_EQ(LoseAll(), 1u);
  EXPECT_EQ(StatusOf("a"), "Failed");
}

// ---- Reports ----------------------------------------------------------------

TEST_F(EngineLossTest, TheObserverIsToldOfEachLossAndOfTheEnd) {
  options_.deliveries_max = 2;
  FakeWorker& worker = Connect({.peer = "ipv4:10.0.0.1:5"});
  EXPECT_EQ(Told(WorkEventKind::kWorkerConnected).worker, worker.id);
  EXPECT_EQ(Told(WorkEventKind::kWorkerConnected).peer, "ipv4:10.0.0.1:5");
  Run(worker, "a", {CallTask(1, "Bad")});
  work().Disconnect(worker.id);
  Settle();
  const WorkEvent lost = Told(WorkEventKind::kLost);
  EXPECT_EQ(lost.tenant, "default");
  EXPECT_EQ(lost.instance_id, "a");
  EXPECT_EQ(lost.name, "Bad");
  EXPECT_EQ(lost.task_id, 1);
  EXPECT_EQ(lost.worker, worker.id);
  EXPECT_EQ(lost.peer, "ipv4:10.0.0.1:5");
  EXPECT_EQ(lost.count, 1u);
  EXPECT_THAT(lost.reason, HasSubstr("stream ended"));
  EXPECT_EQ(Told(WorkEventKind::kWorkerGone).count, 1u);
  EXPECT_EQ(CountTold(WorkEventKind::kFailedByLimit), 0u);
  LoseAll();
  EXPECT_EQ(Told(WorkEventKind::kLost).count, 2u);
  const WorkEvent failed = Told(WorkEventKind::kFailedByLimit);
  EXPECT_EQ(failed.name, "Bad");
  EXPECT_THAT(failed.reason, HasSubstr("--max-deliveries"));
}

TEST_F(EngineLossTest, TheObserverIsToldOfWhatIsRefusedAndGivenBack) {
  FakeWorker& worker = Connect();
  Start("a");
  Settle();
  const FakeItem turn = worker.TakeTurn();
  Abandon(turn);
  Settle();
  EXPECT_EQ(Told(WorkEventKind::kGivenBack).instance_id, "a");
  EXPECT_EQ(Told(WorkEventKind::kGivenBack).name, "Main");
  EXPECT_EQ(Told(WorkEventKind::kGivenBack).task_id, std::nullopt);
  Pass(absl::Seconds(1));
  const FakeItem again = worker.TakeTurn();
  EXPECT_EQ(Answer(turn).code(), Code::kNotFound);
  Settle();
  EXPECT_THAT(Told(WorkEventKind::kAnswerRefused).reason, HasSubstr("not out"));
  work().RefuseAnswer(WorkKind::kTurn, again.work_name(),
                      "its answer has a bad field");
  Settle();
  EXPECT_EQ(Told(WorkEventKind::kAnswerRefused).worker, worker.id);
  EXPECT_EQ(Told(WorkEventKind::kAnswerRefused).instance_id, "a");
  EXPECT_EQ(Told(WorkEventKind::kAnswerRefused).reason,
            "its answer has a bad field");
  EXPECT_EQ(Told(WorkEventKind::kLost).count, 1u);
}

TEST_F(EngineLossTest, TheObserverIsToldOfALimitThatFailsATurnOrAnActivity) {
  options_.limits.payload_bytes_max = 10;
  FakeWorker& worker = Connect();
  Run(worker, "a", {CallTask(1, "Long")});
  Done(worker.TakeActivity(), std::string(11, 'x'));
  Settle();
  EXPECT_EQ(Told(WorkEventKind::kFailedByLimit).name, "Long");
  Answer(worker.TakeTurn(), {Complete(std::string(12, 'x'))});
  Settle();
  const WorkEvent failed = Told(WorkEventKind::kFailedByLimit);
  EXPECT_EQ(failed.name, "Main");
  EXPECT_EQ(failed.worker, worker.id);
  EXPECT_THAT(failed.reason,
              AllOf(HasSubstr("12 bytes"), HasSubstr("--max-payload")));
}

TEST_F(EngineLossTest, TheObserverIsToldNothingOfWorkThatGoesItsWay) {
  FakeWorker& worker = Connect();
  told_.clear();
  Run(worker, "a", {CallTask(1, "Work")});
  Done(worker.TakeActivity());
  Settle();
  Answer(worker.TakeTurn(), {Complete()});
  Settle();
  EXPECT_THAT(told_, IsEmpty());
  Close();
  EXPECT_THAT(told_, IsEmpty());
}

// ---- Late answers -----------------------------------------------------------

TEST_F(EngineLossTest, ResultsForOneThatHasFinishedAreDropped) {
  FakeWorker& worker = Connect();
  Run(worker, "a", {CallTask(1, "Work")});
  const FakeItem activity = worker.TakeActivity();
  Raise("a", "end");
  Settle();
  Answer(worker.TakeTurn(), {Complete()});
  Settle();
  WorkName name = activity.work_name();
  name.key = Key("a");
  AskedStatus late;
  work().CompleteActivity(name, TaskCompleted{}, late.done());
  Settle();
  EXPECT_TRUE(late.ok());
  name.key = Key("unknown");
  AskedStatus unknown;
  work().CompleteActivity(name, TaskCompleted{}, unknown.done());
  Settle();
  EXPECT_EQ(unknown.code(), Code::kNotFound);
}

TEST_F(EngineLossTest, WhatIsNamedWithoutATokenAndIsNotOutIsDropped) {
  AskedStatus activity;
  work().CompleteActivity({.key = Key("a"), .task_id = 1}, TaskCompleted{},
                          activity.done());
  AskedStatus turn;
  work().CompleteTurn({.key = Key("a")}, {}, turn.done());
  Settle();
  EXPECT_TRUE(activity.ok());
  EXPECT_TRUE(turn.ok());
}

TEST_F(EngineLossTest, ATurnThatIsOutAndNotSentYetHasNoAnswer) {
  FakeWorker& worker = Connect();
  Run(worker, "a");
  Pass(kLease + absl::Seconds(1));
  Raise("a", "e");
  writer_.RunAll();
  ASSERT_THAT(worker.items, IsEmpty());  // Its history is being read.
  AskedStatus early;
  work().CompleteTurn({.key = Key("a")}, {}, early.done());
  work().RefuseAnswer(WorkKind::kTurn, {.key = Key("a")}, "why");
  Settle();
  EXPECT_TRUE(early.ok());
  EXPECT_THAT(Words(worker.TakeTurn().events), ElementsAre("turn", "raised e"));
}

// ---- Answers in parts -------------------------------------------------------

TurnAnswer Part(std::vector<OrchestratorAction> actions, bool partial,
                std::optional<int32_t> number = std::nullopt) {
  TurnAnswer answer;
  answer.actions = std::move(actions);
  answer.partial = partial;
  answer.part = number;
  return answer;
}

TEST_F(EngineLossTest, PartsOfAnAnswerAreOneTurn) {
  FakeWorker& worker = Connect();
  Start("a");
  Settle();
  const FakeItem turn = worker.TakeTurn();
  TurnAnswer first = Part({CallTask(1, "One")}, true, 0);
  first.custom_status = "status";
  const AskedStatus one = Answer(turn, std::move(first));
  Settle();
  EXPECT_TRUE(one.ok());
  EXPECT_THAT(worker.items, IsEmpty());
  EXPECT_EQ(StatusOf("a"), "Pending");
  TurnAnswer last = Part({CallTask(2, "Two")}, false, 1);
  last.events_processed = 0;
  const AskedStatus two = Answer(turn, std::move(last));
  Settle();
  EXPECT_TRUE(two.ok());
  EXPECT_EQ(worker.TakeActivity().name, "One");
  EXPECT_EQ(worker.TakeActivity().name, "Two");
  EXPECT_THAT(History("a"),
              ElementsAre("turn", "started()", "task One", "task Two"));
  const AskedInfo info = Get("a");
  Settle();
  EXPECT_EQ(info.value()->summary.custom_status, "status");
}

TEST_F(EngineLossTest, APartThatIsSentAgainCountsOnce) {
  FakeWorker& worker = Connect();
  Start("a");
  Settle();
  const FakeItem turn = worker.TakeTurn();
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE((Answer(turn, Part({CallTask(1, "One")}, true, 0)), true));
  }
  Answer(turn, Part({CallTask(2, "Two")}, false, 1));
  Settle();
  EXPECT_THAT(History("a"),
              ElementsAre("turn", "started()", "task One", "task Two"));
}

TEST_F(EngineLossTest, PartsAreForgottenWhenTheTurnGoesOutAgain) {
  FakeWorker& worker = Connect();
  Start("a");
  Settle();
  const FakeItem turn = worker.TakeTurn();
  Answer(turn, Part({CallTask(1, "One")}, true, 0));
  work().Disconnect(worker.id);
  FakeWorker& second = Connect();
  Settle();
  EXPECT_EQ(Answer(turn, Part({CallTask(2, "Two")}, false, 1)).code(),
            Code::kNotFound);
  Answer(second.TakeTurn(), {CallTask(1, "Only")});
  Settle();
  EXPECT_THAT(History("a"), ElementsAre("turn", "started()", "task Only"));
}

TEST_F(EngineLossTest, PartsThatAreTooMuchTogetherFailIt) {
  FakeWorker& worker = Connect();
  Start("a");
  Settle();
  const FakeItem turn = worker.TakeTurn();
  TurnAnswer part = Part({CallTask(1, "One")}, true);
  part.bytes = size_t{200} << 20;
  Answer(turn, part);
  Answer(turn, part);
  Settle();
  EXPECT_EQ(StatusOf("a"), "Failed");
  EXPECT_THAT(FailureOf("a"), HasSubstr("AnswerTooLarge"));
}

// ---- Long histories ---------------------------------------------------------

TEST_F(EngineLossTest, ALongHistoryIsFetchedByWorkersThatCan) {
  WorkerOptions can;
  can.streams_history = true;
  FakeWorker& worker = Connect(can);
  Start("a", std::string(1'100'000, 'x'));
  Settle();
  const FakeItem first = worker.TakeTurn();
  EXPECT_FALSE(first.past_is_streamed);  // It is new, not past.
  Answer(first);
  Raise("a", "e");
  Settle();
  const FakeItem second = worker.TakeTurn();
  EXPECT_TRUE(second.past_is_streamed);
  EXPECT_THAT(second.past, IsEmpty());
  EXPECT_THAT(Words(second.events), ElementsAre("turn", "raised e"));
  work().Disconnect(worker.id);
  FakeWorker& cannot = Connect();
  Settle();
  const FakeItem whole = cannot.TakeTurn();
  EXPECT_FALSE(whole.past_is_streamed);
  EXPECT_THAT(whole.past, SizeIs(2));
}

}  // namespace
}  // namespace leasehold
