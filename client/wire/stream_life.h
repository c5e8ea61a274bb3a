// StreamLife: whether a stream still calls back, and whether it has ended.
//
// Thread-safety: safe.   Lifetime: a part of its stream.
#ifndef LEASEHOLD_CLIENT_WIRE_STREAM_LIFE_H_
#define LEASEHOLD_CLIENT_WIRE_STREAM_LIFE_H_

#include <atomic>

#include "absl/base/thread_annotations.h"
#include "lease/base/mutex.h"

namespace leasehold::client {

class StreamLife {
 public:
  // No callback begins once this is set.
  bool silent() const { return silent_; }
  void Silence() { silent_ = true; }

  void NoteEnd() ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    ended_ = true;
    changed_.NotifyAll();
  }
  void AwaitEnd() ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    while (!ended_) changed_.Wait(mu_);
  }

 private:
  std::atomic<bool> silent_ = false;
  CondVar changed_;
  Mutex mu_;
  bool ended_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace leasehold::client

#endif  // LEASEHOLD_CLIENT_WIRE_STREAM_LIFE_H_
