// ManualExecutor: an Executor whose tasks run when a test says so.
//
// It runs one at a time, in order or chosen at random. A task may run others
// inside itself: so a test can simulate a second thread that proceeds while the
// first is inside a hook.
//
// Thread-safety: one thread, that of the test.   Lifetime: as every Executor.
// It destroys tasks that have not run.
#ifndef LEASEHOLD_TESTS_SUPPORT_MANUAL_EXECUTOR_H_
#define LEASEHOLD_TESTS_SUPPORT_MANUAL_EXECUTOR_H_

#include <cstddef>
#include <deque>
#include <functional>
#include <utility>

#include "service/instance/executor.h"
#include "tests/support/seed.h"

namespace leasehold {

class ManualExecutor final : public Executor {
 public:
  void Post(std::function<void()> task) override {
    tasks_.push_back(std::move(task));
  }

  // Runs the oldest task. False if there is none.
  bool RunOne() { return Run(0); }
  // Runs the newest task. False if there is none.
  bool RunNewest() { return !tasks_.empty() && Run(tasks_.size() - 1); }
  // Runs a random task. False if there is none.
  bool RunAny(Random& random) {
    return !tasks_.empty() && Run(Uniform(random, 0, tasks_.size() - 1));
  }
  // Runs tasks in order, including those that they post, until none is left.
  // Returns how many.
  size_t RunAll() {
    size_t count = 0;
    while (RunOne()) ++count;
    return count;
  }

  // Waiting tasks.
  size_t size() const { return tasks_.size(); }
  // Whether a task is running further up the caller's stack.
  bool running() const { return depth_ > 0; }

 private:
  bool Run(size_t i) {
    if (i >= tasks_.size()) return false;
    std::function<void()> task = std::move(tasks_[i]);
    tasks_.erase(tasks_.begin() + static_cast<std::ptrdiff_t>(i));
    ++depth_;
    task();
    --depth_;
    return true;
  }

  std::deque<std::function<void()>> tasks_;
  int depth_ = 0;
};

}  // namespace leasehold

#endif  // LEASEHOLD_TESTS_SUPPORT_MANUAL_EXECUTOR_H_
