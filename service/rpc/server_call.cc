#include "service/rpc/server_call.h"

#include <string>
#include <string_view>

namespace leasehold {

namespace {

// What gRPC 1.51 calls a peer with an in-process channel, and how the names of
// those begin that have come through a Unix socket: none of these names tells
// one client from another.
constexpr std::string_view kPeerInProcess = "unknown";
constexpr std::string_view kPeerUnix = "unix";

}  // namespace

ByteBudget::Holder ServerCall::MakeHolder() {
  std::string peer = context_.peer();
  if (peer == kPeerInProcess || peer.starts_with(kPeerUnix)) peer.clear();
  return {.connection = std::move(peer),
          .cut = [this] { context_.TryCancel(); }};
}

}  // namespace leasehold
