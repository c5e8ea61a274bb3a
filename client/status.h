// What a gRPC call ended with, as this library reports it.
//
// The codes of both worlds agree numerically. A call that found no connection
// says so, with the address; gRPC itself says that the deadline was exceeded.
//
// Thread-safety: safe.   Lifetime: no state.
#ifndef LEASEHOLD_CLIENT_STATUS_H_
#define LEASEHOLD_CLIENT_STATUS_H_

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

// The same for a call that had `timeout` over `channel`, which errors call
// `name`.
absl::Status ExplainStatus(const grpc::Status& status, grpc::Channel& channel,
                           const std::string& name, absl::Duration timeout);
// The same for a stream, which has no timeout.
absl::Status ExplainStatus(const grpc::Status& status, const std::string& name);

}  // namespace leasehold::client

#endif  // LEASEHOLD_CLIENT_STATUS_H_
