#include "tests/support/simulated_clock.h"

#include <vector>

#include "absl/time/civil_time.h"

namespace leasehold {

SimulatedClock::SimulatedClock(Instant start)
    : start_ns_(start.ns), now_ns_(start.ns) {}

Instant SimulatedClock::Now() const {
  return {now_ns_.load(std::memory_order_acquire)};
}

absl::Time SimulatedClock::WallNow() const {
  return absl::FromCivil(absl::CivilSecond(2020, 1, 1), absl::UTCTimeZone()) +
         (Now() - Instant{start_ns_}) + absl::Nanoseconds(wall_ns_.load());
}

void SimulatedClock::WaitUntil(CondVar& cv, Mutex& mu, Instant deadline) {
  Waiter waiter{cv, mu};
  std::multimap<Instant, Waiter*>::iterator place;
  {
    MutexLock lock(mu_);
    if (deadline <= Now()) return;
    place = waiters_.emplace(deadline, &waiter);
    changed_.NotifyAll();
  }
  // The caller's mutex has been held throughout, and AdvanceTo locks it to
  // notify: it cannot notify before this waits.
  cv.Wait(mu);
  // AdvanceTo may be about to use `waiter`, for which it needs `mu`.
  mu.Unlock();
  {
    MutexLock lock(mu_);
    while (waiter.being_woken > 0) changed_.Wait(mu_);
    waiters_.erase(place);
  }
  mu.Lock();
}

void SimulatedClock::Advance(absl::Duration d) { AdvanceTo(Now() + d); }

void SimulatedClock::AdvanceTo(Instant t) {
  std::vector<Waiter*> woken;
  {
    MutexLock lock(mu_);
    if (t > Now()) now_ns_.store(t.ns, std::memory_order_release);
    for (auto i = waiters_.begin(); i != waiters_.upper_bound(Now()); ++i) {
      ++i->second->being_woken;
      woken.push_back(i->second);
    }
  }
  for (Waiter* waiter : woken) {
    {
      MutexLock lock(waiter->mu);
      waiter->cv.NotifyAll();
    }
    MutexLock lock(mu_);
    --waiter->being_woken;
    changed_.NotifyAll();
  }
}

void SimulatedClock::AwaitWaiter(Instant deadline) {
  MutexLock lock(mu_);
  for (;;) {
    const auto next = waiters_.upper_bound(Now());
    if (next != waiters_.end() && next->first <= deadline) return;
    changed_.Wait(mu_);
  }
}

size_t SimulatedClock::waiters() const {
  MutexLock lock(mu_);
  return waiters_.size();
}

}  // namespace leasehold
