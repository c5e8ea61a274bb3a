// SharedDispatcher: the one dispatcher of a node, for all who have work there.
//
// Owners (such as the engine of each partition) queue their work, and take from
// it what goes out. Workers are connected once, whatever the number of owners.
//
//   owner A ─ Enqueue, Next, End ─▶ ┌───────────┐ ◀─ AddWorker, CloseWorker
//   owner B ─ Enqueue, Next, End ─▶ │ its lock  │ ◀─ OnAnswer
//                                   └───────────┘
//   Wake ─▶ OnWorkToTake, OnTakersChanged of whoever has something to look at
//
// Lock order: an owner's lock, then this one, which is the last: neither an
// owner nor Send of a sink is called under it. Whoever has called it wakes the
// other owners afterwards, when it holds no lock (Wake).
//
// What becomes of work is decided by its owner alone: `state`, `worker`,
// `taker` and `token` of a Work change only in calls of its owner, so that they
// may be read under the owner's lock. Other owners and workers that leave can
// change only what is offered to it (dispatcher.h).
//
// Thread-safety: safe; functions about work are called by its owner, one at a
// time (under its lock).   Lifetime: outlives its owners, and their work.
#ifndef LEASEHOLD_SERVICE_DISPATCH_SHARED_DISPATCHER_H_
#define LEASEHOLD_SERVICE_DISPATCH_SHARED_DISPATCHER_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "lease/base/cells.h"
#include "lease/base/mutex.h"
#include "lease/clock.h"
#include "service/dispatch/dispatcher.h"
#include "service/dispatch/work_watch.h"
#include "service/dispatch/worker.h"

namespace leasehold {

// Where answers of workers to an owner's work go. Only handed on here: whoever
// registers owners says what it is.
class OwnerAnswers;

// Who has work. Called under no lock, from any thread, also several at a time;
// must not block for long.
class WorkOwner {
 public:
  virtual ~WorkOwner() = default;
  // Next or TakeNewlyUnwanted may have something for it.
  virtual void OnWorkToTake() = 0;
  // As OnWorkToTake; and other workers than before take its work, or answer:
  // another owner has found that out, or a worker has gone.
  virtual void OnTakersChanged() = 0;
  // The worker will not answer: takes back all WorkOf this worker before it
  // returns.
  virtual void OnWorkerGone(WorkerId id) = 0;
  virtual OwnerAnswers& answers() = 0;
};

// What holds for one kind of work.
struct WorkRules {
  // How long a worker may keep it before it is late; 0: for ever.
  absl::Duration limit = absl::ZeroDuration();
  // Workers take more of it than they run at once, and run it in the order in
  // which they got it: it is not late while its worker answers earlier work.
  bool waits_in_worker = false;
};

class SharedDispatcher {
 public:
  struct Options {
    // Makes tokens hard to guess.
    uint64_t secret = 0;
    std::array<WorkRules, kWorkKinds> rules = {};
    // Measures how long work waits; null: nothing does.
    const Clock* clock = nullptr;
    // Whether to check the rules of its memory each time the lock is released;
    // a broken rule ends the process. Debug and sanitizer builds always check.
    bool check_invariants = false;
  };

  explicit SharedDispatcher(const Options& options);
  SharedDispatcher(const SharedDispatcher&) = delete;
  SharedDispatcher& operator=(const SharedDispatcher&) = delete;

  // ---- Owners ---------------------------------------------------------------

  // While it exists, its owner stays registered, and may be called.
  class Visit;

  OwnerId AddOwner(WorkOwner& owner) ABSL_LOCKS_EXCLUDED(mu_);
  // Blocks until no call of the owner is in progress; then it is called no
  // more. REQUIRES: all its work is ended, and this is no such call.
  void RemoveOwner(OwnerId id) ABSL_LOCKS_EXCLUDED(mu_);
  Visit VisitOwner(OwnerId id) ABSL_LOCKS_EXCLUDED(mu_);
  std::vector<OwnerId> owners() const ABSL_LOCKS_EXCLUDED(mu_);

  // Calls owners that have something to look at, until there are none.
  // REQUIRES: the caller holds no lock.
  void Wake() ABSL_LOCKS_EXCLUDED(mu_);
  // Has the owner of what would go out next woken, except for `self`.
  void Nudge(OwnerId self = 0) ABSL_LOCKS_EXCLUDED(mu_);

  // ---- Workers --------------------------------------------------------------

  // Call Wake afterwards.
  WorkerId AddWorker(WorkerOptions options, std::shared_ptr<WorkSink> sink,
                     WatchTime now = 0) ABSL_LOCKS_EXCLUDED(mu_);
  // As of Dispatcher.
  std::optional<WorkerStatus> WorkerAfter(std::string_view tenant,
                                          WorkerId after) const
      ABSL_LOCKS_EXCLUDED(mu_);

  // A worker that has gone.
  struct Gone {
    std::string peer = {};             // Its address.
    size_t items = 0;                  // It had.
    std::vector<OwnerId> owners = {};  // Of these items.
  };
  // The worker gets nothing more. Call TellOwners, then Wake. nullopt: there is
  // no such worker, or it has gone already.
  std::optional<Gone> CloseWorker(WorkerId id) ABSL_LOCKS_EXCLUDED(mu_);
  // Has the owners take back what the worker had.
  void TellOwners(WorkerId id, const Gone& gone) ABSL_LOCKS_EXCLUDED(mu_);

  // A silent worker that has answered.
  using Awake = std::shared_ptr<const WorkerInfo>;
  struct Answered;
  // A worker of that tenant has answered the work of that token. A token of
  // another tenant's work is none.
  Answered OnAnswer(WorkKind kind, std::string_view tenant,
                    std::string_view token, WatchTime now = 0)
      ABSL_LOCKS_EXCLUDED(mu_);

  // ---- Work, for its owner --------------------------------------------------

  // As of Dispatcher.
  void Enqueue(OwnerId owner, Work& work) ABSL_LOCKS_EXCLUDED(mu_);
  Work* Next(OwnerId owner) ABSL_LOCKS_EXCLUDED(mu_);
  void End(Work& work) ABSL_LOCKS_EXCLUDED(mu_);
  void PutBack(Work& work, WorkerId avoid = 0) ABSL_LOCKS_EXCLUDED(mu_);
  void SetAside(Work& work) ABSL_LOCKS_EXCLUDED(mu_);
  bool Disown(Work& work) ABSL_LOCKS_EXCLUDED(mu_);
  void ForgetDisowned(const Work& work) ABSL_LOCKS_EXCLUDED(mu_);
  bool IsUnwanted(const Work& work) const ABSL_LOCKS_EXCLUDED(mu_);
  std::vector<Work*> TakeNewlyUnwanted(OwnerId owner) ABSL_LOCKS_EXCLUDED(mu_);

  // The owner's work that last went out with this token to a worker of that
  // tenant; nullptr: none.
  Work* Find(OwnerId owner, std::string_view tenant,
             std::string_view token) const ABSL_LOCKS_EXCLUDED(mu_);
  // The owner's work that is out with the worker, in queueing order.
  std::vector<Work*> WorkOf(OwnerId owner, WorkerId id) const
      ABSL_LOCKS_EXCLUDED(mu_);

  struct Shortage {
    // A connected worker takes it, but none that does answers.
    bool silent = false;
    Dispatcher::Reach reach;
  };
  // Why queued work waits for another worker; nullopt: it does not.
  std::optional<Shortage> ShortageFor(const Work& work) const
      ABSL_LOCKS_EXCLUDED(mu_);

  // As of Dispatcher, for work in any state: nullopt: it is not queued.
  std::optional<Dispatcher::Outlook> OutlookFor(const Work& work) const
      ABSL_LOCKS_EXCLUDED(mu_);

  // A worker has answered this work; for answers without a token. Null: it was
  // not silent.
  Awake Hear(const Work& work, WatchTime now = 0) ABSL_LOCKS_EXCLUDED(mu_);
  struct Standing {
    bool silent = false;
    // Since it got the work, or the work was given more time.
    bool has_answered = false;
  };
  // How it stands with the worker that has the work.
  Standing StandingOf(const Work& work) const ABSL_LOCKS_EXCLUDED(mu_);

  // ---- Late work, for its owner ---------------------------------------------

  // Work that is out was sent, or gets more time: its limit starts now, on the
  // owner's monotonic clock. True: NextLook has changed. REQUIRES: `now` is not
  // earlier than in any call of the owner before.
  bool Watch(Work& work, WatchTime now) ABSL_LOCKS_EXCLUDED(mu_);
  struct Late {
    Work* work;  // Still out.
    absl::Duration limit;
    // Its worker has answered nothing since, and was not silent before.
    bool silenced = false;
  };
  // Late work of the owner, each item once; nullopt: there is no more.
  std::optional<Late> TakeLate(OwnerId owner, WatchTime now)
      ABSL_LOCKS_EXCLUDED(mu_);
  // When to call that; nullopt: nothing is watched.
  std::optional<WatchTime> NextLook(OwnerId owner) const
      ABSL_LOCKS_EXCLUDED(mu_);

  // ---- Counts ---------------------------------------------------------------

  size_t queued(OwnerId owner) const ABSL_LOCKS_EXCLUDED(mu_);
  size_t workers() const ABSL_LOCKS_EXCLUDED(mu_);

  struct Stats {
    std::array<Dispatcher::Totals, kWorkKinds> work = {};
    // How long work of each kind was queued before it went out.
    std::array<HistogramReading, kWorkKinds> waits = {};
    std::map<std::string, Dispatcher::TenantWorkers> workers = {};
  };
  Stats stats() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  class Section;

  struct Owner {
    explicit Owner(WorkOwner& who) : who(&who) {}
    WorkOwner* who;
    int calls = 0;         // In progress.
    bool leaving = false;  // Is called no more.
    // What it is to be woken for.
    bool has_work = false;
    bool takers_changed = false;
    size_t queued = 0;
    size_t out = 0;
    std::deque<WorkWatch> watches;  // By kind.
  };

  Owner& OwnerOf(const Work& work) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return owners_.at(work.owner);
  }
  Visit VisitLocked(OwnerId id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void EndVisit(OwnerId id) ABSL_LOCKS_EXCLUDED(mu_);
  // 0: nobody.
  void NoteWorkLocked(OwnerId id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Other owners than `self` may find other takers of what they have queued.
  void NoteTakersChangedLocked(OwnerId self) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  Awake HearLocked(WorkerId id, WorkKind kind, std::string_view token,
                   WatchTime now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The next owner to wake, and what for; 0: none.
  OwnerId NextToWakeLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  const char* BrokenRuleLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // Constant after construction.
  const std::array<WorkRules, kWorkKinds> rules_;
  const bool check_invariants_;
  const Clock* const clock_;

  // Whether an owner may have to be woken. Set under the lock.
  std::atomic<bool> news_{false};
  // Whether there may be newly unwanted work. Set under the lock.
  std::atomic<bool> unwanted_{false};

  mutable Mutex mu_;
  CondVar visit_ended_;
  Dispatcher dispatcher_ ABSL_GUARDED_BY(mu_);
  std::map<OwnerId, Owner> owners_ ABSL_GUARDED_BY(mu_);
  OwnerId last_owner_ ABSL_GUARDED_BY(mu_) = 0;
  bool waking_ ABSL_GUARDED_BY(mu_) = false;  // A thread is in Wake.
  // Counted under it, read without.
  std::array<TimeHistogram, kWorkKinds> waits_;
};

class SharedDispatcher::Visit {
 public:
  Visit() = default;
  Visit(Visit&& other) noexcept
      : dispatcher_(std::exchange(other.dispatcher_, nullptr)),
        id_(other.id_),
        owner_(other.owner_) {}
  Visit& operator=(Visit&& other) noexcept {
    std::swap(dispatcher_, other.dispatcher_);
    std::swap(id_, other.id_);
    std::swap(owner_, other.owner_);
    return *this;
  }
  ~Visit() {
    if (dispatcher_ != nullptr) dispatcher_->EndVisit(id_);
  }

  // False: there is no such owner, or it leaves.
  explicit operator bool() const { return dispatcher_ != nullptr; }
  // REQUIRES: there is one.
  WorkOwner& operator*() const { return *owner_; }
  WorkOwner* operator->() const { return owner_; }

 private:
  friend class SharedDispatcher;
  Visit(SharedDispatcher* dispatcher, OwnerId id, WorkOwner* owner)
      : dispatcher_(dispatcher), id_(id), owner_(owner) {}

  SharedDispatcher* dispatcher_ = nullptr;
  OwnerId id_ = 0;
  WorkOwner* owner_ = nullptr;
};

struct SharedDispatcher::Answered {
  Visit owner;  // Of the work; none: no work has this token.
  Awake awake;  // Null: its worker was not silent.
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_DISPATCH_SHARED_DISPATCHER_H_
