// SharedProvider: all calls that name a context share it, and it lives while it
// is busy or its lease runs. The default.
//
// The registry asks this provider only when a lease is over, and that is its
// only condition: so it never vetoes, and never owes a callback.
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
