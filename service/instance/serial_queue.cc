#include "service/instance/serial_queue.h"

#include <list>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "lease/base/mutex.h"

namespace leasehold {

struct SerialQueue::Core {
  Mutex mu;
  bool held ABSL_GUARDED_BY(mu) = false;
  // While held: the message that holds it, and since when.
  std::string method ABSL_GUARDED_BY(mu);
  Instant since ABSL_GUARDED_BY(mu);
  // In order of arrival.
  std::list<std::shared_ptr<AccessWait>> waits ABSL_GUARDED_BY(mu);
};

// One wait for access, and the lease that ends it. Separate from the
// AccessWaiter, because the lease manager may access it after the waiter was
// answered.
class AccessWait final : public Lease {
 public:
  AccessWait(std::shared_ptr<SerialQueue::Core> core, AccessTimer& timer,
             AccessWaiter& waiter, std::string method)
      : core(std::move(core)),
        timer(timer),
        waiter(waiter),
        method(std::move(method)) {}

  // Constant after construction.
  const std::shared_ptr<SerialQueue::Core> core;
  AccessTimer& timer;
  AccessWaiter& waiter;  // Gone once it has been answered.

  // Guarded by core->mu.
  std::string method;
  bool waiting = true;
  std::list<std::shared_ptr<AccessWait>>::iterator place;  // While waiting.
  // Keeps this object alive for the lease manager while the lease runs.
  std::shared_ptr<AccessWait> leased;
};

SerialQueue::SerialQueue() : core_(std::make_shared<Core>()) {}

SerialQueue::~SerialQueue() = default;

std::optional<SerialAccess> SerialQueue::Acquire(AccessTimer& timer,
                                                 AccessWaiter& waiter,
                                                 std::string method) {
  // Once the lock is released, OnAccess may run and this queue be destroyed.
  const std::shared_ptr<Core> core = core_;
  MutexLock lock(core->mu);
  if (!core->held) {
    core->held = true;
    core->method = std::move(method);
    core->since = timer.clock_.Now();
    return SerialAccess(core);
  }
  auto wait =
      std::make_shared<AccessWait>(core, timer, waiter, std::move(method));
  waiter.wait_ = wait;
  wait->place = core->waits.insert(core->waits.end(), wait);
  wait->leased = wait;
  timer.leases_.Grant(*wait, timer.timeout_);
  return std::nullopt;
}

bool SerialQueue::CancelWait(AccessWaiter& waiter) {
  // A copy: once this returns false, the waiter may be destroyed at any moment.
  const std::shared_ptr<AccessWait> wait = waiter.wait_;
  if (wait == nullptr) return false;
  std::shared_ptr<AccessWait> leased;  // Destroyed after the lock.
  Core& core = *wait->core;
  MutexLock lock(core.mu);
  if (!std::exchange(wait->waiting, false)) return false;
  core.waits.erase(wait->place);
  if (wait->timer.leases_.Revoke(*wait)) leased = std::move(wait->leased);
  return true;
}

void SerialQueue::PassOn(Core& core) {
  std::shared_ptr<AccessWait> next;
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
  executor.Post([next = std::move(next)] {
    next->waiter.OnAccess(SerialAccess(next->core));
  });
}

void SerialQueue::Fail(AccessWait& lease) {
  std::shared_ptr<AccessWait> wait;
  absl::Status status;
  {
    Core& core = *lease.core;
    MutexLock lock(core.mu);
    wait = std::move(lease.leased);
    if (!std::exchange(wait->waiting, false)) return;  // It has its access.
    core.waits.erase(wait->place);
    const absl::Duration age = wait->timer.clock_.Now() - core.since;
    status = absl::UnavailableError(absl::StrCat(
        "the message waited ", absl::FormatDuration(wait->timer.timeout_),
        " for access (access timeout); ", core.method, " has had it for ",
        absl::FormatDuration(absl::Trunc(age, absl::Milliseconds(1)))));
  }
  // Here, because those who have access may occupy all threads of the executor.
  wait->waiter.OnAccess(status);
}

void AccessTimer::OnLeasesOver(absl::Span<Lease* const> leases) {
  for (Lease* lease : leases)
    SerialQueue::Fail(*static_cast<AccessWait*>(lease));
}

}  // namespace leasehold
