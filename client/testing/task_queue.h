// TaskQueue: an executor whose tasks run when the environment says so, one at a
// time and in an order that the environment chooses.
//
// Thread-safety: one thread: the test's.   Lifetime: outlives everything that
// posts to it. Tasks that have not run are destroyed with it.
#ifndef LEASEHOLD_CLIENT_TESTING_TASK_QUEUE_H_
#define LEASEHOLD_CLIENT_TESTING_TASK_QUEUE_H_

#include <cstddef>
#include <deque>
#include <functional>
#include <utility>

#include "service/instance/executor.h"

namespace leasehold::testkit {

class TaskQueue final : public Executor {
 public:
  void Post(std::function<void()> task) override {
    tasks_.push_back(std::move(task));
  }

  size_t size() const { return tasks_.size(); }
  // REQUIRES: index < size().
  void Run(size_t index) {
    const std::function<void()> task = std::move(tasks_[index]);
    tasks_.erase(tasks_.begin() + static_cast<std::ptrdiff_t>(index));
    task();
  }

 private:
  std::deque<std::function<void()>> tasks_;
};

}  // namespace leasehold::testkit

#endif  // LEASEHOLD_CLIENT_TESTING_TASK_QUEUE_H_
