// VirtualClock: the time in a test environment, which moves only when the
// environment moves it.
//
// Thread-safety: one thread: the test's.   Lifetime: outlives everything built
// on it.
#ifndef LEASEHOLD_CLIENT_TESTING_VIRTUAL_CLOCK_H_
#define LEASEHOLD_CLIENT_TESTING_VIRTUAL_CLOCK_H_

#include "absl/time/time.h"
#include "lease/clock.h"
#include "service/base/invariant.h"

namespace leasehold::testkit {

class VirtualClock final : public Clock {
 public:
  explicit VirtualClock(absl::Time start) : start_(start) {}

  Instant Now() const override { return now_; }
  absl::Time WallNow() const override { return start_ + (now_ - kOrigin); }
  void WaitUntil(CondVar&, Mutex&, Instant) override {
    BreakInvariant("nothing waits in a test environment: it has one thread");
  }

  absl::Time start() const { return start_; }
  // A time in the past has no effect.
  void AdvanceTo(absl::Time time) {
    if (time > WallNow()) now_ = kOrigin + (time - start_);
  }

 private:
  static constexpr Instant kOrigin = {1'000'000'000};

  const absl::Time start_;
  Instant now_ = kOrigin;
};

}  // namespace leasehold::testkit

#endif  // LEASEHOLD_CLIENT_TESTING_VIRTUAL_CLOCK_H_
