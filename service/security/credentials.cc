#include "service/security/credentials.h"

#include <iterator>

#include "absl/strings/str_cat.h"
#include "service/security/peer_certificate.h"

namespace leasehold {

absl::StatusOr<std::optional<std::string_view>> RpcCredentials::Only(
    const char* name) const {
  const auto [first, last] = call_.client_metadata().equal_range(name);
  if (first == last) return std::nullopt;
  if (std::next(first) != last) {
    return absl::UnauthenticatedError(
        absl::StrCat("the metadata ", name, " is given more than once"));
  }
  return std::string_view(first->second.data(), first->second.size());
}

std::vector<std::string> RpcCredentials::CertificateNames() const {
  return leasehold::CertificateNames(call_);
}

absl::Time RpcCredentials::CertificateExpiry() const {
  return leasehold::CertificateExpiry(call_);
}

}  // namespace leasehold
