// ClientCertificate: what the certificate says that a client has shown over
// TLS.
//
// Thread-safety: values, and a pure function.
#ifndef LEASEHOLD_SERVICE_HTTP_CLIENT_CERTIFICATE_H_
#define LEASEHOLD_SERVICE_HTTP_CLIENT_CERTIFICATE_H_

#include <openssl/ssl.h>

#include <string>
#include <vector>

#include "absl/time/time.h"

namespace leasehold {

// As Credentials has it.
struct ClientCertificate {
  std::vector<std::string> names = {};
  absl::Time expires = absl::InfinitePast();
};

// After the handshake. gRPC finds the same names in the same certificate.
ClientCertificate ClientCertificateOf(const SSL& connection);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HTTP_CLIENT_CERTIFICATE_H_
