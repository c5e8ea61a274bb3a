// Timespan: a duration in gRPC's form, and deadlines made from it.
//
// A timespan, not a point in time: gRPC adds it to its own clock, so that this
// library reads none.
//
// Thread-safety: safe.   Lifetime: no state.
#ifndef LEASEHOLD_CLIENT_WIRE_TIMESPAN_H_
#define LEASEHOLD_CLIENT_WIRE_TIMESPAN_H_

#include <chrono>

#include "absl/time/time.h"
#include "grpc/support/time.h"
#include "grpcpp/support/time.h"

namespace leasehold::client {

inline gpr_timespec Timespan(absl::Duration duration) {
  return gpr_time_from_micros(absl::ToInt64Microseconds(duration),
                              GPR_TIMESPAN);
}

// When something must be done, and the timeout that it was given.
struct Deadline {
  absl::Duration timeout;
  std::chrono::system_clock::time_point at;
};

// `timeout` from now.
inline Deadline DeadlineIn(absl::Duration timeout) {
  return {timeout, grpc::Timespec2Timepoint(gpr_convert_clock_type(
                       Timespan(timeout), GPR_CLOCK_REALTIME))};
}

}  // namespace leasehold::client

#endif  // LEASEHOLD_CLIENT_WIRE_TIMESPAN_H_
