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
// Thread-safety: Renew, last_use, timeout and deadline are safe; the rest is
// the LeaseManager's.   Lifetime: whatever a Lease stands in outlives its stay
// with the manager (see LeaseManager::Revoke).
#ifndef LEASEHOLD_LEASE_LEASE_H_
#define LEASEHOLD_LEASE_LEASE_H_

#include <atomic>
#include <cstdint>
#include <limits>

#include "absl/time/time.h"
#include "lease/clock.h"
#include "lease/timing_wheel.h"

namespace leasehold {

// What a caller may know of a lease: values only.
struct LeaseState {
  bool running = false;      // Granted, and not over.
  absl::Duration timeout;    // Its length.
  absl::Duration remaining;  // Until the deadline; never negative, and zero
                             // if it is not running.
  Instant last_use;
};

class Lease : private TimingWheel::Entry {
 public:
  Lease() = default;

  // The lease now runs until `now` + timeout. One atomic exchange; a `now`
  // older than the last use is dropped. Not a plain store: a thread that was
  // held up between reading its clock and storing would undo a later renewal,
  // and the lease would end early.
  void Renew(Instant now) {
    int64_t last = last_use_ns_.load(std::memory_order_relaxed);
    while (now.ns > last && !last_use_ns_.compare_exchange_weak(
                                last, now.ns, std::memory_order_release,
                                std::memory_order_relaxed)) {
    }
  }

  Instant last_use() const {
    return {last_use_ns_.load(std::memory_order_acquire)};
  }
  // Never negative. What does not fit in int64_t nanoseconds is infinite.
  absl::Duration timeout() const {
    const int64_t ns = timeout_ns_.load(std::memory_order_acquire);
    return ns == kInfiniteNs ? absl::InfiniteDuration() : absl::Nanoseconds(ns);
  }
  Instant deadline() const { return last_use() + timeout(); }

 private:
  friend class LeaseManager;

  static constexpr int64_t kInfiniteNs = std::numeric_limits<int64_t>::max();

  std::atomic<int64_t> last_use_ns_{0};
  std::atomic<int64_t> timeout_ns_{0};
};

// One stands in every context, and ten million of them are to fit.
static_assert(sizeof(Lease) <= 48);

}  // namespace leasehold

#endif  // LEASEHOLD_LEASE_LEASE_H_
