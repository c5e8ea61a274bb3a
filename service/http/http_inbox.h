// HttpInbox: how other threads have something done on the listener's.
//
// What is posted after the listener has stopped is dropped, so whoever answers
// a request need not know whether the listener still lives.
//
// Thread-safety: safe; `wake` is called under no lock, on any thread.
// Lifetime: shared with those who post.
#ifndef LEASEHOLD_SERVICE_HTTP_HTTP_INBOX_H_
#define LEASEHOLD_SERVICE_HTTP_HTTP_INBOX_H_

#include <functional>
#include <utility>
#include <vector>

#include "lease/base/mutex.h"

namespace leasehold {

class HttpInbox {
 public:
  using Errand = std::function<void()>;

  // `wake` has the listener call Run; called under the lock, so that it is not
  // called after Close.
  explicit HttpInbox(std::function<void()> wake) : wake_(std::move(wake)) {}

  void Post(Errand errand) ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    if (closed_) return;
    errands_.push_back(std::move(errand));
    if (errands_.size() == 1) wake_();
  }

  // On the listener's thread.
  void Run() ABSL_LOCKS_EXCLUDED(mu_) {
    std::vector<Errand> errands;
    {
      MutexLock lock(mu_);
      errands.swap(errands_);
    }
    for (Errand& errand : errands) errand();
  }

  void Close() ABSL_LOCKS_EXCLUDED(mu_) {
    std::vector<Errand> dropped;  // Without the lock.
    MutexLock lock(mu_);
    closed_ = true;
    dropped.swap(errands_);
  }

 private:
  const std::function<void()> wake_;

  Mutex mu_;
  bool closed_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<Errand> errands_ ABSL_GUARDED_BY(mu_);
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HTTP_HTTP_INBOX_H_
