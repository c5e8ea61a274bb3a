// WorkPool: threads that run work in the order in which it was added.
//
// Threads are started when they are needed, up to a bound, and then kept.
//
// Thread-safety: safe, except the destructor.   Lifetime: everything that the
// work refers to outlives it.
#ifndef LEASEHOLD_CLIENT_WORKER_WORK_POOL_H_
#define LEASEHOLD_CLIENT_WORKER_WORK_POOL_H_

#include <cstddef>
#include <deque>
#include <functional>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "lease/base/mutex.h"

namespace leasehold::worker::internal {

class WorkPool {
 public:
  struct Work {
    std::function<void()> run;
    // Called instead of `run` by Drop.
    std::function<void()> give_back;
  };

  explicit WorkPool(size_t max_threads) : max_threads_(max_threads) {}
  // Drops work that has not started, without a callback; waits for the rest.
  ~WorkPool();
  WorkPool(const WorkPool&) = delete;
  WorkPool& operator=(const WorkPool&) = delete;

  void Post(Work work) ABSL_LOCKS_EXCLUDED(mu_);
  // Gives back all work that has not started.
  void Drop() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  void Run() ABSL_LOCKS_EXCLUDED(mu_);

  // Constant after construction.
  const size_t max_threads_;

  // Synchronises itself.
  CondVar changed_;

  // Guarded by mu_.
  Mutex mu_;
  std::deque<Work> waiting_ ABSL_GUARDED_BY(mu_);
  std::vector<std::thread> threads_ ABSL_GUARDED_BY(mu_);
  size_t idle_ ABSL_GUARDED_BY(mu_) = 0;
  bool ending_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace leasehold::worker::internal

#endif  // LEASEHOLD_CLIENT_WORKER_WORK_POOL_H_
