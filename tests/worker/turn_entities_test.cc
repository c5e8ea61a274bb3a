// What orchestrators do with entities, by values: each history is replayed over
// every prefix (turn_history.h).
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "client/worker/turn.h"
#include "tests/worker/turn_history.h"

namespace leasehold::worker {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const char kAnn[] = "@account@ann";
const char kBob[] = "@account@bob";

EntityId Ann() { return {"Account", "ann"}; }
EntityId Bob() { return {"Account", "bob"}; }

// The registry that has `code` as Main.
template <typename Code>
Registry Main(Code code) {
  Registry registry;
  registry.AddOrchestrator("Main", code);
  return registry;
}

Task<int> Deposit(OrchestrationContext& ctx, int amount) {
  const int before = co_await ctx.CallEntity<int>(Ann(), "balance");
  ctx.SignalEntity(Bob(), "note", amount);
  const int after = co_await ctx.CallEntity<int>(Ann(), "deposit", amount);
  co_return after - before;
}

TEST(TurnEntities, CallsAndSignalsBecomeActions) {
  const Registry registry = Main(&Deposit);
  const TurnHistory history = TurnHistory()
                                  .Turn(1)                     // 1
                                  .Started("Main", "3")        // 2
                                  .Called(1, kAnn, "balance")  // 3
                                  .Turn(2)                     // 4
                                  .Answered(1, "5");           // 5
  const OrchestratorResponse response = Replay(registry, history);
  EXPECT_THAT(Actions(response),
              ElementsAre("2: signal note to @account@bob 3",
                          "3: call deposit of @account@ann 3"));
  const auto& call =
      response.actions(1).sendentitymessage().entityoperationcalled();
  EXPECT_EQ(call.requestid(), RequestId(3));
  EXPECT_EQ(call.parentinstanceid().value(), kInstance);
  EXPECT_EQ(call.parentexecutionid().value(), kExecution);
}

TEST(TurnEntities, AnswersGoToTheirCalls) {
  const TurnHistory history = TurnHistory()
                                  .Turn(1)                     // 1
                                  .Started("Main", "3")        // 2
                                  .Called(1, kAnn, "balance")  // 3
                                  .Turn(2)                     // 4
                                  .Answered(1, "5")            // 5
                                  .Signaled(2, kBob, "note")   // 6
                                  .Called(3, kAnn, "deposit")  // 7
                                  .Turn(3)                     // 8
                                  .Answered(3, "8");           // 9
  EXPECT_THAT(Replay(Main(&Deposit), history), CompletesWith("3"));
}

Task<std::vector<int>> Both(OrchestrationContext& ctx) {
  Task<int> ann = ctx.CallEntity<int>(Ann(), "balance");
  Task<int> bob = ctx.CallEntity<int>(Bob(), "balance");
  std::vector<int> both;
  both.push_back(co_await bob);
  both.push_back(co_await ann);
  co_return both;
}

TEST(TurnEntities, AnswersMayComeInAnyOrder) {
  const TurnHistory history = TurnHistory()
                                  .Turn(1)                     // 1
                                  .Started("Main")             // 2
                                  .Called(1, kAnn, "balance")  // 3
                                  .Called(2, kBob, "balance")  // 4
                                  .Turn(2)                     // 5
                                  .Answered(2, "2")            // 6
                                  .Answered(2, "3")            // 7
                                  .Answered("nobody's", "4")   // 8
                                  .Answered(1, "1");           // 9
  EXPECT_THAT(Replay(Main(&Both), history), CompletesWith("[2,1]"));
}

TEST(TurnEntities, RequestIdOfTheHistoryCounts) {
  const TurnHistory history =
      TurnHistory()
          .Turn(1)                                        // 1
          .Started("Main")                                // 2
          .Called(1, kAnn, "balance", "before a rewind")  // 3
          .Called(2, kBob, "balance")                     // 4
          .Turn(2)                                        // 5
          .Answered("before a rewind", "1")               // 6
          .Answered(2, "2");                              // 7
  EXPECT_THAT(Replay(Main(&Both), history), CompletesWith("[2,1]"));
}

TEST(TurnEntities, FailedOperationThrows) {
  const TurnHistory history = TurnHistory()
                                  .Turn(1)                     // 1
                                  .Started("Main")             // 2
                                  .Called(1, kAnn, "balance")  // 3
                                  .Called(2, kBob, "balance")  // 4
                                  .Turn(2)                     // 5
                                  .AnsweredWithFailure(2);     // 6
  EXPECT_THAT(Replay(Main(&Both), history),
              FailsWith("leasehold::worker::TaskFailedError",
                        "task 2, operation \"balance\" of entity "
                        "\"@account@bob\", failed: Broken: it broke"));
}

TEST(TurnEntities, SignalMayBeForLater) {
  const Registry registry = Main([](OrchestrationContext& ctx) -> Task<> {
    ctx.SignalEntity(Ann(), "remind", NoInput(), ctx.Now() + absl::Seconds(9));
    co_return;
  });
  const OrchestratorResponse response =
      Replay(registry, TurnHistory().Turn(1).Started("Main"));
  EXPECT_EQ(response.actions(0)
                .sendentitymessage()
                .entityoperationsignaled()
                .scheduledtime()
                .seconds(),
            10);
}

TEST(TurnEntities, AnswersWaitForTheResume) {
  TurnHistory history = TurnHistory()
                            .Turn(1)                     // 1
                            .Started("Main", "3")        // 2
                            .Called(1, kAnn, "balance")  // 3
                            .Turn(2)                     // 4
                            .Suspended()                 // 5
                            .Answered(1, "5");           // 6
  const Registry registry = Main(&Deposit);
  EXPECT_THAT(Actions(RunLastTurn(registry, history)), ElementsAre());
  history.Turn(3).Resumed();
  EXPECT_EQ(Actions(RunLastTurn(registry, history)).size(), 2u);
}

// ---- Locks ------------------------------------------------------------------

Task<int> Transfer(OrchestrationContext& ctx) {
  int moved = 0;
  {
    const EntityLock lock = co_await ctx.LockEntities(Bob(), Ann(), Bob());
    moved = co_await ctx.CallEntity<int>(Bob(), "withdraw", 5);
    co_await ctx.CallEntity(Ann(), "deposit", moved);
  }
  co_await ctx.CreateTimer(absl::Seconds(1));
  co_return moved;
}

TEST(TurnEntities, LockIsRequestedInOrderAndOnce) {
  const OrchestratorResponse response =
      Replay(Main(&Transfer), TurnHistory().Turn(1).Started("Main"));
  EXPECT_THAT(Actions(response),
              ElementsAre("1: lock @account@ann @account@bob"));
  const auto& lock =
      response.actions(0).sendentitymessage().entitylockrequested();
  EXPECT_EQ(lock.criticalsectionid(), RequestId(1));
  EXPECT_EQ(lock.parentinstanceid().value(), kInstance);
  EXPECT_EQ(lock.position(), 0);
}

TurnHistory Transferred() {
  return TurnHistory()
      .Turn(1)                         // 1
      .Started("Main")                 // 2
      .LockRequested(1, {kAnn, kBob})  // 3
      .Turn(2)                         // 4
      .LockGranted(1)                  // 5
      .Called(2, kBob, "withdraw")     // 6
      .Turn(3)                         // 7
      .Answered(2, "5")                // 8
      .Called(3, kAnn, "deposit")      // 9
      .Turn(4)                         // 10
      .Answered(3);                    // 11
}

TEST(TurnEntities, LockEndsWithItsScope) {
  const OrchestratorResponse response = Replay(Main(&Transfer), Transferred());
  EXPECT_THAT(Actions(response),
              ElementsAre("4: unlock @account@ann", "5: unlock @account@bob",
                          "6: timer 5"));
  const auto& unlock =
      response.actions(0).sendentitymessage().entityunlocksent();
  EXPECT_EQ(unlock.criticalsectionid(), RequestId(1));
  EXPECT_EQ(unlock.parentinstanceid().value(), kInstance);
}

TEST(TurnEntities, LockIsHeldAtTheEndOfATurn) {
  const TurnHistory history = TurnHistory()
                                  .Turn(1)                         // 1
                                  .Started("Main")                 // 2
                                  .LockRequested(1, {kAnn, kBob})  // 3
                                  .Turn(2)                         // 4
                                  .LockGranted(1);                 // 5
  EXPECT_THAT(Actions(Replay(Main(&Transfer), history)),
              ElementsAre("2: call withdraw of @account@bob 5"));
}

TEST(TurnEntities, OrchestratorGoesOnAfterUnlocking) {
  const TurnHistory history = Transferred()
                                  .Unlocked(4, kAnn)
                                  .Unlocked(5, kBob)
                                  .Timer(6, 5)
                                  .Turn(5)
                                  .Fired(6, 5);
  EXPECT_THAT(Replay(Main(&Transfer), history), CompletesWith("5"));
}

TEST(TurnEntities, UnlocksUnderTheIdOfTheHistory) {
  const TurnHistory history = TurnHistory()
                                  .Turn(1)                          // 1
                                  .Started("Main")                  // 2
                                  .LockRequested(1, {kAnn}, "old")  // 3
                                  .Turn(2)                          // 4
                                  .LockGranted("other")             // 5
                                  .LockGranted("old");              // 6
  const OrchestratorResponse response =
      Replay(Main([](OrchestrationContext& ctx) -> Task<> {
               EntityLock lock = co_await ctx.LockEntities(Ann());
               lock.Unlock();
               lock.Unlock();
               co_await ctx.CallEntity(Bob(), "x");
             }),
             history);
  EXPECT_THAT(Actions(response), ElementsAre("2: unlock @account@ann",
                                             "3: call x of @account@bob -"));
  EXPECT_EQ(response.actions(0)
                .sendentitymessage()
                .entityunlocksent()
                .criticalsectionid(),
            "old");
}

TEST(TurnEntities, LockMovesWithItsGuard) {
  const Registry registry = Main([](OrchestrationContext& ctx) -> Task<> {
    std::optional<EntityLock> kept;
    {
      EntityLock lock = co_await ctx.LockEntities(Ann());
      kept = std::move(lock);
    }
    ctx.SendEvent("x", "still locked");
    kept.reset();
    co_return;
  });
  const TurnHistory history = TurnHistory()
                                  .Turn(1)                   // 1
                                  .Started("Main")           // 2
                                  .LockRequested(1, {kAnn})  // 3
                                  .Turn(2)                   // 4
                                  .LockGranted(1);           // 5
  EXPECT_THAT(Actions(Replay(registry, history)),
              ElementsAre("2: event still locked to x -",
                          "3: unlock @account@ann", "4: end"));
}

TEST(TurnEntities, LockThatNobodyWaitsForEndsWhenItComes) {
  const Registry registry = Main([](OrchestrationContext& ctx) -> Task<> {
    {
      const Task<EntityLock> lock = ctx.LockEntities(Ann());
      const Task<> timer = ctx.CreateTimer(absl::Seconds(1));
      co_await WhenAny(lock, timer);
    }
    co_await ctx.WaitForEvent("on");
  });
  const TurnHistory history = TurnHistory()
                                  .Turn(1)                   // 1
                                  .Started("Main")           // 2
                                  .LockRequested(1, {kAnn})  // 3
                                  .Timer(2, 2)               // 4
                                  .Turn(2)                   // 5
                                  .Fired(2, 2)               // 6
                                  .Turn(3)                   // 7
                                  .LockGranted(1);           // 8
  EXPECT_THAT(Actions(Replay(registry, history)),
              ElementsAre("3: unlock @account@ann"));
}

TEST(TurnEntities, FailureUnlocksOnItsWay) {
  const Registry registry = Main([](OrchestrationContext& ctx) -> Task<> {
    const EntityLock lock = co_await ctx.LockEntities(Ann());
    throw std::runtime_error("no");
  });
  const TurnHistory history = TurnHistory()
                                  .Turn(1)                   // 1
                                  .Started("Main")           // 2
                                  .LockRequested(1, {kAnn})  // 3
                                  .Turn(2)                   // 4
                                  .LockGranted(1);           // 5
  EXPECT_THAT(Actions(Replay(registry, history)),
              ElementsAre("2: unlock @account@ann", "3: end"));
}

// What an orchestrator that has locked Ann gets for doing `act`.
template <typename Act>
std::string ErrorWhileLocked(Act act) {
  const Registry registry =
      Main([act](OrchestrationContext& ctx) -> Task<std::string> {
        const EntityLock lock = co_await ctx.LockEntities(Ann());
        std::string error;
        try {
          act(ctx);
        } catch (const EntityLockError& refused) {
          error = refused.what();
        }
        co_return error;
      });
  const TurnHistory history = TurnHistory()
                                  .Turn(1)                   // 1
                                  .Started("Main")           // 2
                                  .LockRequested(1, {kAnn})  // 3
                                  .Turn(2)                   // 4
                                  .LockGranted(1);           // 5
  return FromPayload<std::string>(
      Completion(Replay(registry, history)).result().value());
}

TEST(TurnEntities, WhileLockedOnlyTheLockedEntitiesAreCalled) {
  EXPECT_EQ(ErrorWhileLocked([](OrchestrationContext& ctx) {
              (void)ctx.CallEntity(Ann(), "x");
            }),
            "");
  EXPECT_EQ(ErrorWhileLocked([](OrchestrationContext& ctx) {
              (void)ctx.CallEntity(Bob(), "x");
            }),
            "entity \"@account@bob\" is not one of those that this "
            "orchestration has locked: \"@account@ann\". Until it unlocks "
            "them, it can call no other");
}

TEST(TurnEntities, WhileLockedAnEntityHasOneCallAtATime) {
  EXPECT_EQ(ErrorWhileLocked([](OrchestrationContext& ctx) {
              (void)ctx.CallEntity(Ann(), "x");
              (void)ctx.CallEntity(Ann(), "y");
            }),
            "a call of entity \"@account@ann\", which is locked, is "
            "outstanding: await it first");
}

TEST(TurnEntities, WhileLockedOnlyOtherEntitiesAreSignaled) {
  EXPECT_EQ(ErrorWhileLocked([](OrchestrationContext& ctx) {
              ctx.SignalEntity(Bob(), "x");
            }),
            "");
  EXPECT_EQ(ErrorWhileLocked([](OrchestrationContext& ctx) {
              ctx.SignalEntity(Ann(), "x");
            }),
            "entity \"@account@ann\" is locked by this orchestration: call it, "
            "or unlock it before you signal it");
}

TEST(TurnEntities, WhileLockedNoOthersAreLocked) {
  EXPECT_EQ(ErrorWhileLocked([](OrchestrationContext& ctx) {
              (void)ctx.LockEntities(Bob());
            }),
            "this orchestration has locked \"@account@ann\": unlock them "
            "before you lock others");
}

TEST(TurnEntities, WhileLockedThereAreNoSubOrchestrations) {
  const char kError[] =
      "this orchestration has locked \"@account@ann\": unlock them before you "
      "call sub-orchestration \"Ship\"";
  EXPECT_EQ(ErrorWhileLocked([](OrchestrationContext& ctx) {
              (void)ctx.CallSubOrchestrator("Ship");
            }),
            kError);
  EXPECT_EQ(ErrorWhileLocked([](OrchestrationContext& ctx) {
              (void)ctx.CallActivity("Pay");
              (void)ctx.CreateTimer(absl::Seconds(1));
            }),
            "");
}

TEST(TurnEntities, NoEntityIsCalledWhileTheLockIsAwaited) {
  const Registry registry = Main([](OrchestrationContext& ctx) -> Task<> {
    Task<EntityLock> lock = ctx.LockEntities(Ann());
    co_await ctx.CallEntity(Ann(), "x");
  });
  EXPECT_THAT(Replay(registry, TurnHistory().Turn(1).Started("Main")),
              FailsWith("leasehold::worker::EntityLockError",
                        "await the lock of \"@account@ann\" before you call "
                        "entity \"@account@ann\""));
}

TEST(TurnEntities, NothingCannotBeLocked) {
  const Registry registry = Main([](OrchestrationContext& ctx) -> Task<> {
    const std::vector<EntityId> none;
    const EntityLock lock = co_await ctx.LockEntities(none);
  });
  EXPECT_THAT(Replay(registry, TurnHistory().Turn(1).Started("Main")),
              FailsWith("std::invalid_argument",
                        "LockEntities: name at least one entity"));
}

// ---- Other code than the history's ------------------------------------------

template <typename Code>
std::string Difference(Code code, const TurnHistory& history) {
  return Completion(RunLastTurn(Main(code), history))
      .failuredetails()
      .errormessage();
}

TEST(TurnEntities, AnotherOperationIsFound) {
  const TurnHistory history = TurnHistory()
                                  .Turn(1)                    // 1
                                  .Started("Main", "3")       // 2
                                  .Called(1, kAnn, "credit")  // 3
                                  .Turn(2)                    // 4
                                  .Answered(1, "5");          // 5
  EXPECT_THAT(Difference(&Deposit, history),
              HasSubstr("the history has \"task 1: operation \"credit\" of "
                        "entity \"@account@ann\" was called\", the code now "
                        "calls operation \"balance\" of entity "
                        "\"@account@ann\""));
}

TEST(TurnEntities, AnotherEntityIsFound) {
  const TurnHistory history = TurnHistory()
                                  .Turn(1)                       // 1
                                  .Started("Main", "3")          // 2
                                  .Signaled(1, kBob, "balance")  // 3
                                  .Turn(2);                      // 4
  EXPECT_THAT(Difference(&Deposit, history),
              HasSubstr("the history has \"task 1: operation \"balance\" of "
                        "entity \"@account@bob\" was signaled\", the code now "
                        "calls operation \"balance\""));
}

TEST(TurnEntities, AnotherLockIsFound) {
  const TurnHistory history = TurnHistory()
                                  .Turn(1)                   // 1
                                  .Started("Main")           // 2
                                  .LockRequested(1, {kAnn})  // 3
                                  .Turn(2);                  // 4
  EXPECT_THAT(Difference(&Transfer, history),
              HasSubstr("the history has \"task 1: the lock of "
                        "\"@account@ann\" was requested\", the code now "
                        "requests the lock of \"@account@ann\", "
                        "\"@account@bob\""));
}

TEST(TurnEntities, MissingUnlockIsFound) {
  const TurnHistory history = Transferred().Timer(4, 5).Turn(5);
  EXPECT_THAT(Difference(&Transfer, history),
              HasSubstr("the history has \"task 4: a timer was created\", the "
                        "code now unlocks entity \"@account@ann\""));
}

TEST(TurnEntities, WhatItWaitsForHasAName) {
  const auto waits = [](auto code) {
    return internal::WaitsOf(
               Main(code), TurnHistory().Turn(1).Started("Main").Request(2, 2))
        .at(0)
        .what;
  };
  EXPECT_EQ(waits(&Both), "operation \"balance\" of entity \"@account@ann\"");
  EXPECT_EQ(waits(&Transfer), "the lock of \"@account@ann\", \"@account@bob\"");
}

}  // namespace
}  // namespace leasehold::worker
