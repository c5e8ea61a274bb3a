// SimulatedClock: a Clock that moves only when a test moves it.
//
// Advance sets the time, then wakes all waiters whose deadline has come, in
// order of deadlines. It even wakes a thread that was only about to wait: no
// wake-up is lost, and no test needs a sleep. The design is that of Abseil's
// absl/time/simulated_clock.h.
//
// Thread-safety: safe. Advance locks the mutexes that waiters wait with: its
// caller must hold none of them.   Lifetime: outlives everything built on it.
#ifndef LEASEHOLD_TESTS_SUPPORT_SIMULATED_CLOCK_H_
#define LEASEHOLD_TESTS_SUPPORT_SIMULATED_CLOCK_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "lease/base/mutex.h"
#include "lease/clock.h"

namespace leasehold {

class SimulatedClock final : public Clock {
 public:
  // Begins at `start`, which is not negative; the wall clock begins at the
  // first second of 2020 and moves with it.
  explicit SimulatedClock(Instant start = Instant{1'000'000'000});

  Instant Now() const override;
  absl::Time WallNow() const override;
  void WaitUntil(CondVar& cv, Mutex& mu, Instant deadline) override
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) ABSL_LOCKS_EXCLUDED(mu_);

  // Moves the time on by `d`, or to `t`, and wakes the waiters whose deadline
  // has come. Returns when each of them has been notified; does not wait for
  // what they do next. A time in the past has no effect.
  void Advance(absl::Duration d) ABSL_LOCKS_EXCLUDED(mu_);
  void AdvanceTo(Instant t) ABSL_LOCKS_EXCLUDED(mu_);

  // Sets the time of day forward or, if `d` is negative, back; nobody is told.
  void SetWall(absl::Duration d) { wall_ns_ += absl::ToInt64Nanoseconds(d); }

  // Blocks until some thread waits for a future time, `deadline` or an earlier
  // one: then the test knows that the thread has nothing left to do but wait.
  void AwaitWaiter(Instant deadline) ABSL_LOCKS_EXCLUDED(mu_);

  // Threads in WaitUntil.
  size_t waiters() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  // One call of WaitUntil, on the stack of that call.
  struct Waiter {
    CondVar& cv;
    Mutex& mu;
    int being_woken = 0;  // Calls of AdvanceTo that are about to use cv and mu.
  };

  // Constant after construction.
  const int64_t start_ns_;

  // Synchronises itself. Written under mu_ only.
  std::atomic<int64_t> now_ns_;
  std::atomic<int64_t> wall_ns_ = 0;  // Offset set by SetWall.

  // Guarded by mu_. Lock order: a waiter's mutex before mu_.
  mutable Mutex mu_;
  CondVar changed_;  // Waiters came, or are no longer being woken.
  std::multimap<Instant, Waiter*> waiters_ ABSL_GUARDED_BY(mu_);
};

}  // namespace leasehold

#endif  // LEASEHOLD_TESTS_SUPPORT_SIMULATED_CLOCK_H_
