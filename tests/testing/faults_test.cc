// Failures, deaths and restarts on demand, and by chance.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "client/testing/test_environment.h"
#include "tests/testing/testing_code.h"

namespace leasehold::testkit {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string Echo(int i) { return std::to_string(i); }

// One chain of two steps, whose first call meets with `fault`: how often the
// code ran.
int CallsWith(WorkerFault fault) {
  TestEnvironment env;
  env.AddOrchestrator("Chain", &Chain);
  const ActivityScript& step =
      env.FakeActivity("Step", &Echo).DisturbNext(1, fault);
  EXPECT_EQ(env.Start("Chain", 2).Output<std::string>(), "12");
  return step.calls();
}

TEST(Faults, ADeadWorkersActivityRunsElsewhere) {
  EXPECT_EQ(CallsWith(WorkerFault::kDiesBefore), 2);
}

TEST(Faults, AnActivityWhoseAnswerIsLostRunsAgain) {
  EXPECT_EQ(CallsWith(WorkerFault::kAnswerLost), 3);
}

TEST(Faults, AnAnswerThatComesTooLateChangesNothing) {
  EXPECT_EQ(CallsWith(WorkerFault::kAnswerLate), 3);
}

TEST(Faults, AnAnswerThatComesTwiceChangesNothing) {
  EXPECT_EQ(CallsWith(WorkerFault::kAnswerTwice), 2);
}

TEST(Faults, ScriptedFailuresComeInOrder) {
  TestEnvironment env;
  env.AddOrchestrator(
      "Retried", [](OrchestrationContext& context) -> Task<std::string> {
        const RetryPolicy retry(10, absl::Seconds(1));
        co_return co_await context.CallActivity<std::string>("Step", 7, retry);
      });
  const ActivityScript& step = env.FakeActivity("Step", &Echo)
                                   .FailNext(2, "first")
                                   .DisturbNext(1, WorkerFault::kAnswerLost)
                                   .FailNext(1, "last");
  EXPECT_EQ(env.Start("Retried").Output<std::string>(), "7");
  EXPECT_EQ(step.calls(), 5);
  // The call that was lost runs again and fails: that is no retry.
  EXPECT_EQ(absl::Floor(env.Elapsed(), absl::Seconds(1)), absl::Seconds(3));
}

TEST(Faults, AFailureThatIsNotRetriableIsNotRetried) {
  TestEnvironment env;
  env.AddOrchestrator("Chain", &Chain);
  worker::TaskFailure failure;
  failure.error_type = "NoMoney";
  failure.error_message = "broke";
  failure.is_non_retriable = true;
  env.FakeActivity("Step", &Echo).FailNext(1, failure);
  EXPECT_THAT(env.Start("Chain", 1).Failure().error_message,
              HasSubstr("NoMoney: broke"));
}

TEST(Faults, ATurnTakesEffectOnceWhateverHappensToItsWorker) {
  for (const WorkerFault fault :
       {WorkerFault::kDiesBefore, WorkerFault::kAnswerLost,
        WorkerFault::kAnswerLate, WorkerFault::kAnswerTwice}) {
    TestEnvironment env;
    env.AddOrchestrator("Chain", &Chain);
    const ActivityScript& step = env.FakeActivity("Step", &Echo);
    env.DisturbNextTurn(fault);
    env.DisturbNextTurn(fault);
    EXPECT_EQ(env.Start("Chain", 2).Output<std::string>(), "12");
    EXPECT_EQ(step.calls(), 2);
  }
}

TEST(Faults, WorkersCanDieInTheMiddle) {
  TestEnvironment env;
  env.AddOrchestrator("Chain", &Chain);
  const ActivityScript& step =
      env.FakeActivity("Step", &Echo).Takes(absl::Hours(1));
  const TestOrchestration chain = env.Start("Chain", 2);
  env.Advance(absl::Minutes(30));
  env.KillWorkers();
  EXPECT_EQ(chain.Output<std::string>(), "12");
  EXPECT_EQ(step.calls(), 2);  // The first began twice, and ran once.
  EXPECT_EQ(env.Elapsed(), absl::Minutes(30) + absl::Hours(2));
}

TEST(Faults, AServerThatIsKilledContinues) {
  TestEnvironment env;
  env.AddOrchestrator("Approval", &Approval);
  const TestOrchestration approval = env.Start("Approval", 24);
  env.Advance(absl::Hours(20));
  env.RestartServer();
  EXPECT_EQ(approval.Status(), "RUNNING");
  EXPECT_EQ(approval.CustomStatus<std::string>(), "asked");
  EXPECT_EQ(approval.Output<std::string>(), "nobody answered");
  EXPECT_EQ(env.Elapsed(), absl::Hours(24));
}

TEST(Faults, WhatWasAcknowledgedSurvivesAServerThatIsKilled) {
  TestEnvironment env;
  env.AddOrchestrator("Approval", &Approval);
  const TestOrchestration approval = env.Start("Approval", 24);
  approval.RaiseEvent("approved", false);
  env.RestartServer();
  EXPECT_EQ(approval.Output<std::string>(), "refused");
}

TEST(Faults, ByChanceTheyChangeNoOutput) {
  for (const uint64_t seed : Seeds(30)) {
    SCOPED_TRACE(seed);
    TestEnvironment env(
        {.seed = seed, .fault_chance = 0.2, .restart_chance = 0.02});
    env.AddOrchestrator("Chain", &Chain);
    env.AddOrchestrator("Parent", &Parent);
    env.AddOrchestrator("Child", &Chain);
    env.FakeActivity("Step", &Echo);
    const TestOrchestration chain = env.Start("Chain", 5);
    const TestOrchestration parent = env.Start("Parent");
    env.RunUntilIdle();
    EXPECT_EQ(chain.Output<std::string>(), "12345");
    EXPECT_EQ(parent.Output<std::string>(), "1234567");
  }
}

// ---- Seeds ------------------------------------------------------------------

// The order in which three activities were done, and all histories.
std::vector<std::string> RaceOf(uint64_t seed) {
  TestEnvironment env(
      {.seed = seed, .fault_chance = 0.1, .restart_chance = 0.01});
  env.AddOrchestrator("Race", &Race);
  env.FakeActivity("Step", &Echo);
  const TestOrchestration race = env.Start("Race", 3);
  const std::string order = race.Output<std::string>();
  std::vector<std::string> all = race.History();
  all.insert(all.begin(), order);
  return all;
}

TEST(Seeds, TheSameSeedGivesTheSameHistory) {
  for (const uint64_t seed : Seeds(10)) EXPECT_EQ(RaceOf(seed), RaceOf(seed));
}

TEST(Seeds, DifferentSeedsGiveDifferentOrders) {
  std::set<std::string> orders;
  for (uint64_t seed = 1; seed <= 60; ++seed) orders.insert(RaceOf(seed)[0]);
  EXPECT_THAT(orders, ElementsAre("123", "132", "213", "231", "312", "321"));
}

TEST(Seeds, OneCanBeChosenFromOutside) {
  EXPECT_THAT(Seeds(3), ElementsAre(1, 2, 3));
  ASSERT_EQ(setenv("LEASEHOLD_SEED", "77", 1), 0);
  EXPECT_THAT(Seeds(3), ElementsAre(77));
  ASSERT_EQ(setenv("LEASEHOLD_SEED", "x", 1), 0);
  EXPECT_THROW(Seeds(3), TestError);
  ASSERT_EQ(unsetenv("LEASEHOLD_SEED"), 0);
}

}  // namespace
}  // namespace leasehold::testkit
