// Lease: the promise that an idle object lives until a deadline.
//
// The deadline is last use + timeout. Renewing is one atomic store of the last
// use: it takes no lock and moves no timer. The manager may therefore have a
// lease filed under an old deadline; when that deadline comes, the manager
// reads the current one.
//
//   Free ──Grant──▶ Running ──found over──▶ Over ──Grant──▶ Running
//     ▲                │                     │
//     └────Revoke──────┘◀───(the listener decides)
//
// Thread-safety: Renew, last_use, timeout and deadline are safe; the
// LeaseManager guards the rest.   Lifetime: the object that contains a Lease
// outlives the lease's stay with the manager (see LeaseManager::Revoke).
#ifndef LEASEHOLD_LEASE_LEASE_H_
#define LEASEHOLD_LEASE_LEASE_H_

#include <atomic>
#include <cstdint>
#include <limits>

#include "absl/time/time.h"
#include "lease/clock.h"
#include "lease/timing_wheel.h"

namespace leasehold {

// A lease as callers see it: plain values.
struct LeaseState {
  bool running = false;      // Granted, and not over.
  absl::Duration timeout;    // Its length.
  absl::Duration remaining;  // Until the deadline; never negative, and zero
                             // if the lease is not running.
  Instant last_use;
};

class Lease : private TimingWheel::Entry {
 public:
  Lease() = default;

  // The lease now runs until `now` + timeout. One atomic exchange; a `now`
  // older than the last use is ignored. A plain store would be wrong: a thread
  // delayed between reading its clock and storing would undo a later renewal,
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
  // Never negative. A value that does not fit in int64_t nanoseconds counts as
  // infinite.
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

// Every context contains one, and ten million of them must fit in memory.
static_assert(sizeof(Lease) <= 48);

}  // namespace leasehold

#endif  // LEASEHOLD_LEASE_LEASE_H_
