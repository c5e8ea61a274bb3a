// RetryPolicy: whether and when a failed activity or sub-orchestration is
// retried.
//
//   const RetryPolicy retry = RetryPolicy(5, absl::Seconds(1)).Backoff(2);
//   co_await ctx.CallActivity<Receipt>("Pay", order, retry);
//
// The waits are durable timers, so they survive restarts of worker and server.
// A failure that says it is not retriable is never retried.
//
// It has constructors, so it may be a temporary in a co_await expression (g++
// 12 would destroy an aggregate twice). With a RetryIf lambda that captures it
// may not: give the policy a name first.
//
// Thread-safety: values.   Lifetime: everything that the RetryIf function
// refers to outlives the orchestration.
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

  // `max_attempts` includes the first one; at least 1.
  RetryPolicy(int max_attempts, absl::Duration first_interval)
      : max_attempts_(max_attempts), first_interval_(first_interval) {}

  // The factor from one wait to the next. Default 1.
  RetryPolicy& Backoff(double coefficient) {
    backoff_coefficient_ = coefficient;
    return *this;
  }
  // The longest wait. Default: no limit.
  RetryPolicy& MaxInterval(absl::Duration interval) {
    max_interval_ = interval;
    return *this;
  }
  // No attempt starts later than this after the first. Default: no limit.
  RetryPolicy& Timeout(absl::Duration timeout) {
    timeout_ = timeout;
    return *this;
  }
  // Only failures for which it returns true are retried. It must return the
  // same on each replay.
  RetryPolicy& RetryIf(Handler handler) {
    handler_ = std::move(handler);
    return *this;
  }

  // How long to wait before the next attempt; empty if there is none.
  // `attempts`: how many have been made. `elapsed`: since the first started.
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
