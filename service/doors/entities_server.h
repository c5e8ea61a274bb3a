// EntitiesServer: leasehold.v1.Entities over gRPC.
//
// Thread-safety: safe.   Lifetime: entities and door outlive it; it outlives
// the server.
#ifndef LEASEHOLD_SERVICE_DOORS_ENTITIES_SERVER_H_
#define LEASEHOLD_SERVICE_DOORS_ENTITIES_SERVER_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "leasehold/v1/entities.grpc.pb.h"
#include "service/doors/instance_call.h"
#include "service/doors/orchestration_call.h"
#include "service/orchestration/entities.h"
#include "service/rpc/received.h"
#include "service/rpc/rpc_queue.h"
#include "service/rpc/served.h"
#include "service/rpc/server_call.h"

namespace leasehold {

class EntitiesServer final : public HostedService {
 public:
  EntitiesServer(Entities& entities, const InstanceDoor& door)
      : entities_(entities), door_(door) {}

  grpc::Service& service() override { return service_; }
  std::string_view name() const override { return "leasehold.v1.Entities"; }
  std::vector<Method> Methods() override;

 private:
  using Service = RawService<
      v1::Entities::AsyncService, v1::Entities::WithRawMethod_Signal,
      v1::Entities::WithRawMethod_Call, v1::Entities::WithRawMethod_Get,
      v1::Entities::WithRawMethod_List, v1::Entities::WithRawMethod_Delete,
      v1::Entities::WithRawMethod_LimitLock, v1::Entities::WithRawMethod_Watch>;

  // The entity that a call names.
  //   InvalidArgument: it names none.
  absl::StatusOr<InstanceKey> ReadKey(const ServerCall& call,
                                      const std::string& field) const;

  CallTask ServeCall(MethodQueue& calls);
  CallTask ServeWatch(MethodQueue& calls);

  Entities& entities_;
  const InstanceDoor& door_;
  Service service_;
  // For watchers that have not been told yet.
  ReadGate reads_{4};
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_DOORS_ENTITIES_SERVER_H_
