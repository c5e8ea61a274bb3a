#include "service/builtin/builtin_work.h"

#include <utility>

#include "client/worker/activity_run.h"
#include "client/worker/registry.h"
#include "client/worker/turn.h"
#include "service/builtin/counter.h"
#include "service/builtin/echo_sequence.h"

namespace leasehold {

struct BuiltinWork::Rep {
  worker::Registry registry;
  worker::LogSink log;
};

BuiltinWork::BuiltinWork(std::shared_ptr<grpc::Channel> channel,
                         worker::LogSink log)
    : rep_([&] {
        auto rep = std::make_unique<Rep>();
        rep->log = std::move(log);
        worker::Registry& registry = rep->registry;
        registry.AddOrchestrator("Counter", &builtin::Counter);
        registry.AddOrchestrator("EchoSequence", &builtin::EchoSequence);
        registry.AddOrchestrator("FanOutEcho", &builtin::FanOutEcho);
        registry.AddOrchestrator("Ping", &builtin::Ping);
        registry.AddActivity("Echo", builtin::EchoActivity(std::move(channel)));
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

}  // namespace leasehold
