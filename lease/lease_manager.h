// LeaseManager: grants, renews, revokes and expires leases.
//
// It knows nothing of what is leased: it holds intrusive Lease objects and
// tells one listener which of them are over. Expiry suggests, the listener
// decides: a lease that is handed out is filed nowhere any more; the listener
// ends what it stood for, or grants it again.
//
// A lease never ends early: deadlines are rounded up to the wheel's tick (1
// ms), and the last use is read again before a lease is handed out. Leases that
// are over are handed out in batches with the lock released between them, so
// that a million endings at once stall no caller.
//
// Thread-safety: safe.   Lifetime: clock and listener outlive the manager; the
// manager outlives every lease that it holds.
#ifndef LEASEHOLD_LEASE_LEASE_MANAGER_H_
#define LEASEHOLD_LEASE_LEASE_MANAGER_H_

#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "lease/clock.h"
#include "lease/lease.h"
#include "lease/mutex.h"
#include "lease/timing_wheel.h"

namespace leasehold {

// Told which leases are over.
class LeaseListener {
 public:
  virtual ~LeaseListener() = default;

  // Each lease was over when the manager looked: `last use + timeout <= now`,
  // and nobody revoked it. It may have been renewed since: the listener looks
  // at its own state, then ends what was leased or calls Grant again. Runs on
  // the manager's thread (or on the caller of RunDue) without the manager's
  // lock; must not block.
  virtual void OnLeasesOver(absl::Span<Lease* const> leases) = 0;
};

struct LeaseManagerOptions {
  // Grain of the wheel. REQUIRES: at least a nanosecond, and finite.
  absl::Duration tick = absl::Milliseconds(1);
  // Leases looked at under one hold of the lock, and thus the most that the
  // listener is told of in one call. REQUIRES: > 0.
  size_t batch_max = 256;
};

class LeaseManager {
 public:
  LeaseManager(Clock& clock, LeaseListener& listener,
               LeaseManagerOptions options = {});
  // REQUIRES: stopped, or never started. Leases still held are forgotten.
  ~LeaseManager();
  LeaseManager(const LeaseManager&) = delete;
  LeaseManager& operator=(const LeaseManager&) = delete;

  // Starts the one background thread. Without it, nothing ends until someone
  // calls RunDue: simulations do. Already started: does nothing.
  void Start() ABSL_LOCKS_EXCLUDED(thread_mu_, mu_);
  // Ends the thread, after the batch that it is at; returns when no listener
  // call is running on it. What is still due waits for the next Start or
  // RunDue. Idempotent. Not to be called by the listener.
  void Stop() ABSL_LOCKS_EXCLUDED(thread_mu_, mu_);

  // `lease` now runs for `timeout` from now. A timeout of zero or less is over
  // at the next look; an infinite one is never over. REQUIRES: not running.
  void Grant(Lease& lease, absl::Duration timeout) ABSL_LOCKS_EXCLUDED(mu_);

  // As Grant, with the last use and timeout that the lease has (from Renew and
  // SetTimeout, if it was never granted): the deadline does not move. REQUIRES:
  // not running.
  void GrantAgain(Lease& lease) ABSL_LOCKS_EXCLUDED(mu_);

  // The lease runs for its timeout from now. Takes no lock.
  void Renew(Lease& lease);

  // Changes the length; the deadline becomes last use + `timeout`. A shorter
  // one is filed anew at once, so that it holds from now on. Not running: the
  // length is kept, and nothing is filed.
  void SetTimeout(Lease& lease, absl::Duration timeout)
      ABSL_LOCKS_EXCLUDED(mu_);

  // Ends a lease without telling the listener. True: the manager no longer
  // knows it, and it may be destroyed. False: it is not running. Either it was
  // never granted, or it is over and the listener has been or is being told:
  // what it stands in must live until the listener has returned.
  [[nodiscard]] bool Revoke(Lease& lease) ABSL_LOCKS_EXCLUDED(mu_);

  // What the lease has now. Running until it is handed out, even if nothing
  // remains of it.
  LeaseState Lookup(const Lease& lease) const ABSL_LOCKS_EXCLUDED(mu_);

  // Hands out everything that is over now, and was when the call began: what
  // the listener grants anew for no time at all waits for the next call.
  // Returns how many. Concurrent calls share the work, and each returns how
  // many it did; another's last batch may still be with the listener.
  size_t RunDue() ABSL_LOCKS_EXCLUDED(mu_);

  // When RunDue may next have something to do; Instant::Infinite() if nothing
  // is filed. Never later than the first true deadline, rounded up to the tick.
  Instant NextDue() const ABSL_LOCKS_EXCLUDED(mu_);

  // Leases running.
  size_t size() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  // The first tick at or after `t`.
  uint64_t TickFor(Instant t) const;
  Instant StartOf(uint64_t tick) const;

  void Run() ABSL_LOCKS_EXCLUDED(mu_);
  // RunDue; gives up between batches if `until_stopped` and Stop was called.
  size_t HandOut(bool until_stopped) ABSL_LOCKS_EXCLUDED(mu_);
  // Turns the wheel by one batch; appends to `over` what is over, and files
  // anew what turns out to have been renewed. Returns whether the turn goes on.
  bool TakeBatchLocked(uint64_t now, std::vector<Lease*>& over)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void FileLocked(Lease& lease) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // Constant after construction.
  Clock& clock_;
  LeaseListener& listener_;
  const uint64_t tick_ns_;
  const size_t batch_max_;

  // Synchronises itself.
  CondVar wake_;  // The thread waits on it, with mu_.

  // Held over all of Start and Stop, so that a second Stop waits for the first.
  Mutex thread_mu_ ABSL_ACQUIRED_BEFORE(mu_);
  std::thread thread_ ABSL_GUARDED_BY(thread_mu_);

  // Guarded by mu_. A lease runs if and only if it is filed in wheel_.
  mutable Mutex mu_;
  TimingWheel wheel_ ABSL_GUARDED_BY(mu_);
  std::vector<TimingWheel::Entry*> due_ ABSL_GUARDED_BY(mu_);  // Scratch.
  // While the thread sleeps: the tick at which it will wake. Else 0, which no
  // lease is earlier than: a thread that is awake will look for itself.
  uint64_t sleeps_until_ ABSL_GUARDED_BY(mu_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace leasehold

#endif  // LEASEHOLD_LEASE_LEASE_MANAGER_H_
