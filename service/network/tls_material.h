// TlsMaterial: what a server proves its identity with, and whom it believes:
// certificate chain, private key, and the authorities of clients' certificates.
//
// Thread-safety: values.
#ifndef LEASEHOLD_SERVICE_NETWORK_TLS_MATERIAL_H_
#define LEASEHOLD_SERVICE_NETWORK_TLS_MATERIAL_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace leasehold {

// Paths of PEM files.
struct TlsFiles {
  std::string chain;           // The server's certificate first.
  std::string key;             // Without a passphrase.
  std::string client_ca = {};  // Empty: clients need no certificate.
};

struct TlsMaterial {
  std::string chain;
  std::string key;
  std::string client_ca;
  absl::Time expires;  // The first of the chain to do so.

  friend bool operator==(const TlsMaterial&, const TlsMaterial&) = default;
};

// Reads the files and checks that they can serve at `now`.
//   InvalidArgument: one of them cannot be read or is not what it should be,
//     the key is another certificate's, a certificate does not follow from the
//     next one, or it is not valid now. The message names the file, never its
//     content.
absl::StatusOr<TlsMaterial> ReadTlsMaterial(const TlsFiles& files,
                                            absl::Time now);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_NETWORK_TLS_MATERIAL_H_
