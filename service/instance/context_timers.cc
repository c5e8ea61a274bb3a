// How a timer comes to run: its alarm rings on the alarm clock's thread, which
// puts it among those that are ready and has the registry decide on the
// context. Whoever decides, one thread at a time, runs what is ready: so no
// extension is detached or freed under a timer, although a timer has no pin. A
// timer that has to wait for access does not run then; when it gets access, it
// is ready again.
#include "service/instance/context_timers.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <list>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "lease/base/mutex.h"
#include "lease/base/quote.h"
#include "service/instance/alarm_clock.h"
#include "service/instance/instance_context.h"
#include "service/instance/serial_queue.h"

namespace leasehold {

// Shared with the timers, which may outlive the context.
struct ContextTimers::Core {
  explicit Core(InstanceContext& context) : context(context) {}

  InstanceContext& context;  // There as long as this is not closed.

  Mutex mu;
  bool closed ABSL_GUARDED_BY(mu) = false;
  // All that are not over.
  std::list<std::shared_ptr<ContextTimer::Entry>> entries ABSL_GUARDED_BY(mu);
  std::deque<std::shared_ptr<ContextTimer::Entry>> ready ABSL_GUARDED_BY(mu);
};

class ContextTimer::Entry final : public Alarm,
                                  private AccessWaiter,
                                  public std::enable_shared_from_this<Entry> {
 public:
  enum class State {
    kSet,    // Its alarm is set.
    kReady,  // Among those that are ready.
    kWaits,  // For access.
    kRuns,   // Or is about to.
    kOver,   // Has run, was cancelled, or its context closed.
  };

  Entry(std::shared_ptr<ContextTimers::Core> core,
        std::function<SerialQueue*()> queue, std::function<void()> run)
      : core_(std::move(core)),
        queue_(std::move(queue)),
        run_(std::move(run)) {}

  void OnDue() override {
    {
      MutexLock lock(core_->mu);
      if (core_->closed || state_ != State::kSet) return;
      BeReadyLocked();
    }
    core_->context.DecideSoon();  // With the reference.
  }

  bool Cancel() {
    std::function<void()> run;  // Destroyed without the lock.
    std::shared_ptr<Entry> kept;
    MutexLock lock(core_->mu);
    if (core_->closed || state_ == State::kRuns || state_ == State::kOver) {
      return false;
    }
    const State was = std::exchange(state_, State::kOver);
    kept = *place_;
    core_->entries.erase(place_);
    // The lock keeps the context open, and so the alarm clock alive.
    if (was == State::kSet) core_->context.alarms().Cancel(*this);
    run.swap(run_);
    return true;
  }

  // For ContextTimers::Run. Runs it, or waits for access.
  void Go() {
    {
      MutexLock lock(core_->mu);
      if (state_ == State::kReady) state_ = State::kRuns;
    }
    if (queue_ && !access_.has_value()) {
      SerialQueue* const queue = Queue();
      if (queue != nullptr && !Acquire(*queue)) return;
    }
    Run();  // It does nothing if it was cancelled, but passes the access on.
  }

  // The context closes: an access that is on its way finds nothing to do.
  void CloseAsItWas(State was) {
    if (was == State::kSet) {
      core_->context.alarms().Cancel(*this);
    } else if (was == State::kWaits && SerialQueue::CancelWait(*this)) {
      self_ = nullptr;
    }
    access_.reset();
    run_ = nullptr;
  }

 private:
  friend class ContextTimers;

  void BeReadyLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(core_->mu) {
    state_ = State::kReady;
    core_->ready.push_back(shared_from_this());
    core_->context.Ref();  // For DecideSoon.
  }

  SerialQueue* Queue() {
    try {
      return queue_();
    } catch (...) {
      core_->context.TimerThrew();
      return nullptr;
    }
  }

  // True: it has access.
  bool Acquire(SerialQueue& queue) {
    {
      MutexLock lock(core_->mu);
      if (state_ == State::kRuns) state_ = State::kWaits;
      self_ = shared_from_this();
    }
    std::optional<SerialAccess> access =
        queue.Acquire(core_->context.timer_access(), *this, "a timer");
    if (!access.has_value()) return false;
    MutexLock lock(core_->mu);
    self_ = nullptr;
    access_ = std::move(access);
    if (state_ == State::kWaits) state_ = State::kRuns;
    return true;
  }

  // On the executor. There is no error: it may wait for as long as it likes.
  void OnAccess(absl::StatusOr<SerialAccess> access) override {
    const std::shared_ptr<Entry> self = std::move(self_);
    {
      MutexLock lock(core_->mu);
      // Else the access is passed on when this returns.
      if (core_->closed || state_ != State::kWaits) return;
      access_ = *std::move(access);
      BeReadyLocked();
    }
    core_->context.DecideSoon();
  }

  void Run() {
    std::function<void()> run;
    std::shared_ptr<Entry> kept;
    {
      MutexLock lock(core_->mu);
      if (state_ == State::kRuns) {
        state_ = State::kOver;
        kept = *place_;
        core_->entries.erase(place_);
        run.swap(run_);
      }
    }
    if (run) {
      try {
        run();
      } catch (...) {
        core_->context.TimerThrew();
      }
    }
    access_.reset();
  }

  // Constant after construction.
  const std::shared_ptr<ContextTimers::Core> core_;
  const std::function<SerialQueue*()> queue_;  // Empty: it needs no access.

  // Guarded by core_->mu.
  State state_ = State::kSet;
  std::function<void()> run_;                          // Until it runs.
  std::list<std::shared_ptr<Entry>>::iterator place_;  // Until it is over.

  // Between those that wait for access, get it and run.
  std::shared_ptr<Entry> self_;
  std::optional<SerialAccess> access_;
};

bool ContextTimer::Cancel() { return entry_ != nullptr && entry_->Cancel(); }

ContextTimers::ContextTimers(InstanceContext& context)
    : core_(std::make_shared<Core>(context)) {}

ContextTimers::~ContextTimers() = default;

absl::StatusOr<ContextTimer> ContextTimers::Set(
    absl::Duration delay, std::function<SerialQueue*()> queue,
    std::function<void()> run) {
  auto entry = std::make_shared<ContextTimer::Entry>(core_, std::move(queue),
                                                     std::move(run));
  MutexLock lock(core_->mu);
  if (core_->entries.size() >= kContextTimersMax) {
    return absl::ResourceExhaustedError(
        absl::StrCat("instance ", QuoteForMessage(core_->context.id()), " has ",
                     kContextTimersMax, " timers, the most that are allowed"));
  }
  // Whoever closes the context first says so, and then looks for its timers;
  // these were attached before.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  const ContextState state = core_->context.word().state();
  if (core_->closed || state == ContextState::kClosing ||
      state == ContextState::kClosed) {
    return absl::FailedPreconditionError(absl::StrCat(
        "instance ", QuoteForMessage(core_->context.id()), " is closing"));
  }
  entry->place_ = core_->entries.insert(core_->entries.end(), entry);
  core_->context.alarms().Set(entry, delay);
  return ContextTimer(std::move(entry));
}

bool ContextTimers::ready() const {
  MutexLock lock(core_->mu);
  return !core_->ready.empty();
}

void ContextTimers::Run() {
  std::deque<std::shared_ptr<ContextTimer::Entry>> ready;
  {
    MutexLock lock(core_->mu);
    ready.swap(core_->ready);
  }
  for (const auto& entry : ready) entry->Go();
}

void ContextTimers::Close() {
  using State = ContextTimer::Entry::State;
  std::vector<std::pair<std::shared_ptr<ContextTimer::Entry>, State>> all;
  std::deque<std::shared_ptr<ContextTimer::Entry>> ready;
  {
    MutexLock lock(core_->mu);
    core_->closed = true;
    for (auto& entry : core_->entries) {
      all.emplace_back(entry, std::exchange(entry->state_, State::kOver));
    }
    core_->entries.clear();
    ready.swap(core_->ready);
  }
  for (const auto& [entry, was] : all) entry->CloseAsItWas(was);
}

absl::StatusOr<ContextTimer> SetTimer(InstanceContext& context,
                                      absl::Duration delay,
                                      std::function<void()> run) {
  return SetSerialTimer(context, delay, {}, std::move(run));
}

absl::StatusOr<ContextTimer> SetSerialTimer(InstanceContext& context,
                                            absl::Duration delay,
                                            std::function<SerialQueue*()> queue,
                                            std::function<void()> run) {
  return context.GetOrAttach<ContextTimers>(context)->Set(
      delay, std::move(queue), std::move(run));
}

}  // namespace leasehold
