// Engine::Section: holds the engine's lock for a scope, and afterwards does
// what must not be done under the lock: callbacks, sending, acquiring and
// releasing contexts. Engine::Look: holds it where nothing follows.
//
// For the engine and its parts.
//
// Thread-safety: one thread.   Lifetime: within its scope.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_ENGINE_SECTION_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_ENGINE_SECTION_H_

#include <utility>

#include "service/orchestration/engine.h"

namespace leasehold {

class ABSL_SCOPED_LOCKABLE Engine::Section {
 public:
  explicit Section(Engine& engine) ABSL_EXCLUSIVE_LOCK_FUNCTION(engine.mu_)
      : engine_(engine) {
    engine_.mu_.Lock();
    ++engine_.holds_;
  }
  ~Section() ABSL_UNLOCK_FUNCTION() {
    Effects effects = engine_.LeaveLocked();
    engine_.mu_.Unlock();
    engine_.Finish(std::move(effects));
  }
  Section(const Section&) = delete;
  Section& operator=(const Section&) = delete;

 private:
  Engine& engine_;
};

// Holds the lock for a scope that leaves nothing to be done afterwards.
class ABSL_SCOPED_LOCKABLE Engine::Look {
 public:
  explicit Look(const Engine& engine) ABSL_EXCLUSIVE_LOCK_FUNCTION(engine.mu_)
      : engine_(engine) {
    engine_.mu_.Lock();
    ++engine_.holds_;
  }
  ~Look() ABSL_UNLOCK_FUNCTION() {
    engine_.directory_.PackSome();
    engine_.mu_.Unlock();
  }
  Look(const Look&) = delete;
  Look& operator=(const Look&) = delete;

 private:
  const Engine& engine_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_ENGINE_SECTION_H_
