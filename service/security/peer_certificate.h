// What the certificate says that a call's connection was opened with.
//
// gRPC has checked it during the handshake, and not since: a connection may
// live for months.
//
// Thread-safety: safe.
#ifndef LEASEHOLD_SERVICE_SECURITY_PEER_CERTIFICATE_H_
#define LEASEHOLD_SERVICE_SECURITY_PEER_CERTIFICATE_H_

#include <grpcpp/server_context.h>

#include <string>
#include <vector>

#include "absl/time/time.h"

namespace leasehold {

// The names in it, the most telling first, as a policy writes them. The common
// name counts only if there is no other: authorities take less care of it (RFC
// 6125, 6.4.4). Empty: there is no certificate, or it was not checked.
std::vector<std::string> CertificateNames(const grpc::ServerContextBase& call);

// When it expires, or has expired; the infinite past if there is none, or one
// that cannot be read. Cheap enough for each call: each thread remembers what
// it has found.
absl::Time CertificateExpiry(const grpc::ServerContextBase& call);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_SECURITY_PEER_CERTIFICATE_H_
