#include "client/worker/work_pool.h"

#include <utility>

namespace leasehold::worker::internal {

WorkPool::~WorkPool() {
  std::vector<std::thread> threads;
  {
    MutexLock lock(mu_);
    ending_ = true;
    waiting_.clear();
    threads.swap(threads_);
    changed_.NotifyAll();
  }
  for (std::thread& thread : threads) thread.join();
}

void WorkPool::Post(Work work) {
  MutexLock lock(mu_);
  waiting_.push_back(std::move(work));
  if (waiting_.size() > idle_ && threads_.size() < max_threads_) {
    threads_.emplace_back([this] { Run(); });
  }
  changed_.NotifyAll();
}

void WorkPool::Drop() {
  std::deque<Work> dropped;
  {
    MutexLock lock(mu_);
    dropped.swap(waiting_);
  }
  for (const Work& work : dropped) work.give_back();
}

void WorkPool::Run() {
  for (;;) {
    Work work;
    {
      MutexLock lock(mu_);
      ++idle_;
      while (!ending_ && waiting_.empty()) changed_.Wait(mu_);
      --idle_;
      if (ending_) return;
      work = std::move(waiting_.front());
      waiting_.pop_front();
    }
    work.run();
  }
}

}  // namespace leasehold::worker::internal
