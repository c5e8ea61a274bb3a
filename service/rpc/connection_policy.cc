#include "service/rpc/connection_policy.h"

#include <grpc/compression.h>
#include <grpc/grpc.h>

#include <algorithm>
#include <cstdint>
#include <limits>

namespace leasehold {
namespace {

// Pings that come closer together than this count against a client; the third
// in a row ends its connection. Node pings every 5 s and others less often, but
// pings may arrive together: gRPC's own bound would be 5 minutes.
constexpr int kPingIntervalMs = 1000;

// Of one connection. It bounds honest clients only: a stream that is reset
// makes room at once.
constexpr int kStreamsMax = 10'000;

int Milliseconds(absl::Duration duration) {
  return static_cast<int>(std::clamp<int64_t>(
      absl::ToInt64Milliseconds(duration), 1, std::numeric_limits<int>::max()));
}

}  // namespace

void ConnectionPolicy::Apply(grpc::ServerBuilder& builder) const {
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS,
                             Milliseconds(keepalive_time));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS,
                             Milliseconds(keepalive_timeout));
  // In both directions: what clients may send, and what we send.
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  builder.AddChannelArgument(
      GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, kPingIntervalMs);
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS,
                             Milliseconds(handshake_timeout));
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kStreamsMax);
  if (!compression) {
    // Without the second, a filter that inflates would slow down each call, and
    // without the first it would be INTERNAL: "Unable to parse request".
    builder.AddChannelArgument(
        GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET,
        1 << GRPC_COMPRESS_NONE);
    builder.AddChannelArgument(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0);
  }
}

}  // namespace leasehold
