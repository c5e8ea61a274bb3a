#include "service/instance/turn_queue.h"

#include <list>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "lease/mutex.h"

namespace leasehold {

struct TurnQueue::Core {
  Mutex mu;
  bool held ABSL_GUARDED_BY(mu) = false;
  // While held: the message that holds it, and since when.
  std::string method ABSL_GUARDED_BY(mu);
  Instant since ABSL_GUARDED_BY(mu);
  // In order of arrival.
  std::list<std::shared_ptr<TurnWait>> waits ABSL_GUARDED_BY(mu);
};

// One wait for a turn, and the lease that ends it. Separate from the
// TurnWaiter, because the lease manager may access it after the waiter was
// answered.
class TurnWait final : public Lease {
 public:
  TurnWait(std::shared_ptr<TurnQueue::Core> core, TurnTimer& timer,
           TurnWaiter& waiter, std::string method)
      : core(std::move(core)),
        timer(timer),
        waiter(waiter),
        method(std::move(method)) {}

  // Constant after construction.
  const std::shared_ptr<TurnQueue::Core> core;
  TurnTimer& timer;
  TurnWaiter& waiter;  // Gone once it has been answered.

  // Guarded by core->mu.
  std::string method;
  bool waiting = true;
  std::list<std::shared_ptr<TurnWait>>::iterator place;  // While waiting.
  // Keeps this object alive for the lease manager while the lease runs.
  std::shared_ptr<TurnWait> leased;
};

TurnQueue::TurnQueue() : core_(std::make_shared<Core>()) {}

TurnQueue::~TurnQueue() = default;

std::optional<Turn> TurnQueue::Acquire(TurnTimer& timer, TurnWaiter& waiter,
                                       std::string method) {
  // Once the lock is released, OnTurn may run and this queue be destroyed.
  const std::shared_ptr<Core> core = core_;
  MutexLock lock(core->mu);
  if (!core->held) {
    core->held = true;
    core->method = std::move(method);
    core->since = timer.clock_.Now();
    return Turn(core);
  }
  auto wait =
      std::make_shared<TurnWait>(core, timer, waiter, std::move(method));
  waiter.wait_ = wait;
  wait->place = core->waits.insert(core->waits.end(), wait);
  wait->leased = wait;
  timer.leases_.Grant(*wait, timer.timeout_);
  return std::nullopt;
}

bool TurnQueue::CancelWait(TurnWaiter& waiter) {
  // A copy: once this returns false, the waiter may be destroyed at any moment.
  const std::shared_ptr<TurnWait> wait = waiter.wait_;
  if (wait == nullptr) return false;
  std::shared_ptr<TurnWait> leased;  // Destroyed after the lock.
  Core& core = *wait->core;
  MutexLock lock(core.mu);
  if (!std::exchange(wait->waiting, false)) return false;
  core.waits.erase(wait->place);
  if (wait->timer.leases_.Revoke(*wait)) leased = std::move(wait->leased);
  return true;
}

void TurnQueue::PassOn(Core& core) {
  std::shared_ptr<TurnWait> next;
  {
    MutexLock lock(core.mu);
    if (core.waits.empty()) {
      core.held = false;
      return;
    }
    next = std::move(core.waits.front());
    core.waits.pop_front();
    next->waiting = false;
    core.method = std::move(next->method);
    core.since = next->timer.clock_.Now();
    if (next->timer.leases_.Revoke(*next)) next->leased = nullptr;
  }
  Executor& executor = next->timer.executor_;
  executor.Post(
      [next = std::move(next)] { next->waiter.OnTurn(Turn(next->core)); });
}

void TurnQueue::Fail(TurnWait& lease) {
  std::shared_ptr<TurnWait> wait;
  absl::Status status;
  {
    Core& core = *lease.core;
    MutexLock lock(core.mu);
    wait = std::move(lease.leased);
    if (!std::exchange(wait->waiting, false)) return;  // It has its turn.
    core.waits.erase(wait->place);
    const absl::Duration age = wait->timer.clock_.Now() - core.since;
    status = absl::UnavailableError(absl::StrCat(
        "the message waited ", absl::FormatDuration(wait->timer.timeout_),
        " for its turn (turn timeout); ", core.method, " has held it for ",
        absl::FormatDuration(absl::Trunc(age, absl::Milliseconds(1)))));
  }
  // Here, because turn holders may occupy all threads of the executor.
  wait->waiter.OnTurn(status);
}

void TurnTimer::OnLeasesOver(absl::Span<Lease* const> leases) {
  for (Lease* lease : leases) TurnQueue::Fail(*static_cast<TurnWait*>(lease));
}

}  // namespace leasehold
