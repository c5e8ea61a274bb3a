#include "tests/network/test_certificates.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <cstdlib>

namespace leasehold {
namespace {

void Must(bool done) {
  if (done) return;
  std::fputs("TestCertificate: OpenSSL failed\n", stderr);
  std::abort();
}

std::string TextOf(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);  // NOLINT(google-runtime-int)
  std::string text(data, static_cast<size_t>(size));
  BIO_free(bio);
  return text;
}

void Extend(X509* certificate, int what, const std::string& value) {
  X509_EXTENSION* made =
      X509V3_EXT_conf_nid(nullptr, nullptr, what, value.c_str());
  Must(made != nullptr && X509_add_ext(certificate, made, -1) == 1);
  X509_EXTENSION_free(made);
}

}  // namespace

TestCertificate::TestCertificate(const std::string& name,
                                 const Options& options,
                                 const TestCertificate* issuer)
    : key_(EVP_EC_gen("P-256"), &EVP_PKEY_free),
      certificate_(X509_new(), &X509_free) {
  Must(key_ != nullptr && certificate_ != nullptr);
  static int number = 0;
  X509* made = certificate_.get();
  const TestCertificate& by = issuer == nullptr ? *this : *issuer;
  X509_NAME* subject = X509_get_subject_name(made);
  Must(X509_set_version(made, 2) == 1 &&
       ASN1_INTEGER_set(X509_get_serialNumber(made), ++number) == 1 &&
       ASN1_TIME_set(X509_getm_notBefore(made), absl::ToTimeT(options.from)) !=
           nullptr &&
       ASN1_TIME_set(X509_getm_notAfter(made), absl::ToTimeT(options.to)) !=
           nullptr &&
       X509_set_pubkey(made, key_.get()) == 1 &&
       X509_NAME_add_entry_by_txt(
           subject, "CN", MBSTRING_UTF8,
           reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1,
           0) == 1 &&
       X509_set_issuer_name(made,
                            X509_get_subject_name(by.certificate_.get())) == 1);
  if (options.is_ca) {
    Extend(made, NID_basic_constraints, "critical,CA:TRUE");
  } else {
    Extend(made, NID_subject_alt_name, "DNS:" + options.host);
  }
  Must(X509_sign(made, by.key_.get(), EVP_sha256()) > 0);
}

std::string TestCertificate::certificate_pem() const {
  BIO* bio = BIO_new(BIO_s_mem());
  Must(PEM_write_bio_X509(bio, certificate_.get()) == 1);
  return TextOf(bio);
}

std::string TestCertificate::key_pem(const std::string& passphrase) const {
  BIO* bio = BIO_new(BIO_s_mem());
  Must(PEM_write_bio_PrivateKey(
           bio, key_.get(), passphrase.empty() ? nullptr : EVP_aes_256_cbc(),
           nullptr, 0, nullptr,
           passphrase.empty() ? nullptr
                              : const_cast<char*>(passphrase.c_str())) == 1);
  return TextOf(bio);
}

}  // namespace leasehold
