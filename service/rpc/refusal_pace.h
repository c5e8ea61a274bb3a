// RefusalPace: when callers hear that they are refused.
//
// A refusal costs gRPC nearly as much as a small call, and who calls again at
// once makes it refuse him as often as it can. So only some refusals are told
// at once, and further ones later, while their callers wait. Those who were
// refused together are told at different times: else they would all call again
// together, for ever, and whoever calls then waits for all of them.
//
// Thread-safety: none.
#ifndef LEASEHOLD_SERVICE_RPC_REFUSAL_PACE_H_
#define LEASEHOLD_SERVICE_RPC_REFUSAL_PACE_H_

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "lease/clock.h"

namespace leasehold {

class RefusalPace {
 public:
  // So many a second, and as many at once, are told at once.
  static constexpr double kPerSecond = 100;

  // None is told later than `delay_max`, and of many each after half of it or
  // more.
  explicit RefusalPace(absl::Duration delay_max) : delay_max_(delay_max) {}

  // `refusal`, which happens at `now`: as it is, or told later.
  absl::Status Pace(absl::Status refusal, Instant now);

 private:
  const absl::Duration delay_max_;
  double at_once_ = kPerSecond;  // Below 0: how many are late.
  double spread_ = 0;            // From 0 to 1, evenly.
  Instant last_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_RPC_REFUSAL_PACE_H_
