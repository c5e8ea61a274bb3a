// InstancesServer: leasehold.v1.Instances over gRPC.
//
// Thread-safety: safe.   Lifetime: door, hub and executor outlive it; it
// outlives the runtime.
#ifndef LEASEHOLD_SERVICE_SERVER_INSTANCES_SERVER_H_
#define LEASEHOLD_SERVICE_SERVER_INSTANCES_SERVER_H_

#include "leasehold/v1/instances.grpc.pb.h"
#include "service/instance/executor.h"
#include "service/instance/watch_hub.h"
#include "service/server/instance_call.h"
#include "service/server/rpc_runtime.h"

namespace leasehold {

class InstancesServer {
 public:
  InstancesServer(const InstanceDoor& door, WatchHub& hub, Executor& executor)
      : door_(door),
        registry_(door.registry()),
        hub_(hub),
        executor_(executor) {}

  grpc::Service& service() { return service_; }

  // Serves calls from `queue`, until the server stops.
  void Serve(RpcQueue& queue);

 private:
  using Service = v1::Instances::AsyncService;

  CallTask ServeCreate(RpcQueue& queue);
  CallTask ServeGet(RpcQueue& queue);
  CallTask ServeList(RpcQueue& queue);
  CallTask ServeWatch(RpcQueue& queue);
  CallTask ServeKeepAlive(RpcQueue& queue);
  CallTask ServeHold(RpcQueue& queue);
  CallTask ServeSetIdleTimeout(RpcQueue& queue);
  CallTask ServeRelease(RpcQueue& queue);

  const InstanceDoor& door_;
  InstanceRegistry& registry_;
  WatchHub& hub_;
  Executor& executor_;
  Service service_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_SERVER_INSTANCES_SERVER_H_
