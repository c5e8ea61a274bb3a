// Gate: knows when the last one has left.
//
// Those inside are counted. Once the gate is closed, the last one to leave
// calls `done`, which may destroy the gate.
//
// Thread-safety: safe.   Lifetime: until `done` is called.
#ifndef LEASEHOLD_SERVICE_INSTANCE_GATE_H_
#define LEASEHOLD_SERVICE_INSTANCE_GATE_H_

#include <atomic>
#include <cstddef>
#include <functional>
#include <utility>

#include "lease/base/mutex.h"
#include "service/base/invariant.h"

namespace leasehold {

class Gate {
 public:
  // REQUIRES: someone is inside, or the gate has not been closed.
  void Enter() { inside_.fetch_add(1, std::memory_order_relaxed); }

  // False: the gate is closed, and nobody is left inside.
  bool TryEnter() {
    size_t inside = inside_.load(std::memory_order_relaxed);
    do {
      if (inside == 0) return false;
    } while (!inside_.compare_exchange_weak(inside, inside + 1,
                                            std::memory_order_relaxed));
    return true;
  }

  void Leave() {
    const size_t before = inside_.fetch_sub(1, std::memory_order_acq_rel);
    CheckInvariant(before > 0, "who leaves a gate was inside");
    if (before != 1) return;
    std::function<void()> done;
    {
      MutexLock lock(mu_);
      done = std::exchange(done_, nullptr);
    }
    if (done) done();
  }

  // To be followed by Leave, for the one that an open gate counts.
  void SetDone(std::function<void()> done) {
    MutexLock lock(mu_);
    done_ = std::move(done);
  }

 private:
  // One more than are inside, until the gate is closed.
  std::atomic<size_t> inside_{1};
  Mutex mu_;
  std::function<void()> done_ ABSL_GUARDED_BY(mu_);
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_INSTANCE_GATE_H_
