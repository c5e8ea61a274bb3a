// PinWaiter: a call that may have to wait for its context; PinGrant: what it
// gets.
//
// Thread-safety: the registry synchronises what is used while waiting.
// Lifetime: a waiter lives until its answer, or until its wait was cancelled.
#ifndef LEASEHOLD_SERVICE_INSTANCE_PIN_WAITER_H_
#define LEASEHOLD_SERVICE_INSTANCE_PIN_WAITER_H_

#include <utility>

#include "absl/status/statusor.h"
#include "service/instance/instance_context.h"
#include "service/instance/instance_headers.h"

namespace leasehold {

// A call's pin on its instance.
struct PinGrant {
  Pin pin;
  bool created = false;  // This call created the context.
};

// A call that may have to wait for its context. Its owner derives from it.
class PinWaiter {
 public:
  explicit PinWaiter(InstanceRequest request) : request_(std::move(request)) {}
  PinWaiter(const PinWaiter&) = delete;
  PinWaiter& operator=(const PinWaiter&) = delete;

  const InstanceRequest& request() const { return request_; }

  // Ends a wait: called once, on any thread, without a lock held. Not called if
  // Acquire returned the answer, or if CancelWait returned true.
  virtual void OnGrant(absl::StatusOr<PinGrant> grant) = 0;

 protected:
  virtual ~PinWaiter() = default;

 private:
  friend class InstanceRegistry;
  friend class WaitLine;

  InstanceRequest
      request_;  // Constant but for its key, which a provider may choose.
  // Of the request's provider, from Acquire on; null: it names none.
  const ProviderSet* providers_ = nullptr;
  // While waiting; guarded by the shard of the key.
  InstanceContext* context_ = nullptr;
  PinWaiter* prev_ = nullptr;
  PinWaiter* next_ = nullptr;
  bool opens_ = false;  // This call created the context that it waits for.
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_INSTANCE_PIN_WAITER_H_
