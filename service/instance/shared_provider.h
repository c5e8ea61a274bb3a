// SharedProvider: contexts are shared by all calls that name them, and live
// while they are busy or their lease runs. The default.
//
// The registry asks it only when a lease is over, and a lease that is over is
// all that it wants: so it never vetoes, and never owes a callback.
//
// Thread-safety: safe (no state).
#ifndef LEASEHOLD_SERVICE_INSTANCE_SHARED_PROVIDER_H_
#define LEASEHOLD_SERVICE_INSTANCE_SHARED_PROVIDER_H_

#include "service/instance/instance_context_provider.h"

namespace leasehold {

class SharedProvider final : public InstanceContextProvider {
 public:
  bool Leased() const override { return true; }
  void NotifyIdle(IdleCallback, InstanceContext&) override {}
  bool IsIdle(InstanceContext&) override { return true; }
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_INSTANCE_SHARED_PROVIDER_H_
