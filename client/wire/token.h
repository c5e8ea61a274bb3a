// TokenCredentials: credentials of a channel that also send a bearer token.
//
//   auto tls = TlsCredentials({.ca = "ca.pem"});
//   auto both = TokenCredentials({.file = "token"}, *tls);
//   OrchestrationClient::Connect(address, timeout, *both);
//
// Each call of a channel made with them, streams too, has the metadata
// `authorization: Bearer TOKEN`, unless it brings an `authorization` of its
// own. gRPC's call credentials are not used: they refuse every connection that
// is not encrypted, loopback and Unix sockets as well.
//
// Thread-safety: safe.
#ifndef LEASEHOLD_CLIENT_WIRE_TOKEN_H_
#define LEASEHOLD_CLIENT_WIRE_TOKEN_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "grpcpp/security/credentials.h"

namespace leasehold::client {

struct TokenOptions {
  // Read again when it changes (token_file.h).
  std::string file = {};
  // Whether the token may be sent without TLS to another machine, where
  // whoever sees the network can read it.
  bool allow_plaintext = false;
};

// OK if a token may be sent to `address`: it is encrypted, or stays on this
// machine, or `options` allow it. InvalidArgument otherwise; the message names
// the address.
absl::Status CheckTokenAddress(const TokenOptions& options,
                               const std::string& address, bool encrypted);

// For OpenChannel, and whatever takes credentials for it. `under`: those of the
// connection; null: no TLS. A channel to an address that CheckTokenAddress
// refuses sends nothing: its calls fail with INVALID_ARGUMENT and that text.
//   InvalidArgument: as of TokenFile::Open.
absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> TokenCredentials(
    const TokenOptions& options,
    std::shared_ptr<grpc::ChannelCredentials> under = nullptr);

}  // namespace leasehold::client

#endif  // LEASEHOLD_CLIENT_WIRE_TOKEN_H_
