// Policy: who is who, and what each may do, as an operator writes it down.
//
//   {
//     "tenants": {"acme": {}, "globex": {"starts_per_second": 50}},
//     "identities": {
//       "shop":   {"tenant": "acme", "roles": ["user", "worker"]},
//       "ops":    {"tenant": "acme", "roles": ["operator"],
//                  "task_hubs": ["globex"]},
//       "report": {"tenant": "globex", "roles": ["viewer"],
//                  "certificates": ["spiffe://globex.example/report"]}
//     },
//     "token_file": "tokens"
//   }
//
// Whatever is not written there is refused. So is a policy with a member that
// is not known: a word that is misspelt would otherwise grant, or limit,
// nothing; and one with two members of one name, of which only the last would
// count.
//
// `urls_not_before` of a tenant is a time, as 2026-11-30T12:00:00Z: its
// capability URLs (capability.h) that were made before it are void.
//
// Thread-safety: values; ParsePolicy is safe.
#ifndef LEASEHOLD_SERVICE_SECURITY_POLICY_H_
#define LEASEHOLD_SERVICE_SECURITY_POLICY_H_

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "service/rpc/caller.h"
#include "service/rpc/method_info.h"

namespace leasehold {

// Somebody whom the policy knows.
struct Identity {
  std::string tenant{kDefaultTenant};
  Roles roles;
  // Other tenants in which it may act, if its calls name one as their
  // `taskhub`.
  std::vector<std::string> task_hubs;
  // It sees the numbers of the whole server (`/metrics`, `leasehold top`), of
  // all tenants, not only those of its own.
  bool server_stats = false;
  // Names in certificates that are this identity's: `spiffe://...`, `dns:...`
  // or `cn:...`.
  std::vector<std::string> certificates;
};

// Whose JSON web tokens are believed.
struct JwtIssuer {
  std::string issuer;
  std::string audience;
  std::string jwks_file;
  std::vector<std::string> algorithms = {"RS256", "ES256"};
  // The claim that names the tenant; empty: it is `tenant`.
  std::string tenant_claim;
  std::string tenant;
  std::vector<std::string> tenants;  // Those that the claim may name.
  std::string roles_claim = "roles";
  // What the issuer calls a role, and what it is here. Others are none.
  std::map<std::string, Roles> role_map;
};

// How much a tenant may do, and have, at once. 0: as much as the server can.
struct TenantLimits {
  // Calls a second, by class; those of a class that is essential have none.
  std::array<double, kCallClasses> rates = {};
  // Calls that stay open, by how they do.
  std::array<uint64_t, kLastings> open = {};
  uint64_t contexts = 0;
  // Of those that callers began.
  uint64_t open_orchestrations = 0;
  uint64_t stored_bytes = 0;
  uint64_t kept_bytes = 0;

  friend bool operator==(const TenantLimits&, const TenantLimits&) = default;
};

// What those limits are called: `starts_per_second`, `watches`.
std::string RateName(CallClass call_class);
std::string OpenName(Lasting lasting);

struct Policy {
  // Of these names every tenant in the policy is one; `default` always is.
  std::map<std::string, TenantLimits> tenants;
  // By tenant: capability URLs that were made before are void.
  std::map<std::string, absl::Time> urls_not_before;
  std::map<std::string, Identity> identities;
  // Whoever shows nothing at all; nullopt: is refused.
  std::optional<Identity> anonymous;
  std::vector<JwtIssuer> jwt;
  std::string token_file;  // Empty: there are no tokens.
};

//   InvalidArgument: it is not JSON, or not a policy; the message says where,
//     what is wrong, and what would be right.
absl::StatusOr<Policy> ParsePolicy(std::string_view text);

// Whether tenants and identities may have this name: 1 to 64 letters, digits,
// `.`, `-` and `_`.
bool IsPolicyName(std::string_view name);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_SECURITY_POLICY_H_
