// GenerationCounter: numbers for contexts, never used twice.
//
// Each number is `max(last + 1, microseconds since 1970)`: numbers grow within
// a server, and also across a restart, unless the server created more than one
// context per microsecond throughout its life. Below 2^53, so that JSON numbers
// represent them exactly.
//
// Thread-safety: safe.   Lifetime: the clock outlives it.
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
  explicit GenerationCounter(const Clock& clock) : clock_(clock) {}

  uint64_t Next() {
    // A wall clock that was never set may be before 1970.
    const auto wall = static_cast<uint64_t>(
        std::max<int64_t>(absl::ToUnixMicros(clock_.WallNow()), 0));
    uint64_t last = last_.load(std::memory_order_relaxed);
    uint64_t next;
    do {
      next = std::max(last + 1, wall);
    } while (
        !last_.compare_exchange_weak(last, next, std::memory_order_relaxed));
    return next;
  }

 private:
  const Clock& clock_;
  std::atomic<uint64_t> last_{0};
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_INSTANCE_GENERATION_COUNTER_H_
