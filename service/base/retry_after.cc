#include "service/base/retry_after.h"

#include <string>
#include <utility>

#include "absl/strings/cord.h"

namespace leasehold {
namespace {

constexpr char kRetry[] = "leasehold/retry-after";
constexpr char kTell[] = "leasehold/tell-after";

absl::Status WithDelay(absl::Status status, const char* name,
                       absl::Duration delay) {
  status.SetPayload(name, absl::Cord(absl::FormatDuration(delay)));
  return status;
}

std::optional<absl::Duration> Delay(const absl::Status& status,
                                    const char* name) {
  const absl::optional<absl::Cord> payload = status.GetPayload(name);
  absl::Duration delay;
  if (!payload.has_value() ||
      !absl::ParseDuration(std::string(*payload), &delay)) {
    return std::nullopt;
  }
  return delay;
}

}  // namespace

absl::Status WithRetryAfter(absl::Status status, absl::Duration delay) {
  return WithDelay(std::move(status), kRetry, delay);
}

std::optional<absl::Duration> RetryAfter(const absl::Status& status) {
  return Delay(status, kRetry);
}

absl::Status ToldAfter(absl::Status status, absl::Duration delay) {
  return WithDelay(std::move(status), kTell, delay);
}

absl::Duration TellAfter(const absl::Status& status) {
  return Delay(status, kTell).value_or(absl::ZeroDuration());
}

}  // namespace leasehold
