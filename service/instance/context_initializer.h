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

#include "service/instance/hook.h"
#include "service/instance/instance_context.h"
#include "service/instance/instance_headers.h"

namespace leasehold {

class ContextInitializer {
 public:
  virtual ~ContextInitializer() = default;

  // Runs on the executor; may block for a while, or return at once and answer
  // later. `request` is that of the first caller, and lives until the answer;
  // the caller itself may have gone.
  virtual void Initialize(InstanceContext& context,
                          const InstanceRequest& request, HookDone done) = 0;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_INSTANCE_CONTEXT_INITIALIZER_H_
