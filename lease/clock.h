// Clock: the interface through which all time is read.
//
// Leases, contexts and timers ask a Clock that they were constructed with, so
// that a test can substitute a simulated one. clock.cc is the only file in the
// repository that reads real time.
//
// Thread-safety: safe.   Lifetime: a clock outlives everything built on it.
#ifndef LEASEHOLD_LEASE_CLOCK_H_
#define LEASEHOLD_LEASE_CLOCK_H_

#include <compare>
#include <cstdint>
#include <limits>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "lease/base/mutex.h"

namespace leasehold {

// A point on the monotonic clock: nanoseconds since an arbitrary origin. Takes
// eight bytes where absl::Time takes sixteen, because every lease has one.
struct Instant {
  int64_t ns = 0;

  static constexpr Instant Infinite() {
    return {std::numeric_limits<int64_t>::max()};
  }
  friend auto operator<=>(const Instant&, const Instant&) = default;

  // Saturates: an Instant plus absl::InfiniteDuration() is Infinite(), and
  // Infinite() plus any duration stays Infinite(). Truncates fractions of a
  // nanosecond.
  friend Instant operator+(Instant t, absl::Duration d);
  // Infinite() minus any instant is absl::InfiniteDuration().
  friend absl::Duration operator-(Instant a, Instant b);
};

class Clock {
 public:
  virtual ~Clock() = default;

  // Monotonic and precise (not the coarse clock, whose 4 ms resolution would
  // end leases early). Never negative, never goes back.
  virtual Instant Now() const = 0;

  // The time of day, for people and for generation numbers; may jump.
  virtual absl::Time WallNow() const = 0;

  // Waits on `cv` until it is notified or the clock reaches `deadline`,
  // whichever comes first. May wake spuriously.
  virtual void WaitUntil(CondVar& cv, Mutex& mu, Instant deadline)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) = 0;
};

// The machine's clocks: CLOCK_MONOTONIC and CLOCK_REALTIME.
class RealClock final : public Clock {
 public:
  Instant Now() const override;
  absl::Time WallNow() const override;
  void WaitUntil(CondVar& cv, Mutex& mu, Instant deadline) override
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);
};

}  // namespace leasehold

#endif  // LEASEHOLD_LEASE_CLOCK_H_
