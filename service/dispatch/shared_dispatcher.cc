#include "service/dispatch/shared_dispatcher.h"

#include <algorithm>

#include "service/base/invariant.h"

namespace leasehold {
// Holds the lock for a scope, and notes at its end who is to be woken. `self`:
// the owner that calls, which looks by itself; 0: none.
class ABSL_SCOPED_LOCKABLE SharedDispatcher::Section {
 public:
  explicit Section(SharedDispatcher& of, OwnerId self = 0)
      ABSL_EXCLUSIVE_LOCK_FUNCTION(of.mu_)
      : of_(of), self_(self) {
    of_.mu_.Lock();
    notes_ = of_.dispatcher_.unwanted_notes();
  }
  ~Section() ABSL_UNLOCK_FUNCTION() {
    if (of_.dispatcher_.unwanted_notes() != notes_) {
      of_.unwanted_.store(true, std::memory_order_relaxed);
      for (const OwnerId id : of_.dispatcher_.OwnersOfNewlyUnwanted()) {
        if (id != self_) of_.NoteWorkLocked(id);
      }
    }
    if (kChecksInvariants || of_.check_invariants_) {
      if (const char* broken = of_.BrokenRuleLocked()) BreakInvariant(broken);
    }
    of_.mu_.Unlock();
  }
  Section(const Section&) = delete;
  Section& operator=(const Section&) = delete;

 private:
  SharedDispatcher& of_;
  const OwnerId self_;
  uint64_t notes_ = 0;
};

SharedDispatcher::SharedDispatcher(const Options& options)
    : rules_(options.rules),
      check_invariants_(options.check_invariants),
      clock_(options.clock),
      dispatcher_(options.secret) {}

// ---- Owners -----------------------------------------------------------------

OwnerId SharedDispatcher::AddOwner(WorkOwner& owner) {
  const Section section(*this);
  Owner& added = owners_.try_emplace(++last_owner_, owner).first->second;
  for (const WorkRules& rules : rules_) {
    added.watches.emplace_back(absl::ToInt64Microseconds(rules.limit));
  }
  return last_owner_;
}

void SharedDispatcher::RemoveOwner(OwnerId id) {
  const Section section(*this);
  Owner& owner = owners_.at(id);
  owner.leaving = true;
  while (owner.calls > 0) visit_ended_.Wait(mu_);
  CheckInvariant(owner.queued == 0 && owner.out == 0,
                 "an owner leaves without work");
  owners_.erase(id);
}

SharedDispatcher::Visit SharedDispatcher::VisitLocked(OwnerId id) {
  const auto it = owners_.find(id);
  if (it == owners_.end() || it->second.leaving) return {};
  ++it->second.calls;
  return Visit(this, id, it->second.who);
}

SharedDispatcher::Visit SharedDispatcher::VisitOwner(OwnerId id) {
  const Section section(*this);
  return VisitLocked(id);
}

void SharedDispatcher::EndVisit(OwnerId id) {
  const MutexLock lock(mu_);
  Owner& owner = owners_.at(id);
  if (--owner.calls == 0 && owner.leaving) visit_ended_.NotifyAll();
}

std::vector<OwnerId> SharedDispatcher::owners() const {
  const MutexLock lock(mu_);
  std::vector<OwnerId> ids;
  for (const auto& [id, owner] : owners_) {
    if (!owner.leaving) ids.push_back(id);
  }
  return ids;
}

void SharedDispatcher::NoteWorkLocked(OwnerId id) {
  if (id == 0) return;
  owners_.at(id).has_work = true;
  news_.store(true, std::memory_order_relaxed);
}

void SharedDispatcher::NoteTakersChangedLocked(OwnerId self) {
  for (auto& [id, owner] : owners_) {
    if (id == self || owner.queued == 0) continue;
    owner.takers_changed = true;
    news_.store(true, std::memory_order_relaxed);
  }
}

OwnerId SharedDispatcher::NextToWakeLocked() const {
  for (const auto& [id, owner] : owners_) {
    if (!owner.leaving && (owner.has_work || owner.takers_changed)) return id;
  }
  return 0;
}

void SharedDispatcher::Wake() {
  if (!news_.load(std::memory_order_relaxed)) return;
  {
    const MutexLock lock(mu_);
    // An owner that is woken may have news for others, and calls Wake as well:
    // the thread that wakes does all of it, one after the other.
    if (std::exchange(waking_, true)) return;
  }
  for (;;) {
    Visit visit;
    bool takers_changed = false;
    {
      const MutexLock lock(mu_);
      const OwnerId next = NextToWakeLocked();
      if (next == 0) {
        waking_ = false;
        news_.store(false, std::memory_order_relaxed);
        return;
      }
      Owner& owner = owners_.at(next);
      owner.has_work = false;
      takers_changed = std::exchange(owner.takers_changed, false);
      visit = VisitLocked(next);
    }
    if (takers_changed) {
      visit->OnTakersChanged();
    } else {
      visit->OnWorkToTake();
    }
  }
}

void SharedDispatcher::Nudge(OwnerId self) {
  const Section section(*this);
  const OwnerId next = dispatcher_.OwnerOfNext();
  if (next != self) NoteWorkLocked(next);
}

// ---- Workers ----------------------------------------------------------------

WorkerId SharedDispatcher::AddWorker(WorkerOptions options,
                                     std::shared_ptr<WorkSink> sink,
                                     WatchTime now) {
  const Section section(*this);
  const WorkerId id =
      dispatcher_.AddWorker(std::move(options), std::move(sink), now);
  NoteWorkLocked(dispatcher_.OwnerOfNext());
  return id;
}

std::optional<WorkerStatus> SharedDispatcher::WorkerAfter(
    std::string_view tenant, WorkerId after) const {
  const MutexLock lock(mu_);
  return dispatcher_.WorkerAfter(tenant, after);
}

std::optional<SharedDispatcher::Gone> SharedDispatcher::CloseWorker(
    WorkerId id) {
  const Section section(*this);
  const std::shared_ptr<const WorkerInfo> info = dispatcher_.FindWorker(id);
  if (!dispatcher_.CloseWorker(id)) return std::nullopt;
  Gone gone{.peer = info->peer};
  for (const Work* work : dispatcher_.WorkOf(id)) {
    ++gone.items;
    gone.owners.push_back(work->owner);
  }
  std::sort(gone.owners.begin(), gone.owners.end());
  gone.owners.erase(std::unique(gone.owners.begin(), gone.owners.end()),
                    gone.owners.end());
  NoteTakersChangedLocked(0);
  // What was offered to others with its slots may go to other workers.
  NoteWorkLocked(dispatcher_.OwnerOfNext());
  return gone;
}

void SharedDispatcher::TellOwners(WorkerId id, const Gone& gone) {
  for (const OwnerId owner : gone.owners) {
    // An owner that leaves has ended its work.
    if (const Visit visit = VisitOwner(owner)) visit->OnWorkerGone(id);
  }
}

SharedDispatcher::Awake SharedDispatcher::HearLocked(WorkerId id, WorkKind kind,
                                                     std::string_view token,
                                                     WatchTime now) {
  if (id == 0 || !dispatcher_.Heard(id, kind, token, now)) return nullptr;
  NoteWorkLocked(dispatcher_.OwnerOfNext());
  return dispatcher_.FindWorker(id);
}

SharedDispatcher::Answered SharedDispatcher::OnAnswer(WorkKind kind,
                                                      std::string_view tenant,
                                                      std::string_view token,
                                                      WatchTime now) {
  Answered answered;
  if (token.empty()) return answered;
  const Section section(*this);
  const Work* work = dispatcher_.Find(token);
  if (work != nullptr && work->tenant != tenant) return answered;
  if (work != nullptr) answered.owner = VisitLocked(work->owner);
  const bool out = work != nullptr && work->worker != 0;
  const WorkerId worker = out ? work->worker : dispatcher_.WorkerOf(token);
  if (dispatcher_.IsIn(tenant, worker)) {
    answered.awake = HearLocked(worker, kind, token, now);
  }
  return answered;
}

// ---- Work, for its owner ----------------------------------------------------

void SharedDispatcher::Enqueue(OwnerId id, Work& work) {
  const Section section(*this, id);
  work.owner = id;
  if (clock_ != nullptr) work.queued_ns = clock_->Now().ns;
  dispatcher_.Enqueue(work);
  ++OwnerOf(work).queued;
}

Work* SharedDispatcher::Next(OwnerId id) {
  const Section section(*this, id);
  Work* work = dispatcher_.Next(id);
  for (const OwnerId other : dispatcher_.TakeOffered()) NoteWorkLocked(other);
  Owner& owner = owners_.at(id);
  if (work != nullptr) {
    --owner.queued;
    ++owner.out;
    if (clock_ != nullptr) {
      waits_[Index(work->kind)].Add(clock_->Now().ns - work->queued_ns);
    }
  } else {
    owner.has_work = false;
  }
  return work;
}

void SharedDispatcher::End(Work& work) {
  // Most work that is ended twice is idle, and has nothing here.
  if (work.state == Work::State::kIdle && work.token.empty()) return;
  const Section section(*this, work.owner);
  if (work.state == Work::State::kQueued) --OwnerOf(work).queued;
  if (work.state == Work::State::kOut) --OwnerOf(work).out;
  dispatcher_.End(work);
}

void SharedDispatcher::PutBack(Work& work, WorkerId avoid) {
  const Section section(*this, work.owner);
  if (clock_ != nullptr) work.queued_ns = clock_->Now().ns;
  dispatcher_.PutBack(work, avoid);
  --OwnerOf(work).out;
  ++OwnerOf(work).queued;
}

void SharedDispatcher::SetAside(Work& work) {
  const Section section(*this, work.owner);
  dispatcher_.SetAside(work);
  --OwnerOf(work).out;
}

bool SharedDispatcher::Disown(Work& work) {
  const Section section(*this, work.owner);
  NoteTakersChangedLocked(work.owner);
  if (clock_ != nullptr) work.queued_ns = clock_->Now().ns;
  --OwnerOf(work).out;
  ++OwnerOf(work).queued;
  return dispatcher_.Disown(work);
}

void SharedDispatcher::ForgetDisowned(const Work& work) {
  const Section section(*this, work.owner);
  dispatcher_.ForgetDisowned(work);
}

bool SharedDispatcher::IsUnwanted(const Work& work) const {
  const MutexLock lock(mu_);
  return dispatcher_.IsUnwanted(work);
}

std::vector<Work*> SharedDispatcher::TakeNewlyUnwanted(OwnerId owner) {
  if (!unwanted_.load(std::memory_order_relaxed)) return {};
  const Section section(*this, owner);
  std::vector<Work*> works = dispatcher_.TakeNewlyUnwanted(owner);
  unwanted_.store(!dispatcher_.OwnersOfNewlyUnwanted().empty(),
                  std::memory_order_relaxed);
  return works;
}

Work* SharedDispatcher::Find(OwnerId owner, std::string_view tenant,
                             std::string_view token) const {
  const MutexLock lock(mu_);
  Work* work = dispatcher_.Find(token);
  const bool found =
      work != nullptr && work->owner == owner && work->tenant == tenant;
  return found ? work : nullptr;
}

std::vector<Work*> SharedDispatcher::WorkOf(OwnerId owner, WorkerId id) const {
  const MutexLock lock(mu_);
  std::vector<Work*> works = dispatcher_.WorkOf(id);
  std::erase_if(works,
                [owner](const Work* work) { return work->owner != owner; });
  return works;
}

std::optional<SharedDispatcher::Shortage> SharedDispatcher::ShortageFor(
    const Work& work) const {
  const MutexLock lock(mu_);
  const bool silent = dispatcher_.IsLeftToSilent(work);
  if (!silent && !dispatcher_.IsUnwanted(work)) return std::nullopt;
  return Shortage{.silent = silent, .reach = dispatcher_.ReachOf(work)};
}

std::optional<Dispatcher::Outlook> SharedDispatcher::OutlookFor(
    const Work& work) const {
  const MutexLock lock(mu_);
  if (work.state != Work::State::kQueued) return std::nullopt;
  return dispatcher_.OutlookOf(work);
}

SharedDispatcher::Awake SharedDispatcher::Hear(const Work& work,
                                               WatchTime now) {
  const Section section(*this, work.owner);
  const WorkerId worker =
      work.worker != 0 ? work.worker : dispatcher_.WorkerOf(work.token);
  return HearLocked(worker, work.kind, work.token, now);
}

SharedDispatcher::Standing SharedDispatcher::StandingOf(
    const Work& work) const {
  const MutexLock lock(mu_);
  return {.silent = dispatcher_.IsSilent(work.worker),
          .has_answered = dispatcher_.HasAnsweredSince(work)};
}

// ---- Late work, for its owner -----------------------------------------------

bool SharedDispatcher::Watch(Work& work, WatchTime now) {
  const MutexLock lock(mu_);
  CheckInvariant(work.state == Work::State::kOut, "work is watched while out");
  return OwnerOf(work).watches[Index(work.kind)].Watch(work, now);
}

std::optional<SharedDispatcher::Late> SharedDispatcher::TakeLate(
    OwnerId id, WatchTime now) {
  const Section section(*this, id);
  for (WorkWatch& watch : owners_.at(id).watches) {
    while (Watched* watched = watch.TakeLate(now)) {
      Work& work = static_cast<Work&>(*watched);
      if (rules_[Index(work.kind)].waits_in_worker &&
          dispatcher_.IsBehind(work)) {
        dispatcher_.GiveMoreTime(work);
        watch.Watch(work, now);
        continue;
      }
      Late late{.work = &work, .limit = absl::Microseconds(watch.limit())};
      late.silenced = !dispatcher_.HasAnsweredSince(work) &&
                      dispatcher_.SetSilent(work.worker);
      if (late.silenced) NoteTakersChangedLocked(id);
      return late;
    }
  }
  return std::nullopt;
}

std::optional<WatchTime> SharedDispatcher::NextLook(OwnerId id) const {
  const MutexLock lock(mu_);
  std::optional<WatchTime> next;
  const auto it = owners_.find(id);
  if (it == owners_.end()) return next;
  for (const WorkWatch& watch : it->second.watches) {
    const std::optional<WatchTime> look = watch.next_look();
    if (look.has_value() && (!next.has_value() || *look < *next)) next = look;
  }
  return next;
}

// ---- Counts -----------------------------------------------------------------

size_t SharedDispatcher::queued(OwnerId id) const {
  const MutexLock lock(mu_);
  const auto it = owners_.find(id);
  return it == owners_.end() ? 0 : it->second.queued;
}

size_t SharedDispatcher::workers() const {
  const MutexLock lock(mu_);
  return dispatcher_.workers();
}

SharedDispatcher::Stats SharedDispatcher::stats() const {
  Stats stats;
  for (size_t kind = 0; kind < kWorkKinds; ++kind) {
    stats.waits[kind] = waits_[kind].Read();
  }
  const MutexLock lock(mu_);
  for (size_t kind = 0; kind < kWorkKinds; ++kind) {
    stats.work[kind] = dispatcher_.TotalsOf(static_cast<WorkKind>(kind));
  }
  stats.workers = dispatcher_.WorkersByTenant();
  return stats;
}

const char* SharedDispatcher::BrokenRuleLocked() const {
  size_t queued = 0;
  size_t out = 0;
  for (const auto& [id, owner] : owners_) {
    queued += owner.queued;
    out += owner.out;
  }
  if (queued != dispatcher_.queued() || out != dispatcher_.out()) {
    return "what the owners have is what is queued and out";
  }
  return dispatcher_.BrokenRule();
}

}  // namespace leasehold
