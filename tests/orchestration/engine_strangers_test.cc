// Strangers: workers that do not know the work that they are handed.
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
using testing::SizeIs;

class EngineStrangersTest : public EngineTest {
 protected:
  static OpaqueMessage NoSuch(const char* kind, const std::string& name) {
    return MakeFailure(absl::StrCat(kind, "TaskNotFound"),
                       absl::StrCat("No task named '", name, "' was found."));
  }
  static TurnAnswer NoSuchOrchestrator(const std::string& name = "Main") {
    CompleteExecution end;
    end.status = OrchestrationStatus::kFailed;
    end.failure = NoSuch("Orchestrator", name);
    TurnAnswer answer;
    answer.actions.push_back({-1, std::move(end)});
    return answer;
  }
  AskedStatus Disown(const FakeItem& activity) {
    AskedStatus asked;
    work().CompleteActivity(activity.work_name(),
                            TaskFailed{0, NoSuch("Activity", activity.name)},
                            asked.done());
    return asked;
  }
  std::string WaitingFor(std::string_view id) {
    const AskedInfo info = Get(id);
    Settle();
    return info.value()->waiting_for;
  }
};

TEST_F(EngineStrangersTest, ATurnMovesOnToAWorkerThatKnowsIt) {
  FakeWorker& stranger = Connect();
  Start("a");
  Settle();
  const FakeItem turn = stranger.TakeTurn();
  FakeWorker& mine = Connect();
  EXPECT_TRUE(Answer(turn, NoSuchOrchestrator()).ok());
  Settle();
  EXPECT_EQ(StatusOf("a"), "Pending");
  EXPECT_EQ(Told(WorkEventKind::kNotMine).worker, stranger.id);
  Answer(mine.TakeTurn(), {CallTask(1, "Work")});
  Settle();
  // No worker has disowned the activity yet.
  EXPECT_THAT(stranger.items, SizeIs(1));
  EXPECT_TRUE(Disown(stranger.TakeActivity()).ok());
  Settle();
  Done(mine.TakeActivity());
  Settle();
  // The next turn is not for the stranger either.
  EXPECT_THAT(stranger.items, IsEmpty());
  Answer(mine.TakeTurn(), {Complete()});
  Settle();
  EXPECT_EQ(StatusOf("a"), "Completed");
  EXPECT_THAT(History("a"), ElementsAre("turn", "started()", "task Work",
                                        "turn", "task 1 done", "ended(1)"));
}

TEST_F(EngineStrangersTest, WhatNobodyKnowsWaitsAndSaysSo) {
  FakeWorker& one = Connect();
  FakeWorker& two = Connect();
  Start("a");
  Settle();
  FakeWorker& first = one.items.empty() ? two : one;
  FakeWorker& second = one.items.empty() ? one : two;
  Answer(first.TakeTurn(), NoSuchOrchestrator());
  Settle();
  EXPECT_EQ(WaitingFor("a"), "");
  Answer(second.TakeTurn(), NoSuchOrchestrator());
  Settle();
  EXPECT_EQ(StatusOf("a"), "Pending");
  EXPECT_EQ(WaitingFor("a"),
            "no connected worker takes the orchestrator \"Main\" (connected: "
            "2; do not know the name: 2)");
  EXPECT_EQ(Told(WorkEventKind::kUnwanted).instance_id, "a");
  EXPECT_EQ(Told(WorkEventKind::kUnwanted).reason, WaitingFor("a"));
  EXPECT_EQ(pins("a"), 0u);
  // The next work of that name waits; no worker is tried.
  Start("b");
  Settle();
  Pass(absl::Minutes(5));
  EXPECT_THAT(one.items, IsEmpty());
  EXPECT_THAT(two.items, IsEmpty());
  EXPECT_NE(WaitingFor("b"), "");
  EXPECT_EQ(CountTold(WorkEventKind::kUnwanted), 1u);
  FakeWorker& knows = Connect();
  Settle();
  EXPECT_THAT(knows.items, SizeIs(2));
  EXPECT_EQ(WaitingFor("a"), "");
  Answer(knows.TakeTurn(), {Complete()});
  Answer(knows.TakeTurn(), {Complete()});
  Settle();
  EXPECT_EQ(StatusOf("a"), "Completed");
  EXPECT_EQ(StatusOf("b"), "Completed");
}

TEST_F(EngineStrangersTest, AnActivityThatNobodyKnowsWaitsAndSaysSo) {
  FakeWorker& worker = Connect();
  Run(worker, "a", {CallTask(1, "Known"), CallTask(2, "Unknown")});
  Done(worker.TakeActivity());
  Disown(worker.TakeActivity());
  Settle();
  EXPECT_THAT(WaitingFor("a"),
              HasSubstr("no connected worker takes the activity \"Unknown\""));
  Answer(worker.TakeTurn());
  Settle();
  EXPECT_THAT(worker.items, IsEmpty());
  WorkerOptions names;
  names.filters[0].emplace();
  names.filters[1].emplace().push_back({"unknown", {}});
  FakeWorker& knows = Connect(names);
  Settle();
  Done(knows.TakeActivity());
  Settle();
  EXPECT_THAT(History("a"), ElementsAre("turn", "started()", "task Known",
                                        "task Unknown", "turn", "task 1 done"));
}

TEST_F(EngineStrangersTest, WithNoWorkerAtAllTheStatusSaysSo) {
  Start("a");
  Settle();
  EXPECT_THAT(WaitingFor("a"),
              AllOf(HasSubstr("no connected worker takes the orchestrator"),
                    HasSubstr("connected: 0")));
  Connect();
  Settle();
  EXPECT_EQ(WaitingFor("a"), "");
}

TEST_F(EngineStrangersTest, FailingIsASetting) {
  options_.unknown_work_fails = true;
  FakeWorker& one = Connect();
  FakeWorker& two = Connect();
  for (const char* id : {"a", "b"}) {
    Start(id);
    Settle();
    FakeWorker& first = one.items.empty() ? two : one;
    FakeWorker& second = one.items.empty() ? one : two;
    Answer(first.TakeTurn(), NoSuchOrchestrator());
    Settle();
    EXPECT_EQ(StatusOf(id), "Pending");
    Answer(second.TakeTurn(), NoSuchOrchestrator());
    Settle();
    EXPECT_EQ(StatusOf(id), "Failed");
    EXPECT_THAT(Told(WorkEventKind::kFailedByLimit).reason,
                HasSubstr("--unknown-work=fail"));
  }
}

TEST_F(EngineStrangersTest, AnActivityFailsToo) {
  options_.unknown_work_fails = true;
  FakeWorker& worker = Connect();
  Run(worker, "a", {CallTask(1, "Unknown")});
  const AskedStatus told = Disown(worker.TakeActivity());
  Settle();
  EXPECT_TRUE(told.ok());
  EXPECT_THAT(Words(worker.TakeTurn().events),
              ElementsAre("turn", "task 1 failed"));
}

TEST_F(EngineStrangersTest, FailuresThatAreTheUsersOwnFail) {
  FakeWorker& worker = Connect();
  // It passes on its child's failure.
  Start("a");
  Settle();
  Answer(worker.TakeTurn(), NoSuchOrchestrator("Child"));
  Settle();
  EXPECT_EQ(StatusOf("a"), "Failed");
  // And its activity's.
  Start("b");
  Settle();
  CompleteExecution end;
  end.status = OrchestrationStatus::kFailed;
  end.failure = NoSuch("Activity", "Main");
  Answer(worker.TakeTurn(), {{-1, end}});
  Settle();
  EXPECT_EQ(StatusOf("b"), "Failed");
  EXPECT_EQ(CountTold(WorkEventKind::kNotMine), 0u);
}

TEST_F(EngineStrangersTest, AHistoryGoesWithATurnThatWasDisownedLater) {
  FakeWorker& mine = Connect();
  Run(mine, "a", {TimerAt(1, Now() + absl::Hours(1))});
  work().Disconnect(mine.id);
  FakeWorker& stranger = Connect();
  FakeWorker& again = Connect();
  Pass(absl::Hours(2));
  Settle();
  FakeWorker& first = stranger.items.empty() ? again : stranger;
  FakeWorker& second = stranger.items.empty() ? stranger : again;
  Answer(first.TakeTurn(), NoSuchOrchestrator());
  Settle();
  const FakeItem turn = second.TakeTurn();
  EXPECT_THAT(Words(turn.past), ElementsAre("turn", "started()", "timer"));
  EXPECT_THAT(Words(turn.events), ElementsAre("turn", "timer 1 fired"));
  Answer(turn, {Complete()});
  Settle();
  EXPECT_EQ(StatusOf("a"), "Completed");
}

TEST_F(EngineStrangersTest, WhatWasPutBackIsDisownedTooLate) {
  FakeWorker& stranger = Connect();
  Start("a");
  Settle();
  const FakeItem turn = stranger.TakeTurn();
  work().Disconnect(stranger.id);
  Settle();
  EXPECT_TRUE(Answer(turn, NoSuchOrchestrator()).ok());
  Settle();
  EXPECT_EQ(CountTold(WorkEventKind::kNotMine), 0u);
  FakeWorker& mine = Connect();
  Settle();
  Answer(mine.TakeTurn(), {Complete()});
  Settle();
  EXPECT_EQ(StatusOf("a"), "Completed");
}

}  // namespace
}  // namespace leasehold
