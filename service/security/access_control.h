// AccessControl: the gatekeeper that a policy describes.
//
// A call is made by whoever its credential says: a bearer token in its metadata
// `authorization`, or else the certificate of its connection, or else nobody,
// whom the policy may let in as `anonymous`. The role that its method asks for
// then decides, and the limits of the tenant. Credentials are looked at for
// each call, never once a connection: calls of many callers may share one.
//
// An embedder has the same, in one call and an option:
//
//   auto access = leasehold::AccessControl::Open("policy.json", clock);
//   leasehold::Instances instances({.gatekeeper = access->get()});
//
// Thread-safety: safe.   Lifetime: the clock outlives it; it outlives the
// server.
#ifndef LEASEHOLD_SERVICE_SECURITY_ACCESS_CONTROL_H_
#define LEASEHOLD_SERVICE_SECURITY_ACCESS_CONTROL_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lease/base/cells.h"
#include "lease/base/mutex.h"
#include "lease/clock.h"
#include "service/rpc/gatekeeper.h"
#include "service/security/access_rules.h"
#include "service/security/credentials.h"
#include "service/security/tenant_use.h"

namespace leasehold {

class AccessControl final : public Gatekeeper {
 public:
  AccessControl(AccessRules rules, const Clock& clock);
  ~AccessControl() override;

  // With the policy in that file.
  //   InvalidArgument: as ReadAccessRules.
  static absl::StatusOr<std::unique_ptr<AccessControl>> Open(
      const std::string& policy_path, const Clock& clock);

  // These rules count from now on. Have open streams
  // asked about again then (RpcRuntime::AskAgain).
  void Set(AccessRules rules) ABSL_LOCKS_EXCLUDED(mu_);

  absl::Status Admit(const grpc::ServerContextBase& call,
                     const MethodInfo& method,
                     std::shared_ptr<const Caller>& caller) override;
  absl::Status AdmitStill(const grpc::ServerContextBase& call,
                          const MethodInfo& method,
                          const Caller& before) override;
  absl::Status AdmitStill(const Credentials& shown, const MethodInfo& method,
                          const Caller& before);
  // What the policy says; else a fair share of `all` for each tenant in which
  // somebody may act, but no less than a connection may have.
  size_t KeptBytesMax(const std::string& tenant, size_t all,
                      size_t connection) const override;

  // The same for a call that came by another door than gRPC's.
  absl::Status Admit(const Credentials& shown, const MethodInfo& method,
                     std::shared_ptr<const Caller>& caller);
  // The same for a part of what was admitted for `known`: he has shown who he
  // is.
  absl::Status AdmitAgain(const std::shared_ptr<const Caller>& known,
                          const MethodInfo& method,
                          std::shared_ptr<const Caller>& caller);
  // The same for one that showed a capability for something of `tenant`, which
  // was checked: it is made by a user of that tenant.
  //   Unauthenticated: the policy does not know the tenant any more.
  absl::Status AdmitCapability(const std::string& tenant,
                               const MethodInfo& method,
                               std::shared_ptr<const Caller>& caller);

  // How many contexts the tenant may have at once; 0: as many as it likes.
  uint64_t ContextsMax(const std::string& tenant) const;
  // How many orchestrations that callers began it may have open; 0: the same.
  uint64_t OpenOrchestrationsMax(const std::string& tenant) const;
  // How many bytes it may have in the store; 0: the same.
  uint64_t StoredBytesMax(const std::string& tenant) const;
  // By tenant: what those of the policy, now or before, have called, and what
  // their limits have refused.
  std::map<std::string, TenantUse::Counts> Uses() const
      ABSL_LOCKS_EXCLUDED(mu_);
  // How the calls of a tenant have ended, over gRPC and HTTP, but for what the
  // dashboard asks for. All 0 for a tenant that the policy never had.
  CallOutcomes::Counts EndedCalls(const std::string& tenant) const
      ABSL_LOCKS_EXCLUDED(mu_);
  // How many calls were refused because nobody, or nobody with the role for
  // them, had made them.
  uint64_t unauthenticated() const { return unauthenticated_.value(); }
  uint64_t denied() const { return denied_.value(); }
  // When its oldest capability URLs may have been made (Capabilities::Check).
  absl::Time UrlsNotBefore(const std::string& tenant) const;

  // A token for calls that this process makes to itself, as a user of the
  // tenant that each names as its `taskhub`. It is worth nothing elsewhere.
  const std::string& process_token() const { return process_token_; }

 private:
  class Judge;

  std::shared_ptr<const Judge> judge() const ABSL_LOCKS_EXCLUDED(mu_);
  // As Admit, but for the limits.
  absl::Status Identify(const Judge& judge, const Credentials& shown,
                        const MethodInfo& method,
                        std::shared_ptr<const Caller>& caller) const;
  // The limits of the caller's tenant.
  absl::Status Enter(const Judge& judge, const MethodInfo& method,
                     std::shared_ptr<const Caller>& caller) const;

  const Clock& clock_;
  const std::string process_token_;
  mutable SharedCell unauthenticated_;
  mutable SharedCell denied_;

  mutable Mutex mu_;
  // By tenant; what was used stays used when the rules change.
  std::map<std::string, std::shared_ptr<TenantUse>> uses_ ABSL_GUARDED_BY(mu_);
  std::shared_ptr<const Judge> judge_ ABSL_GUARDED_BY(mu_);
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_SECURITY_ACCESS_CONTROL_H_
