// What client/worker/README.md and client/testing/README.md quote.
#include <gtest/gtest.h>

#include <string>

#include "client/testing/test_environment.h"
#include "client/worker/orchestration_context.h"

namespace {

using leasehold::testkit::ActivityScript;
using leasehold::testkit::Seeds;
using leasehold::testkit::TestEnvironment;
using leasehold::testkit::TestOrchestration;
using leasehold::testkit::WorkerFault;
using leasehold::worker::OrchestrationContext;
using leasehold::worker::RetryPolicy;
using leasehold::worker::Task;

Task<std::string> Checkout(OrchestrationContext& context, std::string order) {
  const RetryPolicy retry(5, absl::Minutes(1));
  auto paid =
      co_await context.CallActivity<std::string>("Charge", order, retry);
  co_return co_await context.CallActivity<std::string>("Ship", paid);
}

TEST(Checkout, ChargesAgainUntilItSucceeds) {
  TestEnvironment env;
  env.AddOrchestrator("Checkout", &Checkout);
  env.FakeActivity("Charge", [] { return "paid"; }).FailNext(2);
  env.FakeActivity("Ship", [](std::string paid) { return paid + ", shipped"; });

  const TestOrchestration checkout = env.Start("Checkout", "tea");

  EXPECT_EQ(checkout.Output<std::string>(), "paid, shipped");
  EXPECT_EQ(env.Activity("Charge").calls(), 3);
  EXPECT_GE(env.Elapsed(), absl::Minutes(2));
}

TEST(Checkout, SurvivesItsWorkersAndItsServer) {
  for (const uint64_t seed : Seeds(20)) {
    SCOPED_TRACE(seed);
    TestEnvironment env(
        {.seed = seed, .fault_chance = 0.1, .restart_chance = 0.01});
    env.AddOrchestrator("Checkout", &Checkout);
    env.FakeActivity("Charge", [] { return "paid"; });
    env.FakeActivity("Ship", [](std::string paid) { return paid + "!"; });
    EXPECT_EQ(env.Start("Checkout", "tea").Output<std::string>(), "paid!");
  }
}

TEST(Checkout, IsChargedTwiceIfTheFirstAnswerIsLost) {
  TestEnvironment env;
  env.AddOrchestrator("Checkout", &Checkout);
  ActivityScript& charge = env.FakeActivity("Charge", [] { return "paid"; })
                               .DisturbNext(1, WorkerFault::kAnswerLost);
  env.FakeActivity("Ship", [] { return "shipped"; });
  EXPECT_EQ(env.Start("Checkout", "tea").Output<std::string>(), "shipped");
  EXPECT_EQ(charge.calls(), 2);
}

}  // namespace
