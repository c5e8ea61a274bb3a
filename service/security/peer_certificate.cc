#include "service/security/peer_certificate.h"

#include <grpc/grpc_security_constants.h>
#include <grpcpp/security/auth_context.h>
#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <memory>
#include <string_view>

#include "absl/hash/hash.h"
#include "absl/strings/str_cat.h"
#include "lease/base/view.h"

namespace leasehold {
namespace {

// A certificate that this thread has seen: to read one takes longer than most
// calls.
struct SeenCertificate {
  std::string pem = {};
  absl::Time expires = absl::InfinitePast();
};

// The place of certificates with that end, which is a part of the signature.
SeenCertificate& SeenCertificateLike(std::string_view pem) {
  constexpr size_t kSlots = 64;
  constexpr size_t kEnd = 128;
  thread_local std::array<SeenCertificate, kSlots> seen;
  const std::string_view end =
      pem.substr(pem.size() - std::min(kEnd, pem.size()));
  return seen[absl::HashOf(View(end)) % kSlots];
}

absl::Time ReadExpiry(std::string_view pem) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> bio(
      BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), &BIO_free);
  if (bio == nullptr) return absl::InfinitePast();
  const std::unique_ptr<X509, decltype(&X509_free)> certificate(
      PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr), &X509_free);
  std::tm end = {};
  if (certificate == nullptr ||
      ASN1_TIME_to_tm(X509_get0_notAfter(certificate.get()), &end) != 1) {
    return absl::InfinitePast();
  }
  return absl::FromTM(end, absl::UTCTimeZone());
}

}  // namespace

std::vector<std::string> CertificateNames(const grpc::ServerContextBase& call) {
  std::vector<std::string> names;
  const auto context = call.auth_context();
  if (context == nullptr || !context->IsPeerAuthenticated()) return names;
  const auto add = [&](const char* property, absl::string_view prefix) {
    for (const grpc::string_ref& value :
         context->FindPropertyValues(property)) {
      names.push_back(
          absl::StrCat(prefix, absl::string_view(value.data(), value.size())));
    }
  };
  add("peer_spiffe_id", "");
  add("peer_dns", "dns:");
  const bool has_others =
      !names.empty() || !context->FindPropertyValues("peer_uri").empty();
  if (!has_others) add("x509_common_name", "cn:");
  return names;
}

absl::Time CertificateExpiry(const grpc::ServerContextBase& call) {
  const auto context = call.auth_context();
  if (context == nullptr) return absl::InfinitePast();
  const std::vector<grpc::string_ref> values =
      context->FindPropertyValues(GRPC_X509_PEM_CERT_PROPERTY_NAME);
  if (values.empty()) return absl::InfinitePast();
  const std::string_view pem(values.front().data(), values.front().size());
  SeenCertificate& seen = SeenCertificateLike(pem);
  if (seen.pem != pem) seen = {std::string(pem), ReadExpiry(pem)};
  return seen.expires;
}

}  // namespace leasehold
