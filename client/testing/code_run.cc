#include "client/testing/code_run.h"

#include <atomic>

#include "client/worker/activity_run.h"
#include "client/worker/entity_run.h"
#include "client/worker/failure_messages.h"
#include "client/worker/turn.h"

namespace leasehold::testkit {
namespace {

// The name of the orchestrator that a turn is of.
std::string NameOf(const OrchestratorRequest& request) {
  for (const auto* events : {&request.pastevents(), &request.newevents()}) {
    for (const HistoryEvent& event : *events) {
      if (event.has_executionstarted()) return event.executionstarted().name();
    }
  }
  return "";
}

}  // namespace

std::string AnswerTurnItem(const TestCode& code, const WorkItem& item,
                           const worker::LogSink& log) {
  const OrchestratorRequest& request = item.orchestratorrequest();
  OrchestratorResponse response = worker::internal::RunTurn(
      code.Orchestrator(NameOf(request)), request, log);
  response.set_completiontoken(item.completiontoken());
  return response.SerializeAsString();
}

std::string AnswerActivityItem(const TestCode& code, const WorkItem& item) {
  static const std::atomic<bool> kStopping = false;
  const ActivityRequest& request = item.activityrequest();
  ActivityResponse response = worker::internal::RunActivity(
      code.Activity(request.name(),
                    request.orchestrationinstance().instanceid()),
      request, kStopping);
  response.set_completiontoken(item.completiontoken());
  return response.SerializeAsString();
}

std::string AnswerEntityItem(const TestCode& code, const WorkItem& item) {
  const EntityRequest& request = item.entityrequestv2();
  const worker::Registry::Entity* const entity = worker::internal::FindEntityOf(
      code.Entity(request.instanceid()), request.instanceid());
  EntityBatchResult response = worker::internal::RunBatch(*entity, request);
  response.set_completiontoken(item.completiontoken());
  return response.SerializeAsString();
}

std::string FailActivityItem(const WorkItem& item,
                             const worker::TaskFailure& failure) {
  const ActivityRequest& request = item.activityrequest();
  ActivityResponse response;
  response.set_instanceid(request.orchestrationinstance().instanceid());
  response.set_taskid(request.taskid());
  *response.mutable_failuredetails() = worker::internal::ToProto(failure);
  response.set_completiontoken(item.completiontoken());
  return response.SerializeAsString();
}

std::vector<AwaitedThing> AwaitedBy(const TestCode& code,
                                    const std::string& orchestrator,
                                    const OrchestratorRequest& request) {
  std::vector<AwaitedThing> things;
  for (worker::internal::Wait& wait :
       worker::internal::WaitsOf(code.Orchestrator(orchestrator), request)) {
    things.push_back({wait.task_id, std::move(wait.what)});
  }
  return things;
}

worker::TaskFailure DecodeFailure(const std::string& bytes) {
  TaskFailureDetails details;
  if (!details.ParseFromString(bytes)) return {};
  return worker::internal::FromProto(details);
}

}  // namespace leasehold::testkit
