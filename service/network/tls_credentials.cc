#include "service/network/tls_credentials.h"

#include <grpc/grpc.h>
#include <grpc/grpc_security.h>

#include <cstdint>
#include <list>
#include <string>
#include <utility>

#include "lease/base/mutex.h"

namespace leasehold {

namespace {

grpc_ssl_client_certificate_request_type RequestOf(ClientAuth auth) {
  switch (auth) {
    case ClientAuth::kNone:
      return GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE;
    case ClientAuth::kOptional:
      return GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_AND_VERIFY;
    case ClientAuth::kRequire:
      break;
  }
  return GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY;
}

}  // namespace

class TlsCredentials::Current {
 public:
  Current(TlsMaterial material, ClientAuth client_auth)
      : client_auth_(client_auth), material_(std::move(material)) {}

  void Set(TlsMaterial material) {
    const MutexLock lock(mu_);
    material_ = std::move(material);
    ++number_;
  }

  // gRPC asks it for the material of one listener, at each handshake.
  grpc_server_credentials* ForListener() {
    const MutexLock lock(mu_);
    listeners_.push_back({.current = this, .has = 0});
    return grpc_ssl_server_credentials_create_with_options(
        grpc_ssl_server_credentials_create_options_using_config_fetcher(
            RequestOf(client_auth_), &Fetch, &listeners_.back()));
  }

 private:
  struct Listener {
    Current* current;
    uint64_t has;  // The number of the material that it has.
  };

  static grpc_ssl_certificate_config_reload_status Fetch(
      void* listener, grpc_ssl_server_certificate_config** config) {
    auto& asking = *static_cast<Listener*>(listener);
    return asking.current->Give(asking, config);
  }

  grpc_ssl_certificate_config_reload_status Give(
      Listener& asking, grpc_ssl_server_certificate_config** config) {
    const MutexLock lock(mu_);
    if (asking.has == number_) {
      return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
    }
    asking.has = number_;
    const grpc_ssl_pem_key_cert_pair pair = {material_.key.c_str(),
                                             material_.chain.c_str()};
    // gRPC asserts that there are roots, even if it asks for no certificate.
    const std::string& roots =
        material_.client_ca.empty() ? material_.chain : material_.client_ca;
    *config =
        grpc_ssl_server_certificate_config_create(roots.c_str(), &pair, 1);
    return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW;
  }

  const ClientAuth client_auth_;
  Mutex mu_;
  TlsMaterial material_ ABSL_GUARDED_BY(mu_);
  uint64_t number_ ABSL_GUARDED_BY(mu_) = 1;  // Of the material.
  std::list<Listener> listeners_ ABSL_GUARDED_BY(mu_);
};

// What a grpc::ServerBuilder takes.
class TlsCredentials::Credentials final : public grpc::ServerCredentials {
 public:
  explicit Credentials(std::shared_ptr<Current> current)
      : current_(std::move(current)) {}

  // Callers are known by the doors, call by call.
  void SetAuthMetadataProcessor(
      const std::shared_ptr<grpc::AuthMetadataProcessor>&) override {}

 private:
  int AddPortToServer(const std::string& address,
                      grpc_server* server) override {
    grpc_server_credentials* made = current_->ForListener();
    const int port = grpc_server_add_http2_port(server, address.c_str(), made);
    grpc_server_credentials_release(made);
    return port;
  }

  const std::shared_ptr<Current> current_;
};

TlsCredentials::TlsCredentials(TlsMaterial material, ClientAuth client_auth)
    : current_(std::make_shared<Current>(std::move(material), client_auth)) {}

void TlsCredentials::Set(TlsMaterial material) {
  current_->Set(std::move(material));
}

std::shared_ptr<grpc::ServerCredentials> TlsCredentials::ForServer() const {
  return std::make_shared<Credentials>(current_);
}

}  // namespace leasehold
