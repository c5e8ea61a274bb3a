// TlsCredentials: TLS for a server's connections, with material that can change
// while it serves.
//
// Each handshake gets the latest material; connections that are open keep
// theirs. gRPC's own reader of changing files (FileWatcherCertificateProvider)
// hands out a pair that does not match, so that a copy in progress is an
// outage; here only what was checked gets in.
//
// TLS 1.2 and later, with gRPC's ciphers (forward secret, authenticated).
//
// Thread-safety: safe.   Lifetime: outlives the grpc::Server.
#ifndef LEASEHOLD_SERVICE_NETWORK_TLS_CREDENTIALS_H_
#define LEASEHOLD_SERVICE_NETWORK_TLS_CREDENTIALS_H_

#include <grpcpp/security/server_credentials.h>

#include <memory>

#include "service/network/tls_material.h"

namespace leasehold {

// Certificates of clients.
enum class ClientAuth {
  kNone,      // Not asked for.
  kOptional,  // Checked if there is one.
  kRequire,   // A client without one is refused.
};

class TlsCredentials {
 public:
  // Except for `kNone`, all material has a `client_ca`.
  TlsCredentials(TlsMaterial material, ClientAuth client_auth);

  // For handshakes from now on.
  void Set(TlsMaterial material);

  std::shared_ptr<grpc::ServerCredentials> ForServer() const;

 private:
  class Current;
  class Credentials;
  const std::shared_ptr<Current> current_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_NETWORK_TLS_CREDENTIALS_H_
