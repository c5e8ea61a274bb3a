#include "service/doors/durable_task_entities.h"

#include <functional>

#include "absl/status/status.h"
#include "service/rpc/rpc_queue.h"
#include "service/rpc/server_call.h"

namespace leasehold {
namespace {

template <typename Request, typename Response, typename Accept>
CallTask ServeUnsupported(DurableTaskService& service, RpcQueue& queue,
                          Accept accept) {
  UnaryCall<Request, Response> call(queue);
  if (!co_await call.Accept(service, accept)) co_return;
  ServeUnsupported<Request, Response>(service, queue, accept);
  if (!co_await call.Parse()) co_return;

  const absl::Status status =
      absl::UnimplementedError("entities is not supported by this server");
  co_await call.Finish(status);
}

template <typename Request, typename Response, typename Accept>
std::function<void(RpcQueue&)> Unsupported(DurableTaskService& service,
                                           Accept accept) {
  return [&service, accept](RpcQueue& queue) {
    ServeUnsupported<Request, Response>(service, queue, accept);
  };
}

}  // namespace

std::vector<HostedService::Method> EntityMethods(DurableTaskService& service) {
  using enum MethodKind;
  using enum Role;
  using Service = DurableTaskService;
  return {
      {"CompleteEntityTask", kUnary, kWorker,
       Unsupported<EntityBatchResult, CompleteTaskResponse>(
           service, &Service::RequestCompleteEntityTask)},
      {"AbandonTaskEntityWorkItem", kUnary, kWorker,
       Unsupported<AbandonEntityTaskRequest, AbandonEntityTaskResponse>(
           service, &Service::RequestAbandonTaskEntityWorkItem)},
      {"SignalEntity", kUnary, kUser,
       Unsupported<SignalEntityRequest, SignalEntityResponse>(
           service, &Service::RequestSignalEntity)},
      {"GetEntity", kUnary, kViewer,
       Unsupported<GetEntityRequest, GetEntityResponse>(
           service, &Service::RequestGetEntity)},
      {"QueryEntities", kUnary, kViewer,
       Unsupported<QueryEntitiesRequest, QueryEntitiesResponse>(
           service, &Service::RequestQueryEntities)},
      {"CleanEntityStorage", kUnary, kOperator,
       Unsupported<CleanEntityStorageRequest, CleanEntityStorageResponse>(
           service, &Service::RequestCleanEntityStorage)},
  };
}

}  // namespace leasehold
