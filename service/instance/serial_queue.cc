#include "service/instance/serial_queue.h"

#include <algorithm>
#include <cstdint>
#include <list>
#include <vector>

#include "absl/strings/str_cat.h"
#include "lease/base/mutex.h"

namespace leasehold {

struct SerialQueue::Core {
  // The access of a message that runs, or waits for those that came back to it.
  struct Given {
    uint64_t number = 0;
    std::string method;
    Instant since;
    // Made when it is asked for: most accesses never call on.
    std::optional<CallChain::Link> link = std::nullopt;
  };

  explicit Core(bool reentrant) : reentrant(reentrant) {}

  // Begins an access. The caller makes the SerialAccess.
  uint64_t BeginLocked(std::string method, Instant now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    given.push_back(
        {.number = ++last_number, .method = std::move(method), .since = now});
    return last_number;
  }
  // Whether a message with this chain may run now.
  bool MayEnterLocked(const CallChain& chain) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    if (given.empty()) return true;
    const std::optional<CallChain::Link>& link = given.back().link;
    return link.has_value() && chain.Has(*link);
  }

  const bool reentrant;

  Mutex mu;
  uint64_t last_number ABSL_GUARDED_BY(mu) = 0;
  // In the order in which they were given; the last one runs, the others wait
  // for it. Without reentrancy there is at most one.
  std::vector<Given> given ABSL_GUARDED_BY(mu);
  // In order of arrival.
  std::list<std::shared_ptr<AccessWait>> waits ABSL_GUARDED_BY(mu);
};

// One wait for access, and the lease that ends it. Separate from the
// AccessWaiter, because the lease manager may access it after the waiter was
// answered.
class AccessWait final : public Lease {
 public:
  AccessWait(std::shared_ptr<SerialQueue::Core> core, AccessTimer& timer,
             AccessWaiter& waiter, std::string method, CallChain chain)
      : core(std::move(core)),
        timer(timer),
        waiter(waiter),
        chain(std::move(chain)),
        method(std::move(method)) {}

  // Constant after construction.
  const std::shared_ptr<SerialQueue::Core> core;
  AccessTimer& timer;
  AccessWaiter& waiter;  // Gone once it has been answered.
  const CallChain chain;

  // Guarded by core->mu.
  std::string method;
  bool waiting = true;
  std::list<std::shared_ptr<AccessWait>>::iterator place;  // While waiting.
  // Keeps this object alive for the lease manager while the lease runs.
  std::shared_ptr<AccessWait> leased;
};

SerialQueue::SerialQueue(bool reentrant)
    : core_(std::make_shared<Core>(reentrant)) {}

SerialQueue::~SerialQueue() = default;

std::optional<CallChain::Link> SerialAccess::link() const {
  if (!core_->reentrant) return std::nullopt;
  MutexLock lock(core_->mu);
  for (SerialQueue::Core::Given& given : core_->given) {
    if (given.number != number_) continue;
    if (!given.link.has_value()) given.link = CallChain::NewLink();
    return given.link;
  }
  return std::nullopt;  // Not reached: it is there until it ends.
}

std::optional<SerialAccess> SerialQueue::Acquire(AccessTimer& timer,
                                                 AccessWaiter& waiter,
                                                 std::string method,
                                                 CallChain chain) {
  // Once the lock is released, OnAccess may run and this queue be destroyed.
  const std::shared_ptr<Core> core = core_;
  MutexLock lock(core->mu);
  if (core->MayEnterLocked(chain)) {
    return SerialAccess(
        core, core->BeginLocked(std::move(method), timer.clock_.Now()));
  }
  auto wait = std::make_shared<AccessWait>(core, timer, waiter,
                                           std::move(method), std::move(chain));
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

void SerialQueue::PassOn(Core& core, uint64_t number) {
  std::shared_ptr<AccessWait> next;
  uint64_t next_number = 0;
  {
    MutexLock lock(core.mu);
    const auto ended = std::find_if(
        core.given.begin(), core.given.end(),
        [number](const Core::Given& given) { return given.number == number; });
    const bool ran = ended == core.given.end() - 1;
    core.given.erase(ended);
    // It has not waited for those that came back to it; one of them runs.
    if (!ran) return;
    const auto found = std::find_if(core.waits.begin(), core.waits.end(),
                                    [&core](const auto& wait) {
                                      core.mu.AssertHeld();
                                      return core.MayEnterLocked(wait->chain);
                                    });
    if (found == core.waits.end()) return;
    next = *found;
    core.waits.erase(found);
    next->waiting = false;
    next_number =
        core.BeginLocked(std::move(next->method), next->timer.clock_.Now());
    if (next->timer.leases_.Revoke(*next)) next->leased = nullptr;
  }
  Executor& executor = next->timer.executor_;
  executor.Post([next = std::move(next), next_number] {
    next->waiter.OnAccess(SerialAccess(next->core, next_number));
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
    // Whoever waits, waits for one that has access: the last one runs.
    const Core::Given& runs = core.given.back();
    const absl::Duration age = wait->timer.clock_.Now() - runs.since;
    status = absl::UnavailableError(absl::StrCat(
        "the message waited ", absl::FormatDuration(wait->timer.timeout_),
        " for access (access timeout); ", runs.method, " has had it for ",
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
