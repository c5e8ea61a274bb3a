// The names of the headers that calls and answers carry, beside gRPC's own.
//
// What they mean: service/instance/instance_headers.h and
// service/rpc/heartbeat.h; how a client sends and reads them:
// client/wire/instance_metadata.h.
//
// Thread-safety: constants.
#ifndef LEASEHOLD_LEASE_BASE_HEADER_NAMES_H_
#define LEASEHOLD_LEASE_BASE_HEADER_NAMES_H_

#include <string_view>

namespace leasehold {

inline constexpr std::string_view kDefaultInstanceHeader = "instance-id";
// For IDs that text cannot carry.
inline constexpr std::string_view kDefaultInstanceBinHeader = "instance-id-bin";
inline constexpr std::string_view kIdleTimeoutHeader = "instance-idle-timeout";
// How long a stream may be silent.
inline constexpr std::string_view kHeartbeatHeader = "heartbeat-interval";
inline constexpr std::string_view kExpectHeader = "instance-expect";
// Which unfinished calls a call comes from (service/instance/call_chain.h).
inline constexpr std::string_view kCallChainHeader = "instance-call-chain";
// Response headers.
inline constexpr std::string_view kGenerationHeader = "instance-generation";
inline constexpr std::string_view kCreatedHeader = "instance-created";
inline constexpr std::string_view kIdleTimeoutMsHeader =
    "instance-idle-timeout-ms";

}  // namespace leasehold

#endif  // LEASEHOLD_LEASE_BASE_HEADER_NAMES_H_
