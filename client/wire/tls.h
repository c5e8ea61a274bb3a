// TlsOptions: how a client knows its server, and shows who it is itself.
//
// Thread-safety: values.
#ifndef LEASEHOLD_CLIENT_WIRE_TLS_H_
#define LEASEHOLD_CLIENT_WIRE_TLS_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "grpcpp/security/credentials.h"

namespace leasehold::client {

// Paths of PEM files; they are read once.
struct TlsOptions {
  // The authorities that the server's certificate must come from. Empty: those
  // that the system trusts.
  std::string ca = {};
  // A certificate chain of the client's own, and its key: both or none.
  std::string cert = {};
  std::string key = {};
};

// For OpenChannel. The server's certificate must be for the host of the
// channel's address.
//   InvalidArgument: a file cannot be read, or is not PEM, or only one of
//     `cert` and `key` is given, or they are no pair; the message names it,
//     never its content.
absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> TlsCredentials(
    const TlsOptions& options);

}  // namespace leasehold::client

#endif  // LEASEHOLD_CLIENT_WIRE_TLS_H_
