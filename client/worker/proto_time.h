// Times in the messages of the Durable Task contract.
//
// Thread-safety: pure functions.
#ifndef LEASEHOLD_CLIENT_WORKER_PROTO_TIME_H_
#define LEASEHOLD_CLIENT_WORKER_PROTO_TIME_H_

#include <algorithm>
#include <cstdint>

#include "absl/time/time.h"
#include "google/protobuf/timestamp.pb.h"

namespace leasehold::worker::internal {

// A later time than the last that a Timestamp can hold becomes that one.
inline google::protobuf::Timestamp ToProto(absl::Time time) {
  constexpr absl::Duration kLast = absl::Seconds(253402300799);
  const absl::Duration since = std::min(time - absl::UnixEpoch(), kLast);
  google::protobuf::Timestamp timestamp;
  absl::Duration rest;
  timestamp.set_seconds(absl::IDivDuration(since, absl::Seconds(1), &rest));
  if (rest < absl::ZeroDuration()) {
    timestamp.set_seconds(timestamp.seconds() - 1);
    rest += absl::Seconds(1);
  }
  timestamp.set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(rest)));
  return timestamp;
}

}  // namespace leasehold::worker::internal

#endif  // LEASEHOLD_CLIENT_WORKER_PROTO_TIME_H_
