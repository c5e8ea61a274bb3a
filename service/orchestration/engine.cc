#include "service/orchestration/engine.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "service/base/invariant.h"
#include "service/orchestration/engine_section.h"
#include "service/orchestration/life.h"
#include "service/orchestration/strips.h"

namespace leasehold {
namespace {

// Timers are stored by the time of day, which may be set: the timer thread is
// notified (OnWallClockSet), and in any case checks again after this time.
constexpr absl::Duration kClockCheck = absl::Minutes(1);

// For whoever waits for a commit whose outcome is unknown.
absl::Status MayBeStored(const absl::Status& why) {
  return absl::UnavailableError(absl::StrCat(
      "nothing can be stored now, and whether this was stored is not known "
      "yet; look before you send it again: ",
      why.message()));
}

}  // namespace

Engine::Engine(Clock& clock, Store& store, InstanceRegistry& registry,
               Executor& writer, Executor& readers,
               SharedDispatcher& dispatcher, EngineObserver& observer,
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
          [this](std::vector<PendingCommit> batch, const CommitResult& result) {
            OnCommitted(std::move(batch), result);
          }),
      dispatcher_(dispatcher),
      storage_room_(store, options.stored_bytes_max_of_tenant),
      execution_ids_(options.seed),
      schedule_(clock, timers_changed_),
      lookups_(store, readers_),
      entity_watches_(*this, options.waits_max),
      outside_calls_(*this, options.waits_max, options.kept_calls),
      wait_list_(*this, options.waits_max),
      worker_watch_(*this) {
  // Last: from now on it may be called.
  owner_ = dispatcher_.AddOwner(*this);
}

Engine::~Engine() { Stop(); }

// ---- Life -------------------------------------------------------------------

absl::Status Engine::Open() { return recovery_.Open(); }

void Engine::SetRetention(RetentionRules rules) {
  retention_.Set(std::move(rules));
}

void Engine::Drain() {
  Section section(*this);
  admission_.Drain();
  EndWaitsLocked(admission_.accepting());
}

void Engine::EndWaitsLocked(const absl::Status& status) {
  entity_watches_.EndWaitsLocked(status);
  outside_calls_.EndWaitsLocked(status);
  wait_list_.EndWaitsLocked(status);
}

void Engine::Stop() {
  {
    Section section(*this);
    const bool served = admission_.serving().ok();
    if (!admission_.Stop()) return;
    if (served) recovery_.ForgetAllLocked();
    recovery_.NeverRetryLocked();
    EndWaitsLocked(admission_.serving());
  }
  timers_changed_.NotifyAll();
  if (timer_thread_.joinable()) timer_thread_.join();
  // A read may cause a commit, and a commit a read.
  readers_.WaitUntilIdle();
  writer_.WaitUntilIdle();
  readers_.WaitUntilIdle();
  dispatcher_.RemoveOwner(owner_);
  observer_.OnStopped(counts());
}

EngineCounts Engine::counts() const {
  const Look look(*this);
  return {.open = directory_.size(),
          .queued = dispatcher_.queued(owner_),
          .workers = dispatcher_.workers(),
          .turns = turn_count_,
          .by_status = directory_.by_status(),
          .parked = directory_.packed(),
          .begun_by_callers = {directory_.begun_by_callers().begin(),
                               directory_.begun_by_callers().end()},
          .open_refused = starts_.refused(),
          .stored_refused = storage_room_.refused(),
          .started = started_,
          .ended = ended_,
          .holds = holds_,
          .acquires = acquires_.load(std::memory_order_relaxed),
          .commits = commits_.counts()};
}

// ---- Under and after the lock -----------------------------------------------

Effects Engine::LeaveLocked() {
  if (admission_.serving().ok()) {
    ends_.EndTerminatingLocked();
    while (Work* next = dispatcher_.Next(owner_)) {
      deliveries_.SendOutLocked(*next);
    }
    answers_.ObserveUnwantedLocked();
  } else {
    // The slots of its former work are for others.
    dispatcher_.Nudge(owner_);
  }
  deliveries_.ReleaseUnpinnedLocked();
  // Their starts are about to be answered.
  for (Orchestration* one : offered_) one->offer = nullptr;
  offered_.clear();
  directory_.PackSome();
  if (kChecksInvariants || options_.check_invariants) CheckInvariantsLocked();
  return std::exchange(effects_, {});
}

void Engine::CheckInvariantsLocked() {
  CheckInvariant(admission_.serving().ok() || dispatcher_.queued(owner_) == 0,
                 "without a store no work is queued");
  CheckInvariant(directory_.CountsRightly(),
                 "each tenant's open orchestrations are counted");
  // A few each time, as this is often: all orchestrations take turns.
  constexpr size_t kCount = 4;
  directory_.LookAtSome(kCount, [](const Orchestration& one) {
    const char* broken = BrokenRule(one);
    if (broken == nullptr) return;
    BreakInvariant(absl::StrCat(broken, " (", QuoteForMessage(one.key.id), ", ",
                                LifeName(LifeOf(one)), ")")
                       .c_str());
  });
}

void Engine::Finish(Effects effects) {
  for (const auto& hold : effects.to_list) hold->List();
  for (auto& [sink, item] : effects.items) sink->Send(std::move(item));
  // Before the answers: a caller that has one may release the instance.
  effects.unpinned.clear();
  for (const auto& call : effects.calls) call();
  for (const DurablePtr& owner : effects.to_pin) deliveries_.Pin(owner);
  for (Span& span : effects.spans) options_.spans->End(std::move(span));
  dispatcher_.Wake();
}

void Engine::TellSpansLocked(const InstanceKey& key, std::vector<Span> spans) {
  mu_.AssertHeld();
  if (options_.spans == nullptr) return;
  for (Span& span : spans) {
    span.attributes.emplace_back(kTenantAttribute, key.tenant);
    effects_.spans.push_back(std::move(span));
  }
}

void HotOrchestration::OnDetach(InstanceContext&, DetachReason, HookDone done) {
  engine_.deliveries_.Park(*this);
  done();
}

// ---- Commits ----------------------------------------------------------------

void Engine::AfterCommitsLocked(DoneStatus done) {
  PendingCommit nothing;
  nothing.done = std::move(done);
  commits_.Submit(std::move(nothing));
}

void Engine::OnCommitted(std::vector<PendingCommit> batch,
                         const CommitResult& result) {
  absl::Status told = result.status();
  {
    Section section(*this);
    if (result.done() && result.gone().empty()) {
      for (PendingCommit& commit : batch) {
        for (const auto& apply : commit.apply) apply();
      }
    } else {
      // Decisions cannot be taken back one by one, even if it is certain that
      // none of them was stored, or that one rested on a row of an outbox that
      // was taken before: memory is read again either way.
      recovery_.FailLocked(
          result.done()
              ? absl::AbortedError("a message between orchestrations was "
                                   "acted on before")
              : result.status());
      if (!result.done()) {
        told = result.known_not_committed() ? admission_.serving()
                                            : MayBeStored(result.status());
      }
    }
  }
  for (PendingCommit& commit : batch) {
    if (commit.done) commit.done(told);
  }
}

// ---- What the parts share ---------------------------------------------------

Timestamp Engine::NowLocked() const { return ToTimestamp(clock_.WallNow()); }

std::optional<absl::StatusOr<PinGrant>> Engine::Acquire(PinWaiter& waiter) {
  acquires_.fetch_add(1, std::memory_order_relaxed);
  return registry_.Acquire(waiter);
}

void Engine::EndLocked(Orchestration& orchestration) {
  if (std::exchange(orchestration.gone, true)) return;
  orchestration.ending = true;
  dispatcher_.End(orchestration.turn);
  orchestration.turn.place.Free();
  for (auto& [id, activity] : orchestration.activities) {
    dispatcher_.End(*activity);
    activity->place.Free();
  }
  if (orchestration.start_at != 0) {
    schedule_.CancelTimer({orchestration.start_at, orchestration.number,
                           Timers::Kind::kStart, 0});
  }
  if (HotOrchestration* hot = orchestration.hot) {
    if (hot->state != nullptr) {
      schedule_.CancelTimers(orchestration.number, hot->state->state.timers);
    }
    hot->Forget();
    orchestration.hot = nullptr;
  }
  orchestration.unsent.clear();
  orchestration.offer = nullptr;
  orchestration.pins = 0;
  if (orchestration.pin != nullptr) {
    effects_.unpinned.push_back(std::move(orchestration.pin));
  }
  if (orchestration.terminating) ends_.ForgetLocked(orchestration.number);
  lookups_.OnEnd(Directory::NameOf(orchestration.key));
  if (OrchestrationPtr had = directory_.Remove(orchestration)) {
    // Kept until the lock is released: the caller may still use it.
    effects_.calls.push_back([keep = std::move(had)] {});
  }
}

// ---- Timers -----------------------------------------------------------------

void Engine::StartTimers() {
  timer_thread_ = std::thread([this] { RunTimers(); });
}

void Engine::OnWallClockSet() {
  const Look look(*this);
  timers_changed_.NotifyAll();
}

void Engine::RunTimers() {
  for (;;) {
    {
      MutexLock lock(mu_);
      while (!admission_.stopped()) {
        schedule_.Follow();
        const std::optional<StoredTime> due = NextDueLocked();
        absl::Duration wait = absl::InfiniteDuration();
        if (due.has_value()) {
          wait = std::min(FromStored(*due) - clock_.WallNow(), kClockCheck);
        }
        if (wait <= absl::ZeroDuration()) break;
        clock_.WaitUntil(timers_changed_, mu_, clock_.Now() + wait);
      }
      if (admission_.stopped()) return;
    }
    FireTimers();
  }
}

std::optional<StoredTime> Engine::NextDueLocked() const {
  const Schedule::Moment now = schedule_.Now();
  std::optional<StoredTime> due;
  const auto note = [&](std::optional<StoredTime> monotonic) {
    if (!monotonic.has_value()) return;
    const StoredTime at = now.ToWall(*monotonic);
    if (!due.has_value() || at < *due) due = at;
  };
  const bool serving = admission_.serving().ok();
  if (serving) due = schedule_.NextDue(now);
  if (serving) note(worker_watch_.NextLookLocked());
  if (serving) note(mail_.retry_at());
  note(recovery_.retry_at());
  return due;
}

std::optional<StoredTime> Engine::NextDue() const {
  const Look look(*this);
  return NextDueLocked();
}

void Engine::FireTimers() {
  Section section(*this);
  schedule_.Follow();
  const Schedule::Moment now = schedule_.Now();
  recovery_.RetryIfDueLocked(now.monotonic);
  if (!admission_.serving().ok()) return;
  worker_watch_.TakeLateWorkLocked(now.monotonic);
  mail_.RetryIfDueLocked(now.monotonic);
  while (const std::optional<Timers::Entry> entry = schedule_.TakeDue(now)) {
    FireLocked(*entry);
  }
}

void Engine::FireLocked(const Timers::Entry& entry) {
  if (entry.kind == Timers::Kind::kCallWaits) {
    return outside_calls_.FireLocked();
  }
  if (entry.kind == Timers::Kind::kRetention) {
    return retention_.FireLocked(entry.id);
  }
  Orchestration* found = directory_.FindByNumber(entry.number);
  if (found == nullptr) return batches_.FireLocked(entry);
  if (found->damage != nullptr) return;
  Orchestration& orchestration = *found;
  switch (entry.kind) {
    case Timers::Kind::kTimer:
      mail_.FireLocked(orchestration, entry.id);
      break;
    case Timers::Kind::kStart:
      orchestration.start_at = 0;
      deliveries_.LineUpLocked(orchestration);
      break;
    case Timers::Kind::kRetryTurn:
      orchestration.held = false;
      deliveries_.LineUpLocked(orchestration);
      break;
    case Timers::Kind::kRetryActivity:
      deliveries_.LineUpAgainLocked(orchestration, entry.id);
      break;
    case Timers::Kind::kEntity:
    case Timers::Kind::kCallWaits:
    case Timers::Kind::kLock:
    case Timers::Kind::kRetention:
      break;
  }
}

// ---- The interfaces ---------------------------------------------------------

Done<StartReceipt> Engine::Recorded(const InstanceKey& key, Requester by,
                                    Done<StartReceipt> done) const {
  if (options_.strips == nullptr) return done;
  return [strips = options_.strips, key, by = std::move(by),
          done = std::move(done)](absl::StatusOr<StartReceipt> receipt) {
    strips->Answer(key, by, receipt);
    done(std::move(receipt));
  };
}

void Engine::Start(StartRequest request, Done<StartReceipt> done) {
  done = Recorded(request.key, std::move(request.by), std::move(done));
  starts_.Start(std::move(request), std::move(done));
}

void Engine::Restart(const InstanceKey& key, std::optional<std::string> new_id,
                     Requester by, const CallTrace& trace,
                     Done<StartReceipt> done) {
  done = Recorded({key.tenant, new_id.value_or(key.id)}, std::move(by),
                  std::move(done));
  restarts_.Restart(key, std::move(new_id), trace, std::move(done));
}

void Engine::Get(const InstanceKey& key, bool payloads,
                 Done<std::optional<OrchestrationInfo>> done) {
  reads_.Get(key, payloads, std::move(done));
}

Engine::WaitId Engine::Wait(WaitRequest request, Done<SharedInfo> done) {
  return wait_list_.Wait(std::move(request), std::move(done));
}

bool Engine::CancelWait(const InstanceKey& key, WaitId id) {
  return wait_list_.CancelWait(key, id);
}

void Engine::RaiseEvent(const InstanceKey& key, std::string name, Payload input,
                        DoneStatus done) {
  commands_.RaiseEvent(key, std::move(name), std::move(input), std::move(done));
}

void Engine::Suspend(const InstanceKey& key, Payload reason, DoneStatus done) {
  commands_.Suspend(key, std::move(reason), std::move(done));
}

void Engine::Resume(const InstanceKey& key, Payload reason, DoneStatus done) {
  commands_.Resume(key, std::move(reason), std::move(done));
}

void Engine::Terminate(const InstanceKey& key, Payload output, bool recursive,
                       DoneStatus done) {
  commands_.Terminate(key, std::move(output), recursive, std::move(done));
}

void Engine::TerminateByForce(const InstanceKey& key, Payload output,
                              bool recursive, DoneStatus done) {
  ends_.TerminateByForce(key, std::move(output), recursive, std::move(done));
}

void Engine::Rewind(const InstanceKey& key, Payload reason, DoneStatus done) {
  rewinds_.Rewind(key, std::move(reason), std::move(done));
}

void Engine::TerminateNow(std::vector<InstanceKey> keys, Payload output,
                          Done<std::vector<InstanceKey>> done) {
  ends_.TerminateNow(std::move(keys), std::move(output), std::move(done));
}

void Engine::Purge(std::vector<InstanceKey> keys, bool recursive,
                   Done<PurgeResult> done) {
  purges_.Purge(std::move(keys), recursive, std::move(done));
}

void Engine::PurgeMatching(OrchestrationFilter filter, bool recursive,
                           absl::Duration timeout, Done<PurgeResult> done) {
  purges_.PurgeMatching(std::move(filter), recursive, timeout, std::move(done));
}

void Engine::Wipe(std::string tenant, DoneStatus done) {
  wipes_.Wipe(std::move(tenant), std::move(done));
}

void Engine::Query(OrchestrationQuery query, Done<OrchestrationPage> done) {
  reads_.Query(std::move(query), std::move(done));
}

void Engine::Count(OrchestrationFilter filter, absl::Duration timeout,
                   Done<CountedOrchestrations> done) {
  reads_.Count(std::move(filter), timeout, std::move(done));
}

void Engine::ListFinished(FinishedIdsQuery query, Done<FinishedIdsPage> done) {
  reads_.ListFinished(std::move(query), std::move(done));
}

void Engine::ReadRuns(const InstanceKey& key,
                      Done<std::vector<StoredRun>> done) {
  reads_.ReadRuns(key, std::move(done));
}

void Engine::ReadHistory(const InstanceKey& key, HistoryQuery query,
                         Done<HistoryPage> done) {
  reads_.ReadHistory(key, std::move(query), std::move(done));
}

// The end of the section sends out what can go.
void Engine::OnWorkToTake() { const Section section(*this); }

void Engine::OnTakersChanged() {
  const Section section(*this);
  ends_.OnTakersChangedLocked();
}

void Engine::OnWorkerGone(WorkerId id) { answers_.OnWorkerGone(id); }

void Engine::CompleteTurn(const WorkName& name, TurnAnswer answer,
                          DoneStatus done) {
  answers_.CompleteTurn(name, std::move(answer), std::move(done));
}

void Engine::CompleteActivity(const WorkName& name, EventBody end,
                              DoneStatus done) {
  answers_.CompleteActivity(name, std::move(end), std::move(done));
}

void Engine::CompleteEntity(const WorkName& name, BatchAnswer answer,
                            DoneStatus done) {
  batches_.Complete(name, std::move(answer), std::move(done));
}

void Engine::RefuseAnswer(WorkKind kind, const WorkName& name,
                          std::string_view reason) {
  answers_.RefuseAnswer(kind, name, reason);
}

void Engine::Abandon(WorkKind kind, const WorkName& name) {
  answers_.Abandon(kind, name);
}

}  // namespace leasehold
