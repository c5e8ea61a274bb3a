// SidecarServer: the Durable Task protocol, so that its SDKs connect unchanged.
//
// Each method parses, asks the engine, and translates the answer. A worker's
// stream is a sink: what the engine sends is written as it is. A stream that
// has nothing to say is sent a health ping now and then, as some SDKs take a
// silent stream for a dead one.
//
// The contract's messages have global C++ names, so this stays out of the
// libraries that others embed.
//
// Thread-safety: safe.   Lifetime: engine and clock outlive it; it outlives the
// server.
#ifndef LEASEHOLD_SERVICE_SERVER_SIDECAR_SERVER_H_
#define LEASEHOLD_SERVICE_SERVER_SIDECAR_SERVER_H_

#include <grpcpp/support/byte_buffer.h>

#include <functional>
#include <memory>
#include <set>
#include <thread>

#include "durabletask/orchestrator_service.grpc.pb.h"
#include "lease/clock.h"
#include "lease/mutex.h"
#include "service/orchestration/engine.h"
#include "service/server/served.h"

namespace leasehold {

struct SidecarOptions {
  bool allow_hub_wipe = false;  // `--allow-hub-wipe`
  // A stream is never silent for longer.
  absl::Duration ping_interval = absl::Seconds(20);
};

class SidecarServer final : public Served {
 public:
  SidecarServer(Engine& engine, Clock& clock, SidecarOptions options);
  ~SidecarServer() override;

  grpc::Service& service() override { return service_; }
  void Serve(RpcQueue& queue) override;
  void OnDraining() override;
  void OnStopping() override { engine_.Stop(); }

 private:
  // Both are written and read as bytes, as the engine has them.
  using Service = TaskHubSidecarService::WithRawMethod_GetWorkItems<
      TaskHubSidecarService::WithRawMethod_StreamInstanceHistory<
          TaskHubSidecarService::AsyncService>>;
  class WorkStream;
  using DoneStatus = Engine::DoneStatus;

  // A method whose answer comes from the engine. `handle` fills the response,
  // then calls `done`; both may happen on any thread.
  template <typename Request, typename Response, typename Accept>
  CallTask ServeUnary(RpcQueue& queue, Accept accept,
                      void (SidecarServer::*handle)(Request& request,
                                                    Response& response,
                                                    DoneStatus done));
  template <typename Request, typename Response, typename Accept>
  CallTask ServeNothing(RpcQueue& queue, Accept accept, const char* what);
  template <typename Accept>
  CallTask ServeWait(RpcQueue& queue, Accept accept, Engine::Until until);
  CallTask ServeGetWorkItems(RpcQueue& queue);
  CallTask ServeStreamInstanceHistory(RpcQueue& queue);

  void Hello(google::protobuf::Empty& request,
             google::protobuf::Empty& response, DoneStatus done);
  void StartInstance(CreateInstanceRequest& request,
                     CreateInstanceResponse& response, DoneStatus done);
  void RestartInstance(RestartInstanceRequest& request,
                       RestartInstanceResponse& response, DoneStatus done);
  void RewindInstance(RewindInstanceRequest& request,
                      RewindInstanceResponse& response, DoneStatus done);
  void TerminateNow(SkipGracefulOrchestrationTerminationsRequest& request,
                    SkipGracefulOrchestrationTerminationsResponse& response,
                    DoneStatus done);
  void GetInstance(GetInstanceRequest& request, GetInstanceResponse& response,
                   DoneStatus done);
  void RaiseEvent(RaiseEventRequest& request, RaiseEventResponse& response,
                  DoneStatus done);
  void TerminateInstance(TerminateRequest& request, TerminateResponse& response,
                         DoneStatus done);
  void SuspendInstance(SuspendRequest& request, SuspendResponse& response,
                       DoneStatus done);
  void ResumeInstance(ResumeRequest& request, ResumeResponse& response,
                      DoneStatus done);
  void QueryInstances(QueryInstancesRequest& request,
                      QueryInstancesResponse& response, DoneStatus done);
  void ListInstanceIds(ListInstanceIdsRequest& request,
                       ListInstanceIdsResponse& response, DoneStatus done);
  void PurgeInstances(PurgeInstancesRequest& request,
                      PurgeInstancesResponse& response, DoneStatus done);
  void CompleteActivityTask(ActivityResponse& request,
                            CompleteTaskResponse& response, DoneStatus done);
  void CompleteOrchestratorTask(OrchestratorResponse& request,
                                CompleteTaskResponse& response,
                                DoneStatus done);
  void AbandonActivity(AbandonActivityTaskRequest& request,
                       AbandonActivityTaskResponse& response, DoneStatus done);
  void AbandonTurn(AbandonOrchestrationTaskRequest& request,
                   AbandonOrchestrationTaskResponse& response, DoneStatus done);
  void CreateTaskHub(CreateTaskHubRequest& request,
                     CreateTaskHubResponse& response, DoneStatus done);
  void DeleteTaskHub(DeleteTaskHubRequest& request,
                     DeleteTaskHubResponse& response, DoneStatus done);
  void Wipe(DoneStatus done);

  void PingSilentStreams() ABSL_LOCKS_EXCLUDED(mu_);

  // Constant after construction.
  Engine& engine_;
  Clock& clock_;
  const SidecarOptions options_;
  Service service_;

  Mutex mu_;
  CondVar changed_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::set<std::shared_ptr<WorkStream>> streams_ ABSL_GUARDED_BY(mu_);
  std::thread pinger_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_SERVER_SIDECAR_SERVER_H_
