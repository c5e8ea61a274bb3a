// Values that many messages have, as the engine's.
//
// Thread-safety: pure functions.
#ifndef LEASEHOLD_SERVICE_DOORS_MESSAGE_VALUES_H_
#define LEASEHOLD_SERVICE_DOORS_MESSAGE_VALUES_H_

#include <google/protobuf/timestamp.pb.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "service/orchestration/history.h"
#include "service/orchestration/orchestration_info.h"

namespace leasehold {

inline void ToMessage(const Timestamp& value,
                      google::protobuf::Timestamp& message) {
  message.set_seconds(value.seconds);
  message.set_nanos(value.nanos);
}

// InvalidArgument: not a time of the years 1 to 9999; begins with `field`.
absl::StatusOr<Timestamp> FromMessage(
    const google::protobuf::Timestamp& message, std::string_view field);

// A bound of a filter. nullopt: it is not set. Errors as above.
absl::StatusOr<std::optional<StoredTime>> BoundFrom(
    bool has, const google::protobuf::Timestamp& message,
    std::string_view field);

inline constexpr int32_t kPageSizeByDefault = 100;
inline constexpr int32_t kPageSizeMax = 1000;

// Of a message with one item of a page, beside those that are counted.
inline constexpr size_t kRoomBeside = 4 << 10;

// How long a purge by filter may take. Its answer says if it did not finish.
inline constexpr absl::Duration kPurgeTimeout = absl::Seconds(30);

// `page_size` of a list: 0 is the default, and at most kPageSizeMax are listed.
//   InvalidArgument: below zero.
absl::StatusOr<size_t> PageSizeFrom(int32_t page_size);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_DOORS_MESSAGE_VALUES_H_
