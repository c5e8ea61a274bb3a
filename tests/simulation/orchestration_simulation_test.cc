// Orchestrations in seeded worlds whose disk loses power: whatever was
// acknowledged is there, and nothing is there in part. The same check finds the
// losses when less is made durable.
//
// A failure prints its seed and the last steps of that world.

#include "gtest/gtest.h"
#include "tests/simulation/orchestration_world.h"
#include "tests/support/seed.h"

namespace leasehold {
namespace {

TEST(OrchestrationSimulation, NothingAcknowledgedIsLostWithThePower) {
  WorldCounts counts;
  ForEachSeed(1'000, [&counts](Random& random) {
    const auto violation =
        RunOrchestrationWorld(random, Durability::kFull, counts);
    if (violation.has_value()) ADD_FAILURE() << *violation;
  });
}

// In how many of `worlds` something was lost.
int Losing(Durability durability, int worlds) {
  WorldCounts counts;
  int losing = 0;
  for (int seed = 1; seed <= worlds; ++seed) {
    Random random(seed);
    losing += RunOrchestrationWorld(random, durability, counts) ? 1 : 0;
  }
  return losing;
}

TEST(OrchestrationSimulation, WithoutASyncACommitTheSameCheckFindsALoss) {
  EXPECT_GT(Losing(Durability::kNormal, 100), 20);
}

TEST(OrchestrationSimulation, WithoutAnySyncTheSameCheckFindsALoss) {
  EXPECT_GT(Losing(Durability::kOff, 100), 20);
}

// Goal: the worlds reach the difficult cases. Method: count them over a few
// hundred.
TEST(OrchestrationSimulation, WorldsGoWhereItHurts) {
  WorldCounts counts;
  for (uint64_t seed = 1; seed <= 500; ++seed) {
    Random random(seed);
    RunOrchestrationWorld(random, Durability::kFull, counts);
  }
  EXPECT_GT(counts.steps, 10'000u);
  EXPECT_GT(counts.starts, 500u);
  EXPECT_GT(counts.refused, 100u);
  EXPECT_GT(counts.events, 200u);
  EXPECT_GT(counts.turns, 1'000u);
  EXPECT_GT(counts.activities, 200u);
  EXPECT_GT(counts.purges, 10u);
  EXPECT_GT(counts.rewinds, 50u);
  EXPECT_GT(counts.wipes, 200u);
  EXPECT_GT(counts.ended, 300u);
  EXPECT_GT(counts.signals, 300u);
  EXPECT_GT(counts.entity_answers, 300u);
  EXPECT_GT(counts.sections, 100u);
  EXPECT_GT(counts.power_losses, 300u);
  EXPECT_GT(counts.unknown, 300u);
  EXPECT_GT(counts.store_failures, 50u);
  EXPECT_GT(counts.recoveries, 20u);
  EXPECT_GT(counts.late, 20u);
}

}  // namespace
}  // namespace leasehold
