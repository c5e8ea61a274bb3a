#include "service/host/line_budget.h"

#include <cstdint>

#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "tests/support/simulated_clock.h"

namespace leasehold {
namespace {

TEST(LineBudget, LinesBeyondTheBoundAreCountedAndToldInTheNextSpan) {
  SimulatedClock clock;
  LineBudget budget(clock, /*lines=*/2, absl::Seconds(10));
  uint64_t left_out = 7;
  EXPECT_TRUE(budget.Admit(left_out));
  EXPECT_EQ(left_out, 0);
  EXPECT_TRUE(budget.Admit(left_out));
  EXPECT_FALSE(budget.Admit(left_out));
  clock.Advance(absl::Seconds(9));
  EXPECT_FALSE(budget.Admit(left_out));
  EXPECT_EQ(left_out, 0);
  clock.Advance(absl::Seconds(1));
  EXPECT_TRUE(budget.Admit(left_out));
  EXPECT_EQ(left_out, 2);
  EXPECT_TRUE(budget.Admit(left_out));
  EXPECT_EQ(left_out, 0);  // Told once.
  EXPECT_FALSE(budget.Admit(left_out));
}

}  // namespace
}  // namespace leasehold
