#include "lease/clock.h"

#include <limits>

#include "gtest/gtest.h"

namespace leasehold {
namespace {

constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
constexpr int64_t kMin = std::numeric_limits<int64_t>::min();

TEST(Instant, AddsAndSubtractsToTheNanosecond) {
  EXPECT_EQ(Instant{5} + absl::Nanoseconds(7), Instant{12});
  EXPECT_EQ(Instant{5} + -absl::Nanoseconds(7), Instant{-2});
  EXPECT_EQ(Instant{5} - Instant{12}, -absl::Nanoseconds(7));
}

TEST(Instant, SumSaturatesAtBothEnds) {
  EXPECT_EQ(Instant{5} + absl::InfiniteDuration(), Instant::Infinite());
  EXPECT_EQ(Instant{kMax - 5} + absl::Nanoseconds(6), Instant::Infinite());
  EXPECT_EQ(Instant{kMin + 5} + -absl::Nanoseconds(6), Instant{kMin});
  EXPECT_EQ(Instant{-5} + -absl::InfiniteDuration(), Instant{kMin});
  EXPECT_EQ(Instant{kMax - 5} + absl::Nanoseconds(4), Instant{kMax - 1});
}

TEST(Instant, InfiniteStaysInfinite) {
  EXPECT_EQ(Instant::Infinite() + -absl::Hours(1), Instant::Infinite());
  EXPECT_EQ(Instant::Infinite() - Instant{5}, absl::InfiniteDuration());
  EXPECT_EQ(Instant{5} - Instant::Infinite(), -absl::InfiniteDuration());
}

TEST(Instant, DifferenceOfTheFarthestIsExact) {
  EXPECT_EQ(Instant{kMax - 1} - Instant{kMin}, absl::Nanoseconds(kMax - 1) +
                                                   absl::Nanoseconds(kMax) +
                                                   absl::Nanoseconds(1));
}

TEST(RealClock, NeverGoesBackAndIsNotNegative) {
  const RealClock clock;
  Instant last{0};
  for (int i = 0; i < 1000; ++i) {
    const Instant now = clock.Now();
    ASSERT_GE(now, last);
    last = now;
  }
}

TEST(RealClock, WaitForATimeThatHasPassedReturns) {
  RealClock clock;
  Mutex mu;
  CondVar cv;
  MutexLock lock(mu);
  const Instant before = clock.Now();
  clock.WaitUntil(cv, mu, before);
  EXPECT_GE(clock.Now(), before);
}

}  // namespace
}  // namespace leasehold
