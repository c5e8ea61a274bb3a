// OrchestrationServer: leasehold.v1.Orchestration over gRPC.
//
// Thread-safety: safe.   Lifetime: orchestrations, door and observer outlive
// it; it outlives the server.
#ifndef LEASEHOLD_SERVICE_DOORS_ORCHESTRATION_SERVER_H_
#define LEASEHOLD_SERVICE_DOORS_ORCHESTRATION_SERVER_H_

#include <functional>
#include <string_view>
#include <utility>
#include <vector>

#include "leasehold/v1/orchestration.grpc.pb.h"
#include "service/doors/call_observer.h"
#include "service/doors/instance_call.h"
#include "service/doors/orchestration_call.h"
#include "service/doors/service_names.h"
#include "service/instance/instance_key.h"
#include "service/orchestration/orchestrations.h"
#include "service/rpc/caller.h"
#include "service/rpc/received.h"
#include "service/rpc/rpc_queue.h"
#include "service/rpc/served.h"

namespace leasehold {

// Writes the URLs of an instance in an HTTP management API. Called on any
// thread.
using WriteManagementUrls =
    std::function<void(const InstanceKey& key, v1::ManagementUrls& urls)>;

class OrchestrationServer final : public HostedService {
 public:
  // `observer` may be null.
  OrchestrationServer(Orchestrations& orchestrations, const InstanceDoor& door,
                      CallObserver* observer)
      : orchestrations_(orchestrations), door_(door), observer_(observer) {}

  // Has receipts of starts carry URLs. Before the server serves.
  void UseUrls(WriteManagementUrls write) { write_urls_ = std::move(write); }

  grpc::Service& service() override { return service_; }
  std::string_view name() const override { return kOrchestrationService.full; }
  std::vector<Method> Methods() override;

 private:
  using Service = RawService<v1::Orchestration::AsyncService,
                             v1::Orchestration::WithRawMethod_Start,
                             v1::Orchestration::WithRawMethod_Get,
                             v1::Orchestration::WithRawMethod_WaitForStart,
                             v1::Orchestration::WithRawMethod_WaitForCompletion,
                             v1::Orchestration::WithRawMethod_Watch,
                             v1::Orchestration::WithRawMethod_RaiseEvent,
                             v1::Orchestration::WithRawMethod_Suspend,
                             v1::Orchestration::WithRawMethod_Resume,
                             v1::Orchestration::WithRawMethod_Terminate,
                             v1::Orchestration::WithRawMethod_Restart,
                             v1::Orchestration::WithRawMethod_Rewind,
                             v1::Orchestration::WithRawMethod_Purge,
                             v1::Orchestration::WithRawMethod_PurgeMany,
                             v1::Orchestration::WithRawMethod_List,
                             v1::Orchestration::WithRawMethod_Count,
                             v1::Orchestration::WithRawMethod_GetHistory>;

  template <typename Accept>
  CallTask ServeWait(MethodQueue& calls, Accept accept, Until until);
  CallTask ServeStart(MethodQueue& calls);
  CallTask ServeRestart(MethodQueue& calls);
  CallTask ServeWatch(MethodQueue& calls);
  CallTask ServeGetHistory(MethodQueue& calls);

  // Writes the outcome of a start into response and metadata.
  absl::Status Receive(const absl::StatusOr<StartReceipt>& receipt,
                       const Caller& caller, grpc::ServerContext& call,
                       v1::StartOrchestrationResponse& response);

  Orchestrations& orchestrations_;
  const InstanceDoor& door_;
  CallObserver* const observer_;
  WriteManagementUrls write_urls_;  // Empty: nothing serves any.
  Service service_;
  // For histories, and for watchers that have not been told yet.
  ReadGate reads_{4};
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_DOORS_ORCHESTRATION_SERVER_H_
