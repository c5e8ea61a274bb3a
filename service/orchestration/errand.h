// Errand: what a caller has asked for that goes on in other orchestrations: a
// recursive purge, or a recursive terminate by force.
//
// It has parts: the orchestrations that were named, and those that are reached
// from them by messages (mail.h). Each begins before the one that causes it has
// ended, so when no part is left, all is done, and the caller is answered; or
// when one fails, or is too late. The messages are durable: what is still under
// way then goes on without a caller, as it does after a restart.
//
// Thread-safety: callers synchronise.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_ERRAND_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_ERRAND_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "lease/clock.h"

namespace leasehold {

class Errand {
 public:
  // `reached`: how many orchestrations it has changed so far.
  using Done = std::function<void(const absl::Status&, int64_t reached)>;
  // To be called after the lock is released.
  using Calls = std::vector<std::function<void()>>;

  // After `deadline`, it fails with DeadlineExceeded when a part ends.
  explicit Errand(Done done, Instant deadline = Instant::Infinite())
      : done_(std::move(done)), deadline_(deadline) {}
  Errand(const Errand&) = delete;
  Errand& operator=(const Errand&) = delete;

  void Begin() { ++parts_; }
  // An orchestration was changed.
  void Reach() { ++reached_; }
  // A part has ended.
  void End(absl::Status status, Instant now, Calls& calls) {
    --parts_;
    if (done_ == nullptr) return;
    if (status.ok() && now > deadline_) {
      status = absl::DeadlineExceededError("its time is over");
    }
    if (status.ok() && parts_ > 0) return;
    calls.push_back([done = std::exchange(done_, nullptr),
                     status = std::move(status),
                     reached = reached_] { done(status, reached); });
  }

 private:
  Done done_;  // Null: the caller was answered.
  const Instant deadline_;
  int parts_ = 0;  // That have begun and not ended.
  int64_t reached_ = 0;
};

// nullptr: no caller waits.
using ErrandPtr = std::shared_ptr<Errand>;

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_ERRAND_H_
