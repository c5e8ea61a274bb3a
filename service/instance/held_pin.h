// HeldPin: a long-lived pin that states its purpose.
//
// A stream that keeps its instance busy holds one. It is listed in the
// context's InstanceInfo (`pins`), and its holder can be told to let go: a
// forced release does so. Short calls hold a plain Pin.
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
  // If `listener` is null, nobody is told.
  HeldPin(Pin pin, PinKind kind, std::shared_ptr<ReleaseListener> listener)
      : pin_(std::move(pin)) {
    pin_->AddHolder(*this, kind, std::move(listener));
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
