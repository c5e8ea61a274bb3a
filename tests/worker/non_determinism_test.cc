// Code that does not what its history says that it did: what is said of it.
#include <string>

#include "tests/worker/turn_history.h"

namespace leasehold::worker {
namespace {

constexpr char kError[] = "NonDeterminismError";
constexpr char kRule[] = "; orchestrator code must do the same on each replay";

// Of an orchestration that called activity 1 "Pay", and then activity 2 "Ship".
TurnHistory PayAndShip() {
  return TurnHistory()
      .Turn(1)               // 1
      .Started("Main")       // 2
      .Scheduled(1, "Pay")   // 3
      .Turn(2)               // 4
      .Done(1)               // 5
      .Scheduled(2, "Ship")  // 6
      .Turn(3)               // 7
      .Done(2);              // 8
}

template <typename Code>
OrchestratorResponse RunAs(Code code, const TurnHistory& history) {
  Registry registry;
  registry.AddOrchestrator("Main", code);
  return RunLastTurn(registry, history);
}

TEST(NonDeterminism, SameCodeIsAtPeaceWithItsHistory) {
  const OrchestratorResponse response = RunAs(
      [](OrchestrationContext& ctx) -> Task<> {
        co_await ctx.CallActivity("Pay");
        co_await ctx.CallActivity("Ship");
      },
      PayAndShip());
  EXPECT_EQ(Completion(response).orchestrationstatus(),
            ORCHESTRATION_STATUS_COMPLETED);
}

TEST(NonDeterminism, AnotherNameIsFound) {
  const OrchestratorResponse response = RunAs(
      [](OrchestrationContext& ctx) -> Task<> {
        co_await ctx.CallActivity("Pay");
        co_await ctx.CallActivity("Pack");
      },
      PayAndShip());
  EXPECT_THAT(
      response,
      FailsWith(kError,
                std::string("the history has \"task 2: activity \"Ship\" was "
                            "scheduled\", the code now calls activity "
                            "\"Pack\"") +
                    kRule));
  EXPECT_EQ(response.actions_size(), 1);
  EXPECT_TRUE(Completion(response).failuredetails().isnonretriable());
}

TEST(NonDeterminism, AnotherKindIsFound) {
  EXPECT_THAT(
      RunAs(
          [](OrchestrationContext& ctx) -> Task<> {
            co_await ctx.CallActivity("Pay");
            co_await ctx.CreateTimer(absl::Seconds(1));
          },
          PayAndShip()),
      FailsWith(kError,
                std::string("the history has \"task 2: activity \"Ship\" was "
                            "scheduled\", the code now creates a timer") +
                    kRule));
}

TEST(NonDeterminism, AnotherOrderIsFound) {
  EXPECT_THAT(
      RunAs(
          [](OrchestrationContext& ctx) -> Task<> {
            co_await ctx.CallActivity("Ship");
            co_await ctx.CallActivity("Pay");
          },
          PayAndShip()),
      FailsWith(kError,
                std::string("the history has \"task 1: activity \"Pay\" was "
                            "scheduled\", the code now calls activity "
                            "\"Ship\"") +
                    kRule));
}

TEST(NonDeterminism, LessIsFound) {
  EXPECT_THAT(
      RunAs(
          [](OrchestrationContext& ctx) -> Task<> {
            co_await ctx.CallActivity("Pay");
            co_await ctx.WaitForEvent("x");
          },
          PayAndShip()),
      FailsWith(kError,
                std::string("the history has \"task 2: activity \"Ship\" was "
                            "scheduled\", the code now does nothing like "
                            "that at this point") +
                    kRule));
}

TEST(NonDeterminism, MoreIsFoundInTheTurnInWhichItIsDone) {
  EXPECT_THAT(
      RunAs(
          [](OrchestrationContext& ctx) -> Task<> {
            Task<> gift = ctx.CallActivity("Pay");
            ctx.SendEvent("boss", "paid");
            co_await gift;
            co_await ctx.CallActivity("Ship");
          },
          PayAndShip()),
      FailsWith(kError,
                std::string("the code now sends event \"paid\" to \"boss\" as "
                            "task 2, which is not in the history") +
                    kRule));
}

TEST(NonDeterminism, EndThatComesEarlierIsFound) {
  EXPECT_THAT(
      RunAs([](OrchestrationContext& ctx)
                -> Task<> { co_await ctx.CallActivity("Pay"); },
            PayAndShip()),
      FailsWith(kError,
                std::string("the history continues with \"task 2: activity "
                            "\"Ship\" was scheduled\", the code now ends "
                            "before that") +
                    kRule));
}

TEST(NonDeterminism, FailureThatComesEarlierIsFound) {
  EXPECT_THAT(RunAs(
                  [](OrchestrationContext&) -> Task<> {
                    throw NonRetriableError("not today");
                    co_return;
                  },
                  PayAndShip()),
              FailsWith(kError, testing::HasSubstr("the code now ends")));
}

TEST(NonDeterminism, AnotherTargetOfAnEventIsFound) {
  const TurnHistory history = TurnHistory()
                                  .Turn(1)                  // 1
                                  .Started("Main")          // 2
                                  .Sent(1, "boss", "paid")  // 3
                                  .Turn(2)                  // 4
                                  .Raised("x");             // 5
  EXPECT_THAT(
      RunAs(
          [](OrchestrationContext& ctx) -> Task<> {
            ctx.SendEvent("clerk", "paid");
            co_await ctx.WaitForEvent("x");
          },
          history),
      FailsWith(kError, std::string("the history has \"task 1: event \"paid\" "
                                    "was sent to \"boss\"\", the code now "
                                    "sends event \"paid\" to \"clerk\"") +
                            kRule));
}

TEST(NonDeterminism, AnotherNameOfAChildIsFound) {
  const TurnHistory history = TurnHistory()
                                  .Turn(1)           // 1
                                  .Started("Main")   // 2
                                  .Child(1, "Ship")  // 3
                                  .Turn(2)           // 4
                                  .ChildDone(1);     // 5
  EXPECT_THAT(
      RunAs([](OrchestrationContext& ctx)
                -> Task<> { co_await ctx.CallSubOrchestrator("Send"); },
            history),
      FailsWith(kError,
                std::string("the history has \"task 1: sub-orchestration "
                            "\"Ship\" was created\", the code now calls "
                            "sub-orchestration \"Send\"") +
                    kRule));
}

TEST(NonDeterminism, ResultOfAnotherKindIsFound) {
  const TurnHistory history = TurnHistory()
                                  .Turn(1)          // 1
                                  .Started("Main")  // 2
                                  .Fired(1, 9);     // 3
  EXPECT_THAT(RunAs([](OrchestrationContext& ctx)
                        -> Task<> { co_await ctx.CallActivity("Pay"); },
                    history),
              FailsWith(kError, std::string("the history has \"task 1: a timer "
                                            "fired\", but task 1 of the code "
                                            "is now activity \"Pay\"") +
                                    kRule));
}

TEST(NonDeterminism, OrchestratorCodeCannotCatchIt) {
  EXPECT_THAT(RunAs(
                  [](OrchestrationContext& ctx) -> Task<std::string> {
                    try {
                      co_await ctx.CallActivity("Pack");
                    } catch (...) {
                      co_return "caught";
                    }
                    co_return "";
                  },
                  PayAndShip()),
              FailsWith(kError, testing::_));
}

TEST(NonDeterminism, AnotherInputOrDelayDoesNotMatter) {
  const TurnHistory history = TurnHistory()
                                  .Turn(1)              // 1
                                  .Started("Main")      // 2
                                  .Scheduled(1, "Pay")  // 3
                                  .Timer(2, 77)         // 4
                                  .Turn(2)              // 5
                                  .Done(1)              // 6
                                  .Fired(2, 77);        // 7
  const OrchestratorResponse response = RunAs(
      [](OrchestrationContext& ctx) -> Task<> {
        Task<> paid = ctx.CallActivity("Pay", 5);
        co_await ctx.CreateTimer(absl::Seconds(1));
        co_await paid;
      },
      history);
  EXPECT_EQ(Completion(response).orchestrationstatus(),
            ORCHESTRATION_STATUS_COMPLETED);
}

TEST(NonDeterminism, HistoryToItsVeryEndIsAtPeace) {
  Registry registry;
  registry.AddOrchestrator("Main", [](OrchestrationContext& ctx) -> Task<> {
    ctx.SendEvent("boss", "done");
    co_return;
  });
  const TurnHistory history = TurnHistory()
                                  .Turn(1)                   // 1
                                  .Started("Main")           // 2
                                  .Sent(1, "boss", "done");  // 3
  const OrchestratorResponse response =
      internal::RunTurn(registry, history.Request(3, 3), nullptr);
  EXPECT_EQ(Completion(response).orchestrationstatus(),
            ORCHESTRATION_STATUS_COMPLETED);
  EXPECT_EQ(response.actions_size(), 1);
}

}  // namespace
}  // namespace leasehold::worker
