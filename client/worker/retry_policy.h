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
// 12 would destroy an aggregate twice), also with a RetryIf lambda, which with
// g++ 12 must have a name if it captures what needs destroying.
//
// Thread-safety: values.   Lifetime: everything that the RetryIf function
// refers to outlives the orchestration.
#ifndef LEASEHOLD_CLIENT_WORKER_RETRY_POLICY_H_
#define LEASEHOLD_CLIENT_WORKER_RETRY_POLICY_H_

#include <concepts>
#include <functional>
#include <optional>
#include <type_traits>
#include <utility>

#include "absl/time/time.h"
#include "client/worker/failure.h"

namespace leasehold::worker {

namespace internal {

// Whether a temporary `Condition` may be passed. g++ 12 destroys a temporary
// lambda in a co_await expression twice. One that captures is known by having
// no default constructor.
template <typename Condition>
inline constexpr bool kMayBeTemporaryCode =
#if defined(__clang__) || __GNUC__ > 12
    true;
#else
    std::is_lvalue_reference_v<Condition> ||
    std::is_trivially_destructible_v<Condition> ||
    std::is_default_constructible_v<Condition>;
#endif

}  // namespace internal

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
  template <typename Condition>
  requires std::constructible_from<Handler, Condition> RetryPolicy& RetryIf(
      Condition&& condition) {
    static_assert(internal::kMayBeTemporaryCode<Condition>,
                  "g++ 12 destroys a temporary lambda that captures in a "
                  "co_await expression twice: give it a name, and pass that");
    handler_ = std::forward<Condition>(condition);
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
