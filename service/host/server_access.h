// ServerAccess: who may call the server, by files that may change while it
// serves.
//
// Rules that are not right change nothing: the last good ones stay, and the log
// says why.
//
// Thread-safety: one thread, but the gatekeeper, which is safe.   Lifetime:
// clock and log outlive it; it outlives the grpc::Server.
#ifndef LEASEHOLD_SERVICE_HOST_SERVER_ACCESS_H_
#define LEASEHOLD_SERVICE_HOST_SERVER_ACCESS_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lease/clock.h"
#include "service/host/refused_files.h"
#include "service/host/server_log.h"
#include "service/security/access_control.h"

namespace leasehold {

class ServerAccess {
 public:
  // How often open streams are looked at again although no file has changed: a
  // token may have expired.
  static constexpr absl::Duration kAskAgain = absl::Minutes(1);

  //   InvalidArgument: the files are not right (ReadAccessRules).
  static absl::StatusOr<std::unique_ptr<ServerAccess>> Open(
      std::string policy_path, const Clock& clock, ServerLog& log);

  // Reads the files again; what has changed and is right counts from now on.
  // `ask_again` is called if open streams should be looked at again.
  void LookAgain(const std::function<void()>& ask_again);

  AccessControl& gatekeeper() { return control_; }
  // All tenants of the policy.
  const std::vector<std::string>& tenants() const { return tenants_; }

 private:
  ServerAccess(std::string policy_path, AccessRules rules, const Clock& clock,
               ServerLog& log);
  void Note(const AccessRules& rules, const char* event);

  const std::string policy_path_;
  const Clock& clock_;
  ServerLog& log_;
  std::string content_;  // Of the files that count.
  std::vector<std::string> tenants_;
  AccessControl control_;
  RefusedFiles refused_;
  Instant asked_;  // When streams were last looked at again.
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HOST_SERVER_ACCESS_H_
