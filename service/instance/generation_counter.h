// GenerationCounter: numbers for contexts, never used twice.
//
// They count up from the microseconds since 1970 at which the server was
// started, and ask no clock after that. So they also grow across a restart,
// unless the server created more than one context per microsecond throughout
// its life, or the clock was set back; with RaiseTo, a server that remembers
// where it was does not depend on the clock. Below 2^53, so that JSON numbers
// represent them exactly.
//
// Thread-safety: safe.
#ifndef LEASEHOLD_SERVICE_INSTANCE_GENERATION_COUNTER_H_
#define LEASEHOLD_SERVICE_INSTANCE_GENERATION_COUNTER_H_

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "absl/time/time.h"
#include "lease/clock.h"

namespace leasehold {

class GenerationCounter {
 public:
  // A wall clock that was never set may be before 1970.
  explicit GenerationCounter(const Clock& clock)
      : next_(static_cast<uint64_t>(
            std::max<int64_t>(absl::ToUnixMicros(clock.WallNow()), 1))) {}

  uint64_t Next() { return next_.fetch_add(1, std::memory_order_relaxed); }

  // From now on, no number is less than `min`.
  void RaiseTo(uint64_t min) {
    uint64_t next = next_.load(std::memory_order_relaxed);
    while (next < min &&
           !next_.compare_exchange_weak(next, min, std::memory_order_relaxed)) {
    }
  }

 private:
  std::atomic<uint64_t> next_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_INSTANCE_GENERATION_COUNTER_H_
