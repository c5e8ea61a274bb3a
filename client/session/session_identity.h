// SessionIdentity: which instance a session means, and what it knows about it.
//
// All calls of a session carry the same ID. If none was given, the first call
// gets one from the server. Until that call has returned, and while the one
// call that sends `expect` is pending, the other calls wait. If the first call
// fails, the next one takes its place.
//
// Thread-safety: safe.   Lifetime: what the callback refers to outlives it.
#ifndef LEASEHOLD_CLIENT_SESSION_SESSION_IDENTITY_H_
#define LEASEHOLD_CLIENT_SESSION_SESSION_IDENTITY_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/wire/instance_metadata.h"
#include "grpcpp/client_context.h"
#include "lease/base/mutex.h"

namespace leasehold::client {

class SessionIdentity {
 public:
  struct Options {
    // If empty, the server makes an ID.
    std::string instance_id;
    std::optional<absl::Duration> idle_timeout;
    Expect expect = Expect::kAny;
    std::function<void(uint64_t before, uint64_t after)> on_generation_change;
  };

  explicit SessionIdentity(Options options);
  SessionIdentity(const SessionIdentity&) = delete;
  SessionIdentity& operator=(const SessionIdentity&) = delete;

  // Adds the session's metadata to a call that is about to start; blocks while
  // another call is the first. OK: the caller has to call Learn or Forget for
  // this call. DEADLINE_EXCEEDED: the first call has not returned yet; nothing
  // was added.
  absl::Status Prepare(grpc::ClientContext& context,
                       std::chrono::system_clock::time_point deadline)
      ABSL_LOCKS_EXCLUDED(mu_);

  // A change from one generation to another.
  struct Change {
    uint64_t before = 0;
    uint64_t after = 0;
  };

  // Learns ID and generation from the call of `context`, and wakes the calls
  // that wait for it. If the generation has changed, the caller passes the
  // result to Announce, without holding a lock.
  [[nodiscard]] std::optional<Change> Learn(
      const grpc::ClientContext& context,
      const std::optional<std::string>& instance_id,
      std::optional<uint64_t> generation) ABSL_LOCKS_EXCLUDED(mu_);
  void Announce(const std::optional<Change>& change) const;
  // The same for a call that failed: another one may be the first.
  void Forget(const grpc::ClientContext& context) ABSL_LOCKS_EXCLUDED(mu_);
  // The same for an answer to a call without Prepare, such as a renewed lease.
  [[nodiscard]] std::optional<Change> LearnGeneration(uint64_t generation)
      ABSL_LOCKS_EXCLUDED(mu_);

  // Whether the ID is known and the first call has returned.
  bool opened() const ABSL_LOCKS_EXCLUDED(mu_);
  // Empty until it is known.
  std::string instance_id() const ABSL_LOCKS_EXCLUDED(mu_);
  // The highest seen; 0 if none was.
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
  // The ID is known, and the server has got what only the first call sends.
  bool opened_ ABSL_GUARDED_BY(mu_);
  // The first call while it is pending; compared, never dereferenced.
  const grpc::ClientContext* first_call_ ABSL_GUARDED_BY(mu_) = nullptr;
};

}  // namespace leasehold::client

#endif  // LEASEHOLD_CLIENT_SESSION_SESSION_IDENTITY_H_
