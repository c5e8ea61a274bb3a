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

void Engine::AfterCommitsLocked(DoneStatus done) {
  PendingCommit nothing;
  nothing.done = std::move(done);
  commits_.Submit(std::move(nothing));
}

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

// ---- Messages ---------------------------------------------------------------

void Engine::PostLocked(const OrchestrationPtr& target,
                        std::string execution_id, const HistoryEvent& event,
                        PendingCommit& commit) {
  Message message;
  message.execution_id = std::move(execution_id);
  message.event = EncodeEvent(event);
  message.urgent = IsUrgent(event);
  message.rewinds = event.As<ExecutionRewound>() != nullptr;
  NoteSuspension(event, *target);
  PostMessageLocked(target, std::move(message), commit);
}

void Engine::PostMessageLocked(const OrchestrationPtr& target, Message message,
                               PendingCommit& commit) {
  message.sequence = ++target->last_sequence;
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
  if (!IsForPresent(message, target)) return;
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
  // Some workers fail if they are told what is so already.
  const bool is_so =
      (event.As<ExecutionSuspended>() != nullptr && open->suspended) ||
      (event.As<ExecutionResumed>() != nullptr && !open->suspended);
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
