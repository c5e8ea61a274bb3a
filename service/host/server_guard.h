// ServerGuard: all that stands between the server and strangers, as far as it
// comes from files: certificates, policy, audit log. Files are read again when
// they change.
//
// Thread-safety: one thread, but for what says so.   Lifetime: clock and log
// outlive it; it outlives the ServerHost.
#ifndef LEASEHOLD_SERVICE_HOST_SERVER_GUARD_H_
#define LEASEHOLD_SERVICE_HOST_SERVER_GUARD_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lease/clock.h"
#include "service/host/audit_log.h"
#include "service/host/server_access.h"
#include "service/host/server_host.h"
#include "service/host/server_log.h"
#include "service/host/server_options.h"
#include "service/host/server_tls.h"

namespace leasehold {

class ServerGuard {
 public:
  // With what the options name; without any of it, everybody who reaches the
  // server may do everything.
  //   InvalidArgument: a file is not right, or cannot be written.
  static absl::StatusOr<std::unique_ptr<ServerGuard>> Open(
      const ServerOptions& options, const Clock& clock, ServerLog& log);

  // For the ServerHost; null: there is none.
  AccessControl* access() const {
    return access_ == nullptr ? nullptr : &access_->gatekeeper();
  }
  CallWitness* witness() const { return audit_.get(); }
  AuditLog* audit() const { return audit_.get(); }
  // What the ServerHost needs beside these. Call it before it starts.
  void Prepare(ServerHost& host) const;

  // As ServerTls::Watch; without TLS nobody is ever told.
  void WatchTls(std::function<void(const TlsMaterial&)> watcher) const {
    if (tls_ != nullptr) tls_->Watch(std::move(watcher));
  }

  // As ServerTls::expires; nullopt: there is no TLS. On any thread.
  std::optional<absl::Time> certificate_expires() const {
    if (tls_ == nullptr) return std::nullopt;
    return tls_->expires();
  }

  // Has `hook` called by each LookAgain, for files of others that look like
  // these; in place of the one before. Null: none.
  void OnLookAgain(std::function<void()> hook) {
    look_again_ = std::move(hook);
  }

  // For the built-in worker: the tenants it works in, and the token that it
  // shows; empty: it needs none.
  std::vector<std::string> tenants() const;
  std::string process_token() const;

  // Whether LookAgain has something to look at.
  bool has_files() const {
    return tls_ != nullptr || access_ != nullptr || audit_ != nullptr;
  }
  // Somebody says that files have changed, or were moved away.
  void OnHangUp(ServerHost& host);
  // Reads the files again. What has changed and is right counts from now on.
  void LookAgain(ServerHost& host);

 private:
  explicit ServerGuard(ServerLog& log) : log_(log) {}
  void ReopenAudit();

  ServerLog& log_;
  // Each may be null.
  std::unique_ptr<ServerTls> tls_;
  std::unique_ptr<ServerAccess> access_;
  std::unique_ptr<AuditLog> audit_;
  std::function<void()> look_again_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HOST_SERVER_GUARD_H_
