// The only place where an absl::Status becomes a grpc::Status.
//
// The codes are numerically equal, and the message stays as it is. Advice when
// to try again (retry_after.h) becomes google.rpc.RetryInfo in the details; a
// payload whose name is the type of a message (type.googleapis.com/...) stands
// there as it is.
//
// Thread-safety: safe.
#ifndef LEASEHOLD_SERVICE_RPC_STATUS_MAPPING_H_
#define LEASEHOLD_SERVICE_RPC_STATUS_MAPPING_H_

#include <grpcpp/support/status.h>

#include "absl/status/status.h"

namespace leasehold {

grpc::Status ToGrpcStatus(const absl::Status& status);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_RPC_STATUS_MAPPING_H_
