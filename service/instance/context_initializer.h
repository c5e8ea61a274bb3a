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
  // All metadata of the call: names in lower case, values of `-bin` headers as
  // bytes. A name may occur more than once.
  std::vector<std::pair<std::string, std::string>> metadata;
  // The method that was called, `package.Service/Method`. For a service of an
  // embedder these are ServiceOptions::name and the name that was given to
  // Bind; without the former, the latter alone.
  std::string method = {};
  // Who called, as gRPC writes it: `ipv4:127.0.0.1:41234`.
  std::string peer = {};
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
