#include "client/worker/retry_policy.h"

#include <algorithm>
#include <cmath>

namespace leasehold::worker {

std::optional<absl::Duration> RetryPolicy::NextWait(
    int attempts, const TaskFailure& failure, absl::Duration elapsed) const {
  if (attempts >= max_attempts_ || failure.is_non_retriable) {
    return std::nullopt;
  }
  if (handler_ && !handler_(failure)) return std::nullopt;
  const absl::Duration wait =
      std::min(first_interval_ * std::pow(backoff_coefficient_, attempts - 1),
               max_interval_);
  if (elapsed + wait > timeout_) return std::nullopt;
  return wait;
}

}  // namespace leasehold::worker
