// ContextHold: keeps the instance context of an orchestration open while a
// worker has work of it.
//
// It takes effect when it is made, under the engine's lock if need be. List
// then shows it among the context's pins; as that may call observers, it is
// called without a lock.
//
// A start has the context already. It offers its pin until it is answered: if
// the first turn goes out before that, the work takes another pin from it
// instead of acquiring the context again.
//
// Thread-safety: one thread at a time.   Lifetime: shared by the orchestration
// and by the thread that lists it; the registry outlives it.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_CONTEXT_HOLD_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_CONTEXT_HOLD_H_

#include <memory>
#include <optional>
#include <utility>

#include "service/instance/held_pin.h"
#include "service/instance/instance_context.h"
#include "service/instance/instance_info.h"

namespace leasehold {

class HotOrchestration;

// The pin of a start, and the place for the hot state in the context.
struct ContextOffer {
  Pin pin;
  HotOrchestration* hot = nullptr;
};

class ContextHold {
 public:
  // `listener` is told of a forced release, once the hold is listed.
  ContextHold(Pin pin, std::shared_ptr<ReleaseListener> listener)
      : pin_(std::move(pin)), listener_(std::move(listener)) {}
  ContextHold(const ContextHold&) = delete;
  ContextHold& operator=(const ContextHold&) = delete;

  // Called once. May call the listener and observers.
  void List() {
    listed_.emplace(std::move(pin_), PinKind::kWorkItem, std::move(listener_));
  }

 private:
  Pin pin_;
  std::shared_ptr<ReleaseListener> listener_;
  std::optional<HeldPin> listed_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_CONTEXT_HOLD_H_
