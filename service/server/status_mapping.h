// The only place where an absl::Status becomes a grpc::Status.
//
// Codes agree numerically; the message goes along as it is. Advice when to try
// again (retry_after.h) becomes google.rpc.RetryInfo in the status's details.
//
// Thread-safety: safe.
#ifndef LEASEHOLD_SERVICE_SERVER_STATUS_MAPPING_H_
#define LEASEHOLD_SERVICE_SERVER_STATUS_MAPPING_H_

#include <grpcpp/support/status.h>

#include "absl/status/status.h"

namespace leasehold {

grpc::Status ToGrpcStatus(const absl::Status& status);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_SERVER_STATUS_MAPPING_H_
