// OrchestrationServer: leasehold.v1.Orchestration over gRPC.
//
// Thread-safety: safe.   Lifetime: orchestrations, door and observer outlive
// it; it outlives the server.
#ifndef LEASEHOLD_SERVICE_DOORS_ORCHESTRATION_SERVER_H_
#define LEASEHOLD_SERVICE_DOORS_ORCHESTRATION_SERVER_H_

#include <string_view>
#include <vector>

#include "leasehold/v1/orchestration.grpc.pb.h"
#include "service/doors/call_observer.h"
#include "service/doors/instance_call.h"
#include "service/doors/orchestration_call.h"
#include "service/doors/service_names.h"
#include "service/orchestration/orchestrations.h"
#include "service/rpc/caller.h"
#include "service/rpc/received.h"
#include "service/rpc/rpc_queue.h"
#include "service/rpc/served.h"

namespace leasehold {

class OrchestrationServer final : public HostedService {
 public:
  // `observer` may be null.
  OrchestrationServer(Orchestrations& orchestrations, const InstanceDoor& door,
                      CallObserver* observer)
      : orchestrations_(orchestrations), door_(door), observer_(observer) {}

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
                             v1::Orchestration::WithRawMethod_GetHistory>;

  // Serves a method of one orchestration, whose answer comes from
  // Orchestrations. `handle` fills the response, then calls `done`; both may
  // happen on any thread.
  template <typename Request, typename Response, typename Accept>
  CallTask ServeOne(RpcQueue& queue, Accept accept,
                    void (OrchestrationServer::*handle)(const InstanceKey& key,
                                                        Request& request,
                                                        Response& response,
                                                        DoneStatus done));
  // Serves a method of many orchestrations.
  template <typename Request, typename Response, typename Accept>
  CallTask ServeMany(RpcQueue& queue, Accept accept,
                     void (OrchestrationServer::*handle)(const Caller& caller,
                                                         Request& request,
                                                         Response& response,
                                                         DoneStatus done));
  template <typename Accept>
  CallTask ServeWait(RpcQueue& queue, Accept accept, Until until);
  CallTask ServeStart(RpcQueue& queue);
  CallTask ServeRestart(RpcQueue& queue);
  CallTask ServeWatch(RpcQueue& queue);
  CallTask ServeGetHistory(RpcQueue& queue);

  void Get(const InstanceKey& key, v1::GetOrchestrationRequest& request,
           v1::OrchestrationState& response, DoneStatus done);
  void RaiseEvent(const InstanceKey& key,
                  v1::RaiseOrchestrationEventRequest& request,
                  v1::RaiseOrchestrationEventResponse& response,
                  DoneStatus done);
  void Suspend(const InstanceKey& key, v1::SuspendOrchestrationRequest& request,
               v1::SuspendOrchestrationResponse& response, DoneStatus done);
  void Resume(const InstanceKey& key, v1::ResumeOrchestrationRequest& request,
              v1::ResumeOrchestrationResponse& response, DoneStatus done);
  void Rewind(const InstanceKey& key, v1::RewindOrchestrationRequest& request,
              v1::RewindOrchestrationResponse& response, DoneStatus done);
  void Terminate(const InstanceKey& key,
                 v1::TerminateOrchestrationRequest& request,
                 v1::TerminateOrchestrationResponse& response, DoneStatus done);
  void Purge(const InstanceKey& key, v1::PurgeOrchestrationRequest& request,
             v1::PurgeOrchestrationResponse& response, DoneStatus done);
  void PurgeMany(const Caller& caller, v1::PurgeOrchestrationsRequest& request,
                 v1::PurgeOrchestrationsResponse& response, DoneStatus done);
  void List(const Caller& caller, v1::ListOrchestrationsRequest& request,
            v1::ListOrchestrationsResponse& response, DoneStatus done);

  // Writes the outcome of a start into response and metadata.
  absl::Status Receive(const absl::StatusOr<StartReceipt>& receipt,
                       grpc::ServerContext& call,
                       v1::StartOrchestrationResponse& response);

  Orchestrations& orchestrations_;
  const InstanceDoor& door_;
  CallObserver* const observer_;
  Service service_;
  // For histories, and for watchers that have not been told yet.
  ReadGate reads_{4};
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_DOORS_ORCHESTRATION_SERVER_H_
