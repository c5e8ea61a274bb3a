// Tests of the orchestrators of these examples: no server, no waiting.
#include <gtest/gtest.h>

#include <string>

#include "bank.h"
#include "chain.h"
#include "eternal_counter.h"
#include "fan_out.h"
#include "human_interaction.h"
#include "leasehold/client/testing/test_environment.h"

// Its twenty lines are one file; only a function of the name main returns 0 by
// itself.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wreturn-type"
#define main HelloWorkerMain
#include "hello_worker.cc"
#undef main
#pragma GCC diagnostic pop

namespace {

using leasehold::testkit::Seeds;
using leasehold::testkit::TestEntity;
using leasehold::testkit::TestEnvironment;
using leasehold::testkit::TestOrchestration;

TEST(HelloWorker, GreetsEachCity) {
  TestEnvironment env;
  env.AddOrchestrator("Greetings", &Greetings);
  env.FakeActivity("Hello", [](std::string name) { return "Hi " + name; });
  EXPECT_EQ(env.Start("Greetings").Output<std::string>(),
            "Hi Tokyo Hi Seattle Hi London ");
}

TEST(Chain, HandsEachResultToTheNextActivity) {
  TestEnvironment env;
  env.AddOrchestrator("Greeting", &Greeting);
  env.AddActivity("Greet", &Greet);
  env.FakeActivity("Shout", [](std::string text) { return text + "?"; });
  EXPECT_EQ(env.Start("Greeting", "Ada").Output<std::string>(), "Hello, Ada?");
}

TEST(Chain, FailsWithItsActivity) {
  TestEnvironment env;
  env.AddOrchestrator("Greeting", &Greeting);
  env.FakeActivity("Greet", &Greet).FailNext(1, "hoarse");
  const auto failure = env.Start("Greeting", "Ada").Failure();
  EXPECT_NE(failure.error_message.find("hoarse"), std::string::npos);
}

// Exported from a server: leasehold orchestration history ID --export=FILE
TEST(Chain, StillDoesWhatItDidInProduction) {
  TestEnvironment env;
  env.AddOrchestrator("Greeting", &Greeting);
  EXPECT_EQ(env.ReplayFile(EXAMPLES "/chain.history"), absl::OkStatus());
}

TEST(FanOut, AddsUpInAnyOrder) {
  for (const uint64_t seed : Seeds(20)) {
    TestEnvironment env({.seed = seed, .fault_chance = 0.1});
    env.AddOrchestrator("SumOfSquares", &SumOfSquares);
    env.AddActivity("Square", &Square);
    EXPECT_EQ(env.Start("SumOfSquares", 10).Output<int>(), 385) << seed;
  }
}

TEST(HumanInteraction, AnAnswerInTimeCounts) {
  TestEnvironment env;
  env.AddOrchestrator("Approval", &Approval);
  const TestOrchestration approval = env.Start("Approval", 60'000);
  env.Advance(absl::Seconds(59));
  EXPECT_EQ(approval.CustomStatus<std::string>(), "asked");
  approval.RaiseEvent("decision", true);
  EXPECT_EQ(approval.Output<std::string>(), "approved");
}

TEST(HumanInteraction, NobodyAnswersForever) {
  TestEnvironment env;
  env.AddOrchestrator("Approval", &Approval);
  EXPECT_EQ(env.Start("Approval", 60'000).Output<std::string>(),
            "nobody answered");
  EXPECT_EQ(env.Elapsed(), absl::Minutes(1));
}

TEST(EternalCounter, CountsAcrossRestartsOfTheServer) {
  TestEnvironment env;
  env.AddOrchestrator("Tally", &Tally);
  const TestOrchestration tally = env.Start("Tally", 0);
  tally.RaiseEvent("operation", "incr");
  env.Settle();
  env.RestartServer();
  tally.RaiseEvent("operation", "incr");
  env.Settle();
  EXPECT_EQ(tally.CustomStatus<int>(), 2);
  EXPECT_EQ(tally.WaitsFor(), "event \"operation\"");
  tally.RaiseEvent("operation", "end");
  EXPECT_EQ(tally.Output<int>(), 2);
}

TEST(Transfer, HasBothAccountsToItself) {
  TestEnvironment env;
  env.AddEntity("Account", AccountEntity());
  env.AddEntity("Ledger", &Ledger);
  env.AddOrchestrator("Transfer", &Transfer);
  const TestEntity ann = env.Entity("Account", "ann");
  ann.Call("deposit", 100);

  env.Start("Transfer", Payment{"ann", "bob", 30}).AwaitEnd();
  env.Settle();

  EXPECT_EQ(ann.State<Account>().balance, 70);
  EXPECT_EQ(env.Entity("Account", "bob").State<Account>().balance, 30);
  EXPECT_EQ(env.Entity("Ledger", "transfers").State<int>(), 1);
  EXPECT_EQ(ann.LockedBy(), "");
}

TEST(Transfer, StillDoesWhatItDidInProduction) {
  TestEnvironment env;
  env.AddOrchestrator("Transfer", &Transfer);
  EXPECT_EQ(env.ReplayFile(EXAMPLES "/bank.history"), absl::OkStatus());
}

TEST(Transfer, FailsWithoutMoneyAndUnlocks) {
  TestEnvironment env;
  env.AddEntity("Account", AccountEntity());
  env.AddOrchestrator("Transfer", &Transfer);
  const auto failure =
      env.Start("Transfer", Payment{"ann", "bob", 30}).Failure();
  EXPECT_NE(failure.error_message.find("too little"), std::string::npos);
  env.Settle();
  EXPECT_EQ(env.Entity("Account", "bob").LockedBy(), "");
}

TEST(Transfer, NoMoneyIsLostInAnyOrder) {
  for (const uint64_t seed : Seeds(20)) {
    TestEnvironment env({.seed = seed, .fault_chance = 0.1});
    env.AddEntity("Account", AccountEntity());
    env.AddEntity("Ledger", &Ledger);
    env.AddOrchestrator("Transfer", &Transfer);
    env.Entity("Account", "ann").Call("deposit", 10);
    env.Entity("Account", "bob").Call("deposit", 10);
    const auto there = env.Start("Transfer", Payment{"ann", "bob", 3});
    const auto back = env.Start("Transfer", Payment{"bob", "ann", 5});
    there.AwaitEnd();
    back.AwaitEnd();
    env.Settle();
    EXPECT_EQ(env.Entity("Account", "ann").State<Account>().balance, 12);
    EXPECT_EQ(env.Entity("Account", "bob").State<Account>().balance, 8);
  }
}

}  // namespace
