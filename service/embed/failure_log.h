// FailureLog: logs failures of an embedder's own code to gRPC's log, which is
// the log of its process: exceptions, and detach hooks that failed.
//
// Thread-safety: safe.   Lifetime: no state.
#ifndef LEASEHOLD_SERVICE_EMBED_FAILURE_LOG_H_
#define LEASEHOLD_SERVICE_EMBED_FAILURE_LOG_H_

#include "service/instance/instance_observer.h"

namespace leasehold {

class FailureLog final : public InstanceObserver {
 public:
  void OnEvent(const InstanceEvent& event) override;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_EMBED_FAILURE_LOG_H_
