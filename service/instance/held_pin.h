// HeldPin: a long-lived pin that states its purpose.
//
// A stream that keeps its instance busy holds one. It is listed in the
// context's InstanceInfo (`pins`, and `held` with who holds it since when), and
// its holder can be told to let go: a forced release does so. Short calls hold
// a plain Pin, and are only counted: what is written down of each would cost
// every call.
//
// Thread-safety: one thread.   Lifetime: the registry outlives it; the listener
// is shared, because it may be called while the stream ends.
#ifndef LEASEHOLD_SERVICE_INSTANCE_HELD_PIN_H_
#define LEASEHOLD_SERVICE_INSTANCE_HELD_PIN_H_

#include <memory>

#include "service/instance/instance_context.h"
#include "service/instance/instance_info.h"

namespace leasehold {

class HeldPin {
 public:
  // If `listener` is null, nobody is told. `who`: for people; null: unknown.
  HeldPin(Pin pin, PinKind kind, std::shared_ptr<ReleaseListener> listener,
          std::unique_ptr<const PinHolder> who = nullptr)
      : pin_(std::move(pin)) {
    pin_->AddHolder(*this, kind, std::move(listener), std::move(who));
  }
  ~HeldPin() { pin_->RemoveHolder(*this, pin_); }
  HeldPin(const HeldPin&) = delete;
  HeldPin& operator=(const HeldPin&) = delete;

  InstanceContext& operator*() const { return *pin_; }
  InstanceContext* operator->() const { return &*pin_; }

 private:
  Pin pin_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_INSTANCE_HELD_PIN_H_
