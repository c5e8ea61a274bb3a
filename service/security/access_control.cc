#include "service/security/access_control.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/hash/hash.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "lease/base/quote.h"
#include "lease/base/view.h"
#include "service/security/secret.h"

namespace leasehold {
namespace {

using KnownBy = Caller::KnownBy;
using CallerPtr = std::shared_ptr<const Caller>;

constexpr char kAuthorization[] = "authorization";
constexpr char kTaskHub[] = "taskhub";
constexpr absl::string_view kBearer = "Bearer ";
// What SDKs send if nobody has chosen a task hub.
constexpr std::string_view kDefaultTaskHub = "default";
// Of how many web tokens something is remembered.
constexpr size_t kVerifiedMax = 10'000;

// nullopt: the call shows no token.
absl::StatusOr<std::optional<std::string_view>> BearerToken(
    const Credentials& shown) {
  auto value = shown.Only(kAuthorization);
  if (!value.ok() || !value->has_value()) return value;
  const absl::string_view text = View(**value);
  if (!absl::StartsWithIgnoreCase(text, kBearer) ||
      text.size() == kBearer.size()) {
    return absl::UnauthenticatedError(
        absl::StrCat("the ", View(shown.place()),
                     " authorization is not of the form `Bearer TOKEN`"));
  }
  return (*value)->substr(kBearer.size());
}

// A token that this thread has seen, as it was found: to hash a token again for
// each call costs more than all the rest of looking at it. (gRPC keeps tokens
// in memory too, for as long as their connections live.)
struct SeenToken {
  uint64_t judge = 0;  // Who has found it.
  std::string token = {};
  const TokenEntry* entry = nullptr;
};

// The place of tokens with that ID.
SeenToken& SeenLike(std::string_view token) {
  constexpr size_t kSlots = 64;
  thread_local std::array<SeenToken, kSlots> seen;
  return seen[absl::HashOf(View(token.substr(0, kTokenIdEnd))) % kSlots];
}

bool AreSame(std::string_view a, std::string_view b) {
  return a.size() == b.size() &&
         CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

absl::Status CheckRole(const Caller& caller, const MethodInfo& method) {
  if (caller.roles.Allow(method.role)) return absl::OkStatus();
  return absl::PermissionDeniedError(absl::StrCat(
      View(method.service), "/", View(method.name), " needs the role ",
      View(NameOf(method.role)), "; ",
      caller.known_by == KnownBy::kNothing ? "a caller without a credential"
                                           : QuoteForMessage(caller.name),
      " has ", caller.roles.empty() ? "none" : caller.roles.ToString()));
}

// Of whom nothing needs to be known.
const CallerPtr& Anyone() {
  static const auto& anyone = *new CallerPtr(
      new Caller{.tenant = std::string(kDefaultTenant), .roles = {}});
  return anyone;
}

// Judges have numbers, since an address may come again.
uint64_t NextJudge() {
  static std::atomic<uint64_t> last = 0;
  return ++last;
}

size_t CountTenantsInUse(const Policy& policy) {
  std::set<std::string> tenants;
  const auto add = [&tenants](const Identity& identity) {
    tenants.insert(identity.tenant);
    tenants.insert(identity.task_hubs.begin(), identity.task_hubs.end());
  };
  for (const auto& [name, identity] : policy.identities) add(identity);
  if (policy.anonymous.has_value()) add(*policy.anonymous);
  for (const JwtIssuer& issuer : policy.jwt) {
    if (!issuer.tenant.empty()) tenants.insert(issuer.tenant);
    tenants.insert(issuer.tenants.begin(), issuer.tenants.end());
  }
  return tenants.size();
}

}  // namespace

// What one set of rules says.
class AccessControl::Judge {
 public:
  // Adds to `uses` tenants that are new.
  Judge(AccessRules rules,
        std::map<std::string, std::shared_ptr<TenantUse>>& uses);

  absl::StatusOr<CallerPtr> Identify(const Credentials& shown, absl::Time now,
                                     std::string_view process_token) const;
  // `caller`, if his tenant may make one more such call.
  absl::StatusOr<CallerPtr> Enter(CallerPtr caller, const MethodInfo& method,
                                  Instant now) const;
  bool Knows(const std::string& tenant) const {
    return rules_.policy.tenants.contains(tenant);
  }
  TenantLimits LimitsOf(const std::string& tenant) const {
    const auto found = tenants_.find(tenant);
    return found == tenants_.end() ? TenantLimits{} : found->second.limits;
  }
  // Where calls of a tenant are counted; null: the policy does not know it.
  std::shared_ptr<CallOutcomes> OutcomesOf(const std::string& tenant) const {
    const auto found = tenants_.find(tenant);
    if (found == tenants_.end()) return nullptr;
    const std::shared_ptr<TenantUse>& use = found->second.use;
    return {use, &use->outcomes()};
  }
  // How many there are in which somebody may act.
  size_t TenantsInUse() const { return tenants_in_use_; }
  absl::Time UrlsNotBefore(const std::string& tenant) const {
    const auto& times = rules_.policy.urls_not_before;
    const auto found = times.find(tenant);
    return found == times.end() ? absl::InfinitePast() : found->second;
  }

 private:
  struct Tenant {
    TenantLimits limits;
    std::shared_ptr<TenantUse> use;
  };

  // An identity as its calls know it, by what it has shown.
  struct Known {
    const Identity* identity;
    CallerPtr by_token;
    CallerPtr by_certificate;
  };

  absl::StatusOr<CallerPtr> OfToken(std::string_view token,
                                    absl::Time now) const;
  absl::StatusOr<CallerPtr> OfOwnToken(std::string_view token,
                                       absl::Time now) const;
  absl::StatusOr<CallerPtr> OfJwt(std::string_view token, absl::Time now) const
      ABSL_LOCKS_EXCLUDED(mu_);
  absl::StatusOr<CallerPtr> OfClaims(const JwtIssuer& issuer,
                                     const JwtClaims& claims) const;
  CallerPtr OfCertificate(const Credentials& shown) const;
  absl::StatusOr<CallerPtr> OfProcess(const Credentials& shown) const;
  // `caller`, in the tenant that the call chooses among his.
  absl::StatusOr<CallerPtr> InTaskHub(const Credentials& shown,
                                      CallerPtr caller) const;
  absl::Status NoCredential(const Credentials& shown) const;

  const uint64_t number_ = NextJudge();
  const AccessRules rules_;
  absl::flat_hash_map<std::string, Known> identities_;
  absl::flat_hash_map<std::string, CallerPtr> certificates_;
  absl::flat_hash_map<std::string, Tenant> tenants_;
  CallerPtr anonymous_;  // Null: nobody may be.
  bool has_task_hubs_ = false;
  size_t tenants_in_use_ = 0;

  // What was found of web tokens, by their hash: to verify a signature takes
  // longer than most calls.
  struct Verified {
    CallerPtr caller;
    absl::Time expires;
  };
  mutable Mutex mu_;
  mutable absl::flat_hash_map<SecretHash, Verified> verified_
      ABSL_GUARDED_BY(mu_);
};

AccessControl::Judge::Judge(
    AccessRules rules, std::map<std::string, std::shared_ptr<TenantUse>>& uses)
    : rules_(std::move(rules)) {
  for (const auto& [name, limits] : rules_.policy.tenants) {
    std::shared_ptr<TenantUse>& use = uses[name];
    if (use == nullptr) use = std::make_shared<TenantUse>();
    tenants_[name] = {limits, use};
  }
  for (const auto& [name, identity] : rules_.policy.identities) {
    const auto make = [&, &name = name, &identity = identity](KnownBy how) {
      return std::make_shared<const Caller>(
          Caller{.name = name,
                 .tenant = identity.tenant,
                 .roles = identity.roles,
                 .known_by = how,
                 .sees_server = identity.server_stats,
                 .outcomes = OutcomesOf(identity.tenant)});
    };
    Known& known = identities_[name];
    known = {&identity, make(KnownBy::kToken), make(KnownBy::kCertificate)};
    for (const std::string& certificate : identity.certificates) {
      certificates_[certificate] = known.by_certificate;
    }
    has_task_hubs_ |= !identity.task_hubs.empty();
  }
  if (const auto& anonymous = rules_.policy.anonymous) {
    anonymous_ = std::make_shared<const Caller>(
        Caller{.tenant = anonymous->tenant,
               .roles = anonymous->roles,
               .outcomes = OutcomesOf(anonymous->tenant)});
  }
  tenants_in_use_ = CountTenantsInUse(rules_.policy);
}

absl::Status AccessControl::Judge::NoCredential(
    const Credentials& shown) const {
  const bool certified = !shown.CertificateNames().empty();
  return absl::UnauthenticatedError(absl::StrCat(
      "this server wants to know who calls: send the ", View(shown.place()),
      " `authorization: Bearer TOKEN`",
      certificates_.empty() ? "" : ", or connect with a client certificate",
      certificates_.empty() || !certified
          ? ""
          : " that has a name of its policy (this connection's has none)"));
}

absl::StatusOr<CallerPtr> AccessControl::Judge::OfToken(std::string_view token,
                                                        absl::Time now) const {
  return token.starts_with(kTokenPrefix) || rules_.verifiers.empty()
             ? OfOwnToken(token, now)
             : OfJwt(token, now);
}

absl::StatusOr<CallerPtr> AccessControl::Judge::OfJwt(std::string_view token,
                                                      absl::Time now) const {
  const SecretHash hash = HashOf(token);
  {
    MutexLock lock(mu_);
    const auto known = verified_.find(hash);
    if (known != verified_.end() && now < known->second.expires) {
      return known->second.caller;
    }
  }
  absl::Status refusal;
  for (size_t i = 0; i < rules_.verifiers.size(); ++i) {
    const absl::StatusOr<JwtClaims> claims =
        rules_.verifiers[i].Verify(token, now);
    if (!claims.ok()) {
      refusal = claims.status();
      continue;
    }
    absl::StatusOr<CallerPtr> caller = OfClaims(rules_.policy.jwt[i], *claims);
    if (!caller.ok()) return caller;
    MutexLock lock(mu_);
    if (verified_.size() >= kVerifiedMax) verified_.clear();
    verified_[hash] = {*caller, claims->expires()};
    return caller;
  }
  if (rules_.verifiers.size() == 1) return refusal;
  return absl::UnauthenticatedError(
      "the token in authorization is of no issuer that is trusted "
      "here, or is not valid");
}

absl::StatusOr<CallerPtr> AccessControl::Judge::OfClaims(
    const JwtIssuer& issuer, const JwtClaims& claims) const {
  Caller caller{.name = claims.subject(),
                .tenant = issuer.tenant,
                .known_by = KnownBy::kJwt};
  if (!issuer.tenant_claim.empty()) {
    caller.tenant = claims.Text(issuer.tenant_claim).value_or("");
    if (std::find(issuer.tenants.begin(), issuer.tenants.end(),
                  caller.tenant) == issuer.tenants.end()) {
      return absl::UnauthenticatedError(
          absl::StrCat("the claim ", QuoteForMessage(issuer.tenant_claim),
                       " of the token names no tenant of its issuer's"));
    }
  }
  if (caller.name.empty()) {
    return absl::UnauthenticatedError(
        "the token does not say whose it is (sub)");
  }
  for (const std::string& name :
       claims.Texts(issuer.roles_claim).value_or(std::vector<std::string>())) {
    const auto mapped = issuer.role_map.find(name);
    if (mapped != issuer.role_map.end()) caller.roles.Add(mapped->second);
  }
  caller.outcomes = OutcomesOf(caller.tenant);
  return std::make_shared<const Caller>(std::move(caller));
}

absl::StatusOr<CallerPtr> AccessControl::Judge::OfOwnToken(
    std::string_view token, absl::Time now) const {
  SeenToken& seen = SeenLike(token);
  if (seen.judge != number_ || !AreSame(seen.token, token)) {
    const TokenEntry* found = rules_.tokens.Find(token);
    if (found == nullptr) {
      return absl::UnauthenticatedError(
          "the token in authorization is not valid here");
    }
    seen = {number_, std::string(token), found};
  }
  const TokenEntry* const entry = seen.entry;
  if (now >= entry->expires) {
    return absl::UnauthenticatedError(
        absl::StrCat("the token in authorization has expired at ",
                     absl::FormatTime(absl::RFC3339_sec, entry->expires,
                                      absl::UTCTimeZone())));
  }
  const auto identity = identities_.find(entry->identity);
  if (identity == identities_.end()) {
    return absl::UnauthenticatedError(
        "the token in authorization is of nobody whom the policy "
        "knows any more");
  }
  return identity->second.by_token;
}

CallerPtr AccessControl::Judge::OfCertificate(const Credentials& shown) const {
  if (certificates_.empty()) return nullptr;
  for (const std::string& name : shown.CertificateNames()) {
    const auto known = certificates_.find(name);
    if (known != certificates_.end()) return known->second;
  }
  return nullptr;
}

absl::StatusOr<CallerPtr> AccessControl::Judge::OfProcess(
    const Credentials& shown) const {
  const auto tenant = shown.Only(kTaskHub);
  if (!tenant.ok()) return tenant.status();
  return std::make_shared<const Caller>(
      Caller{.name = "leasehold-server",
             .tenant = std::string(tenant->value_or(kDefaultTenant)),
             .roles = {Role::kUser},
             .known_by = KnownBy::kProcess});
}

absl::StatusOr<CallerPtr> AccessControl::Judge::InTaskHub(
    const Credentials& shown, CallerPtr caller) const {
  // Somebody whom an issuer calls by the name of an identity is not that one.
  const bool is_identity = caller->known_by == KnownBy::kToken ||
                           caller->known_by == KnownBy::kCertificate;
  if (!has_task_hubs_ || !is_identity) return caller;
  const auto known = identities_.find(caller->name);
  if (known == identities_.end()) return caller;
  const std::vector<std::string>& hubs = known->second.identity->task_hubs;
  if (hubs.empty()) return caller;
  const auto asked = shown.Only(kTaskHub);
  if (!asked.ok()) return asked.status();
  const std::string_view hub = asked->value_or(kDefaultTaskHub);
  if (hub == caller->tenant || hub == kDefaultTaskHub) return caller;
  if (std::find(hubs.begin(), hubs.end(), hub) == hubs.end()) {
    return absl::PermissionDeniedError(
        absl::StrCat("taskhub: ", QuoteForMessage(hub),
                     " is not among those that this credential may use"));
  }
  Caller there = *caller;
  there.tenant = std::string(hub);
  there.outcomes = OutcomesOf(there.tenant);
  return std::make_shared<const Caller>(std::move(there));
}

absl::StatusOr<CallerPtr> AccessControl::Judge::Identify(
    const Credentials& shown, absl::Time now,
    std::string_view process_token) const {
  const auto token = BearerToken(shown);
  if (!token.ok()) return token.status();
  CallerPtr caller;
  if (token->has_value()) {
    // The ID is no secret, and almost always another one.
    if ((*token)->starts_with(process_token.substr(0, kTokenIdEnd)) &&
        AreSame(**token, process_token)) {
      return OfProcess(shown);
    }
    auto known = OfToken(**token, now);
    if (!known.ok()) return known.status();
    caller = *std::move(known);
  }
  CallerPtr certified = OfCertificate(shown);
  const absl::Time expiry =
      certified == nullptr ? absl::InfiniteFuture() : shown.CertificateExpiry();
  const bool has_expired = now >= expiry;
  if (has_expired) certified = nullptr;
  if (caller == nullptr && has_expired) {
    return absl::UnauthenticatedError(absl::StrCat(
        "the client certificate of this connection has expired at ",
        absl::FormatTime(absl::RFC3339_sec, expiry, absl::UTCTimeZone()),
        "; connect again, with one that is valid"));
  }
  if (caller == nullptr) {
    caller = certified;
  } else if (certified != nullptr && certified->tenant != caller->tenant) {
    return absl::UnauthenticatedError(
        "the token and the certificate of this call belong to different "
        "tenants");
  }
  if (caller == nullptr) caller = anonymous_;
  if (caller == nullptr) return NoCredential(shown);
  return InTaskHub(shown, std::move(caller));
}

absl::StatusOr<CallerPtr> AccessControl::Judge::Enter(CallerPtr caller,
                                                      const MethodInfo& method,
                                                      Instant now) const {
  const auto tenant = tenants_.find(caller->tenant);
  if (tenant == tenants_.end()) return caller;
  auto open = tenant->second.use->Enter(tenant->second.limits, method, now);
  if (!open.ok()) return open.status();
  if (*open == nullptr) return caller;
  // The call is open for as long as it holds its caller.
  struct Held {
    CallerPtr caller;
    std::unique_ptr<TenantUse::Open> open;
  };
  const auto held =
      std::make_shared<const Held>(Held{std::move(caller), *std::move(open)});
  return CallerPtr(held, held->caller.get());
}

AccessControl::AccessControl(AccessRules rules, const Clock& clock)
    : clock_(clock),
      // Nobody is called so: names in a policy have no colon.
      process_token_(MakeToken("the:process", absl::InfiniteFuture()).token) {
  Set(std::move(rules));
}

AccessControl::~AccessControl() = default;

absl::StatusOr<std::unique_ptr<AccessControl>> AccessControl::Open(
    const std::string& policy_path, const Clock& clock) {
  absl::StatusOr<AccessRules> rules = ReadAccessRules(policy_path);
  if (!rules.ok()) return rules.status();
  return std::make_unique<AccessControl>(*std::move(rules), clock);
}

void AccessControl::Set(AccessRules rules) {
  MutexLock lock(mu_);
  judge_ = std::make_shared<const Judge>(std::move(rules), uses_);
}

std::shared_ptr<const AccessControl::Judge> AccessControl::judge() const {
  MutexLock lock(mu_);
  return judge_;
}

uint64_t AccessControl::ContextsMax(const std::string& tenant) const {
  return judge()->LimitsOf(tenant).contexts;
}

uint64_t AccessControl::OpenOrchestrationsMax(const std::string& tenant) const {
  return judge()->LimitsOf(tenant).open_orchestrations;
}

uint64_t AccessControl::StoredBytesMax(const std::string& tenant) const {
  return judge()->LimitsOf(tenant).stored_bytes;
}

size_t AccessControl::KeptBytesMax(const std::string& tenant, size_t all,
                                   size_t connection) const {
  const std::shared_ptr<const Judge> judge = this->judge();
  const uint64_t kept = judge->LimitsOf(tenant).kept_bytes;
  if (kept > 0) return static_cast<size_t>(kept);
  const size_t tenants = judge->TenantsInUse();
  return tenants < 2 ? 0 : std::max(all / tenants, connection);
}

std::map<std::string, TenantUse::Counts> AccessControl::Uses() const {
  std::map<std::string, TenantUse::Counts> counts;
  MutexLock lock(mu_);
  for (const auto& [tenant, use] : uses_) counts[tenant] = use->counts();
  return counts;
}

CallOutcomes::Counts AccessControl::EndedCalls(
    const std::string& tenant) const {
  MutexLock lock(mu_);
  const auto found = uses_.find(tenant);
  return found == uses_.end() ? CallOutcomes::Counts{}
                              : found->second->outcomes().Read();
}

absl::Time AccessControl::UrlsNotBefore(const std::string& tenant) const {
  return judge()->UrlsNotBefore(tenant);
}

absl::Status AccessControl::Identify(const Judge& judge,
                                     const Credentials& shown,
                                     const MethodInfo& method,
                                     CallerPtr& caller) const {
  absl::StatusOr<CallerPtr> known =
      judge.Identify(shown, clock_.WallNow(), process_token_);
  if (known.ok()) {
    caller = *std::move(known);
  } else if (method.role == Role::kAnyone) {
    // What is open to all is open to those who are nobody, too.
    caller = Anyone();
  } else {
    if (absl::IsUnauthenticated(known.status())) unauthenticated_.Add();
    if (absl::IsPermissionDenied(known.status())) denied_.Add();
    return known.status();
  }
  absl::Status allowed = CheckRole(*caller, method);
  if (!allowed.ok()) denied_.Add();
  return allowed;
}

absl::Status AccessControl::Enter(const Judge& judge, const MethodInfo& method,
                                  CallerPtr& caller) const {
  // What the process asks of itself belongs to work that was accepted.
  if (method.role == Role::kAnyone || caller->known_by == KnownBy::kProcess) {
    return absl::OkStatus();
  }
  absl::StatusOr<CallerPtr> entered = judge.Enter(caller, method, clock_.Now());
  if (!entered.ok()) return entered.status();
  caller = *std::move(entered);
  return absl::OkStatus();
}

absl::Status AccessControl::Admit(const grpc::ServerContextBase& call,
                                  const MethodInfo& method, CallerPtr& caller) {
  return Admit(RpcCredentials(call), method, caller);
}

absl::Status AccessControl::Admit(const Credentials& shown,
                                  const MethodInfo& method, CallerPtr& caller) {
  const std::shared_ptr<const Judge> judge = this->judge();
  absl::Status allowed = Identify(*judge, shown, method, caller);
  if (!allowed.ok()) return allowed;
  return Enter(*judge, method, caller);
}

absl::Status AccessControl::AdmitCapability(const std::string& tenant,
                                            const MethodInfo& method,
                                            CallerPtr& caller) {
  const std::shared_ptr<const Judge> judge = this->judge();
  if (!judge->Knows(tenant)) {
    return absl::UnauthenticatedError("the tenant of this URL is gone");
  }
  caller = std::make_shared<const Caller>(
      Caller{.tenant = tenant,
             .roles = {Role::kUser},
             .outcomes = judge->OutcomesOf(tenant)});
  absl::Status allowed = CheckRole(*caller, method);
  if (!allowed.ok()) return allowed;
  return Enter(*judge, method, caller);
}

absl::Status AccessControl::AdmitAgain(const CallerPtr& known,
                                       const MethodInfo& method,
                                       CallerPtr& caller) {
  caller = known;
  absl::Status allowed = CheckRole(*caller, method);
  if (!allowed.ok()) {
    denied_.Add();
    return allowed;
  }
  return Enter(*judge(), method, caller);
}

absl::Status AccessControl::AdmitStill(const grpc::ServerContextBase& call,
                                       const MethodInfo& method,
                                       const Caller& before) {
  return AdmitStill(RpcCredentials(call), method, before);
}

absl::Status AccessControl::AdmitStill(const Credentials& shown,
                                       const MethodInfo& method,
                                       const Caller& before) {
  CallerPtr now;
  absl::Status allowed = Identify(*judge(), shown, method, now);
  if (!allowed.ok()) return allowed;
  if (now->tenant != before.tenant || now->name != before.name) {
    return absl::UnauthenticatedError(
        "the credential of this call is somebody else's now; call again");
  }
  return absl::OkStatus();
}

}  // namespace leasehold
