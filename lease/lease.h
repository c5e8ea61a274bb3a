// Lease: the promise that something idle lives until a deadline.
//
// The deadline is last use + timeout. Renewing is one atomic store of the last
// use: no lock, no timer work. The manager keeps a lease filed under a deadline
// that may have passed out of date, and looks again when that comes.
//
//   Free ──Grant──▶ Running ──found over──▶ Over ──Grant──▶ Running
//     ▲                │                     │
//     └────Revoke──────┘◀───(its listener decides)
//
// Thread-safety: Renew, last_use, timeout and deadline are safe; the rest is the
// LeaseManager's.   Lifetime: whatever a Lease stands in outlives its stay with
// the manager (see LeaseManager::Revoke).
#ifndef LEASEHOLD_LEASE_LEASE_H_
#define LEASEHOLD_LEASE_LEASE_H_

#include <atomic>
#include <cstdint>

#include "absl/time/time.h"
#include "lease/clock.h"
#include "lease/timing_wheel.h"

namespace leasehold {

// What a caller may know of a lease: values only.
struct LeaseState {
  bool running = false;          // Granted, and not over.
  absl::Duration timeout;        // Its length.
  absl::Duration remaining;      // Until the deadline; never negative.
  Instant last_use;
};

class Lease : private TimingWheel::Entry {
 public:
  Lease() = default;

  // The lease now runs until `now` + timeout. One relaxed-cost atomic store;
  // a `now` older than the last use is dropped.
  void Renew(Instant now) {
    if (now.ns > last_use_ns_.load(std::memory_order_relaxed)) {
      last_use_ns_.store(now.ns, std::memory_order_release);
    }
  }

  Instant last_use() const {
    return {last_use_ns_.load(std::memory_order_acquire)};
  }
  absl::Duration timeout() const {
    return absl::Nanoseconds(timeout_ns_.load(std::memory_order_acquire));
  }
  Instant deadline() const { return last_use() + timeout(); }

 private:
  friend class LeaseManager;

  std::atomic<int64_t> last_use_ns_{0};
  std::atomic<int64_t> timeout_ns_{0};
};

}  // namespace leasehold

#endif  // LEASEHOLD_LEASE_LEASE_H_
