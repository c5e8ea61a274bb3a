// Capabilities: what lets the holder of a URL do a few things to one instance,
// for a while, without any other credential.
//
//   c1.KEYID.VERBS.MADE.EXP.MAC
//
//   VERBS  a letter each (CapabilityVerb), in that order
//   MADE   when it was made, in seconds since 1970
//   EXP    the same: from then on it is refused
//   MAC    base64url of HMAC-SHA-256(key, "leasehold-url-1" || length of
//          tenant, tenant || length of ID, ID || VERBS "." MADE "." EXP);
//          lengths have eight bytes, little-endian
//
// Tenant and ID are not in it: it is good for the instance whose URL it is a
// part of, by the ID as it is after decoding. It cannot be revoked by itself:
// it expires; the keys rotate (capability_keys.h), for all tenants; and a
// tenant's URLs of before some moment can be made void (its `urls_not_before`
// in the policy). MADE is there for that. The alternative, that moment as a
// part of what is signed, would need no MADE, but each new moment would void
// all URLs, also those made since. Whoever logs a URL must leave its value out.
//
// Thread-safety: safe.   Lifetime: the clock outlives it.
#ifndef LEASEHOLD_SERVICE_SECURITY_CAPABILITY_H_
#define LEASEHOLD_SERVICE_SECURITY_CAPABILITY_H_

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lease/base/mutex.h"
#include "lease/clock.h"
#include "service/security/capability_keys.h"

namespace leasehold {

// What a capability allows, of one instance. There is none to list, to purge,
// or for entities.
enum class CapabilityVerb : char {
  kStatus = 's',
  kHistory = 'h',  // And payloads.
  kRaiseEvent = 'e',
  kTerminate = 't',
  kSuspend = 'u',
  kResume = 'r',
};

// The instance that a capability is for.
struct CapabilityTarget {
  std::string_view tenant;
  std::string_view instance_id;  // Decoded.
};

class Capabilities {
 public:
  Capabilities(CapabilityKeys keys, absl::Duration lifetime_max,
               const Clock& clock);

  // For how long URLs are good that were not asked to be good for less.
  absl::Duration lifetime_max() const { return lifetime_max_; }

  // From now on these keys sign and are valid. Whether they are others than
  // before.
  bool SetKeys(CapabilityKeys keys) ABSL_LOCKS_EXCLUDED(mu_);

  // A capability for `verbs`, each a letter; order and repetition do not count.
  //   InvalidArgument: there is no verb, a letter is none, or `lifetime` is
  //     below a second or above the maximum.
  absl::StatusOr<std::string> Make(const CapabilityTarget& target,
                                   std::string_view verbs,
                                   absl::Duration lifetime) const
      ABSL_LOCKS_EXCLUDED(mu_);

  // OK: Make has made `code` for `target` and for `verb` among others, with a
  // key that is still valid, not before `not_before` (the second in which it
  // was made counts), and it has not expired.
  //   Unauthenticated: it is anything else; the text is the same for every
  //   cause.
  absl::Status Check(std::string_view code, const CapabilityTarget& target,
                     CapabilityVerb verb, absl::Time not_before) const
      ABSL_LOCKS_EXCLUDED(mu_);

 private:
  std::shared_ptr<const CapabilityKeys> keys() const ABSL_LOCKS_EXCLUDED(mu_);

  // Constant after construction.
  const absl::Duration lifetime_max_;
  const Clock& clock_;

  mutable Mutex mu_;
  std::shared_ptr<const CapabilityKeys> keys_ ABSL_GUARDED_BY(mu_);
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_SECURITY_CAPABILITY_H_
