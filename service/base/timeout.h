// ParseTimeout: a duration as callers write it.
//
// Thread-safety: pure functions.
#ifndef LEASEHOLD_SERVICE_BASE_TIMEOUT_H_
#define LEASEHOLD_SERVICE_BASE_TIMEOUT_H_

#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace leasehold {

// `90s`, `500ms`, `1h30m`: a finite duration, zero or more. (absl's syntax.)
//   InvalidArgument otherwise; the message begins with `source`.
absl::StatusOr<absl::Duration> ParseTimeout(std::string_view source,
                                            std::string_view text);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_BASE_TIMEOUT_H_
