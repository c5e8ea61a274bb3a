// SessionProvider: a context lives as long as anyone is connected to it.
//
// It closes when its last pin is released: when the last call in flight ends,
// or the last client that holds it (`Instances.Hold`) lets go. There is no
// lease.
//
// Thread-safety: safe (no state).
#ifndef LEASEHOLD_SERVICE_INSTANCE_SESSION_PROVIDER_H_
#define LEASEHOLD_SERVICE_INSTANCE_SESSION_PROVIDER_H_

#include "service/instance/instance_context_provider.h"

namespace leasehold {

class SessionProvider final : public InstanceContextProvider {
 public:
  bool Leased() const override { return false; }
  void NotifyIdle(IdleCallback, InstanceContext&) override {}
  bool IsIdle(InstanceContext&) override { return true; }
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_INSTANCE_SESSION_PROVIDER_H_
