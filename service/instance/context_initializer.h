// ContextInitializer: prepares a context before the first call sees it.
//
// Initializers run once per context, in the order in which the registry
// received them, while calls for the key wait. They may attach extensions. If
// one fails, the extensions attached so far are detached (`failed
// initializer`), the context is erased, and all waiting calls get its status.
//
// Thread-safety: called from many threads at once, for different contexts.
// Lifetime: outlives the registry.
#ifndef LEASEHOLD_SERVICE_INSTANCE_CONTEXT_INITIALIZER_H_
#define LEASEHOLD_SERVICE_INSTANCE_CONTEXT_INITIALIZER_H_

#include <string>
#include <utility>
#include <vector>

#include "service/instance/hook.h"
#include "service/instance/instance_context.h"
#include "service/instance/instance_headers.h"

namespace leasehold {

// A copy of the first caller's request: the caller itself may be gone.
struct InitializerRequest {
  InstanceRequest request;  // `metadata` is null: see below.
  std::vector<std::pair<std::string, std::string>> metadata;
};

class ContextInitializer {
 public:
  virtual ~ContextInitializer() = default;

  // False: Initialize is short and never blocks. If all initializers of a
  // registry say so, they run on the first caller's thread, and a context opens
  // without a thread switch. Asked once.
  virtual bool MayBlock() const { return true; }

  // May block for a while (see MayBlock), or return at once and answer later.
  // `request` lives until the answer.
  virtual void Initialize(InstanceContext& context,
                          const InitializerRequest& request, HookDone done) = 0;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_INSTANCE_CONTEXT_INITIALIZER_H_
