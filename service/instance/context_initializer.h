// ContextInitializer: bootstraps a context before the first call sees it.
//
// Initializers run once for each context, in the order in which the registry
// was given them, while calls for the key wait. They may attach extensions. If
// one fails, the extensions attached so far are detached (`failed
// initializer`), the context is gone, and all who waited get its status.
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

// The first caller's request, copied: the caller itself may have gone.
struct InitializerRequest {
  InstanceRequest request;  // Its `metadata` is null: it is here.
  std::vector<std::pair<std::string, std::string>> metadata;
};

class ContextInitializer {
 public:
  virtual ~ContextInitializer() = default;

  // False: Initialize is short and never blocks. If that is so of all of a
  // registry's initializers, they run on the thread of the first caller, and a
  // context opens without a change of threads. Asked once.
  virtual bool MayBlock() const { return true; }

  // May block for a while (see MayBlock), or return at once and answer later.
  // `request` lives until the answer.
  virtual void Initialize(InstanceContext& context,
                          const InitializerRequest& request, HookDone done) = 0;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_INSTANCE_CONTEXT_INITIALIZER_H_
