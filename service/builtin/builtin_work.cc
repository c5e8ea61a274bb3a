#include "service/builtin/builtin_work.h"

#include <exception>
#include <utility>

#include "client/worker/activity_run.h"
#include "client/worker/entity_run.h"
#include "client/worker/payload.h"
#include "client/worker/registry.h"
#include "client/worker/turn.h"
#include "service/builtin/counter.h"
#include "service/builtin/counter_entity.h"
#include "service/builtin/echo_sequence.h"

namespace leasehold {

struct BuiltinWork::Rep {
  worker::Registry registry;
  worker::LogSink log;
};

BuiltinWork::BuiltinWork(std::shared_ptr<grpc::Channel> channel,
                         builtin::ProcessCredential self, worker::LogSink log)
    : rep_([&] {
        auto rep = std::make_unique<Rep>();
        rep->log = std::move(log);
        worker::Registry& registry = rep->registry;
        registry.AddOrchestrator("Counter", &builtin::Counter);
        registry.AddOrchestrator("EchoSequence", &builtin::EchoSequence);
        registry.AddOrchestrator("FanOutEcho", &builtin::FanOutEcho);
        registry.AddOrchestrator("Ping", &builtin::Ping);
        registry.AddEntity("Counter", builtin::CounterEntityClass());
        registry.AddActivity(
            "Echo", builtin::EchoActivity(std::move(channel), std::move(self)));
        return rep;
      }()) {}

BuiltinWork::~BuiltinWork() = default;

absl::Status BuiltinWork::status() const { return rep_->registry.status(); }

std::vector<std::string> BuiltinWork::OrchestratorNames() const {
  return rep_->registry.OrchestratorNames();
}

std::vector<std::string> BuiltinWork::ActivityNames() const {
  return rep_->registry.ActivityNames();
}

std::vector<std::string> BuiltinWork::EntityNames() const {
  return rep_->registry.EntityNames();
}

int BuiltinWork::GiveBacksOf(const WorkItem& item) const {
  // With their growing delays these are six seconds.
  constexpr int kOfOthers = 5;
  const EntityRequest& request = item.entityrequestv2();
  if (request.has_entitystate()) {
    try {
      worker::FromPayload<builtin::CounterEntity>(
          request.entitystate().value());
    } catch (const std::exception&) {
      return kForWorkersOnly;
    }
  }
  for (const HistoryEvent& event : request.operationrequests()) {
    const std::string& operation =
        event.has_entityoperationcalled()
            ? event.entityoperationcalled().operation()
            : event.entityoperationsignaled().operation();
    if (!builtin::IsCounterOperation(operation)) return kOfOthers;
  }
  return kOfACounter;
}

std::string BuiltinWork::DoTurn(const WorkItem& item) const {
  OrchestratorResponse response = worker::internal::RunTurn(
      rep_->registry, item.orchestratorrequest(), rep_->log);
  response.set_completiontoken(item.completiontoken());
  return response.SerializeAsString();
}

std::string BuiltinWork::DoActivity(const WorkItem& item,
                                    const std::atomic<bool>& stopping) const {
  ActivityResponse response = worker::internal::RunActivity(
      rep_->registry, item.activityrequest(), stopping);
  response.set_completiontoken(item.completiontoken());
  return response.SerializeAsString();
}

std::string BuiltinWork::DoBatch(const WorkItem& item) const {
  const EntityRequest& request = item.entityrequestv2();
  EntityBatchResult response = worker::internal::RunBatch(
      *worker::internal::FindEntityOf(rep_->registry, request.instanceid()),
      request);
  response.set_completiontoken(item.completiontoken());
  return response.SerializeAsString();
}

}  // namespace leasehold
