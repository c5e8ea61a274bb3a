#include "lease/lease_manager.h"

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/span.h"

namespace leasehold {
namespace {

// Infinite leases are filed here. No clock reaches this tick.
constexpr uint64_t kNeverTick = std::numeric_limits<uint64_t>::max();

// In whole nanoseconds, rounded up: a lease must not end early even by a
// fraction of one. The largest int64_t stands for values that do not fit, and
// for infinity.
int64_t TimeoutNs(absl::Duration timeout) {
  if (timeout <= absl::ZeroDuration()) return 0;
  return absl::ToInt64Nanoseconds(absl::Ceil(timeout, absl::Nanoseconds(1)));
}

}  // namespace

LeaseManager::LeaseManager(Clock& clock, LeaseListener& listener,
                           LeaseManagerOptions options)
    : clock_(clock),
      listener_(listener),
      tick_ns_(absl::ToInt64Nanoseconds(options.tick)),
      batch_max_(options.batch_max),
      wheel_(clock.Now().ns / tick_ns_) {
  assert(options.tick >= absl::Nanoseconds(1));
  assert(options.tick < absl::InfiniteDuration());
  assert(batch_max_ > 0);
}

LeaseManager::~LeaseManager() {
  // Leases that are still filed may already be destroyed; destroying the wheel
  // does not touch them.
  MutexLock lock(thread_mu_);
  assert(!thread_.joinable());
}

void LeaseManager::Start() {
  MutexLock lock(thread_mu_);
  if (thread_.joinable()) return;
  thread_ = std::thread([this] { Run(); });
}

void LeaseManager::Stop() {
  MutexLock thread_lock(thread_mu_);
  if (!thread_.joinable()) return;
  {
    MutexLock lock(mu_);
    stopping_ = true;
    wake_.NotifyAll();
  }
  thread_.join();
  thread_ = std::thread();
  MutexLock lock(mu_);
  stopping_ = false;  // For the next Start.
}

void LeaseManager::Grant(Lease& lease, absl::Duration timeout) {
  const Instant now = clock_.Now();
  MutexLock lock(mu_);
  lease.timeout_ns_.store(TimeoutNs(timeout), std::memory_order_release);
  // Not a store: a Renew that read its clock later may already have been here.
  lease.Renew(now);
  FileLocked(lease);
}

void LeaseManager::GrantAgain(Lease& lease) {
  MutexLock lock(mu_);
  FileLocked(lease);
}

void LeaseManager::Renew(Lease& lease) { lease.Renew(clock_.Now()); }

void LeaseManager::SetTimeout(Lease& lease, absl::Duration timeout) {
  MutexLock lock(mu_);
  lease.timeout_ns_.store(TimeoutNs(timeout), std::memory_order_release);
  if (!lease.filed()) return;
  // Filing a lease too early is harmless: the manager checks it again when that
  // tick comes. Filing it too late would let it outlive its deadline. A lease
  // that is due by now stays filed, so that it does not fall behind a turn
  // under way.
  const uint64_t tick = std::max(TickFor(lease.deadline()), wheel_.now());
  if (tick < lease.tick()) {
    wheel_.Cancel(lease);
    FileLocked(lease);
  }
}

bool LeaseManager::Revoke(Lease& lease) {
  MutexLock lock(mu_);
  if (!lease.filed()) return false;
  wheel_.Cancel(lease);
  return true;
}

LeaseState LeaseManager::Lookup(const Lease& lease) const {
  const Instant now = clock_.Now();
  MutexLock lock(mu_);
  LeaseState state;
  state.running = lease.filed();
  state.timeout = lease.timeout();
  state.last_use = lease.last_use();
  if (state.running) {
    state.remaining =
        std::max((state.last_use + state.timeout) - now, absl::ZeroDuration());
  }
  return state;
}

size_t LeaseManager::RunDue() { return HandOut(/*until_stopped=*/false); }

Instant LeaseManager::NextDue() const {
  MutexLock lock(mu_);
  return StartOf(wheel_.NextTick().value_or(kNeverTick));
}

size_t LeaseManager::size() const {
  MutexLock lock(mu_);
  return wheel_.size();
}

uint64_t LeaseManager::TickFor(Instant t) const {
  if (t == Instant::Infinite()) return kNeverTick;
  const uint64_t ns = std::max<int64_t>(t.ns, 0);
  return (ns + tick_ns_ - 1) / tick_ns_;  // Rounded up: never early.
}

Instant LeaseManager::StartOf(uint64_t tick) const {
  const uint64_t infinite = Instant::Infinite().ns;
  if (tick > infinite / tick_ns_) return Instant::Infinite();
  return {static_cast<int64_t>(tick * tick_ns_)};
}

void LeaseManager::Run() {
  for (;;) {
    HandOut(/*until_stopped=*/true);
    MutexLock lock(mu_);
    if (stopping_) return;
    // Nothing is due: use the time to refile ahead, at most a batch at a time.
    if (wheel_.RefileAhead(batch_max_)) continue;
    sleeps_until_ = std::min(wheel_.NextTick().value_or(kNeverTick),
                             wheel_.NextAhead().value_or(kNeverTick));
    // Returns at once if that time has passed.
    clock_.WaitUntil(wake_, mu_, StartOf(sleeps_until_));
    sleeps_until_ = 0;
    if (stopping_) return;
  }
}

size_t LeaseManager::HandOut(bool until_stopped) {
  // Reads the clock once: if "now" kept moving, the call might never end.
  const uint64_t now = clock_.Now().ns / tick_ns_;
  std::vector<Lease*> over;
  size_t handed_out = 0;
  bool more = true;
  bool joined = false;
  for (bool first = true; more; first = false) {
    {
      MutexLock lock(mu_);
      if (until_stopped && stopping_) break;
      // A turn that another call began leaves out whatever became due since.
      // This call must hand that out too, so it runs one more turn.
      if (first) joined = wheel_.turning();
      more = TakeBatchLocked(now, over);
      if (!more && joined) {
        more = true;
        joined = false;
      }
    }
    if (!over.empty()) {
      listener_.OnLeasesOver(over);
      handed_out += over.size();
      over.clear();
    }
  }
  return handed_out;
}

bool LeaseManager::TakeBatchLocked(uint64_t now, std::vector<Lease*>& over) {
  due_.clear();
  const bool more = wheel_.Advance(now, batch_max_, due_);
  const int64_t now_ns = due_.empty() ? 0 : clock_.Now().ns;
  for (TimingWheel::Entry* entry : due_) {
    Lease& lease = static_cast<Lease&>(*entry);
    // The lease was renewed after it was filed for this tick.
    if (TickFor(lease.deadline()) > wheel_.now()) {
      FileLocked(lease);
    } else {
      over.push_back(&lease);
      lateness_.Add(now_ns - lease.deadline().ns);
    }
  }
  return more;
}

void LeaseManager::FileLocked(Lease& lease) {
  const uint64_t tick = TickFor(lease.deadline());
  wheel_.Insert(lease, tick);
  if (tick < sleeps_until_) {
    sleeps_until_ = 0;  // Once is enough.
    wake_.NotifyOne();
  }
}

}  // namespace leasehold
