#include "client/wire/tls.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <cstddef>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "lease/base/small_file.h"

namespace leasehold::client {
namespace {

// The text of a PEM file whose first block has a label that ends with `label`.
absl::StatusOr<std::string> ReadPem(const std::string& path,
                                    const std::string& label) {
  absl::StatusOr<std::string> text = ReadSmallFile(path);
  if (!text.ok()) return text;
  const size_t begin = text->find("-----BEGIN ");
  const size_t end = begin == std::string::npos
                         ? begin
                         : text->find("-----", begin + sizeof("-----BEGIN"));
  if (end == std::string::npos ||
      !absl::EndsWith(absl::string_view(*text).substr(0, end), label)) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": is not a PEM file that begins with a ", label));
  }
  return text;
}

std::unique_ptr<BIO, decltype(&BIO_free)> BioOf(const std::string& pem) {
  return {BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), &BIO_free};
}

// Without this, OpenSSL asks for a passphrase on the terminal.
int NoPassphrase(char*, int, int, void*) { return -1; }

// gRPC would only say that it has no address to connect to.
absl::Status CheckPair(const TlsOptions& options,
                       const grpc::SslCredentialsOptions& made) {
  const std::unique_ptr<X509, decltype(&X509_free)> certificate(
      PEM_read_bio_X509(BioOf(made.pem_cert_chain).get(), nullptr,
                        &NoPassphrase, nullptr),
      &X509_free);
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(
      PEM_read_bio_PrivateKey(BioOf(made.pem_private_key).get(), nullptr,
                              &NoPassphrase, nullptr),
      &EVP_PKEY_free);
  const bool fits = certificate != nullptr && key != nullptr &&
                    X509_check_private_key(certificate.get(), key.get()) == 1;
  ERR_clear_error();
  if (certificate == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat(options.cert, ": its certificate cannot be read"));
  }
  if (key == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat(options.key,
                     ": its key cannot be read; it must be one without a "
                     "passphrase"));
  }
  if (!fits) {
    return absl::InvalidArgumentError(absl::StrCat(
        options.key, ": is not the key of the certificate in ", options.cert));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> TlsCredentials(
    const TlsOptions& options) {
  if (options.cert.empty() != options.key.empty()) {
    return absl::InvalidArgumentError(
        "a certificate and its key go together: give both or none");
  }
  grpc::SslCredentialsOptions made;
  const auto read = [](const std::string& path, const std::string& label,
                       std::string& into) {
    if (path.empty()) return absl::OkStatus();
    auto text = ReadPem(path, label);
    if (!text.ok()) return text.status();
    into = *std::move(text);
    return absl::OkStatus();
  };
  absl::Status status = read(options.ca, "CERTIFICATE", made.pem_root_certs);
  if (status.ok()) {
    status = read(options.cert, "CERTIFICATE", made.pem_cert_chain);
  }
  if (status.ok()) {
    status = read(options.key, "PRIVATE KEY", made.pem_private_key);
  }
  if (status.ok() && !options.cert.empty()) status = CheckPair(options, made);
  if (!status.ok()) return status;
  return grpc::SslCredentials(made);
}

}  // namespace leasehold::client
