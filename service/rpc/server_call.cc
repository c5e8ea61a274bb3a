#include "service/rpc/server_call.h"

#include <string>
#include <string_view>

namespace leasehold {

namespace {

// The names that gRPC 1.51 gives to peers of in-process channels, and the
// beginning of those that came through a Unix socket: these names do not tell
// clients apart.
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
