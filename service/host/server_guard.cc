#include "service/host/server_guard.h"

#include <utility>

namespace leasehold {

absl::StatusOr<std::unique_ptr<ServerGuard>> ServerGuard::Open(
    const ServerOptions& options, const Clock& clock, ServerLog& log) {
  std::unique_ptr<ServerGuard> guard(new ServerGuard(log));
  if (options.uses_tls()) {
    auto tls = ServerTls::Open(
        options.tls,
        options.tls.client_ca.empty() ? ClientAuth::kNone : options.client_auth,
        clock, log);
    if (!tls.ok()) return tls.status();
    guard->tls_ = *std::move(tls);
  }
  if (options.knows_callers()) {
    auto access = ServerAccess::Open(options.policy, clock, log);
    if (!access.ok()) return access.status();
    guard->access_ = *std::move(access);
  }
  if (!options.audit_log.empty()) {
    auto audit =
        AuditLog::Open(options.audit_log, options.instance_header.text, clock);
    if (!audit.ok()) return audit.status();
    guard->audit_ = *std::move(audit);
  }
  return guard;
}

void ServerGuard::Prepare(ServerHost& host) const {
  if (tls_ != nullptr) host.UseTls(tls_->credentials());
  if (audit_ != nullptr) audit_->UseCallers(host.callers());
}

std::vector<std::string> ServerGuard::tenants() const {
  if (access_ != nullptr) return access_->tenants();
  return {std::string(kDefaultTenant)};
}

std::string ServerGuard::process_token() const {
  return access_ == nullptr ? "" : access_->gatekeeper().process_token();
}

void ServerGuard::ReopenAudit() {
  if (const absl::Status status = audit_->Reopen(); !status.ok()) {
    log_.Warning("audit_log_kept", {{"reason", std::string(status.message())}});
  }
}

void ServerGuard::OnHangUp(ServerHost& host) {
  if (audit_ != nullptr) ReopenAudit();
  LookAgain(host);
}

void ServerGuard::LookAgain(ServerHost& host) {
  if (audit_ != nullptr && audit_->failed()) {
    log_.Error("audit_log_failed",
               {{"message", "it could not be written: lines are lost"}});
    ReopenAudit();
  }
  if (tls_ != nullptr) tls_->LookAgain();
  if (access_ != nullptr) access_->LookAgain([&host] { host.AskAgain(); });
  if (look_again_) look_again_();
}

}  // namespace leasehold
