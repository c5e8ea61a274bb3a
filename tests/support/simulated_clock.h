// SimulatedClock: a Clock that moves only when a test moves it.
//
// Advance sets the time, then wakes whoever waits for a time that has come, in
// order of deadlines. A thread that waits is woken even if it was only about to
// wait: no wake-up is lost, and no test needs a sleep. The shape is that of
// Abseil's absl/time/simulated_clock.h.
//
// Thread-safety: safe. Advance locks the mutexes that waiters wait with: its
// caller holds none of them.   Lifetime: outlives everything built on it.
#ifndef LEASEHOLD_TESTS_SUPPORT_SIMULATED_CLOCK_H_
#define LEASEHOLD_TESTS_SUPPORT_SIMULATED_CLOCK_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "lease/clock.h"
#include "lease/mutex.h"

namespace leasehold {

class SimulatedClock final : public Clock {
 public:
  // Begins at `start`, which is not negative; the wall clock runs beside it
  // from the first second of 2020.
  explicit SimulatedClock(Instant start = Instant{1'000'000'000});

  Instant Now() const override;
  absl::Time WallNow() const override;
  void WaitUntil(CondVar& cv, Mutex& mu, Instant deadline) override
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) ABSL_LOCKS_EXCLUDED(mu_);

  // Moves the time on by `d`, or to `t`, and wakes whose deadline that is or
  // was. Returns when each of them has been notified; does not wait for what
  // they do then. A time in the past moves nothing.
  void Advance(absl::Duration d) ABSL_LOCKS_EXCLUDED(mu_);
  void AdvanceTo(Instant t) ABSL_LOCKS_EXCLUDED(mu_);

  // Blocks until some thread waits for a time still to come, `deadline` or an
  // earlier one: so a test knows that a thread has nothing left to do but wait.
  void AwaitWaiter(Instant deadline) ABSL_LOCKS_EXCLUDED(mu_);

  // Threads in WaitUntil.
  size_t waiters() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  // One call of WaitUntil; it stands on the stack of that call.
  struct Waiter {
    CondVar& cv;
    Mutex& mu;
    int being_woken = 0;  // Calls of AdvanceTo that are about to use cv and mu.
  };

  // Constant after construction.
  const int64_t start_ns_;

  // Synchronises itself. Written under mu_ only.
  std::atomic<int64_t> now_ns_;

  // Guarded by mu_. Lock order: a waiter's mutex before mu_.
  mutable Mutex mu_;
  CondVar changed_;  // Waiters came, or are no longer being woken.
  std::multimap<Instant, Waiter*> waiters_ ABSL_GUARDED_BY(mu_);
};

}  // namespace leasehold

#endif  // LEASEHOLD_TESTS_SUPPORT_SIMULATED_CLOCK_H_
