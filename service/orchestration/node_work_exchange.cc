#include "service/orchestration/node_work_exchange.h"

#include <optional>
#include <string>
#include <utility>

#include "absl/random/random.h"
#include "absl/status/status.h"

namespace leasehold {
namespace {

SharedDispatcher::Options DispatchOptions(const WorkExchangeOptions& options) {
  absl::BitGen random;
  SharedDispatcher::Options made;
  made.secret = absl::Uniform<uint64_t>(random);
  made.check_invariants = options.check_invariants;
  made.rules[static_cast<size_t>(WorkKind::kTurn)] = {
      .limit = options.turn_timeout, .waits_in_worker = true};
  made.rules[static_cast<size_t>(WorkKind::kActivity)] = {
      .limit = options.activity_timeout};
  made.rules[static_cast<size_t>(WorkKind::kEntity)] = {
      .limit = options.turn_timeout, .waits_in_worker = true};
  return made;
}

absl::Status NoEngine() {
  return absl::UnavailableError("the server is shutting down");
}

}  // namespace

NodeWorkExchange::NodeWorkExchange(WorkObserver& observer,
                                   const WorkExchangeOptions& options)
    : observer_(observer), dispatcher_(DispatchOptions(options)) {}

void NodeWorkExchange::Observe(const WorkEvent& event) {
  // Without engines the server is stopping, and all workers go.
  if (!dispatcher_.owners().empty()) observer_.OnWork(event);
}

// ---- Workers come and go ----------------------------------------------------

WorkerId NodeWorkExchange::Connect(WorkerOptions options,
                                   std::shared_ptr<WorkSink> sink) {
  std::string tenant = options.tenant;
  std::string peer = options.peer;
  const WorkerId id =
      dispatcher_.AddWorker(std::move(options), std::move(sink));
  Observe({.kind = WorkEventKind::kWorkerConnected,
           .tenant = std::move(tenant),
           .worker = id,
           .peer = std::move(peer)});
  dispatcher_.Wake();
  return id;
}

void NodeWorkExchange::Disconnect(WorkerId id) {
  const std::optional<SharedDispatcher::Gone> gone =
      dispatcher_.CloseWorker(id);
  if (!gone.has_value()) return;
  Observe({.kind = WorkEventKind::kWorkerGone,
           .worker = id,
           .peer = gone->peer,
           .count = gone->items,
           .reason = "its stream ended"});
  dispatcher_.TellOwners(id, *gone);
  dispatcher_.Wake();
}

void NodeWorkExchange::OnWorkTaken() {
  dispatcher_.Nudge();
  dispatcher_.Wake();
}

// ---- Answers ----------------------------------------------------------------

SharedDispatcher::Visit NodeWorkExchange::FindOwner(WorkKind kind,
                                                    const WorkName& name) {
  SharedDispatcher::Answered answered =
      dispatcher_.OnAnswer(kind, name.key.tenant, name.token);
  if (answered.awake != nullptr) {
    Observe({.kind = WorkEventKind::kWorkerAnswers,
             .worker = answered.awake->id,
             .peer = answered.awake->peer});
  }
  if (answered.owner) return std::move(answered.owner);
  return FindOwnerByKey(name.key);
}

SharedDispatcher::Visit NodeWorkExchange::FindOwnerByKey(
    const InstanceKey& key) {
  SharedDispatcher::Visit first;
  for (const OwnerId id : dispatcher_.owners()) {
    SharedDispatcher::Visit owner = dispatcher_.VisitOwner(id);
    if (!owner) continue;
    if (owner->answers().Owns(key)) return owner;
    if (!first) first = std::move(owner);
  }
  // It refuses what it does not know.
  return first;
}

void NodeWorkExchange::CompleteTurn(const WorkName& name, TurnAnswer answer,
                                    DoneStatus done) {
  {
    const SharedDispatcher::Visit owner = FindOwner(WorkKind::kTurn, name);
    if (!owner) return done(NoEngine());
    owner->answers().CompleteTurn(name, std::move(answer), std::move(done));
  }
  dispatcher_.Wake();
}

void NodeWorkExchange::CompleteActivity(const WorkName& name, EventBody end,
                                        DoneStatus done) {
  {
    const SharedDispatcher::Visit owner = FindOwner(WorkKind::kActivity, name);
    if (!owner) return done(NoEngine());
    owner->answers().CompleteActivity(name, std::move(end), std::move(done));
  }
  dispatcher_.Wake();
}

void NodeWorkExchange::CompleteEntity(const WorkName& name, BatchAnswer answer,
                                      DoneStatus done) {
  {
    const SharedDispatcher::Visit owner = FindOwner(WorkKind::kEntity, name);
    if (!owner) return done(NoEngine());
    owner->answers().CompleteEntity(name, std::move(answer), std::move(done));
  }
  dispatcher_.Wake();
}

void NodeWorkExchange::RefuseAnswer(WorkKind kind, const WorkName& name,
                                    std::string_view reason) {
  {
    const SharedDispatcher::Visit owner = FindOwner(kind, name);
    if (owner) owner->answers().RefuseAnswer(kind, name, reason);
  }
  dispatcher_.Wake();
}

void NodeWorkExchange::Abandon(WorkKind kind, const WorkName& name) {
  {
    const SharedDispatcher::Visit owner = FindOwner(kind, name);
    if (owner) owner->answers().Abandon(kind, name);
  }
  dispatcher_.Wake();
}

}  // namespace leasehold
