// SessionProvider: a context lives as long as somebody is connected to it.
//
// It closes when its last pin goes: when the last call in flight ends or, for
// clients that hold it (`Instances.Hold`), when the last of them lets go. There
// is no lease.
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
