#include "service/rpc/refusal_pace.h"

#include <algorithm>
#include <utility>

#include "service/base/retry_after.h"

namespace leasehold {
namespace {

// Multiples of it, less their whole parts, are spread evenly however many there
// are.
constexpr double kGoldenRatio = 0.6180339887498949;

}  // namespace

absl::Status RefusalPace::Pace(absl::Status refusal, Instant now) {
  const double late_max = kPerSecond * absl::ToDoubleSeconds(delay_max_);
  at_once_ += kPerSecond * absl::ToDoubleSeconds(now - last_);
  at_once_ = std::clamp(at_once_ - 1, -late_max, kPerSecond - 1);
  last_ = now;
  if (at_once_ >= 0) return refusal;
  spread_ += kGoldenRatio;
  if (spread_ >= 1) spread_ -= 1;
  return ToldAfter(std::move(refusal),
                   absl::Seconds(-at_once_ / kPerSecond * (1 - spread_ / 2)));
}

}  // namespace leasehold
