// CountedExecutor: an executor on another executor's threads, whose tasks can
// be waited for, so that its owner can be sure that none is left.
//
// Thread-safety: safe.   Lifetime: the other executor outlives it; it must be
// idle when destroyed.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_COUNTED_EXECUTOR_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_COUNTED_EXECUTOR_H_

#include <cstddef>
#include <functional>
#include <utility>

#include "lease/base/mutex.h"
#include "service/instance/executor.h"

namespace leasehold {

class CountedExecutor final : public Executor {
 public:
  explicit CountedExecutor(Executor& executor) : executor_(executor) {}

  void Post(std::function<void()> task) override ABSL_LOCKS_EXCLUDED(mu_) {
    {
      MutexLock lock(mu_);
      ++tasks_;
    }
    executor_.Post([this, task = std::move(task)]() mutable {
      task();
      task = nullptr;  // Its captures are destroyed before it counts as done.
      MutexLock lock(mu_);
      if (--tasks_ == 0) idle_.NotifyAll();
    });
  }

  // Blocks until no task is queued or running.
  void WaitUntilIdle() ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    while (tasks_ > 0) idle_.Wait(mu_);
  }

 private:
  Executor& executor_;
  Mutex mu_;
  CondVar idle_;
  size_t tasks_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_COUNTED_EXECUTOR_H_
