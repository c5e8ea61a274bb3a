// Entities in the kit: real ones and fakes, signals, locks and time.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "client/testing/test_environment.h"
#include "client/worker/entity_class.h"
#include "client/worker/entity_context.h"
#include "client/worker/orchestration_context.h"
#include "tests/testing/testing_code.h"

namespace leasehold::testkit {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsSupersetOf;
using worker::EntityClass;
using worker::EntityContext;
using worker::EntityId;
using worker::EntityLock;
using worker::NoInput;

struct Account {
  int64_t balance = 0;

  int64_t Deposit(int64_t amount) {
    if (amount < 0) throw std::invalid_argument("less than nothing");
    return balance += amount;
  }
  int64_t Balance() const { return balance; }
  void Later(EntityContext& entity, int seconds) {
    entity.SignalEntity(
        entity.id(), "deposit", 1,
        absl::FromCivil(absl::CivilSecond(2020, 1, 1), absl::UTCTimeZone()) +
            absl::Seconds(seconds));
  }
  std::string Starts(EntityContext& entity, const std::string& name) const {
    return entity.StartOrchestration(name);
  }
  NLOHMANN_DEFINE_TYPE_INTRUSIVE(Account, balance)
};

EntityClass<Account> Accounts() {
  return EntityClass<Account>()
      .Operation("deposit", &Account::Deposit)
      .Operation("balance", &Account::Balance)
      .Operation("later", &Account::Later)
      .Operation("starts", &Account::Starts);
}

EntityId Ann() { return {"Account", "ann"}; }
EntityId Bob() { return {"Account", "bob"}; }

TEST(TestEntities, AreCalledAndKeepTheirState) {
  TestEnvironment env;
  env.AddEntity("Account", Accounts());
  const TestEntity ann = env.Entity("Account", "ann");
  EXPECT_FALSE(ann.Exists());
  EXPECT_EQ(ann.Call<int>("balance"), 0);
  EXPECT_FALSE(ann.Exists());
  EXPECT_EQ(ann.Call<int>("deposit", 5), 5);
  ann.Call("deposit", 2);
  EXPECT_EQ(ann.State<Account>().balance, 7);
  EXPECT_FALSE(env.Entity(Bob()).Exists());
  ann.Call("delete");
  EXPECT_FALSE(ann.Exists());
}

TEST(TestEntities, FailedOperationIsAFailure) {
  TestEnvironment env;
  env.AddEntity("Account", Accounts());
  const TestEntity ann = env.Entity(Ann());
  const worker::TaskFailure failure = ann.Failure("deposit", -1);
  EXPECT_EQ(failure.error_type, "std::invalid_argument");
  EXPECT_EQ(failure.error_message, "less than nothing");
  EXPECT_THAT(ann.Failure("rob").error_message, HasSubstr("\"balance\""));
  EXPECT_THAT(ErrorOf([&] { ann.Call("rob"); }),
              HasSubstr("has no operation \"rob\""));
  EXPECT_THAT(ErrorOf([&] { ann.Call<std::string>("balance"); }),
              HasSubstr("has answered otherwise"));
  EXPECT_THAT(ErrorOf([&] { ann.State<Account>(); }),
              HasSubstr("entity \"@account@ann\" has no state"));
}

TEST(TestEntities, SignalsRunInOrderOnceTheEnvironmentRuns) {
  TestEnvironment env;
  std::vector<int> seen;
  env.FakeEntity("Account", [&seen](EntityContext& entity) {
    seen.push_back(entity.Input<int>());
  });
  for (int i = 1; i <= 5; ++i) env.Entity(Ann()).Signal("x", i);
  EXPECT_EQ(env.Entity(Ann()).Waiting(), 5u);
  env.Settle();
  EXPECT_THAT(seen, ElementsAre(1, 2, 3, 4, 5));
  EXPECT_EQ(env.Entity(Ann()).Waiting(), 0u);
}

TEST(TestEntities, ASignalForLaterComesInVirtualTime) {
  TestEnvironment env;
  env.AddEntity("Account", Accounts());
  const TestEntity ann = env.Entity(Ann());
  ann.Signal("deposit", 5, absl::Hours(24));
  ann.Signal("later", 3600);
  env.Settle();
  EXPECT_EQ(ann.State<Account>().balance, 0);
  env.Advance(absl::Hours(2));
  EXPECT_EQ(ann.State<Account>().balance, 1);
  env.RunUntilIdle();
  EXPECT_EQ(ann.State<Account>().balance, 6);
  EXPECT_GE(env.Elapsed(), absl::Hours(24));
}

TEST(TestEntities, StartOrchestrations) {
  TestEnvironment env;
  env.AddEntity("Account", Accounts());
  env.AddOrchestrator("Waiting", &Waiting);
  const auto id = env.Entity(Ann()).Call<std::string>("starts", "Waiting");
  env.Settle();
  EXPECT_EQ(env.Find(id).Status(), "RUNNING");
}

TEST(TestEntities, AFakeTakesThePlaceOfAnEntity) {
  TestEnvironment env;
  env.AddEntity("Account", Accounts());
  env.FakeEntity("ACCOUNT", [](EntityContext& entity) {
    return entity.id().key() + " " + entity.operation();
  });
  EXPECT_EQ(env.Entity(Ann()).Call<std::string>("balance"), "ann balance");
}

TEST(TestEntities, AnEntityThatIsMissingIsNamed) {
  TestEnvironment env;
  env.AddEntity("Tally", [](EntityContext&) {});
  env.Entity(Ann()).Signal("deposit", 1);
  EXPECT_THAT(ErrorOf([&] { env.Settle(); }),
              HasSubstr("this test has no entity \"account\"; it has tally"));
}

// ---- Orchestrations and locks -----------------------------------------------

// Moves 1 from one to the other, with both locked.
Task<int64_t> Move(OrchestrationContext& context,
                   std::vector<std::string> keys) {
  const EntityId from("Account", keys.at(0));
  const EntityId to("Account", keys.at(1));
  const EntityLock lock = co_await context.LockEntities(from, to);
  const auto had = co_await context.CallEntity<int64_t>(from, "balance");
  co_await context.CreateTimer(absl::Minutes(1));
  const auto gets = co_await context.CallEntity<int64_t>(to, "deposit", 1);
  co_return had + gets;
}

TEST(TestEntities, LocksAreHeldUntilTheirScopeEnds) {
  TestEnvironment env;
  env.AddEntity("Account", Accounts());
  env.AddOrchestrator("Move", &Move);
  const std::vector<std::string> keys = {"bob", "ann"};
  const TestOrchestration move = env.Start("Move", keys);
  env.Settle();
  EXPECT_EQ(env.Entity(Ann()).LockedBy(), move.id());
  EXPECT_EQ(env.Entity(Bob()).LockedBy(), move.id());
  env.Entity(Ann()).Signal("deposit", 10);
  env.Settle();
  EXPECT_EQ(env.Entity(Ann()).Waiting(), 1u);
  EXPECT_FALSE(env.Entity(Ann()).Exists());
  EXPECT_EQ(move.Output<int>(), 1);
  env.Settle();
  EXPECT_EQ(env.Entity(Ann()).LockedBy(), "");
  EXPECT_EQ(env.Entity(Ann()).State<Account>().balance, 11);
}

TEST(TestEntities, WhatAnOrchestrationWaitsForHasAName) {
  TestEnvironment env;
  env.AddEntity("Account", Accounts());
  env.AddOrchestrator("Move", &Move);
  env.AddOrchestrator("Lock", [](OrchestrationContext& context) -> Task<void> {
    const EntityLock lock = co_await context.LockEntities(Ann());
    co_await context.WaitForEvent<void>("go");
  });
  env.Start("Lock");
  env.Settle();
  const std::vector<std::string> keys = {"ann", "bob"};
  const TestOrchestration move = env.Start("Move", keys);
  env.Settle();
  EXPECT_EQ(move.WaitsFor(),
            "the lock of \"@account@ann\", \"@account@bob\" (task 1)");
  EXPECT_THAT(ErrorOf([&] { move.AwaitEnd(); }),
              HasSubstr("task 1: the lock of \"@account@ann\", "
                        "\"@account@bob\" was requested"));
}

TEST(TestEntities, TransfersBothWaysEndInEveryOrderAndWithFaults) {
  for (const uint64_t seed : Seeds(30)) {
    SCOPED_TRACE(seed);
    TestEnvironment env(
        {.seed = seed, .fault_chance = 0.1, .restart_chance = 0.005});
    env.AddEntity("Account", Accounts());
    env.AddOrchestrator("Move", &Move);
    const std::vector<std::string> there = {"ann", "bob"};
    const std::vector<std::string> back = {"bob", "ann"};
    std::vector<TestOrchestration> moves;
    for (int i = 0; i < 4; ++i) {
      moves.push_back(env.Start("Move", i % 2 == 0 ? there : back));
    }
    for (const TestOrchestration& move : moves) move.Output<int>();
    env.Settle();
    EXPECT_EQ(env.Entity(Ann()).State<Account>().balance, 2);
    EXPECT_EQ(env.Entity(Bob()).State<Account>().balance, 2);
    EXPECT_EQ(env.Entity(Ann()).LockedBy(), "");
  }
}

TEST(TestEntities, LocksEndWithTheirOrchestration) {
  TestEnvironment env;
  env.AddEntity("Account", Accounts());
  env.AddOrchestrator("Move", &Move);
  const std::vector<std::string> keys = {"ann", "bob"};
  const TestOrchestration move = env.Start("Move", keys);
  env.Settle();
  env.RestartServer();
  EXPECT_EQ(env.Entity(Ann()).LockedBy(), move.id());
  move.Terminate();
  env.Settle();
  EXPECT_EQ(env.Entity(Ann()).LockedBy(), "");
}

TEST(TestEntities, HistoriesSayWhatWasSent) {
  TestEnvironment env;
  env.AddEntity("Account", Accounts());
  env.AddOrchestrator("Main", [](OrchestrationContext& context) -> Task<void> {
    co_await context.CallEntity<int>(Ann(), "deposit", 5);
    context.SignalEntity(Bob(), "deposit", NoInput());
    const EntityLock lock = co_await context.LockEntities(Bob());
  });
  const TestOrchestration main = env.Start("Main");
  main.AwaitEnd();
  std::vector<std::string> lines;
  for (const std::string& line : main.History()) {
    lines.push_back(line.substr(line.find("  ") + 2));
  }
  EXPECT_THAT(
      lines, IsSupersetOf(std::vector<std::string>{
                 "task 1: operation \"deposit\" of entity \"@account@ann\" was "
                 "called, input 5",
                 "an operation completed, result 5",
                 "task 2: operation \"deposit\" of entity \"@account@bob\" was "
                 "signaled",
                 "task 3: the lock of \"@account@bob\" was requested",
                 "the lock was granted",
                 "task 4: entity \"@account@bob\" was "
                 "unlocked"}));
}

TEST(TestEntities, AnEntityThatNeverRestsIsStopped) {
  TestEnvironment env({.turns_max = 100});
  env.AddEntity("Loop", [](EntityContext& entity) {
    entity.SignalEntity(entity.id(), "again");
  });
  env.Entity("Loop", "x").Signal("again");
  EXPECT_THAT(ErrorOf([&] { env.Settle(); }), HasSubstr("turns_max"));
}

}  // namespace
}  // namespace leasehold::testkit
