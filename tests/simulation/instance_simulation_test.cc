// Registry, leases and provider in seeded worlds, compared with a small model.
//
// A failure prints its seed and the last steps of that world.

#include "gtest/gtest.h"
#include "tests/simulation/instance_world.h"
#include "tests/support/seed.h"

namespace leasehold {
namespace {

TEST(InstanceSimulation, EveryWorldKeepsEveryPromise) {
  WorldCounts counts;
  ForEachSeed(10'000, [&counts](Random& random) {
    const WorldResult result = RunInstanceWorld(random, counts);
    if (!result.violation.has_value()) return;
    ADD_FAILURE() << RuleName(result.violation->rule) << ": "
                  << result.violation->what
                  << "\nthe last steps (ns, what, of which):\n"
                  << result.trace;
  });
}

// Goal: the worlds reach the difficult cases. Method: count them over a
// thousand.
TEST(InstanceSimulation, WorldsGoWhereItHurts) {
  WorldCounts counts;
  for (uint64_t seed = 1; seed <= 1'000; ++seed) {
    Random random(seed);
    RunInstanceWorld(random, counts);
  }
  EXPECT_GT(counts.steps, 100'000u);
  EXPECT_GT(counts.contexts, 5'000u);
  EXPECT_GT(counts.expired, 1'000u);
  EXPECT_GT(counts.granted_after_wait, 1'000u);
  EXPECT_GT(counts.waits_for_closing, 1'000u);
  EXPECT_GT(counts.waits_cancelled, 500u);
  EXPECT_GT(counts.openings_failed, 100u);
  EXPECT_GT(counts.openers_cancelled, 100u);
  EXPECT_GT(counts.hooks_later, 1'000u);
  EXPECT_GT(counts.hooks_failed, 500u);
  EXPECT_GT(counts.removed, 100u);
  EXPECT_GT(counts.released, 100u);
  EXPECT_GT(counts.released_by_force, 100u);
  EXPECT_GT(counts.kept_alive, 100u);
  EXPECT_GT(counts.evicted, 100u);
  EXPECT_GT(counts.waits_for_hanging, 100u);
  EXPECT_GT(counts.refused_hanging, 50u);
  EXPECT_GT(counts.refused_full, 100u);
  EXPECT_GT(counts.refused_shutdown, 100u);
  EXPECT_GT(counts.vetoes, 100u);
  EXPECT_GT(counts.callbacks_late, 100u);
  EXPECT_GT(counts.uses_while_asked, 20u);
  EXPECT_GT(counts.closes_while_asked, 5u);
  EXPECT_GT(counts.shutdowns_midway, 100u);
}

}  // namespace
}  // namespace leasehold
