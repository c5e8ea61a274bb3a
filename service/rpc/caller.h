// Caller, Role and Roles: on whose behalf a call is served, and what he may do.
//
// A Gatekeeper makes it once, when the call arrives; from then on it goes along
// with the call, and no other place decides whose instances a call may name.
//
// Thread-safety: values that do not change.
#ifndef LEASEHOLD_SERVICE_RPC_CALLER_H_
#define LEASEHOLD_SERVICE_RPC_CALLER_H_

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "service/rpc/call_outcomes.h"

namespace leasehold {

// What a method asks of its callers; those after kAnyRole are also what callers
// have.
enum class Role : uint8_t {
  kAnyone,    // Somebody of whom nothing is known.
  kAnyRole,   // Somebody who has any of the following roles.
  kViewer,    // Looks, and changes nothing.
  kUser,      // A viewer who also uses what is there.
  kWorker,    // Takes work and answers it.
  kOperator,  // May do everything.
};

// As in the policy file: `viewer`, `user`, `worker`, `operator`; `anyone`,
// `any role`.
std::string_view NameOf(Role role);
// nullopt: no role that callers have is called so.
std::optional<Role> RoleNamed(std::string_view name);

// A set of roles.
class Roles {
 public:
  constexpr Roles() = default;
  constexpr Roles(std::initializer_list<Role> roles) {
    for (const Role role : roles) Add(role);
  }
  static constexpr Roles All() {
    return {Role::kViewer, Role::kUser, Role::kWorker, Role::kOperator};
  }

  constexpr void Add(Role role) { bits_ |= BitOf(role); }
  constexpr void Add(Roles roles) { bits_ |= roles.bits_; }
  constexpr bool Has(Role role) const { return (bits_ & BitOf(role)) != 0; }
  constexpr bool empty() const { return bits_ == 0; }
  // Whether they are enough for what a method asks.
  constexpr bool Allow(Role asked) const {
    switch (asked) {
      case Role::kAnyone:
        return true;
      case Role::kAnyRole:
        return !empty();
      case Role::kViewer:
        return Has(Role::kViewer) || Has(Role::kUser) || Has(Role::kOperator);
      case Role::kUser:
      case Role::kWorker:
      case Role::kOperator:
        return Has(asked) || Has(Role::kOperator);
    }
    return false;
  }
  // `user, worker`.
  std::string ToString() const;

  friend constexpr bool operator==(Roles, Roles) = default;

 private:
  static constexpr uint8_t BitOf(Role role) {
    return static_cast<uint8_t>(1U << static_cast<unsigned>(role));
  }

  uint8_t bits_ = 0;
};

// The tenant of callers of whom nothing is known.
inline constexpr std::string_view kDefaultTenant = "default";

struct Caller {
  // How; `token`, `jwt`, `certificate`, `process` or `nothing` in a log.
  enum class KnownBy : uint8_t {
    kNothing,      // Anonymous.
    kToken,        // One of ours.
    kJwt,          // A token of somebody whom the policy trusts.
    kCertificate,  // Of its connection.
    kProcess,      // It is this process.
  };

  std::string name = {};  // Of the identity, for people. Empty: anonymous.
  std::string tenant = {};
  Roles roles = {};
  KnownBy known_by = KnownBy::kNothing;
  // Sees the numbers of the whole server, not only those of its tenant.
  bool sees_server = false;
  // Where the ends of its tenant's calls are counted; null: nowhere.
  std::shared_ptr<CallOutcomes> outcomes = {};
};

std::string_view NameOf(Caller::KnownBy how);

// Somebody of whom nothing is known, and who may do everything: the caller of a
// server without a gatekeeper. Never null.
std::shared_ptr<const Caller> Anonymous();

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_RPC_CALLER_H_
