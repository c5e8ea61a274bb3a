#include "service/orchestration/starts.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "service/base/invariant.h"
#include "service/base/retry_after.h"
#include "service/orchestration/engine_section.h"
#include "service/orchestration/run_spans.h"
#include "service/orchestration/start_trace.h"

namespace leasehold {
namespace {

// Most orchestrations are over soon; those that are not end some day.
constexpr absl::Duration kRetryWhenFull = absl::Seconds(1);

// What a start that is sent again under its request ID is answered.
PutRequest RowOf(const StartRequest& request, const StartReceipt& receipt) {
  const StoredReceipt kept{receipt.execution_id, receipt.created ? 1 : 0,
                           static_cast<int64_t>(request.fingerprint)};
  return PutRequest{{.tenant = request.key.tenant,
                     .request = request.request_id,
                     .id = request.key.id,
                     .receipt = EncodeMessage(kept)}};
}

}  // namespace

Starts::Existing Starts::Existing::Of(
    const OrchestrationPtr& open,
    const std::optional<OrchestrationInfo>& ended) {
  if (open != nullptr) {
    return {open->status, open->turn_time, open->execution_id};
  }
  if (!ended.has_value()) return {};
  return {ended->status, ended->summary.turn_time, ended->summary.execution_id};
}

bool IsLoaded(const Orchestration& orchestration) {
  return orchestration.hot != nullptr && orchestration.hot->state != nullptr;
}

// A start that waits for its context or for the store. It holds the context
// until it is answered.
class Starts::AcquireForStart final
    : public PinWaiter,
      public std::enable_shared_from_this<AcquireForStart> {
 public:
  AcquireForStart(Starts& starts, StartRequest request, Done<StartReceipt> done,
                  Condition condition);

  void Acquire();
  void OnGrant(absl::StatusOr<PinGrant> grant) override;

  const ContextOffer& offer() const { return *offer_; }

 private:
  static InstanceRequest ContextOf(StartRequest& request,
                                   absl::Duration idle_timeout);

  Starts& starts_;
  // Its pin is released with the answer, or with this object.
  const std::shared_ptr<ContextOffer> offer_ = std::make_shared<ContextOffer>();
  std::shared_ptr<AcquireForStart> self_;  // While it waits.

 public:
  StartRequest request;
  const Condition condition;  // Null: none.
  const Done<StartReceipt> done;
  StartReceipt::Context context;
  std::optional<Replaced> replaced;
};

Starts::AcquireForStart::AcquireForStart(Starts& starts, StartRequest request,
                                         Done<StartReceipt> done,
                                         Condition condition)
    : PinWaiter(ContextOf(request, starts.engine_.options_.idle_timeout)),
      starts_(starts),
      request(std::move(request)),
      condition(std::move(condition)),
      done([offer = offer_,
            done = std::move(done)](absl::StatusOr<StartReceipt> receipt) {
        // Before the answer: a caller that has it may release the instance.
        offer->pin.Reset();
        done(std::move(receipt));
      }) {}

InstanceRequest Starts::AcquireForStart::ContextOf(
    StartRequest& request, absl::Duration idle_timeout) {
  InstanceRequest context = std::move(request.context);
  context.key = request.key;
  context.service_idle_timeout = idle_timeout;
  return context;
}

void Starts::AcquireForStart::Acquire() {
  self_ = shared_from_this();
  if (auto grant = starts_.engine_.Acquire(*this)) OnGrant(*std::move(grant));
}

void Starts::AcquireForStart::OnGrant(absl::StatusOr<PinGrant> grant) {
  const std::shared_ptr<AcquireForStart> self = std::move(self_);
  if (!grant.ok()) return done(grant.status());
  offer_->pin = std::move(grant->pin);
  InstanceContext& instance = *offer_->pin;
  context = {instance.generation(), grant->created, instance.idle_timeout()};
  offer_->hot = instance.GetOrAttach<HotOrchestration>(starts_.engine_);
  starts_.StartWithPin(self);
}

void Starts::Start(StartRequest request, Done<StartReceipt> done) {
  if (absl::Status status =
          CheckPayload(request.input, "the input has", engine_.options_.limits);
      !status.ok()) {
    return done(status);
  }
  if (request.request_id.empty()) {
    StartIf(std::move(request), nullptr, std::move(done));
  } else {
    StartOnce(std::move(request), std::move(done));
  }
}

void Starts::StartIf(StartRequest request, Condition condition,
                     Done<StartReceipt> done) {
  // A start that is refused neither creates a context nor renews one.
  if (!engine_.admission_.accepts()) {
    Engine::Section section(engine_);
    if (absl::Status status = engine_.admission_.accepting(); !status.ok()) {
      return engine_.RefuseLocked(done, status);
    }
  }
  std::make_shared<AcquireForStart>(*this, std::move(request), std::move(done),
                                    std::move(condition))
      ->Acquire();
}

void Starts::StartOnce(StartRequest request, Done<StartReceipt> done) {
  Engine::Section section(engine_);
  if (absl::Status status = engine_.admission_.accepting(); !status.ok()) {
    return engine_.RefuseLocked(done, status);
  }
  const std::string name =
      Directory::NameOf({request.key.tenant, request.request_id});
  if (requests_.Add(name, {std::move(request), std::move(done)})) {
    BeginRequestLocked(name);
  }
}

void Starts::BeginRequestLocked(const std::string& name) {
  engine_.mu_.AssertHeld();
  engine_.readers_.Post([this, name, start = *requests_.Take(name)]() mutable {
    RunRequest(name, std::move(start));
  });
}

void Starts::RunRequest(const std::string& name, QueuedStart start) {
  StartRequest& request = start.request;
  const Done<StartReceipt> done = [this, name, done = std::move(start.done)](
                                      const absl::StatusOr<StartReceipt>& it) {
    done(it);
    EndRequest(name);
  };
  const auto row =
      engine_.store_.FindRequest(request.key.tenant, request.request_id);
  if (!row.ok()) return done(row.status());
  if (!row->has_value()) return StartIf(std::move(request), nullptr, done);
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

void Starts::EndRequest(const std::string& name) {
  Engine::Section section(engine_);
  if (engine_.admission_.stopped()) {  // Readers have stopped.
    for (const QueuedStart& start : requests_.TakeWaiting(name)) {
      engine_.RefuseLocked(start.done, engine_.admission_.serving());
    }
  }
  if (requests_.End(name)) BeginRequestLocked(name);
}

void Starts::StartWithPin(const std::shared_ptr<AcquireForStart>& start) {
  Engine::Section section(engine_);
  if (absl::Status status = engine_.admission_.accepting(); !status.ok()) {
    return engine_.RefuseLocked(start->done, status);
  }
  const InstanceKey& key = start->request.key;
  const OrchestrationPtr present = engine_.directory_.Find(key);
  if (present != nullptr && present->undecided) return StartLaterLocked(start);
  if (engine_.directory_.FindOpen(key) != nullptr ||
      !(start->condition || AsksForEnded(start->request.policy))) {
    return DecideStartLocked(start, std::nullopt);
  }
  // The end of the existing one is known once it is durable.
  if (engine_.directory_.Contains(key)) return StartLaterLocked(start);
  engine_.lookups_.Add(
      key, [this, start](const absl::StatusOr<std::optional<RunRow>>& row,
                         uint64_t reload) {
        Engine::Section section(engine_);
        const InstanceKey& key = start->request.key;
        const bool open_there = engine_.directory_.FindOpen(key) != nullptr;
        const bool open_in_store = row.ok() && row->has_value() &&
                                   !(*row)->damaged &&
                                   !(*row)->finished.has_value();
        if (!row.ok()) {
          engine_.RefuseLocked(start->done, row.status());
        } else if (!open_there &&
                   (open_in_store || engine_.lookups_.IsOutdated(key, reload) ||
                    engine_.directory_.Contains(key))) {
          StartLaterLocked(start);  // It has ended since, or is about to.
        } else {
          DecideFoundLocked(start, *row);
        }
        engine_.lookups_.End(key, reload);
      });
}

void Starts::DecideFoundLocked(const std::shared_ptr<AcquireForStart>& start,
                               const std::optional<RunRow>& row) {
  engine_.mu_.AssertHeld();
  if (!row.has_value()) return DecideStartLocked(start, std::nullopt);
  const absl::StatusOr<OrchestrationInfo> ended = InfoOf(*row);
  if (!ended.ok()) {
    return engine_.RefuseLocked(
        start->done, IsDamaged(row->id, std::string(ended.status().message())));
  }
  DecideStartLocked(start, *ended);
}

void Starts::StartLaterLocked(const std::shared_ptr<AcquireForStart>& start) {
  engine_.mu_.AssertHeld();
  engine_.AfterCommitsLocked([this, start](const absl::Status& status) {
    if (!status.ok()) return start->done(status);
    // An end by force is not in the queue before its rows are read: the writer
    // must not ask for it again and again meanwhile.
    engine_.readers_.Post([this, start] { StartWithPin(start); });
  });
}

bool Starts::MeetsConditionLocked(const std::shared_ptr<AcquireForStart>& start,
                                  const OrchestrationPtr& open,
                                  const Existing& existing) {
  engine_.mu_.AssertHeld();
  if (open != nullptr && !open->durable) {  // It may never become durable.
    StartLaterLocked(start);
    return false;
  }
  const absl::Status status = start->condition(existing);
  if (!status.ok()) engine_.RefuseLocked(start->done, status);
  return status.ok();
}

void Starts::DecideStartLocked(const std::shared_ptr<AcquireForStart>& start,
                               const std::optional<OrchestrationInfo>& ended) {
  engine_.mu_.AssertHeld();
  const StartRequest& request = start->request;
  if (absl::Status status = engine_.admission_.accepting(); !status.ok()) {
    return engine_.RefuseLocked(start->done, status);
  }
  const OrchestrationPtr open = engine_.directory_.FindOpen(request.key);
  if (open != nullptr && open->damage != nullptr) {
    return engine_.RefuseLocked(start->done,
                                IsDamaged(request.key.id, *open->damage));
  }
  const Existing existing = Existing::Of(open, ended);
  if (start->condition && !MeetsConditionLocked(start, open, existing)) return;
  StartReceipt receipt = {.instance_id = request.key.id,
                          .execution_id = existing.execution_id,
                          .context = start->context};
  const StartDecision decision = DecideStart(existing.status, request.policy);
  PendingCommit commit;
  if (decision == StartDecision::kCreate ||
      decision == StartDecision::kReplace) {
    absl::Status room = TakeRoomLocked(request, commit);
    if (!room.ok()) return engine_.RefuseLocked(start->done, room);
  }
  switch (decision) {
    case StartDecision::kRefuse: {
      const absl::Status refusal =
          AlreadyExists(request.key.id, *existing.status, request.policy);
      if (open == nullptr || open->durable) {
        return engine_.RefuseLocked(start->done, refusal);
      }
      // The existing one may never become durable.
      return engine_.AfterCommitsLocked(
          [start, refusal](const absl::Status& status) {
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
      if (HasToReadLocked(open, *start)) return ReadReplacedLocked(open, start);
      if (open != nullptr) TerminateLocked(*open, start->replaced, commit);
      [[fallthrough]];
    case StartDecision::kCreate: {
      const OrchestrationPtr created = CreateForLocked(request, commit);
      created->offer = &start->offer();
      // Quick turns move a run's clock ahead of ours: the next run of the ID
      // goes on from there. After a crash the wall clock has moved on.
      created->turn_time = existing.turn_time.value_or(request.turn_time);
      receipt.execution_id = created->execution_id;
      receipt.created = true;
      break;
    }
  }
  if (!request.request_id.empty()) {
    commit.changes.push_back(RowOf(request, receipt));
  }
  commit.done = [start, receipt](const absl::Status& status) {
    start->done(status.ok() ? absl::StatusOr<StartReceipt>(receipt) : status);
  };
  engine_.commits_.Submit(std::move(commit));
}

void Starts::FetchStartLocked(const OrchestrationPtr& orchestration,
                              DoneStatus done) {
  engine_.mu_.AssertHeld();
  // The commit may be of a turn that takes the start.
  if (orchestration->committing)
    return engine_.AfterCommitsLocked(std::move(done));
  const int64_t sequence = orchestration->inbox.start()->sequence;
  engine_.readers_.Post(
      [this, orchestration, sequence, done = std::move(done)] {
        auto rows = engine_.store_.ReadMessages(
            orchestration->number, {.first = sequence, .last = sequence});
        absl::Status status = rows.status();
        if (status.ok() || absl::IsDataLoss(status)) {
          Engine::Section section(engine_);
          if (engine_.recovery_.SetAsideIfLostLocked(*orchestration, status)) {
            status = absl::OkStatus();
          } else if (!rows->empty()) {
            KeepStart(*std::move(rows), *orchestration);
          } else if (!orchestration->committing) {
            engine_.recovery_.SetAsideLocked(*orchestration,
                                             "its start is missing");
          }
        }
        done(status);
      });
}

bool Starts::HasToReadLocked(const OrchestrationPtr& replaced,
                             const AcquireForStart& start) const {
  engine_.mu_.AssertHeld();
  if (replaced == nullptr || engine_.options_.spans == nullptr) return false;
  const bool was_read =
      start.replaced.has_value() && start.replaced->number == replaced->number;
  return !was_read && !IsLoaded(*replaced);
}

void Starts::ReadReplacedLocked(const OrchestrationPtr& orchestration,
                                const std::shared_ptr<AcquireForStart>& start) {
  engine_.mu_.AssertHeld();
  if (orchestration->committing || !orchestration->durable) {
    return engine_.AfterCommitsLocked(
        [this, start](const absl::Status& status) {
          if (!status.ok()) return start->done(status);
          StartWithPin(start);
        });
  }
  engine_.readers_.Post([this, start, key = orchestration->key,
                         number = orchestration->number] {
    Replaced& replaced = start->replaced.emplace();
    replaced.number = number;
    replaced.info = engine_.ends_.ReadForSpan(key);
    // What cannot be read has no span; it is replaced all the same.
    const auto ends = engine_.store_.ReadHistoryEnds(number);
    const auto first = engine_.store_.ReadMessages(number, {.count_max = 1});
    if (!ends.ok() || !first.ok() || !replaced.state.ApplyFrames(ends->first)) {
      replaced.info.reset();
    } else if (auto started = StartIn(*first)) {
      replaced.state.started = *std::move(started);
    }
    StartWithPin(start);
  });
}

absl::Status Starts::TakeRoomLocked(const StartRequest& request,
                                    PendingCommit& commit) {
  engine_.mu_.AssertHeld();
  absl::Status room = HasRoomLocked(request.key);
  if (!room.ok()) return room;
  return engine_.storage_room_.Take(request.key.tenant, request.input, commit);
}

absl::Status Starts::HasRoomLocked(const InstanceKey& key) {
  engine_.mu_.AssertHeld();
  if (engine_.options_.open_max_of_tenant == nullptr) return absl::OkStatus();
  const uint64_t limit = engine_.options_.open_max_of_tenant(key.tenant);
  if (limit == 0 || engine_.directory_.BegunByCallers(key.tenant) < limit) {
    return absl::OkStatus();
  }
  // What has the key, or gives it up in an earlier commit, makes room.
  const OrchestrationPtr before = engine_.directory_.Find(key);
  if (before != nullptr && !before->begun_by_work) return absl::OkStatus();
  refused_.Add(key.tenant);
  return WithRetryAfter(
      absl::ResourceExhaustedError(absl::StrCat(
          "the limit open_orchestrations of this tenant is reached, which is ",
          limit)),
      kRetryWhenFull);
}

OrchestrationPtr Starts::CreateForLocked(const StartRequest& request,
                                         PendingCommit& commit) {
  engine_.mu_.AssertHeld();
  ExecutionStarted started;
  started.name = request.name;
  started.version = request.version;
  started.input = request.input;
  started.orchestration = {request.key.id, request.execution_id};
  started.scheduled_start = request.scheduled_start;
  started.trace = request.trace;
  started.tags = request.tags;
  return CreateLocked(request.key, std::move(started), By::kCaller, commit);
}

void Starts::TerminateLocked(Orchestration& orchestration,
                             const std::optional<Replaced>& read,
                             PendingCommit& commit) {
  engine_.mu_.AssertHeld();
  constexpr auto kTerminated = OrchestrationStatus::kTerminated;
  if (IsLoaded(orchestration)) {
    const HotState& hot = *orchestration.hot->state;
    OrchestrationInfo info;
    info.created = hot.created;
    info.summary = hot.summary;
    engine_.ends_.TraceEndLocked(orchestration.key, info, hot.state,
                                 kTerminated, commit);
  } else if (read.has_value() && read->info.has_value()) {
    engine_.ends_.TraceEndLocked(orchestration.key, *read->info, read->state,
                                 kTerminated, commit);
  }
  engine_.ends_.RecordEndLocked(
      orchestration, {static_cast<int32_t>(kTerminated), {}, {}}, commit);
  engine_.batches_.ReleaseLocksLocked(orchestration.key, commit);
  engine_.EndLocked(orchestration);
}

OrchestrationPtr Starts::CreateLocked(const InstanceKey& key,
                                      ExecutionStarted started, By by,
                                      PendingCommit& commit) {
  engine_.mu_.AssertHeld();
  Payload& execution_id = started.orchestration.execution_id;
  if (!execution_id.has_value()) execution_id = engine_.execution_ids_.Next();
  if (engine_.options_.spans != nullptr) GiveSpan(started);
  const absl::Time now = engine_.clock_.WallNow();
  auto created =
      std::make_shared<Orchestration>(++engine_.last_number_, key, started.name,
                                      started.version, *execution_id);
  if (started.scheduled_start.has_value()) {
    const absl::Time at = ToTime(*started.scheduled_start);
    if (at > now) created->start_at = ToStored(at);
  }
  CheckInvariant(engine_.directory_.FindOpen(key) == nullptr,
                 "an ID has one open orchestration");

  Summary summary;
  summary.name = started.name;
  summary.version = started.version;
  summary.execution_id = *execution_id;
  if (started.parent.has_value()) {
    summary.parent_id = started.parent->orchestration.instance_id;
  }
  summary.begun_by_entity = by == By::kWork && !started.parent.has_value();
  created->begun_by_work = summary.begun_by_work();
  engine_.directory_.Add(created);
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
  commit.apply.push_back([this, created, parent = summary.parent_id] {
    engine_.mu_.AssertHeld();
    created->durable = true;
    created->revision = ++engine_.last_revision_;
    engine_.answers_.ObserveStartLocked(*created, parent);
    if (created->gone) return;
    if (created->offer != nullptr) engine_.offered_.push_back(created.get());
    engine_.wait_list_.ReviewWaitersLocked(created->key);
    if (created->start_at == 0) return;
    engine_.schedule_.AddTimer(
        {created->start_at, created->number, Timers::Kind::kStart, 0});
  });
  engine_.mail_.PostLocked(
      created, *execution_id,
      {HistoryEvent::kFromOutside, ToTimestamp(now), std::move(started)},
      commit);
  return created;
}

}  // namespace leasehold
