#include "service/orchestration/engine.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "service/orchestration/engine_section.h"

namespace leasehold {
namespace {

// Timers are kept by the time of day, which may be set: whoever waits for one
// looks again after this.
constexpr absl::Duration kClockCheck = absl::Minutes(1);

absl::Status CheckPayload(const Payload& payload, std::string_view what,
                          const TurnLimits& limits) {
  if (!payload.has_value() || payload->size() <= limits.payload_bytes_max) {
    return absl::OkStatus();
  }
  return absl::ResourceExhaustedError(
      PayloadTooLarge(what, payload->size(), limits));
}

}  // namespace

Engine::Engine(Clock& clock, Store& store, InstanceRegistry& registry,
               Executor& writer, Executor& readers, EngineObserver& observer,
               EngineOptions options)
    : clock_(clock),
      store_(store),
      registry_(registry),
      observer_(observer),
      options_(options),
      writer_(writer),
      readers_(readers),
      commits_(
          clock, store, writer_,
          [this](std::vector<PendingCommit> batch, const absl::Status& status) {
            OnCommitted(std::move(batch), status);
          }),
      dispatcher_(absl::Uniform<uint64_t>(random_)) {}

Engine::~Engine() { Stop(); }

// ---- Under and after the lock -----------------------------------------------

Engine::Deferred Engine::LeaveLocked() {
  if (not_serving_.ok()) {
    while (std::optional<Dispatcher::Assignment> next = dispatcher_.Next()) {
      SendOutLocked(*next->work);
    }
  }
  return std::exchange(deferred_, {});
}

void Engine::Finish(Deferred deferred) {
  for (auto& [sink, item] : deferred.items) sink->Send(std::move(item));
  for (const auto& call : deferred.calls) call();
  deferred.unpinned.clear();
  for (const OrchestrationPtr& orchestration : deferred.to_pin) {
    PinLater(orchestration);
  }
}

Timestamp Engine::NowLocked() const { return ToTimestamp(clock_.WallNow()); }

std::string Engine::DirectoryKey(const InstanceKey& key) {
  std::string text;
  text.reserve(key.tenant.size() + key.id.size() + 1);
  text.append(key.tenant).push_back('\0');
  text.append(key.id);
  return text;
}

Engine::OrchestrationPtr Engine::FindOpenLocked(const InstanceKey& key) {
  const auto it = directory_.find(DirectoryKey(key));
  if (it == directory_.end() || it->second->ending) return nullptr;
  return it->second;
}

std::string Engine::NewExecutionIdLocked() {
  return absl::StrFormat("%016x%016x", absl::Uniform<uint64_t>(random_),
                         absl::Uniform<uint64_t>(random_));
}

// ---- Commits ----------------------------------------------------------------

void Engine::OnCommitted(std::vector<PendingCommit> batch,
                         const absl::Status& status) {
  absl::Status told = status;
  {
    Section section(*this);
    if (status.ok()) {
      for (PendingCommit& commit : batch) {
        for (const auto& apply : commit.apply) apply();
      }
    } else {
      FailLocked(status);
      told = not_serving_;
    }
  }
  for (PendingCommit& commit : batch) {
    if (commit.done) commit.done(told);
  }
}

// ---- Starting ---------------------------------------------------------------

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
  PendingCommit nothing;
  nothing.done = [this, start](const absl::Status& status) {
    if (!status.ok()) return start->done(status);
    StartWithPin(start);
  };
  commits_.Submit(std::move(nothing));
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
    case StartDecision::kRefuse:
      return RefuseLocked(
          start->done, AlreadyExists(request.key.id, *present, request.policy));
    case StartDecision::kAttach:
      // Behind what is on its way: the one that is there may not be durable.
      break;
    case StartDecision::kReplace:
      if (open != nullptr) TerminateLocked(*open, commit);
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

void Engine::TerminateLocked(Orchestration& orchestration,
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
  add(ExecutionTerminated{});
  add(ExecutionCompleted{
      static_cast<int32_t>(OrchestrationStatus::kTerminated), {}, {}});
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

// ---- Messages ---------------------------------------------------------------

void Engine::PostLocked(const OrchestrationPtr& target,
                        std::string execution_id, const HistoryEvent& event,
                        PendingCommit& commit) {
  Message message;
  message.sequence = ++target->last_sequence;
  message.execution_id = std::move(execution_id);
  message.event = EncodeEvent(event);
  message.urgent = IsUrgent(event);
  if (event.As<ExecutionResumed>() != nullptr) {
    target->resume_sequence = message.sequence;
  }
  commit.changes.push_back(PutMessage{{.number = target->number,
                                       .sequence = message.sequence,
                                       .execution = message.execution_id,
                                       .event = message.event}});
  commit.apply.push_back([this, target, message = std::move(message)] {
    mu_.AssertHeld();
    ReceiveLocked(*target, message);
  });
}

void Engine::ReceiveLocked(Orchestration& target, Message message) {
  if (target.gone) return;
  if (!message.execution_id.empty() &&
      message.execution_id != target.execution_id) {
    return;  // For an execution that is over.
  }
  target.inbox.push_back(std::move(message));
  LineUpLocked(target);
}

void Engine::SendCommand(const InstanceKey& key, HistoryEvent event,
                         DoneStatus done) {
  Section section(*this);
  if (absl::Status status = ServingLocked(); !status.ok()) {
    return RefuseLocked(done, status);
  }
  const OrchestrationPtr open = FindOpenLocked(key);
  if (open == nullptr) {
    readers_.Post([this, key, event = std::move(event), done] {
      const auto row = store_.Find(key.tenant, key.id);
      if (!row.ok()) return done(row.status());
      if (!row->has_value()) return done(NoSuchOrchestration(key));
      if ((*row)->finished.has_value()) {
        const auto status = static_cast<OrchestrationStatus>((*row)->status);
        return done(absl::FailedPreconditionError(absl::StrCat(
            "orchestration ", QuoteForMessage(key.id), " is ",
            std::string(StatusName(status)),
            "; only one that has not ended can be told anything")));
      }
      // It has begun since, or is about to end: now it is known.
      SendCommand(key, event, done);
    });
    return;
  }
  PendingCommit commit;
  const bool is_so = event.As<ExecutionSuspended>() != nullptr &&
                     open->status == OrchestrationStatus::kSuspended &&
                     open->resume_sequence == 0;
  if (!is_so) PostLocked(open, "", event, commit);
  commit.done = std::move(done);
  commits_.Submit(std::move(commit));
}

void Engine::RaiseEvent(const InstanceKey& key, std::string name, Payload input,
                        DoneStatus done) {
  if (absl::Status status =
          CheckPayload(input, "the event has", options_.limits);
      !status.ok()) {
    return done(status);
  }
  SendCommand(key,
              {HistoryEvent::kFromOutside, ToTimestamp(clock_.WallNow()),
               EventRaised{std::move(name), std::move(input)}},
              std::move(done));
}

void Engine::Suspend(const InstanceKey& key, Payload reason, DoneStatus done) {
  if (absl::Status status =
          CheckPayload(reason, "the reason has", options_.limits);
      !status.ok()) {
    return done(status);
  }
  SendCommand(key,
              {HistoryEvent::kFromOutside, ToTimestamp(clock_.WallNow()),
               ExecutionSuspended{std::move(reason)}},
              std::move(done));
}

void Engine::Resume(const InstanceKey& key, Payload reason, DoneStatus done) {
  if (absl::Status status =
          CheckPayload(reason, "the reason has", options_.limits);
      !status.ok()) {
    return done(status);
  }
  SendCommand(key,
              {HistoryEvent::kFromOutside, ToTimestamp(clock_.WallNow()),
               ExecutionResumed{std::move(reason)}},
              std::move(done));
}

void Engine::Terminate(const InstanceKey& key, Payload output, bool recursive,
                       DoneStatus done) {
  if (absl::Status status =
          CheckPayload(output, "the output has", options_.limits);
      !status.ok()) {
    return done(status);
  }
  SendCommand(key,
              {HistoryEvent::kFromOutside, ToTimestamp(clock_.WallNow()),
               ExecutionTerminated{std::move(output), recursive}},
              std::move(done));
}

// ---- The end of one ---------------------------------------------------------

void Engine::EndLocked(Orchestration& orchestration) {
  if (std::exchange(orchestration.gone, true)) return;
  orchestration.ending = true;
  dispatcher_.Take(orchestration.turn);
  for (auto& [id, activity] : orchestration.activities) {
    dispatcher_.Take(*activity);
  }
  if (orchestration.start_at != 0) {
    timers_.Cancel({orchestration.start_at, orchestration.number,
                    Timers::Kind::kStart, 0});
  }
  if (OrchestrationInstance* hot = orchestration.hot) {
    if (hot->state_ != nullptr) {
      CancelTimersLocked(orchestration.number, hot->state_->state);
    }
    hot->Forget();
    orchestration.hot = nullptr;
  }
  orchestration.unsent.clear();
  orchestration.pins = 0;
  if (orchestration.pin != nullptr) {
    deferred_.unpinned.push_back(std::move(orchestration.pin));
  }
  by_number_.erase(orchestration.number);
  const std::string key = DirectoryKey(orchestration.key);
  if (const auto it = lookups_.find(key); it != lookups_.end()) {
    it->second.outdated = true;
  }
  const auto place = directory_.find(key);
  if (place != directory_.end() && place->second.get() == &orchestration) {
    // Kept for as long as this lock is: the caller may look at it.
    deferred_.calls.push_back([keep = std::move(place->second)] {});
    directory_.erase(place);
  }
}

void Engine::WakeLocked(const Orchestration& orchestration,
                        OrchestrationInfo info) {
  const std::string directory_key = DirectoryKey(orchestration.key);
  const auto it = waiters_.find(directory_key);
  if (it == waiters_.end()) return;
  info.revision = orchestration.revision;
  std::vector<Waiter>& waiters = it->second;
  const bool finished = IsFinished(info.status);
  const auto woken = std::stable_partition(
      waiters.begin(), waiters.end(), [finished](const Waiter& waiter) {
        return waiter.until == Until::kFinished && !finished;
      });
  for (auto waiter = woken; waiter != waiters.end(); ++waiter) {
    OrchestrationInfo told = info;
    if (!waiter->payloads) {
      told.has_payloads = false;
      told.input.reset();
      told.output.reset();
      told.failure = {};
    }
    deferred_.calls.push_back(
        [done = std::move(waiter->done), told = std::move(told)] {
          done(std::optional<OrchestrationInfo>(told));
        });
  }
  waiters.erase(woken, waiters.end());
  if (waiters.empty()) waiters_.erase(it);
}

// ---- Timers -----------------------------------------------------------------

void Engine::StartTimers() {
  timer_thread_ = std::thread([this] { RunTimers(); });
}

void Engine::AddTimerLocked(const Timers::Entry& entry) {
  const std::optional<StoredTime> before = timers_.next_due();
  timers_.Add(entry);
  // The thread waits for the first one.
  if (!before.has_value() || entry.due < *before) timers_changed_.NotifyAll();
}

void Engine::CancelTimersLocked(InstanceNumber number,
                                const RuntimeState& state) {
  for (const auto& [id, fire_at] : state.timers) {
    timers_.Cancel(
        {ToStored(ToTime(fire_at)), number, Timers::Kind::kTimer, id});
  }
}

void Engine::RunTimers() {
  for (;;) {
    {
      MutexLock lock(mu_);
      while (!stopping_) {
        const std::optional<StoredTime> due = NextDueLocked();
        absl::Duration wait = absl::InfiniteDuration();
        if (due.has_value()) {
          wait = std::min(FromStored(*due) - clock_.WallNow(), kClockCheck);
        }
        if (wait <= absl::ZeroDuration()) break;
        clock_.WaitUntil(timers_changed_, mu_, clock_.Now() + wait);
      }
      if (stopping_) return;
    }
    FireTimers();
  }
}

std::optional<StoredTime> Engine::NextDueLocked() const {
  std::optional<StoredTime> due = recover_at_;
  if (not_serving_.ok()) due = timers_.next_due();
  return due;
}

std::optional<StoredTime> Engine::NextDue() const {
  MutexLock lock(mu_);
  return NextDueLocked();
}

void Engine::FireTimers() {
  Section section(*this);
  const StoredTime now = ToStored(clock_.WallNow());
  if (recover_at_.has_value() && *recover_at_ <= now) {
    recover_at_.reset();
    writer_.Post([this] { Recover(); });
  }
  if (!not_serving_.ok()) return;
  while (const std::optional<Timers::Entry> entry = timers_.TakeDue(now)) {
    const auto it = by_number_.find(entry->number);
    if (it == by_number_.end()) continue;
    Orchestration& orchestration = *it->second;
    switch (entry->kind) {
      case Timers::Kind::kTimer:
        FireLocked(orchestration, entry->id);
        break;
      case Timers::Kind::kStart:
        orchestration.start_at = 0;
        LineUpLocked(orchestration);
        break;
      case Timers::Kind::kRetry:
        LineUpAgainLocked(orchestration, entry->id);
        break;
    }
  }
}

absl::Status Engine::AcceptingLocked() const {
  return draining_ ? absl::UnavailableError("the server is shutting down")
                   : not_serving_;
}

void Engine::EndWaitsLocked(const absl::Status& status) {
  for (auto& [key, waiters] : waiters_) {
    for (Waiter& waiter : waiters) {
      deferred_.calls.push_back(
          [done = std::move(waiter.done), status] { done(status); });
    }
  }
  waiters_.clear();
}

void Engine::Drain() {
  Section section(*this);
  draining_ = true;
  EndWaitsLocked(AcceptingLocked());
}

void Engine::Stop() {
  {
    Section section(*this);
    if (std::exchange(stopping_, true)) return;
    if (not_serving_.ok()) ForgetAllLocked();
    not_serving_ = absl::UnavailableError("the server is shutting down");
    recover_at_.reset();
    EndWaitsLocked(not_serving_);
  }
  timers_changed_.NotifyAll();
  if (timer_thread_.joinable()) timer_thread_.join();
  // A read may end in a commit, and a commit in a read.
  readers_.WaitUntilIdle();
  writer_.WaitUntilIdle();
  readers_.WaitUntilIdle();
  observer_.OnStopped(counts());
}

EngineCounts Engine::counts() const {
  MutexLock lock(mu_);
  return {.open = directory_.size(),
          .queued = dispatcher_.queued(),
          .workers = dispatcher_.workers(),
          .turns = turns_,
          .commits = commits_.counts()};
}

}  // namespace leasehold
