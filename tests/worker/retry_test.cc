// Retries: the policy, and what a turn makes of it.
#include <optional>
#include <string>

#include "client/worker/retry_policy.h"
#include "tests/worker/turn_history.h"

namespace leasehold::worker {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TaskFailure Failure(const std::string& type, bool is_non_retriable = false) {
  TaskFailure failure;
  failure.error_type = type;
  failure.is_non_retriable = is_non_retriable;
  return failure;
}

TEST(RetryPolicy, WaitsGrowUpToTheirBoundUntilTheAttemptsAreUsedUp) {
  const RetryPolicy policy = RetryPolicy(5, absl::Seconds(1))
                                 .Backoff(3)
                                 .MaxInterval(absl::Seconds(10));
  const TaskFailure failure = Failure("Broken");
  EXPECT_EQ(policy.NextWait(1, failure, {}), absl::Seconds(1));
  EXPECT_EQ(policy.NextWait(2, failure, {}), absl::Seconds(3));
  EXPECT_EQ(policy.NextWait(3, failure, {}), absl::Seconds(9));
  EXPECT_EQ(policy.NextWait(4, failure, {}), absl::Seconds(10));
  EXPECT_EQ(policy.NextWait(5, failure, {}), std::nullopt);
}

TEST(RetryPolicy, NoAttemptBeginsAfterTheTimeout) {
  const RetryPolicy policy =
      RetryPolicy(100, absl::Seconds(2)).Timeout(absl::Seconds(10));
  EXPECT_EQ(policy.NextWait(1, Failure("Broken"), absl::Seconds(8)),
            absl::Seconds(2));
  EXPECT_EQ(policy.NextWait(1, Failure("Broken"), absl::Seconds(9)),
            std::nullopt);
}

TEST(RetryPolicy, HandlerAndFailureMaySayNo) {
  const RetryPolicy policy =
      RetryPolicy(3, absl::Seconds(1)).RetryIf([](const TaskFailure& failure) {
        return failure.error_type == "Busy";
      });
  EXPECT_EQ(policy.NextWait(1, Failure("Busy"), {}), absl::Seconds(1));
  EXPECT_EQ(policy.NextWait(1, Failure("Broken"), {}), std::nullopt);
  EXPECT_EQ(policy.NextWait(1, Failure("Busy", /*is_non_retriable=*/true), {}),
            std::nullopt);
}

// Pays with three attempts, 10 s and then 20 s apart.
Registry Payer() {
  Registry registry;
  registry.AddOrchestrator("Main", [](OrchestrationContext& ctx) -> Task<int> {
    co_return co_await ctx.CallActivity<int>(
        "Pay", 5, RetryPolicy(3, absl::Seconds(10)).Backoff(2));
  });
  return registry;
}

// That has failed twice.
TurnHistory FailedTwice() {
  return TurnHistory()
      .Turn(1)              // 1
      .Started("Main")      // 2
      .Scheduled(1, "Pay")  // 3
      .Turn(2)              // 4
      .Broke(1)             // 5
      .Timer(2, 12)         // 6
      .Turn(12)             // 7
      .Fired(2, 12)         // 8
      .Scheduled(3, "Pay")  // 9
      .Turn(13)             // 10
      .Broke(3)             // 11
      .Timer(4, 33)         // 12
      .Turn(33)             // 13
      .Fired(4, 33);        // 14
}

TEST(Retry, FailedActivityIsCalledAgainAfterAWait) {
  EXPECT_THAT(Actions(Replay(Payer(), FailedTwice())),
              ElementsAre("5: activity Pay 5"));
}

TEST(Retry, AttemptThatSucceedsIsTheResult) {
  TurnHistory history = FailedTwice();
  history
      .Scheduled(5, "Pay")  // 15
      .Turn(34)             // 16
      .Done(5, "7");        // 17
  EXPECT_THAT(Replay(Payer(), history), CompletesWith("7"));
}

TEST(Retry, LastFailureIsThrown) {
  TurnHistory history = FailedTwice();
  history
      .Scheduled(5, "Pay")    // 15
      .Turn(34)               // 16
      .Broke(5, "Bankrupt");  // 17
  EXPECT_THAT(Replay(Payer(), history),
              FailsWith("leasehold::worker::TaskFailedError",
                        HasSubstr("task 5, activity \"Pay\", failed: "
                                  "Bankrupt")));
}

TEST(Retry, WhatIsNotRetriableIsNotCalledAgain) {
  const TurnHistory history =
      TurnHistory()
          .Turn(1)                                            // 1
          .Started("Main")                                    // 2
          .Scheduled(1, "Pay")                                // 3
          .Turn(2)                                            // 4
          .Broke(1, "Forbidden", /*is_non_retriable=*/true);  // 5
  EXPECT_THAT(Replay(Payer(), history),
              FailsWith("leasehold::worker::TaskFailedError", testing::_));
}

TEST(Retry, FirstAttemptBeginsWithTheCall) {
  Registry registry;
  registry.AddOrchestrator("Main", [](OrchestrationContext& ctx) -> Task<> {
    const RetryPolicy retry(2, absl::Seconds(1));
    Task<> paid = ctx.CallActivity("Pay", NoInput(), retry);
    Task<> packed = ctx.CallActivity("Pack");
    co_await WhenAll(paid, packed);
  });
  EXPECT_THAT(Actions(Replay(registry, TurnHistory().Turn(1).Started("Main"))),
              ElementsAre("1: activity Pay -", "2: activity Pack -"));
}

TEST(Retry, GoesOnWhileSomethingElseIsAwaited) {
  Registry registry;
  registry.AddOrchestrator("Main", [](OrchestrationContext& ctx) -> Task<int> {
    const RetryPolicy retry(2, absl::Seconds(1));
    Task<int> paid = ctx.CallActivity<int>("Pay", NoInput(), retry);
    co_await ctx.CallActivity("Pack");
    co_return co_await paid;
  });
  const TurnHistory history = TurnHistory()
                                  .Turn(1)               // 1
                                  .Started("Main")       // 2
                                  .Scheduled(1, "Pay")   // 3
                                  .Scheduled(2, "Pack")  // 4
                                  .Turn(2)               // 5
                                  .Broke(1)              // 6
                                  .Timer(3, 3)           // 7
                                  .Turn(3)               // 8
                                  .Fired(3, 3)           // 9
                                  .Scheduled(4, "Pay")   // 10
                                  .Turn(4)               // 11
                                  .Done(4, "8")          // 12
                                  .Done(2);              // 13
  EXPECT_THAT(Replay(registry, history), CompletesWith("8"));
}

TEST(Retry, ChildUnderAKnownIdIsStartedUnderItAgain) {
  Registry registry;
  registry.AddOrchestrator("Main", [](OrchestrationContext& ctx) -> Task<> {
    co_await ctx.CallSubOrchestrator(
        "Ship", NoInput(),
        SubOrchestrationOptions(RetryPolicy(2, absl::Seconds(1))).Id("ship-7"));
  });
  const TurnHistory history = TurnHistory()
                                  .Turn(1)                     // 1
                                  .Started("Main")             // 2
                                  .Child(1, "Ship", "ship-7")  // 3
                                  .Turn(2)                     // 4
                                  .ChildBroke(1)               // 5
                                  .Timer(2, 3)                 // 6
                                  .Turn(3)                     // 7
                                  .Fired(2, 3);                // 8
  EXPECT_THAT(Actions(Replay(registry, history)),
              ElementsAre("3: child Ship ship-7 -"));
}

TEST(Retry, TimeSpentInAttemptsCountsToTheTimeout) {
  Registry registry;
  registry.AddOrchestrator("Main", [](OrchestrationContext& ctx) -> Task<> {
    co_await ctx.CallActivity(
        "Pay", NoInput(),
        RetryPolicy(9, absl::Seconds(1)).Timeout(absl::Seconds(30)));
  });
  const TurnHistory history = TurnHistory()
                                  .Turn(1)              // 1
                                  .Started("Main")      // 2
                                  .Scheduled(1, "Pay")  // 3
                                  .Turn(31)             // 4
                                  .Broke(1);            // 5
  EXPECT_THAT(Replay(registry, history),
              FailsWith("leasehold::worker::TaskFailedError", testing::_));
}

}  // namespace
}  // namespace leasehold::worker
