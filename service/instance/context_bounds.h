// ContextBounds: how many contexts there are, how many there may be, and which
// idle one makes room for another.
//
// Contexts that are opening or open are limited to a maximum, and all of them,
// with those that are closing, to twice as many: so detach hooks that hang do
// not let a server grow without a bound.
//
// Thread-safety: safe, but for ChooseVictim.   Lifetime: owns nothing.
#ifndef LEASEHOLD_SERVICE_INSTANCE_CONTEXT_BOUNDS_H_
#define LEASEHOLD_SERVICE_INSTANCE_CONTEXT_BOUNDS_H_

#include <atomic>
#include <cstddef>
#include <vector>

#include "service/base/invariant.h"
#include "service/instance/context_word.h"

namespace leasehold {

class InstanceContext;

class ContextBounds {
 public:
  explicit ContextBounds(size_t live_max) : live_max_(live_max) {}

  // Contexts in any state.
  size_t size() const { return size_.load(std::memory_order_relaxed); }
  // Those that are opening or open.
  size_t live() const { return live_.load(std::memory_order_relaxed); }
  size_t live_max() const { return live_max_; }

  // Counts one more. False: there is no room. `promised`: it counts in any
  // case.
  bool Take(bool promised);
  // One is opening or open no longer.
  void Leave() {
    CheckInvariant(live_.fetch_sub(1, std::memory_order_relaxed) > 0,
                   "each context leaves the open ones once");
  }
  // One that has left is gone.
  void Gone() {
    CheckInvariant(size_.fetch_sub(1, std::memory_order_relaxed) > 0,
                   "each context is gone once");
  }

  // By now there is room, or as many contexts are closing as may be, so that
  // closing one more would not help.
  bool HasRoom() const { return live_.load() < live_max_; }
  bool TooManyAreClosing() const { return size_.load() >= 2 * live_max_; }

  // An idle one of `contexts`, and its word when it was seen; nullptr if none
  // was found. Looks at a sample: one whose ID the server generated comes
  // first, then the one that has been idle for longest. Callers hold the
  // contexts' lock.
  struct Victim {
    InstanceContext* context = nullptr;
    ContextWord::Value seen = {};
  };
  static Victim ChooseVictim(const std::vector<InstanceContext*>& contexts);

 private:
  const size_t live_max_;
  std::atomic<size_t> size_{0};  // In any state.
  std::atomic<size_t> live_{0};  // Those that are opening or open.
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_INSTANCE_CONTEXT_BOUNDS_H_
