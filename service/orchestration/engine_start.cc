// The engine's starts: who gets an ID, and what happens to its present owner.
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
      done([offer = offer_,
            done = std::move(done)](absl::StatusOr<StartReceipt> receipt) {
        // Before the answer: a caller that has it may release the instance.
        offer->pin.Reset();
        done(std::move(receipt));
      }) {}

InstanceRequest Engine::AcquireForStart::ContextOf(
    StartRequest& request, absl::Duration idle_timeout) {
  InstanceRequest context = std::move(request.context);
  context.key = request.key;
  context.service_idle_timeout = idle_timeout;
  return context;
}

void Engine::AcquireForStart::Acquire() {
  self_ = shared_from_this();
  if (auto grant = engine.Acquire(*this)) OnGrant(*std::move(grant));
}

void Engine::AcquireForStart::OnGrant(absl::StatusOr<PinGrant> grant) {
  const std::shared_ptr<AcquireForStart> self = std::move(self_);
  if (!grant.ok()) return done(grant.status());
  offer_->pin = std::move(grant->pin);
  InstanceContext& instance = *offer_->pin;
  context = {instance.generation(), grant->created, instance.idle_timeout()};
  offer_->hot = instance.GetOrAttach<HotOrchestration>(engine);
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
  // A start that is refused neither creates a context nor renews one.
  if (!admission_.accepts()) {
    Section section(*this);
    if (absl::Status status = admission_.accepting(); !status.ok()) {
      return RefuseLocked(done, status);
    }
  }
  std::make_shared<AcquireForStart>(*this, std::move(request), std::move(done))
      ->Acquire();
}

void Engine::StartOnce(StartRequest request, Done<StartReceipt> done) {
  Section section(*this);
  if (absl::Status status = admission_.accepting(); !status.ok()) {
    return RefuseLocked(done, status);
  }
  const std::string name =
      Directory::NameOf({request.key.tenant, request.request_id});
  if (requests_.Add(name, {std::move(request), std::move(done)})) {
    BeginRequestLocked(name);
  }
}

void Engine::BeginRequestLocked(const std::string& name) {
  readers_.Post([this, name, start = *requests_.Take(name)]() mutable {
    RunRequest(name, std::move(start));
  });
}

void Engine::RunRequest(const std::string& name, QueuedStart start) {
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
  if (admission_.stopped()) {  // Readers have stopped.
    for (const QueuedStart& start : requests_.TakeWaiting(name)) {
      RefuseLocked(start.done, admission_.serving());
    }
  }
  if (requests_.End(name)) BeginRequestLocked(name);
}

void Engine::StartWithPin(const std::shared_ptr<AcquireForStart>& start) {
  Section section(*this);
  if (absl::Status status = admission_.accepting(); !status.ok()) {
    return RefuseLocked(start->done, status);
  }
  const InstanceKey& key = start->request.key;
  if (FindOpenLocked(key) != nullptr || !AsksForEnded(start->request.policy)) {
    return DecideStartLocked(start, std::nullopt);
  }
  // The end of the existing one is known once it is durable.
  if (directory_.Contains(key)) return StartLaterLocked(start);
  LookUpLocked(
      key, [this, start](const absl::StatusOr<std::optional<RunRow>>& row,
                         uint64_t epoch) {
        Section section(*this);
        const InstanceKey& key = start->request.key;
        const bool open_there = FindOpenLocked(key) != nullptr;
        const bool open_in_store = row.ok() && row->has_value() &&
                                   !(*row)->damaged &&
                                   !(*row)->finished.has_value();
        if (!row.ok()) {
          RefuseLocked(start->done, row.status());
        } else if (!open_there &&
                   (open_in_store || LookupIsOutdatedLocked(key, epoch) ||
                    directory_.Contains(key))) {
          StartLaterLocked(start);  // It has ended since, or is about to.
        } else {
          DecideFoundLocked(start, *row);
        }
        EndLookupLocked(key, epoch);
      });
}

void Engine::DecideFoundLocked(const std::shared_ptr<AcquireForStart>& start,
                               const std::optional<RunRow>& row) {
  if (!row.has_value()) return DecideStartLocked(start, std::nullopt);
  const absl::StatusOr<OrchestrationInfo> ended = InfoOf(*row);
  if (!ended.ok()) {
    return RefuseLocked(
        start->done, IsDamaged(row->id, std::string(ended.status().message())));
  }
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
  if (absl::Status status = admission_.accepting(); !status.ok()) {
    return RefuseLocked(start->done, status);
  }
  const OrchestrationPtr open = FindOpenLocked(request.key);
  if (open != nullptr && open->damage != nullptr) {
    return RefuseLocked(start->done, IsDamaged(request.key.id, *open->damage));
  }
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
      // The existing one may never become durable.
      return AfterCommitsLocked([start, refusal](const absl::Status& status) {
        start->done(status.ok() ? refusal : status);
      });
    }
    case StartDecision::kAttach:
      // Commits in order: the existing one may not be durable yet.
      break;
    case StartDecision::kReplace:
      if (open != nullptr && StartIsAway(*open)) {
        return FetchStartLocked(open, [this, start](const absl::Status& read) {
          if (!read.ok()) return start->done(read);
          StartWithPin(start);
        });
      }
      if (open != nullptr) TerminateLocked(*open, std::nullopt, commit);
      [[fallthrough]];
    case StartDecision::kCreate: {
      const OrchestrationPtr created = CreateForLocked(request, commit);
      created->offer = &start->offer();
      receipt.execution_id = created->execution_id;
      receipt.created = true;
      break;
    }
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
  };
  commits_.Submit(std::move(commit));
}

void Engine::FetchStartLocked(const OrchestrationPtr& orchestration,
                              DoneStatus done) {
  // The commit may be of a turn that takes the start.
  if (orchestration->committing) return AfterCommitsLocked(std::move(done));
  const int64_t sequence = orchestration->inbox.start()->sequence;
  readers_.Post([this, orchestration, sequence, done = std::move(done)] {
    auto rows = store_.ReadMessages(orchestration->number,
                                    {.first = sequence, .last = sequence});
    absl::Status status = rows.status();
    if (status.ok() || absl::IsDataLoss(status)) {
      Section section(*this);
      if (SetAsideIfLostLocked(*orchestration, status)) {
        status = absl::OkStatus();
      } else if (!rows->empty()) {
        KeepStart(*std::move(rows), *orchestration);
      } else if (!orchestration->committing) {
        SetAsideLocked(*orchestration, "how it was started is missing");
      }
    }
    done(status);
  });
}

OrchestrationPtr Engine::CreateForLocked(const StartRequest& request,
                                         PendingCommit& commit) {
  ExecutionStarted started;
  started.name = request.name;
  started.version = request.version;
  started.input = request.input;
  started.orchestration = {request.key.id, request.execution_id};
  started.scheduled_start = request.scheduled_start;
  started.trace = request.trace;
  started.tags = request.tags;
  return CreateLocked(request.key, std::move(started), commit);
}

void Engine::TerminateLocked(Orchestration& orchestration, Payload output,
                             PendingCommit& commit) {
  RecordEndLocked(orchestration,
                  {static_cast<int32_t>(OrchestrationStatus::kTerminated),
                   std::move(output),
                   {}},
                  commit);
  EndLocked(orchestration);
}

OrchestrationPtr Engine::CreateLocked(const InstanceKey& key,
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
  directory_.Add(created);

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
  commit.changes.push_back(
      PutRun{{.number = created->number,
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
    if (created->offer != nullptr) offered_.push_back(created.get());
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
