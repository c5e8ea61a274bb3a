// WaitLine: the calls that wait for one context, in order of arrival.
//
// A linked list through the waiters: a call that waits costs no memory.
//
// Thread-safety: the context's lock guards it.   Lifetime: waiters outlive
// their wait.
#ifndef LEASEHOLD_SERVICE_INSTANCE_WAIT_LINE_H_
#define LEASEHOLD_SERVICE_INSTANCE_WAIT_LINE_H_

#include <vector>

namespace leasehold {

class InstanceContext;
class PinWaiter;

class WaitLine {
 public:
  bool empty() const { return first_ == nullptr; }

  // Puts `waiter` at the end. `opens`: its call has just created `context`.
  // True: it is the first. REQUIRES: it waits nowhere.
  bool Join(InstanceContext& context, PinWaiter& waiter, bool opens);
  // REQUIRES: `waiter` is in this line.
  void Leave(PinWaiter& waiter);
  // Removes and returns all, in order.
  std::vector<PinWaiter*> TakeAll();

 private:
  PinWaiter* first_ = nullptr;
  PinWaiter* last_ = nullptr;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_INSTANCE_WAIT_LINE_H_
