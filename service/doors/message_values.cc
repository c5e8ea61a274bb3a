#include "service/doors/message_values.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "service/orchestration/bounds.h"

namespace leasehold {

absl::StatusOr<Timestamp> FromMessage(
    const google::protobuf::Timestamp& message, std::string_view field) {
  const Timestamp time{message.seconds(), message.nanos()};
  if (absl::Status status = CheckTime(field, time); !status.ok()) return status;
  return time;
}

absl::StatusOr<std::optional<StoredTime>> BoundFrom(
    bool has, const google::protobuf::Timestamp& message,
    std::string_view field) {
  if (!has) return std::nullopt;
  const absl::StatusOr<Timestamp> time = FromMessage(message, field);
  if (!time.ok()) return time.status();
  return ToStored(ToTime(*time));
}

absl::StatusOr<size_t> PageSizeFrom(int32_t page_size) {
  if (page_size < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("page_size: must be zero or more: ", page_size));
  }
  if (page_size == 0) page_size = kPageSizeByDefault;
  return static_cast<size_t>(std::min(page_size, kPageSizeMax));
}

}  // namespace leasehold
