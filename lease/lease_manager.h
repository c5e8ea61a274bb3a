// LeaseManager: grants, renews, revokes and expires leases.
//
// It knows nothing of what is leased: it holds intrusive Lease objects and tells
// one listener which of them are over. Expiry suggests, the listener decides: a
// lease that is handed out is filed nowhere any more; the listener ends what it
// stood for, or grants it again.
//
// A lease never ends early: deadlines are rounded up to the wheel's tick (1 ms),
// and the last use is read again before a lease is handed out. Leases that are
// over are handed out in batches with the lock released between them, so that a
// million endings at once stall no caller.
//
// Thread-safety: safe.   Lifetime: clock and listener outlive the manager; the
// manager outlives every lease that it holds.
#ifndef LEASEHOLD_LEASE_LEASE_MANAGER_H_
#define LEASEHOLD_LEASE_LEASE_MANAGER_H_

#include <cstddef>
#include <thread>
#include <vector>

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
  // and nobody revoked it. It may have been renewed since: the listener looks at
  // its own state, then ends what was leased or calls Grant again. Runs on the
  // manager's thread (or on the caller of RunDue) without the manager's lock;
  // must not block.
  virtual void OnLeasesOver(absl::Span<Lease* const> leases) = 0;
};

struct LeaseManagerOptions {
  absl::Duration tick = absl::Milliseconds(1);  // Grain of the wheel.
  size_t batch_max = 256;  // Leases handed out under one hold of the lock.
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
  // calls RunDue: simulations do.
  void Start();
  // Ends the thread; returns when no listener call is running on it. Idempotent.
  void Stop();

  // `lease` now runs for `timeout` from now. A timeout of zero or less is over at
  // the next look; an infinite one is never over. REQUIRES: not running.
  void Grant(Lease& lease, absl::Duration timeout);

  // As Grant, with the last use and timeout that the lease has: the deadline does
  // not move. REQUIRES: not running; granted before.
  void GrantAgain(Lease& lease);

  // The lease runs for its timeout from now. Takes no lock.
  void Renew(Lease& lease);

  // Changes the length; the deadline becomes last use + `timeout`. A shorter one
  // is filed anew at once, so that it holds from now on. Not running: the length
  // is kept, and nothing is filed.
  void SetTimeout(Lease& lease, absl::Duration timeout);

  // Ends a lease without telling the listener. True: the manager no longer knows
  // it, and it may be destroyed. False: it is not running. Either it was never
  // granted, or it is over and the listener has been or is being told: what it
  // stands in must live until the listener has returned.
  [[nodiscard]] bool Revoke(Lease& lease);

  LeaseState Lookup(const Lease& lease) const;

  // Hands out everything that is over now. Returns how many. Concurrent calls
  // share the work.
  size_t RunDue();

  // When RunDue may next have something to do; Instant::Infinite() if nothing is
  // filed. Never later than the first true deadline, rounded up to the tick.
  Instant NextDue() const;

  // Leases running.
  size_t size() const;

 private:
  // (Filled in with the implementation.)
};

}  // namespace leasehold

#endif  // LEASEHOLD_LEASE_LEASE_MANAGER_H_
