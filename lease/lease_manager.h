// LeaseManager: grants, renews, revokes and expires leases.
//
// The manager does not know what is leased: it holds intrusive Lease objects
// and tells one listener which of them are over. Expiry suggests, the listener
// decides: a lease that is handed out is no longer filed; the listener either
// ends the leased object or grants the lease again.
//
// A lease never ends early: deadlines are rounded up to the wheel's tick (1
// ms), and the last use is read again before a lease is handed out. Leases that
// are over are handed out in batches with the lock released between them, so
// that a million endings at once do not stall callers.
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
#include "lease/base/cells.h"
#include "lease/base/mutex.h"
#include "lease/clock.h"
#include "lease/lease.h"
#include "lease/timing_wheel.h"

namespace leasehold {

// Receives the leases that are over.
class LeaseListener {
 public:
  virtual ~LeaseListener() = default;

  // Each lease was over when the manager looked (`last use + timeout <= now`)
  // and had not been revoked. It may have been renewed since: the listener
  // checks its own state, then ends the leased object or calls Grant again.
  // Runs on the manager's thread (or on the caller of RunDue) without the
  // manager's lock; must not block.
  virtual void OnLeasesOver(absl::Span<Lease* const> leases) = 0;
};

struct LeaseManagerOptions {
  // Resolution of the wheel. REQUIRES: at least a nanosecond, and finite.
  absl::Duration tick = absl::Milliseconds(1);
  // Most leases examined per lock acquisition, and so the most that one call of
  // the listener receives. REQUIRES: > 0.
  size_t batch_max = 256;
};

class LeaseManager {
 public:
  LeaseManager(Clock& clock, LeaseListener& listener,
               LeaseManagerOptions options = {});
  // REQUIRES: stopped, or never started. Leases still filed are forgotten.
  ~LeaseManager();
  LeaseManager(const LeaseManager&) = delete;
  LeaseManager& operator=(const LeaseManager&) = delete;

  // Starts the one background thread. Without it, leases end only when someone
  // calls RunDue, as simulations do. Does nothing if already started.
  void Start() ABSL_LOCKS_EXCLUDED(thread_mu_, mu_);
  // Ends the thread after its current batch; returns when no listener call is
  // running on it. Leases that are still due wait for the next Start or RunDue.
  // Idempotent. The listener must not call it.
  void Stop() ABSL_LOCKS_EXCLUDED(thread_mu_, mu_);

  // `lease` now runs for `timeout` from now. With a timeout of zero or less it
  // is over at the next check; with an infinite one it is never over. REQUIRES:
  // not running.
  void Grant(Lease& lease, absl::Duration timeout) ABSL_LOCKS_EXCLUDED(mu_);

  // Like Grant, but keeps the lease's last use and timeout (set by Renew and
  // SetTimeout if it was never granted): the deadline does not move. REQUIRES:
  // not running.
  void GrantAgain(Lease& lease) ABSL_LOCKS_EXCLUDED(mu_);

  // The lease runs for its timeout from now. Takes no lock.
  void Renew(Lease& lease);

  // Changes the timeout; the deadline becomes last use + `timeout`. A lease
  // that now ends sooner is refiled at once, so that the change takes effect
  // now. If the lease is not running, only the timeout is recorded.
  void SetTimeout(Lease& lease, absl::Duration timeout)
      ABSL_LOCKS_EXCLUDED(mu_);

  // Ends a lease without telling the listener. True: the manager has forgotten
  // the lease, and it may be destroyed. False: the lease is not running. Either
  // it was never granted, or it is over and the listener has been or is being
  // told: the object that contains it must live until the listener has
  // returned.
  [[nodiscard]] bool Revoke(Lease& lease) ABSL_LOCKS_EXCLUDED(mu_);

  // The current state of the lease. It is running until it is handed out, even
  // if no time remains.
  LeaseState Lookup(const Lease& lease) const ABSL_LOCKS_EXCLUDED(mu_);

  // Hands out every lease that is over now and was when the call began; a lease
  // that the listener grants again with a zero timeout waits for the next call.
  // Returns how many it handed out. Concurrent calls share the work, and each
  // returns its own count; the last batch of another call may still be with the
  // listener.
  size_t RunDue() ABSL_LOCKS_EXCLUDED(mu_);

  // When RunDue may next have something to do; Instant::Infinite() if nothing
  // is filed. Never later than the first true deadline, rounded up to the tick.
  Instant NextDue() const ABSL_LOCKS_EXCLUDED(mu_);

  // Number of running leases.
  size_t size() const ABSL_LOCKS_EXCLUDED(mu_);
  // How long after their deadlines leases were handed out.
  HistogramReading lateness() const { return lateness_.Read(); }

 private:
  // The first tick at or after `t`.
  uint64_t TickFor(Instant t) const;
  Instant StartOf(uint64_t tick) const;

  void Run() ABSL_LOCKS_EXCLUDED(mu_);
  // Implements RunDue. With `until_stopped`, gives up between batches once Stop
  // was called.
  size_t HandOut(bool until_stopped) ABSL_LOCKS_EXCLUDED(mu_);
  // Turns the wheel by one batch; appends to `over` the leases that are over,
  // and refiles those that were renewed. Returns whether the turn has more to
  // do.
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
  TimeHistogram lateness_;  // Counted under it, read without.
  // While the thread sleeps: the tick at which it will wake. Otherwise 0, so
  // that no lease seems earlier: a thread that is awake checks by itself.
  uint64_t sleeps_until_ ABSL_GUARDED_BY(mu_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace leasehold

#endif  // LEASEHOLD_LEASE_LEASE_MANAGER_H_
