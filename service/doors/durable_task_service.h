// DurableTaskService: the Durable Task protocol's service as gRPC has it, each
// method with its bytes.
//
// The contract's messages have global C++ names, so this is not in the
// libraries that others embed.
//
// Thread-safety: safe.   Lifetime: outlives the server.
#ifndef LEASEHOLD_SERVICE_DOORS_DURABLE_TASK_SERVICE_H_
#define LEASEHOLD_SERVICE_DOORS_DURABLE_TASK_SERVICE_H_

#include "durabletask/orchestrator_service.grpc.pb.h"
#include "service/rpc/received.h"

namespace leasehold {

using DurableTaskService = RawService<
    TaskHubSidecarService::AsyncService,
    TaskHubSidecarService::WithRawMethod_Hello,
    TaskHubSidecarService::WithRawMethod_StartInstance,
    TaskHubSidecarService::WithRawMethod_GetInstance,
    TaskHubSidecarService::WithRawMethod_RewindInstance,
    TaskHubSidecarService::WithRawMethod_RestartInstance,
    TaskHubSidecarService::WithRawMethod_WaitForInstanceStart,
    TaskHubSidecarService::WithRawMethod_WaitForInstanceCompletion,
    TaskHubSidecarService::WithRawMethod_RaiseEvent,
    TaskHubSidecarService::WithRawMethod_TerminateInstance,
    TaskHubSidecarService::WithRawMethod_SuspendInstance,
    TaskHubSidecarService::WithRawMethod_ResumeInstance,
    TaskHubSidecarService::WithRawMethod_QueryInstances,
    TaskHubSidecarService::WithRawMethod_ListInstanceIds,
    TaskHubSidecarService::WithRawMethod_PurgeInstances,
    TaskHubSidecarService::WithRawMethod_GetWorkItems,
    TaskHubSidecarService::WithRawMethod_CompleteActivityTask,
    TaskHubSidecarService::WithRawMethod_CompleteOrchestratorTask,
    TaskHubSidecarService::WithRawMethod_CompleteEntityTask,
    TaskHubSidecarService::WithRawMethod_StreamInstanceHistory,
    TaskHubSidecarService::WithRawMethod_CreateTaskHub,
    TaskHubSidecarService::WithRawMethod_DeleteTaskHub,
    TaskHubSidecarService::WithRawMethod_SignalEntity,
    TaskHubSidecarService::WithRawMethod_GetEntity,
    TaskHubSidecarService::WithRawMethod_QueryEntities,
    TaskHubSidecarService::WithRawMethod_CleanEntityStorage,
    TaskHubSidecarService::WithRawMethod_AbandonTaskActivityWorkItem,
    TaskHubSidecarService::WithRawMethod_AbandonTaskOrchestratorWorkItem,
    TaskHubSidecarService::WithRawMethod_AbandonTaskEntityWorkItem,
    TaskHubSidecarService::WithRawMethod_SkipGracefulOrchestrationTerminations>;

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_DOORS_DURABLE_TASK_SERVICE_H_
