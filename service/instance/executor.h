// Executor: the interface through which the instance room runs blocking code.
//
// Initializers and detach hooks are user code: they never run on a thread that
// serves calls, nor on the lease thread.
//
// Thread-safety: safe.   Lifetime: an executor outlives everything that posts
// to it.
#ifndef LEASEHOLD_SERVICE_INSTANCE_EXECUTOR_H_
#define LEASEHOLD_SERVICE_INSTANCE_EXECUTOR_H_

#include <deque>
#include <functional>
#include <thread>
#include <vector>

#include "lease/base/mutex.h"

namespace leasehold {

class Executor {
 public:
  virtual ~Executor() = default;

  // Runs `task` later, on one of the executor's threads, never inside Post.
  virtual void Post(std::function<void()> task) = 0;
};

// A fixed number of threads (`--user-threads`) with one queue.
class ThreadExecutor final : public Executor {
 public:
  explicit ThreadExecutor(int threads);
  // Runs all queued tasks, then ends the threads.
  ~ThreadExecutor() override;

  void Post(std::function<void()> task) override ABSL_LOCKS_EXCLUDED(mu_);

 private:
  void Run() ABSL_LOCKS_EXCLUDED(mu_);

  Mutex mu_;
  CondVar wake_;
  std::deque<std::function<void()>> queue_ ABSL_GUARDED_BY(mu_);
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<std::thread> threads_;  // Constant after construction.
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_INSTANCE_EXECUTOR_H_
