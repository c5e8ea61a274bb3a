#include "service/network/tls_material.h"

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <cstddef>
#include <ctime>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "lease/base/small_file.h"

namespace leasehold {
namespace {

template <auto free_it>
struct Free {
  template <typename T>
  void operator()(T* freed) const {
    free_it(freed);
  }
};
using Bio = std::unique_ptr<BIO, Free<&BIO_free>>;
using Certificate = std::unique_ptr<X509, Free<&X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Free<&EVP_PKEY_free>>;

absl::Status Bad(const std::string& path, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", why));
}

Bio Open(const std::string& text) {
  return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

absl::StatusOr<std::vector<Certificate>> ReadCertificates(
    const std::string& path, const std::string& text) {
  std::vector<Certificate> found;
  const Bio bio = Open(text);
  while (X509* one = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) {
    found.emplace_back(one);
  }
  // No further one is the usual end; anything else is a broken one.
  const bool ended =
      ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  ERR_clear_error();
  if (!ended) {
    return Bad(path, absl::StrCat("its certificate number ", found.size() + 1,
                                  " is damaged"));
  }
  if (found.empty()) {
    return Bad(path, "holds no certificate in PEM (-----BEGIN CERTIFICATE)");
  }
  return found;
}

// OpenSSL would ask on the terminal.
int NoPassphrase(char*, int, int, void* asked) {
  *static_cast<bool*>(asked) = true;
  return -1;
}

absl::StatusOr<Key> ReadKey(const std::string& path, const std::string& text) {
  bool asked = false;
  Key key(PEM_read_bio_PrivateKey(Open(text).get(), nullptr, &NoPassphrase,
                                  &asked));
  ERR_clear_error();
  if (asked) {
    return Bad(path,
               "the key has a passphrase, which the server cannot know; "
               "write it without one, readable for the server alone");
  }
  if (key == nullptr) return Bad(path, "holds no private key in PEM");
  return key;
}

absl::StatusOr<absl::Time> TimeOf(const ASN1_TIME* time) {
  std::tm parts = {};
  if (ASN1_TIME_to_tm(time, &parts) != 1) {
    return absl::InvalidArgumentError("not a time");
  }
  return absl::FromTM(parts, absl::UTCTimeZone());
}

// Whether it is valid at `now`. Returns when it expires.
absl::StatusOr<absl::Time> CheckTime(const std::string& path,
                                     const X509& certificate, absl::Time now) {
  const auto from = TimeOf(X509_get0_notBefore(&certificate));
  const auto to = TimeOf(X509_get0_notAfter(&certificate));
  if (!from.ok() || !to.ok()) return Bad(path, "a certificate has no period");
  const auto in_utc = [](absl::Time time) {
    return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone());
  };
  if (now < *from) {
    return Bad(path, "a certificate is not valid before " + in_utc(*from));
  }
  if (now >= *to) return Bad(path, "a certificate expired at " + in_utc(*to));
  return *to;
}

// Each certificate was issued by the next one.
absl::StatusOr<absl::Time> CheckChain(const std::string& path,
                                      const std::vector<Certificate>& chain,
                                      absl::Time now) {
  absl::Time expires = absl::InfiniteFuture();
  for (size_t i = 0; i < chain.size(); ++i) {
    const auto to = CheckTime(path, *chain[i], now);
    if (!to.ok()) return to.status();
    expires = std::min(expires, *to);
    if (i + 1 < chain.size() &&
        X509_check_issued(chain[i + 1].get(), chain[i].get()) != X509_V_OK) {
      return Bad(path, absl::StrCat("its certificate number ", i + 2,
                                    " is not the issuer of number ", i + 1,
                                    "; the server's comes first, then each "
                                    "one's issuer"));
    }
  }
  return expires;
}

}  // namespace

absl::StatusOr<TlsMaterial> ReadTlsMaterial(const TlsFiles& files,
                                            absl::Time now) {
  auto chain = ReadSmallFile(files.chain);
  if (!chain.ok()) return chain.status();
  auto key = ReadSmallFile(files.key);
  if (!key.ok()) return key.status();
  const auto certificates = ReadCertificates(files.chain, *chain);
  if (!certificates.ok()) return certificates.status();
  const auto private_key = ReadKey(files.key, *key);
  if (!private_key.ok()) return private_key.status();
  const bool fits = X509_check_private_key(certificates->front().get(),
                                           private_key->get()) == 1;
  ERR_clear_error();
  if (!fits) {
    return Bad(files.key, absl::StrCat("is not the key of the certificate in ",
                                       files.chain));
  }
  const auto expires = CheckChain(files.chain, *certificates, now);
  if (!expires.ok()) return expires.status();
  std::string client_ca;
  if (!files.client_ca.empty()) {
    auto text = ReadSmallFile(files.client_ca);
    if (!text.ok()) return text.status();
    const auto authorities = ReadCertificates(files.client_ca, *text);
    if (!authorities.ok()) return authorities.status();
    client_ca = *std::move(text);
  }
  return TlsMaterial{.chain = *std::move(chain),
                     .key = *std::move(key),
                     .client_ca = std::move(client_ca),
                     .expires = *expires};
}

}  // namespace leasehold
