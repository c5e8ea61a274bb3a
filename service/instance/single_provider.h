// SingleProvider: all calls of a tenant share one context, which never ends by
// itself.
//
// The ID in the call is ignored; the context's ID is `single`.
//
// Thread-safety: safe (no state).
#ifndef LEASEHOLD_SERVICE_INSTANCE_SINGLE_PROVIDER_H_
#define LEASEHOLD_SERVICE_INSTANCE_SINGLE_PROVIDER_H_

#include <optional>

#include "service/instance/instance_context_provider.h"

namespace leasehold {

class SingleProvider final : public InstanceContextProvider {
 public:
  std::optional<InstanceKey> KeyOf(const InstanceRequest& request) override {
    return InstanceKey{.tenant = request.key.tenant, .id = "single"};
  }
  bool Leased() const override { return false; }
  // It vetoes forever, and so never calls back.
  void NotifyIdle(IdleCallback, InstanceContext&) override {}
  bool IsIdle(InstanceContext&) override { return false; }
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_INSTANCE_SINGLE_PROVIDER_H_
