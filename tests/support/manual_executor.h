// ManualExecutor: an Executor whose tasks run when a test says so.
//
// One at a time, in order or one chosen at random. A task may run others while
// it runs itself: that is how a test plays a second thread that gets on while
// the first is in somebody's hook.
//
// Thread-safety: one thread, that of the test.   Lifetime: as every Executor.
// Tasks that were never run are destroyed with it.
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
  // Runs any one of them. False if there is none.
  bool RunAny(Random& random) {
    return !tasks_.empty() && Run(Uniform(random, 0, tasks_.size() - 1));
  }
  // Runs tasks in order, also those that they post, until none is left. Returns
  // how many.
  size_t RunAll() {
    size_t count = 0;
    while (RunOne()) ++count;
    return count;
  }

  // Tasks that wait.
  size_t size() const { return tasks_.size(); }
  // Whether the caller is, somewhere up its stack, one of the tasks.
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
