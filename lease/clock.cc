#include "lease/clock.h"

#include <chrono>
#include <cstdint>
#include <limits>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace leasehold {
namespace {

constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
constexpr int64_t kMin = std::numeric_limits<int64_t>::min();

}  // namespace

Instant operator+(Instant t, absl::Duration d) {
  if (t == Instant::Infinite()) return t;
  // Saturates at both ends of int64_t. Truncates fractions of a nanosecond.
  const int64_t ns = absl::ToInt64Nanoseconds(d);
  if (ns > 0 && t.ns > kMax - ns) return Instant::Infinite();
  if (ns < 0 && t.ns < kMin - ns) return {kMin};
  return {t.ns + ns};
}

absl::Duration operator-(Instant a, Instant b) {
  if (a == Instant::Infinite()) return absl::InfiniteDuration();
  if (b == Instant::Infinite()) return -absl::InfiniteDuration();
  // absl::Duration is wider than the difference of any two int64_t.
  return absl::Nanoseconds(a.ns) - absl::Nanoseconds(b.ns);
}

Instant RealClock::Now() const {
  // CLOCK_MONOTONIC, in libstdc++ and libc++ on Linux alike.
  return {std::chrono::duration_cast<std::chrono::nanoseconds>(
              std::chrono::steady_clock::now().time_since_epoch())
              .count()};
}

absl::Time RealClock::WallNow() const { return absl::Now(); }

void RealClock::WaitUntil(CondVar& cv, Mutex& mu, Instant deadline) {
  if (deadline == Instant::Infinite()) {
    cv.Wait(mu);
  } else {
    cv.WaitUntil(mu, std::chrono::steady_clock::time_point(
                         std::chrono::nanoseconds(deadline.ns)));
  }
}

}  // namespace leasehold
