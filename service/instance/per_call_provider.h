// PerCallProvider: each call has its own context, gone when the call ends.
//
// The ID in the call is ignored; the context's ID is a fresh UUID.
//
// Thread-safety: safe (no state).
#ifndef LEASEHOLD_SERVICE_INSTANCE_PER_CALL_PROVIDER_H_
#define LEASEHOLD_SERVICE_INSTANCE_PER_CALL_PROVIDER_H_

#include <optional>

#include "service/instance/instance_context_provider.h"

namespace leasehold {

class PerCallProvider final : public InstanceContextProvider {
 public:
  std::optional<InstanceKey> KeyOf(const InstanceRequest& request) override {
    return InstanceKey{.tenant = request.key.tenant, .id = NewInstanceId()};
  }
  bool Leased() const override { return false; }
  void NotifyIdle(IdleCallback, InstanceContext&) override {}
  bool IsIdle(InstanceContext&) override { return true; }
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_INSTANCE_PER_CALL_PROVIDER_H_
