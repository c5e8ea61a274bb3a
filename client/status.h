// ToAbslStatus: what a gRPC call ended with, as this library reports it.
//
// The codes of both agree numerically, so nothing is translated but the type.
//
// Thread-safety: safe.   Lifetime: no state.
#ifndef LEASEHOLD_CLIENT_STATUS_H_
#define LEASEHOLD_CLIENT_STATUS_H_

#include "absl/status/status.h"
#include "grpcpp/support/status.h"

namespace leasehold::client {

inline absl::Status ToAbslStatus(const grpc::Status& status) {
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                      status.error_message());
}

}  // namespace leasehold::client

#endif  // LEASEHOLD_CLIENT_STATUS_H_
