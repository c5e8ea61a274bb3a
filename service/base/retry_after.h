// When a rejected call may be retried, as a payload of its status.
//
// The lower rooms know no proto: the edge converts it to google.rpc.RetryInfo.
//
// Thread-safety: safe.
#ifndef LEASEHOLD_SERVICE_BASE_RETRY_AFTER_H_
#define LEASEHOLD_SERVICE_BASE_RETRY_AFTER_H_

#include <optional>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace leasehold {

// `status`, with the advice to retry after `delay`.
absl::Status WithRetryAfter(absl::Status status, absl::Duration delay);

// The advice in `status`, if there is any.
std::optional<absl::Duration> RetryAfter(const absl::Status& status);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_BASE_RETRY_AFTER_H_
