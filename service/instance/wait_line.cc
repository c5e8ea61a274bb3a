#include "service/instance/wait_line.h"

#include "service/base/invariant.h"
#include "service/instance/pin_waiter.h"

namespace leasehold {

bool WaitLine::Join(InstanceContext& context, PinWaiter& waiter, bool opens) {
  CheckInvariant(waiter.context_ == nullptr,
                 "a call waits for one context at a time");
  waiter.context_ = &context;
  waiter.opens_ = opens;
  waiter.prev_ = last_;
  waiter.next_ = nullptr;
  (last_ != nullptr ? last_->next_ : first_) = &waiter;
  last_ = &waiter;
  return waiter.prev_ == nullptr;
}

void WaitLine::Leave(PinWaiter& waiter) {
  (waiter.prev_ != nullptr ? waiter.prev_->next_ : first_) = waiter.next_;
  (waiter.next_ != nullptr ? waiter.next_->prev_ : last_) = waiter.prev_;
  waiter.context_ = nullptr;
}

std::vector<PinWaiter*> WaitLine::TakeAll() {
  std::vector<PinWaiter*> waiters;
  for (PinWaiter* waiter = first_; waiter != nullptr; waiter = waiter->next_) {
    waiter->context_ = nullptr;
    waiters.push_back(waiter);
  }
  first_ = last_ = nullptr;
  return waiters;
}

}  // namespace leasehold
