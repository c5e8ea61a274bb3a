// SessionIdentity: which instance a session means, and what it knows of it.
//
// All calls of a session bear one ID. If none was given, the first call gets
// one from the server; until that call is back, and while the one call that
// says `expect` is on its way, the others wait. A call that failed leaves it to
// the next to be the first.
//
// Thread-safety: safe.   Lifetime: what the callback refers to outlives it.
#ifndef LEASEHOLD_CLIENT_SESSION_IDENTITY_H_
#define LEASEHOLD_CLIENT_SESSION_IDENTITY_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/instance_metadata.h"
#include "client/mutex.h"
#include "grpcpp/client_context.h"

namespace leasehold::client {

class SessionIdentity {
 public:
  struct Options {
    // Empty: the server makes one.
    std::string instance_id;
    std::optional<absl::Duration> idle_timeout;
    Expect expect = Expect::kAny;
    std::function<void(uint64_t before, uint64_t after)> on_generation_change;
  };

  explicit SessionIdentity(Options options);
  SessionIdentity(const SessionIdentity&) = delete;
  SessionIdentity& operator=(const SessionIdentity&) = delete;

  // Adds the session's metadata to a call that is about to start; blocks while
  // another call is the first. OK: Learn or
  // Forget will be called for it. DEADLINE_EXCEEDED: the first call is not back
  // yet; nothing was added.
  absl::Status Prepare(grpc::ClientContext& context,
                       std::chrono::system_clock::time_point deadline)
      ABSL_LOCKS_EXCLUDED(mu_);

  // A generation that came after another.
  struct Change {
    uint64_t before = 0;
    uint64_t after = 0;
  };

  // Takes in what the call of `context` has shown, and lets those that wait for
  // it go on. If the generation has changed, the caller passes it to Announce,
  // holding no lock.
  [[nodiscard]] std::optional<Change> Learn(
      const grpc::ClientContext& context,
      const std::optional<std::string>& instance_id,
      std::optional<uint64_t> generation) ABSL_LOCKS_EXCLUDED(mu_);
  void Announce(const std::optional<Change>& change) const;
  // The same for a call that came to nothing: another may be the first.
  void Forget(const grpc::ClientContext& context) ABSL_LOCKS_EXCLUDED(mu_);
  // The same for what no call of Prepare has shown, as a renewed lease.
  [[nodiscard]] std::optional<Change> LearnGeneration(uint64_t generation)
      ABSL_LOCKS_EXCLUDED(mu_);

  // Whether the ID is known and the first call is done.
  bool opened() const ABSL_LOCKS_EXCLUDED(mu_);
  // Empty: not known yet.
  std::string instance_id() const ABSL_LOCKS_EXCLUDED(mu_);
  // The highest seen. 0: none yet.
  uint64_t generation() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  std::optional<Change> LearnGenerationLocked(uint64_t generation)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // Constant after construction.
  const Options options_;

  // Synchronises itself.
  CondVar first_call_done_;

  // Guarded by mu_.
  mutable Mutex mu_;
  std::string instance_id_ ABSL_GUARDED_BY(mu_);
  uint64_t generation_ ABSL_GUARDED_BY(mu_) = 0;
  // The ID is known, and what only the first call says has been said.
  bool opened_ ABSL_GUARDED_BY(mu_);
  // The first call while it is on its way; an identity, never followed.
  const grpc::ClientContext* first_call_ ABSL_GUARDED_BY(mu_) = nullptr;
};

}  // namespace leasehold::client

#endif  // LEASEHOLD_CLIENT_SESSION_IDENTITY_H_
