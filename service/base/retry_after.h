// When a rejected call may be retried, and when its caller is to hear of it, as
// payloads of its status.
//
// The lower rooms know no proto: the edge converts the first to
// google.rpc.RetryInfo.
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

// `status`, to be told only after `delay`: who calls again as soon as he is
// refused does so less often.
absl::Status ToldAfter(absl::Status status, absl::Duration delay);

// That delay of `status`. Zero: it is told at once.
absl::Duration TellAfter(const absl::Status& status);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_BASE_RETRY_AFTER_H_
