#include "service/orchestration/engine.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "service/orchestration/engine_section.h"
#include "service/orchestration/life.h"

namespace leasehold {
namespace {

// Timers are stored by the time of day, which may be set: the timer thread is
// notified (OnWallClockSet), and in any case checks again after this time.
constexpr absl::Duration kClockCheck = absl::Minutes(1);

// A smaller step is not a jump: the two clocks were not read at the same
// moment.
constexpr absl::Duration kSetBackMin = absl::Milliseconds(100);

#if defined(LEASEHOLD_CHECK_INVARIANTS) || !defined(NDEBUG)
constexpr bool kChecksInvariants = true;
#else
constexpr bool kChecksInvariants = false;
#endif

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
          [this](std::vector<PendingCommit> batch, const CommitResult& result) {
            OnCommitted(std::move(batch), result);
          }),
      waits_(options.waits_max),
      dispatcher_(absl::Uniform<uint64_t>(random_)),
      watches_{
          {WorkWatch(absl::ToInt64Microseconds(options.turn_timeout)),
           WorkWatch(absl::ToInt64Microseconds(options.activity_timeout))}} {}

Engine::~Engine() { Stop(); }

// ---- Under and after the lock -----------------------------------------------

Engine::Effects Engine::LeaveLocked() {
  if (admission_.serving().ok()) {
    EndTerminatingLocked();
    while (std::optional<Dispatcher::Assignment> next = dispatcher_.Next()) {
      SendOutLocked(*next->work);
    }
    ObserveUnwantedLocked();
  }
  // Their starts are about to be answered.
  for (Orchestration* one : offered_) one->offer = nullptr;
  offered_.clear();
  if (kChecksInvariants || options_.check_invariants) CheckInvariantsLocked();
  return std::exchange(effects_, {});
}

void Engine::CheckInvariantsLocked() {
  // A few each time, as this is often: all orchestrations take turns.
  constexpr size_t kCount = 4;
  directory_.LookAtSome(kCount, [](const Orchestration& one) {
    const char* broken = BrokenRule(one);
    if (broken == nullptr) return;
    std::fprintf(stderr, "leasehold: broken invariant: %s (%s, %s)\n", broken,
                 QuoteForMessage(one.key.id).c_str(), LifeName(LifeOf(one)));
    std::abort();
  });
}

void Engine::Finish(Effects effects) {
  for (const auto& hold : effects.to_list) hold->List();
  for (auto& [sink, item] : effects.items) sink->Send(std::move(item));
  // Before the answers: a caller that has one may release the instance.
  effects.unpinned.clear();
  for (const auto& call : effects.calls) call();
  for (const OrchestrationPtr& orchestration : effects.to_pin) {
    PinLater(orchestration);
  }
}

Timestamp Engine::NowLocked() const { return ToTimestamp(clock_.WallNow()); }

std::string Engine::NewExecutionIdLocked() {
  return absl::StrFormat("%016x%016x", absl::Uniform<uint64_t>(random_),
                         absl::Uniform<uint64_t>(random_));
}

std::optional<absl::StatusOr<PinGrant>> Engine::Acquire(PinWaiter& waiter) {
  acquires_.fetch_add(1, std::memory_order_relaxed);
  return registry_.Acquire(waiter);
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
      FailLocked(result.done() ? absl::AbortedError(
                                     "a message between orchestrations was "
                                     "acted on before")
                               : result.status());
      if (!result.done()) told = admission_.serving();
    }
  }
  for (PendingCommit& commit : batch) {
    if (commit.done) commit.done(told);
  }
}

// ---- Messages ---------------------------------------------------------------

void Engine::PostLocked(const OrchestrationPtr& target,
                        std::string execution_id, const HistoryEvent& event,
                        PendingCommit& commit) {
  const int number = NumberOf(event);
  NoteSuspension(number, *target);
  PostMessageLocked(
      target, MakeMessage(std::move(execution_id), number, EncodeEvent(event)),
      commit);
}

void Engine::PostMessageLocked(const OrchestrationPtr& target, Message message,
                               PendingCommit& commit) {
  message.sequence = ++target->last_sequence;
  target->inbox.Announce(message);
  commit.changes.push_back(MakeRow(*target, message));
  commit.apply.push_back([this, target, message = std::move(message)] {
    mu_.AssertHeld();
    target->inbox.Arrive(message);
    ReceiveLocked(*target, message);
  });
}

PutMessage Engine::MakeRow(const Orchestration& target, Message& message) {
  PutMessage put{{.number = target.number,
                  .sequence = message.sequence,
                  .execution = message.execution_id,
                  .event = {}}};
  if (message.bytes > Inbox::kSmallBytes) {
    // The row has the only copy while it is being committed.
    put.row.event = std::exchange(message.event, {});
    message.away = true;
  } else {
    put.row.event = message.event;
  }
  return put;
}

void Engine::ReceiveLocked(Orchestration& target, Message message) {
  if (target.gone || target.damage != nullptr) return;
  if (!IsForPresent(message, target)) return;
  if (message.terminates) {
    target.terminating = true;
    newly_terminating_.push_back(target.number);
  }
  target.inbox.Add(std::move(message));
  LineUpLocked(target);
}

absl::Status Engine::CheckInboxLocked(const Orchestration& target,
                                      const Message& message) const {
  size_t bytes_max = options_.inbox_bytes_max;
  // A terminate or a resume must still fit.
  if (message.urgent) bytes_max += 2 * options_.limits.payload_bytes_max;
  const size_t bytes = target.inbox.bytes() + Inbox::SizeOf(message);
  // A single message always fits.
  if (bytes <= bytes_max || target.inbox.bytes() == 0) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat(
      "what has come for orchestration ", QuoteForMessage(target.key.id),
      " and is in no turn of it yet would have ", bytes, " bytes; at most ",
      bytes_max,
      " are allowed (--max-inbox-bytes): a worker that takes its turns makes "
      "room"));
}

void Engine::SendCommand(const InstanceKey& key, HistoryEvent event,
                         DoneStatus done) {
  Section section(*this);
  if (absl::Status status = admission_.serving(); !status.ok()) {
    return RefuseLocked(done, status);
  }
  const OrchestrationPtr open = FindOpenLocked(key);
  if (open == nullptr) {
    readers_.Post([this, key, event = std::move(event), done] {
      const auto row = store_.Find(key.tenant, key.id);
      if (!row.ok()) return done(row.status());
      if (!row->has_value()) return done(NoSuchOrchestration(key));
      if ((*row)->damaged) {
        return done(IsDamaged(key.id, "its row does not have its checksum"));
      }
      if ((*row)->finished.has_value()) {
        const auto status = static_cast<OrchestrationStatus>((*row)->status);
        return done(absl::FailedPreconditionError(absl::StrCat(
            "orchestration ", QuoteForMessage(key.id), " is ",
            std::string(StatusName(status)),
            "; only one that has not ended can be told anything")));
      }
      // It was opened since, or is about to end: now its state is known.
      SendCommand(key, event, done);
    });
    return;
  }
  if (open->damage != nullptr) {
    return RefuseLocked(done, IsDamaged(key.id, *open->damage));
  }
  PendingCommit commit;
  // Some workers fail if told to suspend or resume when that is already so.
  const bool is_so =
      (event.As<ExecutionSuspended>() != nullptr && open->suspended) ||
      (event.As<ExecutionResumed>() != nullptr && !open->suspended);
  if (!is_so) {
    const int number = NumberOf(event);
    Message message = MakeMessage("", number, EncodeEvent(event));
    if (absl::Status status = CheckInboxLocked(*open, message); !status.ok()) {
      return RefuseLocked(done, status);
    }
    NoteSuspension(number, *open);
    PostMessageLocked(open, std::move(message), commit);
  }
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

// ---- Ends -------------------------------------------------------------------

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
    timers_.Cancel({orchestration.start_at, orchestration.number,
                    Timers::Kind::kStart, 0});
  }
  if (HotOrchestration* hot = orchestration.hot) {
    if (hot->state_ != nullptr) {
      CancelTimersLocked(orchestration.number, hot->state_->state);
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
  if (orchestration.terminating) terminating_.erase(orchestration.number);
  const std::string name = Directory::NameOf(orchestration.key);
  if (lookups_.Contains(name)) outdated_lookups_.insert(name);
  if (OrchestrationPtr had = directory_.Remove(orchestration)) {
    // Kept until the lock is released: the caller may still use it.
    effects_.calls.push_back([keep = std::move(had)] {});
  }
}

void Engine::WakeLocked(const Orchestration& orchestration,
                        OrchestrationInfo info) {
  const bool finished = IsFinished(info.status);
  std::vector<Waiter> woken = waits_.TakeIf(
      Directory::NameOf(orchestration.key), [finished](const Waiter& waiter) {
        return waiter.until != Until::kFinished || finished;
      });
  if (woken.empty()) return;
  info.revision = orchestration.revision;
  // One copy for all: payloads may be large.
  const auto told_briefly = std::make_shared<const OrchestrationInfo>(
      OrchestrationInfo{.id = info.id,
                        .status = info.status,
                        .created = info.created,
                        .finished = info.finished,
                        .summary = info.summary,
                        .revision = info.revision});
  const auto told = std::make_shared<const OrchestrationInfo>(std::move(info));
  for (Waiter& waiter : woken) {
    effects_.calls.push_back(
        [done = std::move(waiter.done),
         told = waiter.payloads ? told : told_briefly] { done(told); });
  }
}

// ---- Timers -----------------------------------------------------------------

void Engine::StartTimers() {
  timer_thread_ = std::thread([this] { RunTimers(); });
}

void Engine::AddTimerLocked(const Timers::Entry& entry, StoredTime early) {
  // The timer thread waits for the first timer.
  const std::optional<StoredTime> before = timers_.next_due();
  timers_.Add(entry, early);
  if (timers_.next_due() != before) timers_changed_.NotifyAll();
}

StoredTime Engine::MonotonicLocked() const { return clock_.Now().ns / 1000; }

void Engine::FollowWallLocked() {
  const std::pair<absl::Time, Instant> now = {clock_.WallNow(), clock_.Now()};
  const auto before = std::exchange(clocks_, now);
  if (!before.has_value()) return;
  const absl::Duration set =
      (now.first - before->first) - (now.second - before->second);
  if (set < -kSetBackMin) timers_.MoveBack(absl::ToInt64Microseconds(-set));
}

void Engine::OnWallClockSet() {
  const Look look(*this);
  timers_changed_.NotifyAll();
}

void Engine::CancelTimersLocked(RunNumber number, const RuntimeState& state) {
  for (const auto& [id, fire_at] : state.timers) {
    timers_.Cancel(
        {ToStored(ToTime(fire_at)), number, Timers::Kind::kTimer, id});
  }
}

void Engine::RunTimers() {
  for (;;) {
    {
      MutexLock lock(mu_);
      while (!admission_.stopped()) {
        FollowWallLocked();
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
  std::optional<StoredTime> due;
  const auto note = [&due](std::optional<StoredTime> at, StoredTime ahead) {
    if (at.has_value() && (!due.has_value() || *at + ahead < *due)) {
      due = *at + ahead;
    }
  };
  const StoredTime ahead = ToStored(clock_.WallNow()) - MonotonicLocked();
  note(recover_at_, ahead);
  if (admission_.serving().ok()) {
    note(timers_.next_due(), 0);
    note(retries_.next_due(), ahead);
    for (const WorkWatch& watch : watches_) note(watch.next_look(), ahead);
  }
  return due;
}

std::optional<StoredTime> Engine::NextDue() const {
  const Look look(*this);
  return NextDueLocked();
}

void Engine::FireTimers() {
  Section section(*this);
  FollowWallLocked();
  const StoredTime now = ToStored(clock_.WallNow());
  const StoredTime monotonic = MonotonicLocked();
  if (recover_at_.has_value() && *recover_at_ <= monotonic) {
    recover_at_.reset();
    writer_.Post([this] { Recover(); });
  }
  if (!admission_.serving().ok()) return;
  TakeLateWorkLocked(monotonic);
  for (;;) {
    std::optional<Timers::Entry> entry = timers_.TakeDue(now);
    if (!entry.has_value()) entry = retries_.TakeDue(monotonic);
    if (!entry.has_value()) break;
    Orchestration* found = directory_.FindByNumber(entry->number);
    if (found == nullptr || found->damage != nullptr) continue;
    Orchestration& orchestration = *found;
    switch (entry->kind) {
      case Timers::Kind::kTimer:
        FireLocked(orchestration, entry->id);
        break;
      case Timers::Kind::kStart:
        orchestration.start_at = 0;
        LineUpLocked(orchestration);
        break;
      case Timers::Kind::kRetryTurn:
        orchestration.held = false;
        LineUpLocked(orchestration);
        break;
      case Timers::Kind::kRetryActivity:
        LineUpAgainLocked(orchestration, entry->id);
        break;
    }
  }
}

void Engine::EndWaitsLocked(const absl::Status& status) {
  for (Waiter& waiter : waits_.TakeAll()) {
    effects_.calls.push_back(
        [done = std::move(waiter.done), status] { done(status); });
  }
}

void Engine::Drain() {
  Section section(*this);
  admission_.Drain();
  EndWaitsLocked(admission_.accepting());
}

void Engine::Stop() {
  {
    Section section(*this);
    const bool served = admission_.serving().ok();
    if (!admission_.Stop()) return;
    if (served) ForgetAllLocked();
    recover_at_.reset();
    EndWaitsLocked(admission_.serving());
  }
  timers_changed_.NotifyAll();
  if (timer_thread_.joinable()) timer_thread_.join();
  // A read may cause a commit, and a commit a read.
  readers_.WaitUntilIdle();
  writer_.WaitUntilIdle();
  readers_.WaitUntilIdle();
  observer_.OnStopped(counts());
}

EngineCounts Engine::counts() const {
  const Look look(*this);
  return {.open = directory_.size(),
          .queued = dispatcher_.queued(),
          .workers = dispatcher_.workers(),
          .turns = turns_,
          .holds = holds_,
          .acquires = acquires_.load(std::memory_order_relaxed),
          .commits = commits_.counts()};
}

}  // namespace leasehold
