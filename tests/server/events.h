// Event and Mailbox: how a test waits for what happens on another thread.
//
// No test sleeps: it waits for the thing itself. A wait that lasts a minute
// ends the program and says what never came.
//
// Thread-safety: safe.   Lifetime: outlives who sets, puts or awaits.
#ifndef LEASEHOLD_TESTS_SERVER_EVENTS_H_
#define LEASEHOLD_TESTS_SERVER_EVENTS_H_

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <utility>

namespace leasehold {

// Values from other threads, first in, first out.
template <typename T>
class Mailbox {
 public:
  void Put(T value) {
    std::lock_guard<std::mutex> lock(mu_);
    values_.push_back(std::move(value));
    changed_.notify_all();
  }

  // Waits for the next value; `what` names it if it never comes.
  T Take(const char* what) {
    std::unique_lock<std::mutex> lock(mu_);
    if (!changed_.wait_for(lock, std::chrono::minutes(1),
                           [this] { return !values_.empty(); })) {
      std::fprintf(stderr, "waited in vain for: %s\n", what);
      std::abort();
    }
    T value = std::move(values_.front());
    values_.pop_front();
    return value;
  }

  size_t size() const {
    std::lock_guard<std::mutex> lock(mu_);
    return values_.size();
  }

 private:
  mutable std::mutex mu_;
  std::condition_variable changed_;
  std::deque<T> values_;
};

// Something that happens once.
class Event {
 public:
  void Set() {
    std::lock_guard<std::mutex> lock(mu_);
    set_ = true;
    changed_.notify_all();
  }

  bool set() const {
    std::lock_guard<std::mutex> lock(mu_);
    return set_;
  }

  // Waits until it has happened; `what` names it if it never does.
  void Await(const char* what) const {
    std::unique_lock<std::mutex> lock(mu_);
    if (changed_.wait_for(lock, std::chrono::minutes(1),
                          [this] { return set_; })) {
      return;
    }
    std::fprintf(stderr, "waited in vain for: %s\n", what);
    std::abort();
  }

 private:
  mutable std::mutex mu_;
  mutable std::condition_variable changed_;
  bool set_ = false;
};

}  // namespace leasehold

#endif  // LEASEHOLD_TESTS_SERVER_EVENTS_H_
