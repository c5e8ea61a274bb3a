// The names of the headers that calls and answers carry, beside gRPC's own.
//
// What they mean: service/instance/instance_headers.h and
// service/rpc/heartbeat.h.
//
// Thread-safety: constants.
#ifndef LEASEHOLD_SERVICE_BASE_HEADER_NAMES_H_
#define LEASEHOLD_SERVICE_BASE_HEADER_NAMES_H_

#include <string_view>

namespace leasehold {

inline constexpr std::string_view kDefaultInstanceHeader = "instance-id";
inline constexpr std::string_view kIdleTimeoutHeader = "instance-idle-timeout";
// How long a stream may be silent.
inline constexpr std::string_view kHeartbeatHeader = "heartbeat-interval";
inline constexpr std::string_view kExpectHeader = "instance-expect";
// Response headers.
inline constexpr std::string_view kGenerationHeader = "instance-generation";
inline constexpr std::string_view kCreatedHeader = "instance-created";
inline constexpr std::string_view kIdleTimeoutMsHeader =
    "instance-idle-timeout-ms";

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_BASE_HEADER_NAMES_H_
