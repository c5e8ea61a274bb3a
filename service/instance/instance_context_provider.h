// InstanceContextProvider: the policy that says when a context is idle.
//
// The registry asks it; it never closes anything itself. The protocol is that
// of WCF's IInstanceContextProvider: before the registry asks IsIdle it hands
// over, with NotifyIdle, a callback. A provider that answers "not idle" owes
// one call of that callback when its answer may have changed; it is then asked
// again. It may veto for as long as it likes: the context stays open meanwhile,
// and is asked about again whenever its last pin is released.
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

// Asks the registry to ask IsIdle again. May be called from any thread, more
// than once, and after the context is gone: then it does nothing.
using IdleCallback = std::function<void()>;

class InstanceContextProvider {
 public:
  virtual ~InstanceContextProvider() = default;

  // The key of the context that a call belongs to; nullopt: the one that the
  // request names. (WCF's GetExistingInstanceContext: the registry finds or
  // makes the one context of the key.) Called on threads that serve calls.
  virtual std::optional<InstanceKey> KeyOf(const InstanceRequest& request) {
    (void)request;
    return std::nullopt;
  }

  // True: contexts have a lease, and IsIdle is asked when it is over. False: no
  // lease runs, and IsIdle is asked each time the last pin is released. Asked
  // once, when the registry is made.
  virtual bool Leased() const = 0;

  // Takes the callback of `context`, in place of any earlier one.
  virtual void NotifyIdle(IdleCallback callback, InstanceContext& context) = 0;

  // Whether `context`, which has no pins, may close now. Must not block.
  virtual bool IsIdle(InstanceContext& context) = 0;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_INSTANCE_INSTANCE_CONTEXT_PROVIDER_H_
