// ServerTls: the server's certificate, key and clients' authorities, from files
// that may change while it serves.
//
// A pair that cannot serve changes nothing: the last good one stays, and the
// log says why.
//
// Thread-safety: one thread, but for what says so.   Lifetime: clock and log
// outlive it; it outlives the grpc::Server.
#ifndef LEASEHOLD_SERVICE_HOST_SERVER_TLS_H_
#define LEASEHOLD_SERVICE_HOST_SERVER_TLS_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lease/clock.h"
#include "service/host/refused_files.h"
#include "service/host/server_log.h"
#include "service/network/tls_credentials.h"
#include "service/network/tls_material.h"

namespace leasehold {

class ServerTls {
 public:
  //   InvalidArgument: the files cannot serve (ReadTlsMaterial).
  static absl::StatusOr<std::unique_ptr<ServerTls>> Open(TlsFiles files,
                                                         ClientAuth client_auth,
                                                         const Clock& clock,
                                                         ServerLog& log);

  // Reads the files again; what has changed and can serve is used from now on.
  void LookAgain();

  // Has `watcher` told of what is used, now and whenever it changes, on the
  // thread that calls LookAgain. Null: nobody.
  void Watch(std::function<void(const TlsMaterial&)> watcher);

  // When the certificate that serves now is valid no longer. On any thread.
  absl::Time expires() const { return absl::FromUnixSeconds(expires_); }

  std::shared_ptr<grpc::ServerCredentials> credentials() const {
    return credentials_.ForServer();
  }

 private:
  ServerTls(TlsFiles files, TlsMaterial material, ClientAuth client_auth,
            const Clock& clock, ServerLog& log);
  void LogMaterial(const char* event);

  const TlsFiles files_;
  const Clock& clock_;
  ServerLog& log_;
  TlsMaterial material_;
  std::atomic<int64_t> expires_;  // In seconds since 1970.
  TlsCredentials credentials_;
  std::function<void(const TlsMaterial&)> watcher_;
  RefusedFiles refused_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HOST_SERVER_TLS_H_
