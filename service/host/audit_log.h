// AuditLog: who did which change to what, allowed or refused, a line of JSON
// each; without payloads and without credentials.
//
//   {"time":…,"severity":"INFO","event":"done","method":"leasehold.v1.…",
//    "identity":"shop","known_by":"token","tenant":"acme","peer":"ipv4:…",
//    "instance_id":"order-1","code":"OK"}
//
// What changes something is what users and operators do, but for echoes, and
// whoever signs in or out over HTTP; what workers answer is in the histories.
// An event is `done`, `failed` or `refused`. What the gatekeeper refuses is
// noted whatever it is; strangers can cause as many of these lines as they
// like, so beyond a bound they are counted, apart from those of callers who are
// known.
//
// Thread-safety: safe.   Lifetime: the clock outlives it; it outlives the
// server.
#ifndef LEASEHOLD_SERVICE_HOST_AUDIT_LOG_H_
#define LEASEHOLD_SERVICE_HOST_AUDIT_LOG_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "lease/base/mutex.h"
#include "lease/clock.h"
#include "service/host/line_budget.h"
#include "service/network/caller_addresses.h"
#include "service/rpc/call_witness.h"

namespace leasehold {

class LineWriter;

class AuditLog final : public CallWitness {
 public:
  // A call as the log has it.
  struct Entry {
    const MethodInfo& method;
    const Caller* caller;  // Null: nobody is known.
    std::string known_by;  // Empty: as the caller says.
    bool refused;
    std::string peer;
    std::string instance_id;
    absl::StatusCode code;
  };

  // Appends to the file; creates it, for this user only, if it is not there.
  // `instance_header`: in which calls name instances.
  //   InvalidArgument: it cannot be written.
  static absl::StatusOr<std::unique_ptr<AuditLog>> Open(
      std::string path, std::string instance_header, const Clock& clock);
  ~AuditLog() override;

  // Callers are named as these say, if they come through a trusted proxy. Call
  // it before the server serves; `callers` outlives the server.
  void UseCallers(const CallerAddresses& callers) { callers_ = &callers; }

  // Goes on in the file that has the name now, after it was moved away.
  //   InvalidArgument: it cannot be written, and the old one is used on.
  absl::Status Reopen() ABSL_LOCKS_EXCLUDED(mu_);
  // Whether lines were lost, as on a full disk; Reopen goes on.
  bool failed() ABSL_LOCKS_EXCLUDED(mu_);

  bool Watches(const MethodInfo& method) const override;
  void OnEnd(const CallReport& report) override ABSL_LOCKS_EXCLUDED(mu_);
  // The same for a call that did not come over gRPC.
  void Note(const Entry& entry) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  class File;

  AuditLog(std::string path, std::string instance_header, const Clock& clock,
           std::shared_ptr<File> file);
  static absl::StatusOr<std::shared_ptr<File>> OpenFile(const std::string& path,
                                                        const Clock& clock);

  const std::string path_;
  const std::string instance_header_;
  const Clock& clock_;
  // Of refusals.
  LineBudget strangers_;
  LineBudget known_;
  const CallerAddresses* callers_ = nullptr;

  Mutex mu_;
  std::shared_ptr<File> file_ ABSL_GUARDED_BY(mu_);
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HOST_AUDIT_LOG_H_
