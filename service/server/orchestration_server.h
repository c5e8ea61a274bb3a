// OrchestrationServer: leasehold.v1.Orchestration over gRPC.
//
// Thread-safety: safe.   Lifetime: engine, door and console outlive it; it
// outlives the server.
#ifndef LEASEHOLD_SERVICE_SERVER_ORCHESTRATION_SERVER_H_
#define LEASEHOLD_SERVICE_SERVER_ORCHESTRATION_SERVER_H_

#include "leasehold/v1/orchestration.grpc.pb.h"
#include "service/orchestration/engine.h"
#include "service/server/console.h"
#include "service/server/instance_call.h"
#include "service/server/rpc_runtime.h"
#include "service/server/served.h"

namespace leasehold {

class OrchestrationServer final : public Served {
 public:
  // `console` may be null.
  OrchestrationServer(Engine& engine, const InstanceDoor& door,
                      Console* console)
      : engine_(engine), door_(door), console_(console) {}

  grpc::Service& service() override { return service_; }
  void Serve(RpcQueue& queue) override;

 private:
  using Service = v1::Orchestration::AsyncService;
  using DoneStatus = Engine::DoneStatus;

  // A method of one orchestration, whose answer comes from the engine. `handle`
  // fills the response, then calls `done`; both may happen on any thread.
  template <typename Request, typename Response, typename Accept>
  CallTask ServeOne(RpcQueue& queue, Accept accept,
                    void (OrchestrationServer::*handle)(const InstanceKey& key,
                                                        Request& request,
                                                        Response& response,
                                                        DoneStatus done));
  // One of many.
  template <typename Request, typename Response, typename Accept>
  CallTask ServeMany(RpcQueue& queue, Accept accept,
                     void (OrchestrationServer::*handle)(Request& request,
                                                         Response& response,
                                                         DoneStatus done));
  template <typename Accept>
  CallTask ServeWait(RpcQueue& queue, Accept accept, Engine::Until until);
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
  void PurgeMany(v1::PurgeOrchestrationsRequest& request,
                 v1::PurgeOrchestrationsResponse& response, DoneStatus done);
  void List(v1::ListOrchestrationsRequest& request,
            v1::ListOrchestrationsResponse& response, DoneStatus done);

  // What a start has come to, in response and metadata.
  absl::Status Receive(const absl::StatusOr<StartReceipt>& receipt,
                       grpc::ServerContext& call,
                       v1::StartOrchestrationResponse& response);

  Engine& engine_;
  const InstanceDoor& door_;
  Console* const console_;
  Service service_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_SERVER_ORCHESTRATION_SERVER_H_
