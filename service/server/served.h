// Served: a service that leasehold-server has beside Leasehold's own. Each is
// for one server.
//
// Thread-safety: safe.   Lifetime: outlives the server.
#ifndef LEASEHOLD_SERVICE_SERVER_SERVED_H_
#define LEASEHOLD_SERVICE_SERVER_SERVED_H_

#include <grpcpp/impl/codegen/service_type.h>

#include "service/server/rpc_runtime.h"

namespace leasehold {

class Served {
 public:
  virtual ~Served() = default;

  virtual grpc::Service& service() = 0;
  // Serves calls from `queue`, until the server stops. Before its thread runs.
  virtual void Serve(RpcQueue& queue) = 0;
  // The drain begins: open streams are about to be ended.
  virtual void OnDraining() {}
  // Calls have ended, or are cut; contexts are about to be closed, and must not
  // be held any more.
  virtual void OnStopping() {}
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_SERVER_SERVED_H_
