#include "client/worker/activity_run.h"

#include <exception>

#include "client/worker/activity_context.h"
#include "client/worker/failure.h"
#include "client/worker/failure_messages.h"

namespace leasehold::worker::internal {

ActivityResponse RunActivity(const Registry& registry,
                             const ActivityRequest& request,
                             const std::atomic<bool>& stopping) {
  ActivityResponse response;
  response.set_instanceid(request.orchestrationinstance().instanceid());
  response.set_taskid(request.taskid());
  const Registry::Activity* const activity =
      registry.FindActivity(request.name());
  if (activity == nullptr) {
    *response.mutable_failuredetails() =
        NotFound("Activity", request.name(), registry.ActivityNames());
    return response;
  }
  ActivityCall call;
  call.name = request.name();
  call.instance_id = request.orchestrationinstance().instanceid();
  call.execution_id = request.orchestrationinstance().executionid().value();
  call.task_id = request.taskid();
  call.tags.insert(request.tags().begin(), request.tags().end());
  Payload input;
  if (request.has_input()) input = request.input().value();
  try {
    ActivityContext context(std::move(call), stopping);
    const Payload result = (*activity)(context, input);
    if (result.has_value()) response.mutable_result()->set_value(*result);
  } catch (...) {
    *response.mutable_failuredetails() =
        ToProto(DescribeException(std::current_exception()));
  }
  return response;
}

}  // namespace leasehold::worker::internal
