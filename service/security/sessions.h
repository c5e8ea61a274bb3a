// Sessions: what lets a browser go on as whoever has signed in, without a token
// in its hands that a script could read.
//
// A session stands for the credential that it was opened with, which is asked
// about again at each request: a token that is revoked, that has expired, or
// that a policy no longer knows, ends what its sessions may do. Of a session's
// ID only the hash is kept.
//
// Sessions live in memory: a restart ends them, and browsers sign in again.
//
// Thread-safety: safe.   Lifetime: the clock outlives it.
#ifndef LEASEHOLD_SERVICE_SECURITY_SESSIONS_H_
#define LEASEHOLD_SERVICE_SECURITY_SESSIONS_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lease/base/mutex.h"
#include "lease/clock.h"
#include "service/security/secret.h"

namespace leasehold {

class Sessions {
 public:
  static constexpr absl::Duration kLifetime = absl::Hours(12);
  static constexpr size_t kSessionsMax = 10'000;
  // Of one credential; one more ends its oldest.
  static constexpr size_t kOfCredentialMax = 16;

  explicit Sessions(const Clock& clock) : clock_(clock) {}
  Sessions(const Sessions&) = delete;
  Sessions& operator=(const Sessions&) = delete;

  // The ID of a new session for `token`, which its caller has checked: 256
  // random bits in base64url.
  //   ResourceExhausted: there are kSessionsMax of other credentials.
  absl::StatusOr<std::string> Open(std::string_view token)
      ABSL_LOCKS_EXCLUDED(mu_);

  // The token that the session was opened with. nullopt: there is no such
  // session, or no longer.
  std::optional<std::string> TokenOf(std::string_view id) const
      ABSL_LOCKS_EXCLUDED(mu_);

  // Idempotent.
  void Close(std::string_view id) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct Session {
    std::string token;
    absl::Time expires;
  };

  void DropExpired(absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Ends the oldest of `token`, if it has as many as it may.
  void DropOldestOf(std::string_view token) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const Clock& clock_;

  mutable Mutex mu_;
  absl::flat_hash_map<SecretHash, Session> sessions_ ABSL_GUARDED_BY(mu_);
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_SECURITY_SESSIONS_H_
