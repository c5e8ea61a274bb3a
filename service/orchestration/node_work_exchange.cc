#include "service/orchestration/node_work_exchange.h"

#include <optional>
#include <string>
#include <utility>

#include "absl/random/random.h"
#include "absl/status/status.h"

namespace leasehold {
namespace {

SharedDispatcher::Options DispatchOptions(const Clock& clock,
                                          const WorkExchangeOptions& options) {
  absl::BitGen random;
  SharedDispatcher::Options made;
  made.secret = absl::Uniform<uint64_t>(random);
  made.clock = &clock;
  made.check_invariants = options.check_invariants;
  made.rules[static_cast<size_t>(WorkKind::kTurn)] = {
      .limit = options.turn_timeout, .waits_in_worker = true};
  made.rules[static_cast<size_t>(WorkKind::kActivity)] = {
      .limit = options.activity_timeout};
  made.rules[static_cast<size_t>(WorkKind::kEntity)] = {
      .limit = options.turn_timeout, .waits_in_worker = true};
  return made;
}

// Of a page of workers, about: by default, clients receive at most 4 MiB in one
// message.
constexpr size_t kWorkerPageBytesMax = 3 << 20;
constexpr size_t kWorkerBytesBeside = 200;  // Of a worker, beside its texts.

// About how many bytes it has in a message.
size_t SizeOf(const WorkerStatus& status) {
  size_t bytes = kWorkerBytesBeside + status.peer.size() +
                 status.identity.size() + status.sdk.size() +
                 status.user_agent.size();
  for (const WorkerStatus::Kind& kind : status.kinds) {
    for (const WorkFilter& filter : kind.takes) {
      bytes += 4 + filter.name.size();
      for (const std::string& version : filter.versions) {
        bytes += 2 + version.size();
      }
    }
  }
  return bytes;
}

absl::Status NoEngine() {
  return absl::UnavailableError("the server is shutting down");
}

}  // namespace

NodeWorkExchange::NodeWorkExchange(const Clock& clock, WorkObserver& observer,
                                   const WorkExchangeOptions& options)
    : clock_(clock),
      observer_(observer),
      dispatcher_(DispatchOptions(clock, options)) {}

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
      dispatcher_.AddWorker(std::move(options), std::move(sink), Now());
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

absl::StatusOr<WorkersPage> NodeWorkExchange::ListWorkers(
    const WorkersQuery& query) const {
  const PageScope scope("workers", query.tenant);
  WorkerId after = 0;
  if (!query.page_token.text.empty()) {
    const auto position = page_tokens_.Read(scope, query.page_token.text);
    if (!position.has_value()) {
      return IsNotATokenOfThisList(query.page_token.field,
                                   query.page_token.text);
    }
    after = (*position)[0];
  }
  const WatchTime now = Now();
  const absl::Time wall = clock_.WallNow();
  const auto time = [now, wall](WatchTime at) {
    return wall - absl::Microseconds(now - at);
  };
  WorkersPage page;
  size_t bytes = 0;
  // One at a time, so that nobody's work waits while others are described.
  while (auto status = dispatcher_.WorkerAfter(query.tenant, after)) {
    bytes += SizeOf(*status);
    if (page.workers.size() == query.count_max ||
        (bytes > kWorkerPageBytesMax && !page.workers.empty())) {
      page.next_page_token = page_tokens_.Make(scope, {after, 0});
      break;
    }
    after = status->id;
    ConnectedWorker& worker = page.workers.emplace_back();
    worker.connected = time(status->connected);
    worker.last_seen = time(status->last_seen);
    worker.status = *std::move(status);
  }
  return page;
}

// ---- Answers ----------------------------------------------------------------

SharedDispatcher::Visit NodeWorkExchange::FindOwner(WorkKind kind,
                                                    const WorkName& name) {
  SharedDispatcher::Answered answered =
      dispatcher_.OnAnswer(kind, name.key.tenant, name.token, Now());
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
