#include "client/wire/tls.h"

#include <cstddef>
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
  if (!status.ok()) return status;
  return grpc::SslCredentials(made);
}

}  // namespace leasehold::client
