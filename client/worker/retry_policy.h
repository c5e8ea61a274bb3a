// RetryPolicy: whether, and when, an activity or sub-orchestration that failed
// is called again.
//
//   const RetryPolicy retry = RetryPolicy(5, absl::Seconds(1)).Backoff(2);
//   co_await ctx.CallActivity<Receipt>("Pay", order, retry);
//
// The waits are durable timers, so they last over restarts of worker and
// server. What is not retriable by its own word is never called again.
//
// It has constructors, and so may be a temporary in a co_await expression, for
// which g++ 12 destroys an aggregate twice. A lambda for RetryIf that captures
// may not: give the policy a name first.
//
// Thread-safety: values.   Lifetime: what the handler refers to outlives the
// orchestration.
#ifndef LEASEHOLD_CLIENT_WORKER_RETRY_POLICY_H_
#define LEASEHOLD_CLIENT_WORKER_RETRY_POLICY_H_

#include <functional>
#include <optional>
#include <utility>

#include "absl/time/time.h"
#include "client/worker/failure.h"

namespace leasehold::worker {

class RetryPolicy {
 public:
  using Handler = std::function<bool(const TaskFailure&)>;

  // `max_attempts`: the first one included; at least 1.
  RetryPolicy(int max_attempts, absl::Duration first_interval)
      : max_attempts_(max_attempts), first_interval_(first_interval) {}

  // Each wait is so many times the one before. Default 1.
  RetryPolicy& Backoff(double coefficient) {
    backoff_coefficient_ = coefficient;
    return *this;
  }
  // No wait is longer. Default: no bound.
  RetryPolicy& MaxInterval(absl::Duration interval) {
    max_interval_ = interval;
    return *this;
  }
  // No attempt begins later than this after the first. Default: no bound.
  RetryPolicy& Timeout(absl::Duration timeout) {
    timeout_ = timeout;
    return *this;
  }
  // Only failures for which it says true are tried again. It must say the same
  // on each replay.
  RetryPolicy& RetryIf(Handler handler) {
    handler_ = std::move(handler);
    return *this;
  }

  // How long to wait before the next attempt. Empty: there is none.
  // `attempts`: how many have been made. `elapsed`: since the first began.
  std::optional<absl::Duration> NextWait(int attempts,
                                         const TaskFailure& failure,
                                         absl::Duration elapsed) const;

 private:
  int max_attempts_;
  absl::Duration first_interval_;
  double backoff_coefficient_ = 1;
  absl::Duration max_interval_ = absl::InfiniteDuration();
  absl::Duration timeout_ = absl::InfiniteDuration();
  Handler handler_;
};

}  // namespace leasehold::worker

#endif  // LEASEHOLD_CLIENT_WORKER_RETRY_POLICY_H_
