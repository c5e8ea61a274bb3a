// ManualTimers: a RunAfter whose time comes when a test says so.
//
// Thread-safety: safe.   Lifetime: outlives those who were given it.
#ifndef LEASEHOLD_TESTS_CLIENT_MANUAL_TIMERS_H_
#define LEASEHOLD_TESTS_CLIENT_MANUAL_TIMERS_H_

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <utility>

#include "absl/time/time.h"
#include "client/wire/event_loop.h"

namespace leasehold::client {

class ManualTimers {
 public:
  RunAfter run_after() {
    return [this](absl::Duration delay, std::function<void()> then) {
      std::lock_guard<std::mutex> lock(mu_);
      timers_.emplace_back(delay, std::move(then));
      changed_.notify_all();
    };
  }

  // Blocks until a timer has been set, and lets the first one go off. Gives how
  // long it would have taken.
  absl::Duration Fire() {
    std::pair<absl::Duration, std::function<void()>> timer;
    {
      std::unique_lock<std::mutex> lock(mu_);
      changed_.wait(lock, [this] { return !timers_.empty(); });
      timer = std::move(timers_.front());
      timers_.pop_front();
    }
    timer.second();
    return timer.first;
  }

  // Blocks until a timer has been set.
  void Await() {
    std::unique_lock<std::mutex> lock(mu_);
    changed_.wait(lock, [this] { return !timers_.empty(); });
  }

  size_t pending() const {
    std::lock_guard<std::mutex> lock(mu_);
    return timers_.size();
  }

 private:
  mutable std::mutex mu_;
  std::condition_variable changed_;
  std::deque<std::pair<absl::Duration, std::function<void()>>> timers_;
};

}  // namespace leasehold::client

#endif  // LEASEHOLD_TESTS_CLIENT_MANUAL_TIMERS_H_
