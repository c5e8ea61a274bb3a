// InstanceContextProvider: the policy that decides when a context is idle.
//
// The registry asks the provider; the provider never closes anything itself.
// The protocol is that of WCF's IInstanceContextProvider: before the registry
// asks IsIdle, it passes a callback with NotifyIdle. A provider that answers
// "not idle" owes one call of that callback when its answer may have changed;
// the registry then asks again. It may veto for as long as it likes: the
// context stays open meanwhile, and the registry asks again whenever its last
// pin is released.
//
// Thread-safety: called from many threads at once; two questions about one
// context never overlap.   Lifetime: outlives the registry.
#ifndef LEASEHOLD_SERVICE_INSTANCE_INSTANCE_CONTEXT_PROVIDER_H_
#define LEASEHOLD_SERVICE_INSTANCE_INSTANCE_CONTEXT_PROVIDER_H_

#include <functional>
#include <optional>

#include "service/instance/instance_context.h"
#include "service/instance/instance_headers.h"

namespace leasehold {

// Makes the registry ask IsIdle again. May be called from any thread, more than
// once, and after the context is gone: then it does nothing.
using IdleCallback = std::function<void()>;

class InstanceContextProvider {
 public:
  virtual ~InstanceContextProvider() = default;

  // The key of the context that a call belongs to; nullopt: the key in the
  // request. (WCF's GetExistingInstanceContext: the registry finds or creates
  // the one context of the key.) Called on threads that serve calls.
  virtual std::optional<InstanceKey> KeyOf(const InstanceRequest& request) {
    (void)request;
    return std::nullopt;
  }

  // True: contexts have a lease, and IsIdle is asked when it is over. False: no
  // lease runs, and IsIdle is asked each time the last pin is released. Asked
  // once, when the registry is constructed.
  virtual bool Leased() const = 0;

  // Passes the callback for `context`; it replaces any earlier one.
  virtual void NotifyIdle(IdleCallback callback, InstanceContext& context) = 0;

  // Whether `context`, which has no pins, may close now. Must not block.
  virtual bool IsIdle(InstanceContext& context) = 0;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_INSTANCE_INSTANCE_CONTEXT_PROVIDER_H_
