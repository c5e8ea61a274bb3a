// InstancesServer: leasehold.v1.Instances over gRPC.
//
// Thread-safety: safe.   Lifetime: door, hub and executor outlive it; it
// outlives the runtime.
#ifndef LEASEHOLD_SERVICE_DOORS_INSTANCES_SERVER_H_
#define LEASEHOLD_SERVICE_DOORS_INSTANCES_SERVER_H_

#include <string_view>
#include <vector>

#include "leasehold/v1/instances.grpc.pb.h"
#include "service/doors/instance_call.h"
#include "service/instance/executor.h"
#include "service/instance/watch_hub.h"
#include "service/rpc/received.h"
#include "service/rpc/rpc_queue.h"
#include "service/rpc/served.h"

namespace leasehold {

class InstancesServer final : public HostedService {
 public:
  InstancesServer(const InstanceDoor& door, WatchHub& hub, Executor& executor)
      : door_(door),
        registry_(door.registry()),
        hub_(hub),
        executor_(executor) {}

  grpc::Service& service() override { return service_; }
  std::string_view name() const override {
    return v1::Instances::service_full_name();
  }
  std::vector<Method> Methods() override;

 private:
  using Service = RawService<
      v1::Instances::AsyncService, v1::Instances::WithRawMethod_Create,
      v1::Instances::WithRawMethod_Get, v1::Instances::WithRawMethod_List,
      v1::Instances::WithRawMethod_Watch,
      v1::Instances::WithRawMethod_KeepAlive, v1::Instances::WithRawMethod_Hold,
      v1::Instances::WithRawMethod_SetIdleTimeout,
      v1::Instances::WithRawMethod_Release>;

  CallTask ServeCreate(MethodQueue& calls);
  CallTask ServeGet(MethodQueue& calls);
  CallTask ServeList(MethodQueue& calls);
  CallTask ServeWatch(MethodQueue& calls);
  CallTask ServeKeepAlive(MethodQueue& calls);
  CallTask ServeHold(MethodQueue& calls);
  CallTask ServeSetIdleTimeout(MethodQueue& calls);
  CallTask ServeRelease(MethodQueue& calls);

  const InstanceDoor& door_;
  InstanceRegistry& registry_;
  WatchHub& hub_;
  Executor& executor_;
  Service service_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_DOORS_INSTANCES_SERVER_H_
