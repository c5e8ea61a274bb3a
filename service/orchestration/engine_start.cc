// The engine's starts: who gets an ID, and what becomes of the one that has it.
#include <utility>

#include "absl/strings/str_cat.h"
#include "service/orchestration/engine.h"
#include "service/orchestration/engine_section.h"

namespace leasehold {

Engine::AcquireForStart::AcquireForStart(Engine& engine, StartRequest request,
                                         Done<StartReceipt> done)
    : PinWaiter(ContextOf(request, engine.options_.idle_timeout)),
      engine(engine),
      request(std::move(request)),
      done(std::move(done)) {}

InstanceRequest Engine::AcquireForStart::ContextOf(
    StartRequest& request, absl::Duration idle_timeout) {
  InstanceRequest context = std::move(request.context);
  context.key = request.key;
  context.service_idle_timeout = idle_timeout;
  return context;
}

void Engine::AcquireForStart::Acquire() {
  self_ = shared_from_this();
  if (auto grant = engine.registry_.Acquire(*this)) OnGrant(*std::move(grant));
}

void Engine::AcquireForStart::OnGrant(absl::StatusOr<PinGrant> grant) {
  const std::shared_ptr<AcquireForStart> self = std::move(self_);
  if (!grant.ok()) return done(grant.status());
  pin = std::move(grant->pin);
  context = {pin->generation(), grant->created, pin->idle_timeout()};
  pin->GetOrAttach<OrchestrationInstance>(engine);
  engine.StartWithPin(self);
}

void Engine::Start(StartRequest request, Done<StartReceipt> done) {
  if (absl::Status status =
          CheckPayload(request.input, "the input has", options_.limits);
      !status.ok()) {
    return done(status);
  }
  if (request.request_id.empty()) {
    StartNow(std::move(request), std::move(done));
  } else {
    StartOnce(std::move(request), std::move(done));
  }
}

void Engine::StartNow(StartRequest request, Done<StartReceipt> done) {
  std::make_shared<AcquireForStart>(*this, std::move(request), std::move(done))
      ->Acquire();
}

void Engine::StartOnce(StartRequest request, Done<StartReceipt> done) {
  Section section(*this);
  if (absl::Status status = AcceptingLocked(); !status.ok()) {
    return RefuseLocked(done, status);
  }
  const std::string name =
      DirectoryKey({request.key.tenant, request.request_id});
  std::deque<QueuedStart>& queue = requests_[name];
  queue.push_back({std::move(request), std::move(done)});
  if (queue.size() > 1) return;
  readers_.Post([this, name] { RunRequest(name); });
}

void Engine::RunRequest(const std::string& name) {
  QueuedStart start;
  {
    MutexLock lock(mu_);
    start = std::move(requests_.find(name)->second.front());
  }
  StartRequest& request = start.request;
  const Done<StartReceipt> done = [this, name, done = std::move(start.done)](
                                      const absl::StatusOr<StartReceipt>& it) {
    done(it);
    EndRequest(name);
  };
  const auto row = store_.FindRequest(request.key.tenant, request.request_id);
  if (!row.ok()) return done(row.status());
  if (!row->has_value()) return StartNow(std::move(request), done);
  const auto before = DecodeMessage<StoredReceipt>((*row)->receipt);
  if (!before.has_value()) {
    return done(absl::DataLossError(
        absl::StrCat("the stored receipt of request ",
                     QuoteForMessage(request.request_id), " cannot be read")));
  }
  if (static_cast<uint64_t>(before->fingerprint) != request.fingerprint) {
    return done(absl::InvalidArgumentError(absl::StrCat(
        "request_id ", QuoteForMessage(request.request_id),
        " was used for another start, that of ", QuoteForMessage((*row)->id),
        "; a request that is sent again has the same fields")));
  }
  done(StartReceipt{.instance_id = (*row)->id,
                    .execution_id = before->execution_id,
                    .created = before->created != 0});
}

void Engine::EndRequest(const std::string& name) {
  Section section(*this);
  const auto it = requests_.find(name);
  std::deque<QueuedStart>& queue = it->second;
  queue.pop_front();
  if (stopping_) {  // No reader runs any more.
    for (const QueuedStart& start : queue) {
      RefuseLocked(start.done, not_serving_);
    }
    queue.clear();
  }
  if (queue.empty()) {
    requests_.erase(it);
  } else {
    readers_.Post([this, name] { RunRequest(name); });
  }
}

void Engine::StartWithPin(const std::shared_ptr<AcquireForStart>& start) {
  Section section(*this);
  const InstanceKey& key = start->request.key;
  if (FindOpenLocked(key) != nullptr || !AsksForEnded(start->request.policy)) {
    return DecideStartLocked(start, std::nullopt);
  }
  // How the one that is there ends is known when its end is durable.
  if (directory_.contains(DirectoryKey(key))) return StartLaterLocked(start);
  LookUpLocked(
      key, [this, start](const absl::StatusOr<std::optional<InstanceRow>>& row,
                         uint64_t epoch) {
        Section section(*this);
        const InstanceKey& key = start->request.key;
        const bool open_there = FindOpenLocked(key) != nullptr;
        const bool open_in_store =
            row.ok() && row->has_value() && !(*row)->finished.has_value();
        if (!row.ok()) {
          RefuseLocked(start->done, row.status());
        } else if (!open_there &&
                   (open_in_store || LookupIsOutdatedLocked(key, epoch) ||
                    directory_.contains(DirectoryKey(key)))) {
          StartLaterLocked(start);  // It has ended since, or is about to.
        } else {
          DecideFoundLocked(start, *row);
        }
        EndLookupLocked(key, epoch);
      });
}

void Engine::DecideFoundLocked(const std::shared_ptr<AcquireForStart>& start,
                               const std::optional<InstanceRow>& row) {
  if (!row.has_value()) return DecideStartLocked(start, std::nullopt);
  const absl::StatusOr<OrchestrationInfo> ended = InfoOf(*row);
  if (!ended.ok()) return RefuseLocked(start->done, ended.status());
  DecideStartLocked(start, *ended);
}

void Engine::StartLaterLocked(const std::shared_ptr<AcquireForStart>& start) {
  AfterCommitsLocked([this, start](const absl::Status& status) {
    if (!status.ok()) return start->done(status);
    StartWithPin(start);
  });
}

void Engine::DecideStartLocked(const std::shared_ptr<AcquireForStart>& start,
                               const std::optional<OrchestrationInfo>& ended) {
  const StartRequest& request = start->request;
  if (absl::Status status = AcceptingLocked(); !status.ok()) {
    return RefuseLocked(start->done, status);
  }
  const OrchestrationPtr open = FindOpenLocked(request.key);
  std::optional<OrchestrationStatus> present;
  StartReceipt receipt = {.instance_id = request.key.id,
                          .context = start->context};
  if (open != nullptr) {
    present = open->status;
    receipt.execution_id = open->execution_id;
  } else if (ended.has_value()) {
    present = ended->status;
    receipt.execution_id = ended->summary.execution_id;
  }
  PendingCommit commit;
  switch (DecideStart(present, request.policy)) {
    case StartDecision::kRefuse: {
      const absl::Status refusal =
          AlreadyExists(request.key.id, *present, request.policy);
      if (open == nullptr || open->durable) {
        return RefuseLocked(start->done, refusal);
      }
      // The one that is there may never be.
      return AfterCommitsLocked([start, refusal](const absl::Status& status) {
        start->done(status.ok() ? refusal : status);
      });
    }
    case StartDecision::kAttach:
      // Behind what is on its way: the one that is there may not be durable.
      break;
    case StartDecision::kReplace:
      if (open != nullptr) TerminateLocked(*open, std::nullopt, commit);
      [[fallthrough]];
    case StartDecision::kCreate:
      receipt.execution_id = CreateForLocked(request, commit);
      receipt.created = true;
      break;
  }
  if (!request.request_id.empty()) {
    const StoredReceipt kept{receipt.execution_id, receipt.created ? 1 : 0,
                             static_cast<int64_t>(request.fingerprint)};
    commit.changes.push_back(PutRequest{{.tenant = request.key.tenant,
                                         .request = request.request_id,
                                         .id = request.key.id,
                                         .receipt = EncodeMessage(kept)}});
  }
  commit.done = [start, receipt](const absl::Status& status) {
    start->done(status.ok() ? absl::StatusOr<StartReceipt>(receipt) : status);
    start->pin.Reset();
  };
  commits_.Submit(std::move(commit));
}

std::string Engine::CreateForLocked(const StartRequest& request,
                                    PendingCommit& commit) {
  ExecutionStarted started;
  started.name = request.name;
  started.version = request.version;
  started.input = request.input;
  started.orchestration = {request.key.id, request.execution_id};
  started.scheduled_start = request.scheduled_start;
  started.trace = request.trace;
  started.tags = request.tags;
  return CreateLocked(request.key, std::move(started), commit)->execution_id;
}

void Engine::TerminateLocked(Orchestration& orchestration, Payload output,
                             PendingCommit& commit) {
  const Timestamp now = NowLocked();
  std::string events;
  const auto add = [&](EventBody event) {
    AppendFrame(
        events, kStoredFrame,
        EncodeEvent({HistoryEvent::kFromOutside, now, std::move(event)}));
  };
  add(OrchestratorStarted{});
  // Of one that no worker has begun, nothing else is in the history.
  if (std::optional<ExecutionStarted> start = PendingStartOf(orchestration)) {
    add(*std::move(start));
  }
  add(ExecutionTerminated{output});
  add(ExecutionCompleted{static_cast<int32_t>(OrchestrationStatus::kTerminated),
                         std::move(output),
                         {}});
  commit.changes.push_back(
      FinishInstance{orchestration.number,
                     static_cast<int32_t>(OrchestrationStatus::kTerminated),
                     ToStored(ToTime(now)), std::move(events)});
  EndLocked(orchestration);
}

Engine::OrchestrationPtr Engine::CreateLocked(const InstanceKey& key,
                                              ExecutionStarted started,
                                              PendingCommit& commit) {
  Payload& execution_id = started.orchestration.execution_id;
  if (!execution_id.has_value()) execution_id = NewExecutionIdLocked();
  const absl::Time now = clock_.WallNow();
  auto created = std::make_shared<Orchestration>(
      ++last_number_, key, started.name, started.version, *execution_id);
  if (started.scheduled_start.has_value()) {
    const absl::Time at = ToTime(*started.scheduled_start);
    if (at > now) created->start_at = ToStored(at);
  }
  // One that has its end on the way to the store may still be there.
  OrchestrationPtr& place = directory_[DirectoryKey(key)];
  place = created;
  by_number_.emplace(created->number, created.get());

  Summary summary;
  summary.name = started.name;
  summary.version = started.version;
  summary.execution_id = *execution_id;
  if (started.parent.has_value()) {
    summary.parent_id = started.parent->orchestration.instance_id;
  }
  if (created->start_at != 0) summary.scheduled_start = started.scheduled_start;
  summary.updated = ToTimestamp(now);
  summary.tags = started.tags;
  if (created->start_at == 0) {
    created->fresh = std::make_unique<HotState>();
    created->fresh->created = FromStored(ToStored(now));
    created->fresh->summary = summary;
  }
  commit.changes.push_back(PutInstance{
      {.number = created->number,
       .tenant = key.tenant,
       .id = key.id,
       .status = static_cast<int32_t>(OrchestrationStatus::kPending),
       .created = ToStored(now),
       .finished = std::nullopt,
       .summary = EncodeMessage(summary)}});
  commit.apply.push_back([this, created] {
    mu_.AssertHeld();
    created->durable = true;
    created->revision = ++last_revision_;
    if (created->gone) return;
    ReviewWaitersLocked(created->key);
    if (created->start_at == 0) return;
    AddTimerLocked(
        {created->start_at, created->number, Timers::Kind::kStart, 0});
  });
  PostLocked(created, *execution_id,
             {HistoryEvent::kFromOutside, ToTimestamp(now), std::move(started)},
             commit);
  return created;
}

}  // namespace leasehold
