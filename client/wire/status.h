// How a gRPC call ended, as this library reports it.
//
// gRPC's and Abseil's codes agree numerically. For a call that found no
// connection gRPC says "deadline exceeded"; this library names the address.
//
// Thread-safety: safe.   Lifetime: no state.
#ifndef LEASEHOLD_CLIENT_WIRE_STATUS_H_
#define LEASEHOLD_CLIENT_WIRE_STATUS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "grpcpp/channel.h"
#include "grpcpp/support/status.h"

namespace leasehold::client {

inline absl::Status ToAbslStatus(const grpc::Status& status) {
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                      status.error_message());
}

// The same for a call over `channel` that had `timeout`; errors call the
// channel `name`.
absl::Status ExplainStatus(const grpc::Status& status, grpc::Channel& channel,
                           const std::string& name, absl::Duration timeout);
// The same for a stream, which has no timeout.
absl::Status ExplainStatus(const grpc::Status& status, const std::string& name);

// Whether a stream that ended with `status` is worth another attempt: a server
// or a proxy was lost, is full, or cut it. False if somebody ended it on
// purpose, or if the server would refuse it again.
bool IsNobodysWill(const absl::Status& status);
// The same, but for a stream that the server has `answered` also if it no
// longer takes the caller's token: the next attempt brings the one that is in
// the file by then (token_file.h), and ends if that is refused too.
bool MayReconnect(const absl::Status& status, bool answered);

}  // namespace leasehold::client

#endif  // LEASEHOLD_CLIENT_WIRE_STATUS_H_
