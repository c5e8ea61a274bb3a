// HeldPin: a pin that stays for long, and says what for.
//
// A stream that keeps its instance busy holds one. It shows in what is known of
// the context (`pins`), and it can be told to give up: a forced release does
// so. Short calls hold a plain Pin.
//
// Thread-safety: one thread.   Lifetime: the registry outlives it; the listener
// is shared, as it may be told while the stream ends.
#ifndef LEASEHOLD_SERVICE_INSTANCE_HELD_PIN_H_
#define LEASEHOLD_SERVICE_INSTANCE_HELD_PIN_H_

#include <memory>

#include "service/instance/instance_context.h"
#include "service/instance/instance_info.h"

namespace leasehold {

class HeldPin {
 public:
  // `listener` may be null: then nobody is told.
  HeldPin(Pin pin, PinKind kind, std::shared_ptr<ReleaseListener> listener)
      : pin_(std::move(pin)) {
    pin_->AddHolder(*this, kind, std::move(listener));
  }
  ~HeldPin() { pin_->RemoveHolder(*this); }
  HeldPin(const HeldPin&) = delete;
  HeldPin& operator=(const HeldPin&) = delete;

  InstanceContext& operator*() const { return *pin_; }
  InstanceContext* operator->() const { return &*pin_; }

 private:
  Pin pin_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_INSTANCE_HELD_PIN_H_
