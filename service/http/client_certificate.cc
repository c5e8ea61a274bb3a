#include "service/http/client_certificate.h"

#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <cstddef>
#include <ctime>
#include <memory>
#include <string_view>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace leasehold {
namespace {

constexpr char kSpiffe[] = "spiffe://";
constexpr size_t kSpiffeBytesMax = 2048;

struct Free {
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(GENERAL_NAMES* names) const { GENERAL_NAMES_free(names); }
};

// Empty if it holds a NUL: what stands behind one is there to deceive.
std::string TextOf(const ASN1_STRING* value) {
  if (value == nullptr) return "";
  std::string text(reinterpret_cast<const char*>(ASN1_STRING_get0_data(value)),
                   static_cast<size_t>(ASN1_STRING_length(value)));
  return text.find('\0') == std::string::npos ? text : "";
}

std::string CommonNameOf(const X509& certificate) {
  const X509_NAME* const subject = X509_get_subject_name(&certificate);
  const int index = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (index < 0) return "";
  return TextOf(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, index)));
}

std::vector<std::string> NamesOf(const X509& certificate) {
  std::vector<std::string> uris;
  std::vector<std::string> names;
  const std::unique_ptr<GENERAL_NAMES, Free> alternatives(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(
          &certificate, NID_subject_alt_name, nullptr, nullptr)));
  const int count =
      alternatives == nullptr ? 0 : sk_GENERAL_NAME_num(alternatives.get());
  for (int i = 0; i < count; ++i) {
    const GENERAL_NAME* const name =
        sk_GENERAL_NAME_value(alternatives.get(), i);
    if (name->type == GEN_URI) {
      uris.push_back(TextOf(name->d.uniformResourceIdentifier));
    } else if (name->type == GEN_DNS) {
      names.push_back(absl::StrCat("dns:", TextOf(name->d.dNSName)));
    }
  }
  const bool has_others = !uris.empty() || !names.empty();
  if (uris.size() == 1 && absl::StartsWith(uris[0], kSpiffe) &&
      uris[0].size() <= kSpiffeBytesMax) {
    names.insert(names.begin(), uris[0]);
  }
  // Authorities take less care of it (RFC 6125, 6.4.4).
  if (!has_others)
    names.push_back(absl::StrCat("cn:", CommonNameOf(certificate)));
  return names;
}

}  // namespace

ClientCertificate ClientCertificateOf(const SSL& connection) {
  const std::unique_ptr<X509, Free> certificate(
      SSL_get1_peer_certificate(&connection));
  if (certificate == nullptr ||
      SSL_get_verify_result(&connection) != X509_V_OK) {
    return {};
  }
  ClientCertificate found = {.names = NamesOf(*certificate)};
  std::tm end = {};
  if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate.get()), &end) == 1) {
    found.expires = absl::FromTM(end, absl::UTCTimeZone());
  }
  return found;
}

}  // namespace leasehold
