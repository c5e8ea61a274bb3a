// DurableTaskServer: the Durable Task protocol, so that its SDKs connect
// unchanged.
//
// Each method parses its request, asks Orchestrations, and translates the
// answer. A worker's stream is a sink: what the exchange sends is written as it
// is. A stream on which nothing is sent gets a health ping from time to time,
// because some SDKs take a silent stream for a dead one.
//
// The contract's messages have global C++ names, so this is not in the
// libraries that others embed.
//
// Thread-safety: safe.   Lifetime: orchestrations, work and clock outlive it;
// it outlives the server.
#ifndef LEASEHOLD_SERVICE_DOORS_DURABLE_TASK_SERVER_H_
#define LEASEHOLD_SERVICE_DOORS_DURABLE_TASK_SERVER_H_

#include <grpcpp/support/byte_buffer.h>

#include <functional>
#include <memory>
#include <set>
#include <string_view>
#include <thread>
#include <vector>

#include "durabletask/orchestrator_service.grpc.pb.h"
#include "lease/clock.h"
#include "lease/mutex.h"
#include "service/doors/orchestration_call.h"
#include "service/doors/work_stream.h"
#include "service/orchestration/orchestrations.h"
#include "service/orchestration/work_exchange.h"
#include "service/rpc/caller.h"
#include "service/rpc/served.h"

namespace leasehold {

struct DurableTaskOptions {
  bool allow_hub_wipe = false;  // `--allow-hub-wipe`
  // A worker's stream is never silent for longer.
  absl::Duration ping_interval = absl::Seconds(20);
};

class DurableTaskServer final : public HostedService {
 public:
  DurableTaskServer(Orchestrations& orchestrations, WorkExchange& work,
                    Clock& clock, DurableTaskOptions options);
  ~DurableTaskServer() override;

  grpc::Service& service() override { return service_; }
  std::string_view name() const override {
    return TaskHubSidecarService::service_full_name();
  }
  std::vector<Method> Methods() override;
  void OnDraining() override;

 private:
  using Hub = TaskHubSidecarService;
  using Service = RawService<
      Hub::AsyncService, Hub::WithRawMethod_Hello,
      Hub::WithRawMethod_StartInstance, Hub::WithRawMethod_GetInstance,
      Hub::WithRawMethod_RewindInstance, Hub::WithRawMethod_RestartInstance,
      Hub::WithRawMethod_WaitForInstanceStart,
      Hub::WithRawMethod_WaitForInstanceCompletion,
      Hub::WithRawMethod_RaiseEvent, Hub::WithRawMethod_TerminateInstance,
      Hub::WithRawMethod_SuspendInstance, Hub::WithRawMethod_ResumeInstance,
      Hub::WithRawMethod_QueryInstances, Hub::WithRawMethod_ListInstanceIds,
      Hub::WithRawMethod_PurgeInstances, Hub::WithRawMethod_GetWorkItems,
      Hub::WithRawMethod_CompleteActivityTask,
      Hub::WithRawMethod_CompleteOrchestratorTask,
      Hub::WithRawMethod_CompleteEntityTask,
      Hub::WithRawMethod_StreamInstanceHistory,
      Hub::WithRawMethod_CreateTaskHub, Hub::WithRawMethod_DeleteTaskHub,
      Hub::WithRawMethod_SignalEntity, Hub::WithRawMethod_GetEntity,
      Hub::WithRawMethod_QueryEntities, Hub::WithRawMethod_CleanEntityStorage,
      Hub::WithRawMethod_AbandonTaskActivityWorkItem,
      Hub::WithRawMethod_AbandonTaskOrchestratorWorkItem,
      Hub::WithRawMethod_AbandonTaskEntityWorkItem,
      Hub::WithRawMethod_SkipGracefulOrchestrationTerminations>;
  // Serves a method whose answer comes from Orchestrations. `handle` fills the
  // response, then calls `done`; both may happen on any thread.
  template <typename Request, typename Response, typename Accept>
  CallTask ServeUnary(RpcQueue& queue, Accept accept,
                      void (DurableTaskServer::*handle)(const Caller& caller,
                                                        Request& request,
                                                        Response& response,
                                                        DoneStatus done));
  template <typename Request, typename Response, typename Accept>
  CallTask ServeNothing(RpcQueue& queue, Accept accept, const char* what);
  // Serves a method with which a worker answers. `handle` gets the bytes,
  // because an answer that cannot be read is handled too.
  template <typename Accept>
  CallTask ServeAnswer(RpcQueue& queue, Accept accept,
                       void (DurableTaskServer::*handle)(
                           const Caller& caller, grpc::ByteBuffer& answer,
                           DoneStatus done));
  template <typename Accept>
  CallTask ServeWait(RpcQueue& queue, Accept accept, Until until);
  CallTask ServeGetWorkItems(RpcQueue& queue);
  CallTask ServeStreamInstanceHistory(RpcQueue& queue);

  void Hello(const Caller& caller, google::protobuf::Empty& request,
             google::protobuf::Empty& response, DoneStatus done);
  void StartInstance(const Caller& caller, CreateInstanceRequest& request,
                     CreateInstanceResponse& response, DoneStatus done);
  void RestartInstance(const Caller& caller, RestartInstanceRequest& request,
                       RestartInstanceResponse& response, DoneStatus done);
  void RewindInstance(const Caller& caller, RewindInstanceRequest& request,
                      RewindInstanceResponse& response, DoneStatus done);
  void TerminateNow(const Caller& caller,
                    SkipGracefulOrchestrationTerminationsRequest& request,
                    SkipGracefulOrchestrationTerminationsResponse& response,
                    DoneStatus done);
  void GetInstance(const Caller& caller, GetInstanceRequest& request,
                   GetInstanceResponse& response, DoneStatus done);
  void RaiseEvent(const Caller& caller, RaiseEventRequest& request,
                  RaiseEventResponse& response, DoneStatus done);
  void TerminateInstance(const Caller& caller, TerminateRequest& request,
                         TerminateResponse& response, DoneStatus done);
  void SuspendInstance(const Caller& caller, SuspendRequest& request,
                       SuspendResponse& response, DoneStatus done);
  void ResumeInstance(const Caller& caller, ResumeRequest& request,
                      ResumeResponse& response, DoneStatus done);
  void QueryInstances(const Caller& caller, QueryInstancesRequest& request,
                      QueryInstancesResponse& response, DoneStatus done);
  void ListInstanceIds(const Caller& caller, ListInstanceIdsRequest& request,
                       ListInstanceIdsResponse& response, DoneStatus done);
  void PurgeInstances(const Caller& caller, PurgeInstancesRequest& request,
                      PurgeInstancesResponse& response, DoneStatus done);
  void CompleteActivityTask(const Caller& caller, grpc::ByteBuffer& answer,
                            DoneStatus done);
  void CompleteOrchestratorTask(const Caller& caller, grpc::ByteBuffer& answer,
                                DoneStatus done);
  void AbandonActivity(const Caller& caller,
                       AbandonActivityTaskRequest& request,
                       AbandonActivityTaskResponse& response, DoneStatus done);
  void AbandonTurn(const Caller& caller,
                   AbandonOrchestrationTaskRequest& request,
                   AbandonOrchestrationTaskResponse& response, DoneStatus done);
  void CreateTaskHub(const Caller& caller, CreateTaskHubRequest& request,
                     CreateTaskHubResponse& response, DoneStatus done);
  void DeleteTaskHub(const Caller& caller, DeleteTaskHubRequest& request,
                     DeleteTaskHubResponse& response, DoneStatus done);
  void Wipe(DoneStatus done);

  void PingSilentStreams() ABSL_LOCKS_EXCLUDED(mu_);

  // Constant after construction.
  Orchestrations& orchestrations_;
  WorkExchange& work_;
  Clock& clock_;
  const DurableTaskOptions options_;
  ReadGate reads_{4};  // Of histories.
  Service service_;

  Mutex mu_;
  CondVar changed_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::set<std::shared_ptr<WorkStream>> streams_ ABSL_GUARDED_BY(mu_);
  std::thread pinger_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_DOORS_DURABLE_TASK_SERVER_H_
