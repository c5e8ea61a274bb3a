// Virtual time: it passes when there is nothing else to do.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "client/testing/test_environment.h"
#include "tests/testing/testing_code.h"

namespace leasehold::testkit {
namespace {

using ::testing::HasSubstr;

std::string Echo(int i) { return std::to_string(i); }

TEST(VirtualTime, ATimerOfADayTakesNoTime) {
  TestEnvironment env;
  env.AddOrchestrator("Approval", &Approval);
  EXPECT_EQ(env.Start("Approval", 24).Output<std::string>(), "nobody answered");
  EXPECT_EQ(env.Elapsed(), absl::Hours(24));
}

TEST(VirtualTime, AdvanceFiresWhatIsDueWhenItIsDue) {
  TestEnvironment env;
  env.AddOrchestrator("Calendar", &Calendar);
  const TestOrchestration calendar = env.Start("Calendar", 1);
  env.Advance(absl::Hours(24) * 10 - absl::Seconds(1));
  EXPECT_EQ(calendar.CustomStatus<int>(), 10);
  EXPECT_EQ(env.Elapsed(), absl::Hours(24) * 10 - absl::Seconds(1));
  env.Advance(absl::Seconds(2));
  EXPECT_EQ(calendar.CustomStatus<int>(), 11);
  EXPECT_EQ(calendar.WaitsFor(), "a timer (task 1)");
}

TEST(VirtualTime, SettlingLetsNoTimePass) {
  TestEnvironment env;
  env.AddOrchestrator("Approval", &Approval);
  const TestOrchestration approval = env.Start("Approval", 24);
  env.Settle();
  EXPECT_EQ(approval.Status(), "RUNNING");
  EXPECT_EQ(env.Elapsed(), absl::ZeroDuration());
}

TEST(VirtualTime, ItMovesUntilNothingIsDue) {
  TestEnvironment env;
  env.AddOrchestrator("Approval", &Approval);
  env.AddOrchestrator("Waiting", &Waiting);
  const TestOrchestration waiting = env.Start("Waiting");
  const TestOrchestration one = env.Start("Approval", 1);
  const TestOrchestration other = env.Start("Approval", 5);
  env.RunUntilIdle();
  EXPECT_EQ(env.Elapsed(), absl::Hours(5));
  EXPECT_EQ(one.Status(), "COMPLETED");
  EXPECT_EQ(other.Status(), "COMPLETED");
  EXPECT_EQ(waiting.Status(), "RUNNING");
}

TEST(VirtualTime, OrchestratorsReadIt) {
  const absl::Time start = absl::FromUnixSeconds(1'900'000'000);
  TestEnvironment env({.start = start});
  env.AddOrchestrator("When", [](OrchestrationContext& context) -> Task<int> {
    co_await context.CreateTimer(absl::Hours(1));
    co_return static_cast<int>(absl::ToUnixSeconds(context.Now()));
  });
  EXPECT_EQ(env.Start("When").Output<int>(), 1'900'003'600);
  EXPECT_EQ(env.Now(), start + absl::Hours(1));
}

TEST(VirtualTime, AnActivityCanTakeSome) {
  TestEnvironment env;
  env.AddOrchestrator("Chain", &Chain);
  env.AddOrchestrator("Race", &Race);
  env.FakeActivity("Step", &Echo).Takes(absl::Minutes(10));
  env.Start("Chain", 3).AwaitEnd();
  EXPECT_EQ(env.Elapsed(), absl::Minutes(30));
  env.Start("Race", 3).AwaitEnd();
  EXPECT_EQ(env.Elapsed(), absl::Minutes(40));
}

TEST(VirtualTime, AnOrchestrationCanStartLater) {
  TestEnvironment env;
  env.AddOrchestrator("Chain", &Chain);
  env.AddActivity("Step", &Echo);
  const TestOrchestration chain =
      env.Start("Chain", 1, {.after = absl::Hours(7)});
  env.Advance(absl::Hours(6));
  EXPECT_EQ(chain.Status(), "PENDING");
  EXPECT_EQ(chain.Output<std::string>(), "1");
  EXPECT_EQ(env.Elapsed(), absl::Hours(7));
}

TEST(VirtualTime, WhatLivesForEverEndsTheRunWithAnError) {
  TestEnvironment env({.time_max = absl::Hours(24 * 30)});
  env.AddOrchestrator("Calendar", &Calendar);
  env.Start("Calendar", 1);
  try {
    env.RunUntilIdle();
    FAIL() << "it came to rest";
  } catch (const TestError& error) {
    EXPECT_THAT(error.what(), HasSubstr("did not come to rest within 720h of "
                                        "virtual time"));
  }
}

TEST(VirtualTime, WhatNeverWaitsEndsTheRunWithAnError) {
  TestEnvironment env({.turns_max = 100});
  env.AddOrchestrator("Spin", &Spin);
  env.Start("Spin", 1);
  try {
    env.Settle();
    FAIL() << "it came to rest";
  } catch (const TestError& error) {
    EXPECT_THAT(error.what(), HasSubstr("did not come to rest within 100 "
                                        "turns"));
  }
}

}  // namespace
}  // namespace leasehold::testkit
