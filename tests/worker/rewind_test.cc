// A worker that rewinds: by values, from the end that failed to the turn in
// which the code goes on.
#include <string>
#include <vector>

#include "client/worker/orchestration_context.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/worker/turn_history.h"

namespace leasehold::worker {
namespace {

using testing::ElementsAre;

constexpr char kParentNext[] = "parent-next";

Registry CodeThatPaysAndShips() {
  Registry registry;
  registry.AddOrchestrator("Main", [](OrchestrationContext& ctx) -> Task<> {
    co_await ctx.CallActivity("Pay");
    co_await ctx.CallActivity("Ship");
    co_await ctx.CallSubOrchestrator("Tell");
  });
  return registry;
}

// The turn after one that failed has been rewound: `history` is its past.
OrchestratorRequest AsksToRewind(const TurnHistory& history, size_t events) {
  OrchestratorRequest request = history.Request(events, events);
  HistoryEvent& end = *request.add_pastevents();
  end.set_eventid(9);
  end.mutable_executioncompleted()->set_orchestrationstatus(
      ORCHESTRATION_STATUS_FAILED);
  request.add_newevents()->mutable_orchestratorstarted();
  HistoryEvent& rewind = *request.add_newevents();
  rewind.set_eventid(-1);
  rewind.mutable_executionrewound()->mutable_reason()->set_value("mended");
  rewind.mutable_executionrewound()->mutable_parentexecutionid()->set_value(
      kParentNext);
  return request;
}

// The turn that follows the rewind, with the history that came of it.
OrchestratorRequest AfterRewind(const OrchestratorResponse& rewound) {
  OrchestratorRequest request;
  request.set_instanceid(kInstance);
  const RewindOrchestrationAction& action =
      rewound.actions(0).rewindorchestration();
  *request.mutable_pastevents() = action.newhistory();
  request.mutable_executionid()->set_value(action.newhistory(1)
                                               .executionstarted()
                                               .orchestrationinstance()
                                               .executionid()
                                               .value());
  request.add_newevents()->mutable_orchestratorstarted();
  return request;
}

std::vector<HistoryEvent::EventTypeCase> Kinds(
    const OrchestratorResponse& response) {
  std::vector<HistoryEvent::EventTypeCase> kinds;
  for (const HistoryEvent& event :
       response.actions(0).rewindorchestration().newhistory()) {
    kinds.push_back(event.eventType_case());
  }
  return kinds;
}

TEST(Rewind, AnActivityThatFailedBeginsAgainAndThoseThatDidNotAreKept) {
  const Registry registry = CodeThatPaysAndShips();
  const TurnHistory history = TurnHistory()
                                  .Turn(1)
                                  .Started("Main")
                                  .Scheduled(1, "Pay")
                                  .Turn(2)
                                  .Done(1)
                                  .Scheduled(2, "Ship")
                                  .Turn(3)
                                  .Broke(2);
  const OrchestratorRequest request = AsksToRewind(history, 8);
  const OrchestratorResponse rewound =
      internal::RunTurn(registry, request, nullptr);
  ASSERT_EQ(rewound.actions_size(), 1);
  EXPECT_EQ(rewound.actions(0).id(), -1);
  EXPECT_THAT(
      Kinds(rewound),
      ElementsAre(
          HistoryEvent::kOrchestratorStarted, HistoryEvent::kExecutionStarted,
          HistoryEvent::kTaskScheduled, HistoryEvent::kOrchestratorStarted,
          HistoryEvent::kTaskCompleted, HistoryEvent::kOrchestratorStarted,
          HistoryEvent::kOrchestratorStarted, HistoryEvent::kExecutionRewound));
  const OrchestratorRequest next = AfterRewind(rewound);
  EXPECT_EQ(next.executionid().value().size(), 32u);
  EXPECT_NE(next.executionid().value(), kExecution);
  const OrchestratorResponse again = internal::RunTurn(registry, next, nullptr);
  EXPECT_THAT(Actions(again), ElementsAre("2: activity Ship -"));
}

TEST(Rewind, ItIsTheSameEachTime) {
  const Registry registry = CodeThatPaysAndShips();
  const TurnHistory history =
      TurnHistory().Turn(1).Started("Main").Scheduled(1, "Pay").Turn(2).Broke(
          1);
  const OrchestratorRequest request = AsksToRewind(history, 5);
  EXPECT_EQ(internal::RunTurn(registry, request, nullptr).SerializeAsString(),
            internal::RunTurn(registry, request, nullptr).SerializeAsString());
}

TEST(Rewind, AChildThatFailedIsAwaitedAgain) {
  const Registry registry = CodeThatPaysAndShips();
  const TurnHistory history = TurnHistory()
                                  .Turn(1)
                                  .Started("Main")
                                  .Parent("top")
                                  .Scheduled(1, "Pay")
                                  .Turn(2)
                                  .Done(1)
                                  .Scheduled(2, "Ship")
                                  .Turn(3)
                                  .Done(2)
                                  .Child(3, "Tell")
                                  .Turn(4)
                                  .ChildBroke(3);
  const OrchestratorResponse rewound =
      internal::RunTurn(registry, AsksToRewind(history, 11), nullptr);
  const HistoryEvent& started =
      rewound.actions(0).rewindorchestration().newhistory(1);
  EXPECT_EQ(started.executionstarted()
                .parentinstance()
                .orchestrationinstance()
                .executionid()
                .value(),
            kParentNext);
  OrchestratorRequest next = AfterRewind(rewound);
  EXPECT_THAT(Actions(internal::RunTurn(registry, next, nullptr)),
              ElementsAre());
  HistoryEvent& done = *next.add_newevents();
  done.set_eventid(-1);
  done.mutable_suborchestrationinstancecompleted()->set_taskscheduledid(3);
  const OrchestratorResponse end = internal::RunTurn(registry, next, nullptr);
  EXPECT_EQ(end.actions(0).completeorchestration().orchestrationstatus(),
            ORCHESTRATION_STATUS_COMPLETED);
}

TEST(Rewind, CustomStatusIsThatOfWhatIsReplayed) {
  Registry registry;
  registry.AddOrchestrator("Main", [](OrchestrationContext& ctx) -> Task<> {
    for (int i = 0;; ++i) {
      ctx.SetCustomStatus(i);
      co_await ctx.WaitForEvent("go");
    }
  });
  // Somebody else's worker failed the turn that the event came with.
  const TurnHistory history =
      TurnHistory().Turn(1).Started("Main").Turn(2).Raised("go");
  const OrchestratorResponse rewound =
      internal::RunTurn(registry, AsksToRewind(history, 4), nullptr);
  EXPECT_EQ(internal::RunTurn(registry, AfterRewind(rewound), nullptr)
                .customstatus()
                .value(),
            "1");
}

TEST(Rewind, ARewindThatIsPastChangesNothingOfTheTurn) {
  const Registry registry = CodeThatPaysAndShips();
  OrchestratorRequest request =
      TurnHistory().Turn(1).Started("Main").Request(0, 2);
  request.add_newevents()->mutable_executionrewound();
  EXPECT_THAT(Actions(internal::RunTurn(registry, request, nullptr)),
              ElementsAre("1: activity Pay -"));
}

}  // namespace
}  // namespace leasehold::worker
