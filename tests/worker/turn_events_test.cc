// Events, continue-as-new, suspend, resume and terminate, by values: each
// history is replayed over every prefix (turn_history.h).
#include <optional>
#include <string>
#include <vector>

#include "tests/worker/turn_history.h"

namespace leasehold::worker {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Names = std::vector<std::string>;

// Takes `count` events "x", and gives their data.
Registry Taker(int count) {
  Registry registry;
  registry.AddOrchestrator(
      "Main", [count](OrchestrationContext& ctx) -> Task<Names> {
        Names taken;
        for (int i = 0; i < count; ++i) {
          taken.push_back(co_await ctx.WaitForEvent<std::string>("x"));
        }
        co_return taken;
      });
  return registry;
}

std::vector<std::string> CarriedOver(const OrchestratorResponse& response) {
  std::vector<std::string> events;
  const CompleteOrchestrationAction completion = Completion(response);
  for (const HistoryEvent& event : completion.carryoverevents()) {
    events.push_back(event.eventraised().name() + " " +
                     event.eventraised().input().value());
  }
  return events;
}

TEST(WorkerEvents, AnEventWakesItsWaiter) {
  const TurnHistory history = TurnHistory()
                                  .Turn(1)                 // 1
                                  .Started("Main")         // 2
                                  .Turn(2)                 // 3
                                  .Raised("x", R"("a")");  // 4
  EXPECT_THAT(Replay(Taker(1), history), CompletesWith(R"(["a"])"));
}

// The names of events in the answer of the last turn.
Names Awaited(const OrchestratorResponse& response) {
  Names names;
  const auto& unknown = response.GetReflection()->GetUnknownFields(response);
  for (int i = 0; i < unknown.field_count(); ++i) {
    EXPECT_EQ(unknown.field(i).number(), 1000);
    names.push_back(unknown.field(i).length_delimited());
  }
  return names;
}

TEST(WorkerEvents, AnAnswerNamesTheEventsThatAreAwaited) {
  const TurnHistory begun = TurnHistory().Turn(1).Started("Main");
  Registry registry;
  registry.AddOrchestrator("Main", [](OrchestrationContext& ctx) -> Task<void> {
    {
      // Nobody waits for it any more.
      const auto given_up = ctx.WaitForEvent<std::string>("GivenUp");
    }
    auto deny = ctx.WaitForEvent<std::string>("Deny");
    auto again = ctx.WaitForEvent<std::string>("deny");
    co_await WhenAny(ctx.WaitForEvent<std::string>("Approve"), deny);
  });
  EXPECT_THAT(Awaited(Replay(registry, begun)), ElementsAre("Approve", "Deny"));
  EXPECT_THAT(
      Awaited(Replay(
          Taker(1),
          TurnHistory().Turn(1).Started("Main").Turn(2).Raised("x", R"("a")"))),
      IsEmpty());
}

TEST(WorkerEvents, OfManyAwaitedEventsAFewAreNamed) {
  Registry registry;
  registry.AddOrchestrator("Main", [](OrchestrationContext& ctx) -> Task<void> {
    std::vector<Task<std::string>> all;
    for (int i = 0; i < 20; ++i) {
      all.push_back(ctx.WaitForEvent<std::string>("e" + std::to_string(i)));
    }
    co_await WhenAll(std::move(all));
  });
  EXPECT_EQ(
      Awaited(Replay(registry, TurnHistory().Turn(1).Started("Main"))).size(),
      10u);
}

TEST(WorkerEvents, EventsAreTakenInTheOrderInWhichTheyCame) {
  const TurnHistory history = TurnHistory()
                                  .Turn(1)                 // 1
                                  .Started("Main")         // 2
                                  .Raised("x", R"("a")")   // 3
                                  .Raised("y", R"("no")")  // 4
                                  .Raised("x", R"("b")")   // 5
                                  .Turn(2)                 // 6
                                  .Raised("x", R"("c")")   // 7
                                  .Raised("x", R"("d")");  // 8
  EXPECT_THAT(Replay(Taker(4), history), CompletesWith(R"(["a","b","c","d"])"));
}

TEST(WorkerEvents, EventThatComesTooEarlyIsKept) {
  Registry registry;
  registry.AddOrchestrator("Main", [](OrchestrationContext& ctx) -> Task<int> {
    co_await ctx.CallActivity("A");
    co_return co_await ctx.WaitForEvent<int>("x");
  });
  const TurnHistory history = TurnHistory()
                                  .Turn(1)            // 1
                                  .Started("Main")    // 2
                                  .Scheduled(1, "A")  // 3
                                  .Turn(2)            // 4
                                  .Raised("x", "5")   // 5
                                  .Turn(3)            // 6
                                  .Done(1);           // 7
  EXPECT_THAT(Replay(registry, history), CompletesWith("5"));
}

TEST(WorkerEvents, NamesAreComparedWithoutRegardToCase) {
  const TurnHistory history = TurnHistory()
                                  .Turn(1)                 // 1
                                  .Started("Main")         // 2
                                  .Raised("X", R"("a")");  // 3
  EXPECT_THAT(Replay(Taker(1), history), CompletesWith(R"(["a"])"));
}

TEST(WorkerEvents, EventGoesToWhoAskedFirst) {
  Registry registry;
  registry.AddOrchestrator("Main", [](OrchestrationContext& ctx) -> Task<int> {
    Task<int> first = ctx.WaitForEvent<int>("x");
    Task<int> second = ctx.WaitForEvent<int>("x");
    const int b = co_await second;
    co_return co_await first * 10 + b;
  });
  const TurnHistory history = TurnHistory()
                                  .Turn(1)            // 1
                                  .Started("Main")    // 2
                                  .Turn(2)            // 3
                                  .Raised("x", "1")   // 4
                                  .Raised("x", "2");  // 5
  EXPECT_THAT(Replay(registry, history), CompletesWith("12"));
}

TEST(WorkerEvents, TaskThatIsGoneTakesNoEvent) {
  Registry registry;
  registry.AddOrchestrator("Main", [](OrchestrationContext& ctx) -> Task<int> {
    for (int round = 1;; ++round) {
      Task<int> stop = ctx.WaitForEvent<int>("stop");
      Task<> tick = ctx.CreateTimer(absl::Seconds(10));
      const size_t first = co_await WhenAny(stop, tick);
      if (first == 0) co_return round * 100 + co_await stop;
    }
  });
  const TurnHistory history = TurnHistory()
                                  .Turn(1)               // 1
                                  .Started("Main")       // 2
                                  .Timer(1, 11)          // 3
                                  .Turn(11)              // 4
                                  .Fired(1, 11)          // 5
                                  .Timer(2, 21)          // 6
                                  .Turn(15)              // 7
                                  .Raised("stop", "7");  // 8
  EXPECT_THAT(Replay(registry, history), CompletesWith("207"));
}

TEST(WorkerEvents, AnEventWithoutDataWakesAWaiterThatWantsNone) {
  Registry registry;
  registry.AddOrchestrator("Main", [](OrchestrationContext& ctx) -> Task<> {
    co_await ctx.WaitForEvent("go");
  });
  const TurnHistory history = TurnHistory()
                                  .Turn(1)          // 1
                                  .Started("Main")  // 2
                                  .Raised("go");    // 3
  EXPECT_EQ(Completion(Replay(registry, history)).orchestrationstatus(),
            ORCHESTRATION_STATUS_COMPLETED);
}

// Waits 10 s for an int "x"; then, if `again`, for as long as it takes.
Registry PatientTaker(bool again) {
  Registry registry;
  registry.AddOrchestrator(
      "Main", [again](OrchestrationContext& ctx) -> Task<Names> {
        const std::optional<int> in_time =
            co_await ctx.WaitForEvent<int>("x", absl::Seconds(10));
        Names seen = {in_time.has_value() ? std::to_string(*in_time) : "none"};
        if (again) {
          seen.push_back(std::to_string(co_await ctx.WaitForEvent<int>("x")));
        }
        co_return seen;
      });
  return registry;
}

TEST(WorkerEvents, EventInTimeIsTaken) {
  const TurnHistory history = TurnHistory()
                                  .Turn(1)            // 1
                                  .Started("Main")    // 2
                                  .Timer(1, 11)       // 3
                                  .Turn(5)            // 4
                                  .Raised("x", "3");  // 5
  EXPECT_THAT(Replay(PatientTaker(false), history), CompletesWith(R"(["3"])"));
}

TEST(WorkerEvents, TimerOfAnEventThatCameInTimeDoesNothing) {
  const TurnHistory history = TurnHistory()
                                  .Turn(1)            // 1
                                  .Started("Main")    // 2
                                  .Timer(1, 11)       // 3
                                  .Turn(5)            // 4
                                  .Raised("x", "3")   // 5
                                  .Turn(11)           // 6
                                  .Fired(1, 11)       // 7
                                  .Turn(12)           // 8
                                  .Raised("x", "4");  // 9
  EXPECT_THAT(Replay(PatientTaker(true), history),
              CompletesWith(R"(["3","4"])"));
}

TEST(WorkerEvents, NoEventInTimeIsToldAndALateOneIsLeftForTheNext) {
  const TurnHistory history = TurnHistory()
                                  .Turn(1)            // 1
                                  .Started("Main")    // 2
                                  .Timer(1, 11)       // 3
                                  .Turn(11)           // 4
                                  .Fired(1, 11)       // 5
                                  .Raised("x", "4");  // 6
  EXPECT_THAT(Replay(PatientTaker(true), history),
              CompletesWith(R"(["none","4"])"));
}

TEST(WorkerEvents, NoEventInTimeIsToldAsFalseIfItHasNoData) {
  Registry registry;
  registry.AddOrchestrator("Main", [](OrchestrationContext& ctx) -> Task<bool> {
    co_return co_await ctx.WaitForEvent("x", absl::Seconds(10));
  });
  const TurnHistory begun = TurnHistory()
                                .Turn(1)          // 1
                                .Started("Main")  // 2
                                .Timer(1, 11);    // 3
  TurnHistory late = begun;
  late.Turn(11).Fired(1, 11);  // 4, 5
  EXPECT_THAT(Replay(registry, late), CompletesWith("false"));
  TurnHistory in_time = begun;
  in_time.Turn(9).Raised("x");  // 4, 5
  EXPECT_THAT(Replay(registry, in_time), CompletesWith("true"));
}

TEST(WorkerEvents, DataOfAnotherTypeFailsTheAwait) {
  Registry registry;
  registry.AddOrchestrator("Main", [](OrchestrationContext& ctx) -> Task<int> {
    co_return co_await ctx.WaitForEvent<int>("x");
  });
  const TurnHistory history = TurnHistory()
                                  .Turn(1)                 // 1
                                  .Started("Main")         // 2
                                  .Raised("x", R"("a")");  // 3
  EXPECT_THAT(Replay(registry, history),
              FailsWith("leasehold::worker::PayloadError", testing::_));
}

// Takes one "x" and starts over with what it carries.
Registry Counter(UnreadEvents unread) {
  Registry registry;
  registry.AddOrchestrator(
      "Main", [unread](OrchestrationContext& ctx, int count) -> Task<int> {
        const int added = co_await ctx.WaitForEvent<int>("x");
        ctx.ContinueAsNew(count + added, unread);
        co_return -1;
      });
  return registry;
}

TEST(WorkerContinueAsNew, NewInputIsTheResultAndUnreadEventsAreCarriedOver) {
  const TurnHistory history = TurnHistory()
                                  .Turn(1)                // 1
                                  .Started("Main", "10")  // 2
                                  .Raised("y", "1")       // 3
                                  .Turn(2)                // 4
                                  .Raised("x", "5")       // 5
                                  .Raised("x", "6")       // 6
                                  .Raised("y", "2");      // 7
  const OrchestratorResponse response =
      Replay(Counter(UnreadEvents::kKeep), history);
  EXPECT_EQ(Completion(response).orchestrationstatus(),
            ORCHESTRATION_STATUS_CONTINUED_AS_NEW);
  EXPECT_EQ(Completion(response).result().value(), "15");
  EXPECT_THAT(CarriedOver(response), ElementsAre("y 1", "x 6", "y 2"));
}

TEST(WorkerContinueAsNew, UnreadEventsMayBeDropped) {
  const TurnHistory history = TurnHistory()
                                  .Turn(1)                // 1
                                  .Started("Main", "10")  // 2
                                  .Raised("x", "5")       // 3
                                  .Raised("x", "6");      // 4
  const OrchestratorResponse response =
      Replay(Counter(UnreadEvents::kDrop), history);
  EXPECT_EQ(Completion(response).result().value(), "15");
  EXPECT_THAT(CarriedOver(response), IsEmpty());
}

TEST(WorkerContinueAsNew, EndsTheExecutionAtTheNextAwait) {
  Registry registry;
  registry.AddOrchestrator("Main", [](OrchestrationContext& ctx) -> Task<> {
    ctx.ContinueAsNew(1);
    ctx.SendEvent("b", "said");
    co_await ctx.CreateTimer(absl::ZeroDuration());
    ctx.SendEvent("b", "not said");
  });
  const OrchestratorResponse response =
      Replay(registry, TurnHistory().Turn(1).Started("Main"));
  EXPECT_THAT(Actions(response),
              ElementsAre("1: event said to b -", "2: timer 1", "3: end"));
  EXPECT_EQ(Completion(response).orchestrationstatus(),
            ORCHESTRATION_STATUS_CONTINUED_AS_NEW);
}

TEST(WorkerContinueAsNew, ExceptionAfterItFailsTheOrchestration) {
  Registry registry;
  registry.AddOrchestrator("Main", [](OrchestrationContext& ctx) -> Task<> {
    ctx.ContinueAsNew(1);
    throw NonRetriableError("no");
    co_return;
  });
  EXPECT_THAT(Replay(registry, TurnHistory().Turn(1).Started("Main")),
              FailsWith("leasehold::worker::NonRetriableError", "no"));
}

TEST(WorkerSuspend, EventsWaitForTheResume) {
  const TurnHistory suspended = TurnHistory()
                                    .Turn(1)                 // 1
                                    .Started("Main")         // 2
                                    .Suspended()             // 3
                                    .Raised("x", R"("a")");  // 4
  EXPECT_THAT(Actions(Replay(Taker(2), suspended)), IsEmpty());
  TurnHistory resumed = suspended;
  resumed
      .Turn(2)                // 5
      .Raised("x", R"("b")")  // 6
      .Turn(3)                // 7
      .Resumed();             // 8
  EXPECT_THAT(Replay(Taker(2), resumed), CompletesWith(R"(["a","b"])"));
}

TEST(WorkerSuspend, WhatWasBegunInTheSameTurnIsBegunOnce) {
  Registry registry;
  registry.AddOrchestrator("Main", [](OrchestrationContext& ctx) -> Task<> {
    co_await ctx.CallActivity("A");
    co_await ctx.CallActivity("B");
  });
  const TurnHistory history = TurnHistory()
                                  .Turn(1)            // 1
                                  .Started("Main")    // 2
                                  .Suspended()        // 3
                                  .Scheduled(1, "A")  // 4
                                  .Turn(2)            // 5
                                  .Done(1)            // 6
                                  .Turn(3)            // 7
                                  .Resumed()          // 8
                                  .Scheduled(2, "B")  // 9
                                  .Turn(4)            // 10
                                  .Done(2);           // 11
  EXPECT_EQ(Completion(Replay(registry, history)).orchestrationstatus(),
            ORCHESTRATION_STATUS_COMPLETED);
}

TEST(WorkerTerminate, EndsAndStartsNothingMore) {
  Registry registry;
  registry.AddOrchestrator("Main", [](OrchestrationContext& ctx) -> Task<> {
    co_await ctx.CallActivity("A");
  });
  const TurnHistory history = TurnHistory()
                                  .Turn(1)                     // 1
                                  .Started("Main")             // 2
                                  .Terminated(R"("enough")");  // 3
  const OrchestratorResponse response = Replay(registry, history);
  EXPECT_THAT(Actions(response), ElementsAre("2: end"));
  EXPECT_EQ(Completion(response).orchestrationstatus(),
            ORCHESTRATION_STATUS_TERMINATED);
  EXPECT_EQ(Completion(response).result().value(), R"("enough")");
}

TEST(WorkerTerminate, EndsWhatIsSuspendedToo) {
  const TurnHistory history = TurnHistory()
                                  .Turn(1)                    // 1
                                  .Started("Main")            // 2
                                  .Suspended()                // 3
                                  .Turn(2)                    // 4
                                  .Terminated(std::nullopt);  // 5
  const OrchestratorResponse response = Replay(Taker(1), history);
  EXPECT_EQ(Completion(response).orchestrationstatus(),
            ORCHESTRATION_STATUS_TERMINATED);
  EXPECT_FALSE(Completion(response).has_result());
}

}  // namespace
}  // namespace leasehold::worker
