// Credentials: what a call shows of who makes it, by whatever door it came.
//
// Thread-safety: callers synchronise.   Lifetime: views what the call has; not
// longer than the call.
#ifndef LEASEHOLD_SERVICE_SECURITY_CREDENTIALS_H_
#define LEASEHOLD_SERVICE_SECURITY_CREDENTIALS_H_

#include <grpcpp/server_context.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace leasehold {

class Credentials {
 public:
  // The value of that name, in lower case: `authorization` or `taskhub`.
  // nullopt: there is none.
  //   Unauthenticated: there are several.
  virtual absl::StatusOr<std::optional<std::string_view>> Only(
      const char* name) const = 0;
  // The names in the certificate that the connection was opened with, the most
  // telling first, as a policy writes them. Empty: it was not opened with one
  // that was verified.
  virtual std::vector<std::string> CertificateNames() const = 0;
  // When that certificate expires, or has expired; the infinite past if there
  // is none. It was valid at the handshake, and connections live long.
  virtual absl::Time CertificateExpiry() const = 0;
  // What messages call the place of those values: `metadata`, `header`.
  virtual std::string_view place() const = 0;

 protected:
  ~Credentials() = default;
};

// Those of a gRPC call.
class RpcCredentials final : public Credentials {
 public:
  explicit RpcCredentials(const grpc::ServerContextBase& call) : call_(call) {}

  absl::StatusOr<std::optional<std::string_view>> Only(
      const char* name) const override;
  std::vector<std::string> CertificateNames() const override;
  absl::Time CertificateExpiry() const override;
  std::string_view place() const override { return "metadata"; }

 private:
  const grpc::ServerContextBase& call_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_SECURITY_CREDENTIALS_H_
