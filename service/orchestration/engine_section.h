// Engine::Section: holds the engine's lock for a scope, and afterwards does
// what must not be done under the lock: callbacks, sending, pinning and
// unpinning.
//
// For the engine's own files.
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
  ~Look() ABSL_UNLOCK_FUNCTION() { engine_.mu_.Unlock(); }
  Look(const Look&) = delete;
  Look& operator=(const Look&) = delete;

 private:
  const Engine& engine_;
};

// A start that waits for its context or for the store. It holds the context
// until it is answered.
class Engine::AcquireForStart final
    : public PinWaiter,
      public std::enable_shared_from_this<AcquireForStart> {
 public:
  AcquireForStart(Engine& engine, StartRequest request,
                  Done<StartReceipt> done);

  void Acquire();
  void OnGrant(absl::StatusOr<PinGrant> grant) override;

 private:
  // Its pin is released with the answer, or with this object.
  const std::shared_ptr<ContextOffer> offer_ = std::make_shared<ContextOffer>();

 public:
  Engine& engine;
  StartRequest request;
  const Done<StartReceipt> done;
  StartReceipt::Context context;

  const ContextOffer& offer() const { return *offer_; }

 private:
  static InstanceRequest ContextOf(StartRequest& request,
                                   absl::Duration idle_timeout);

  std::shared_ptr<AcquireForStart> self_;  // While it waits.
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_ENGINE_SECTION_H_
