#include "service/rpc/refusal_pace.h"

#include <algorithm>
#include <utility>

#include "service/base/retry_after.h"

namespace leasehold {

absl::Status RefusalPace::Pace(absl::Status refusal, Instant now) {
  const double late_max = kPerSecond * absl::ToDoubleSeconds(delay_max_);
  at_once_ += kPerSecond * absl::ToDoubleSeconds(now - last_);
  at_once_ = std::clamp(at_once_ - 1, -late_max, kPerSecond - 1);
  last_ = now;
  if (at_once_ >= 0) return refusal;
  return ToldAfter(std::move(refusal), absl::Seconds(-at_once_ / kPerSecond));
}

}  // namespace leasehold
