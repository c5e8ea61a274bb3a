#include "service/security/policy.h"

#include <algorithm>
#include <exception>
#include <functional>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "lease/base/json.h"
#include "lease/base/json_members.h"
#include "lease/base/quote.h"
#include "lease/base/view.h"

namespace leasehold {
namespace {

using Json = nlohmann::json;

// A place in the policy, as people write it: `identities.shop.roles[0]`.
using Place = std::string;

absl::Status Wrong(const Place& place, absl::string_view what) {
  return absl::InvalidArgumentError(
      absl::StrCat(place.empty() ? "the policy" : place, ": ", what));
}

Place Member(const Place& place, const std::string& name) {
  return place.empty() ? name : absl::StrCat(place, ".", name);
}

// Reads the value at a place.
using Reader = std::function<absl::Status(const Place&, const Json&)>;

// A number above zero.
template <typename Number>
Reader Positive(Number& number) {
  return [&number](const Place& place, const Json& value) {
    constexpr double kMax = 1e12;
    if (!value.is_number() || value.get<double>() <= 0 ||
        value.get<double>() > kMax ||
        (std::is_integral_v<Number> && !value.is_number_integer())) {
      return Wrong(place, std::is_integral_v<Number>
                              ? "must be a whole number above 0"
                              : "must be a number above 0");
    }
    number = value.get<Number>();
    return absl::OkStatus();
  };
}

// An object with members of these names only; each reader is called if its
// member is there.
absl::Status ReadMembers(const Place& place, const Json& object,
                         const std::map<std::string, Reader>& readers) {
  if (!object.is_object()) return Wrong(place, "must be an object");
  for (const auto& [name, value] : object.items()) {
    const auto reader = readers.find(name);
    if (reader == readers.end()) {
      std::string known;
      for (const auto& [each, _] : readers) {
        absl::StrAppend(&known, known.empty() ? "" : ", ", each);
      }
      return Wrong(Member(place, QuoteForMessage(name)),
                   absl::StrCat("is not known here; known are: ", known));
    }
    absl::Status status = reader->second(Member(place, name), value);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

// An object whose members have names of the operator's.
absl::Status ReadNamed(
    const Place& place, const Json& object,
    const std::function<absl::Status(const Place&, const std::string& name,
                                     const Json&)>& read) {
  if (!object.is_object()) return Wrong(place, "must be an object");
  for (const auto& [name, value] : object.items()) {
    if (!IsPolicyName(name)) {
      return Wrong(Member(place, QuoteForMessage(name)),
                   "a name here has 1 to 64 letters, digits, '.', '-' and '_'");
    }
    absl::Status status = read(Member(place, name), name, value);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status ReadText(const Place& place, const Json& value,
                      std::string& text) {
  if (!value.is_string() || value.get_ref<const std::string&>().empty()) {
    return Wrong(place, "must be a text that is not empty");
  }
  text = value.get<std::string>();
  return absl::OkStatus();
}

Reader Text(std::string& text) {
  return [&text](const Place& place, const Json& value) {
    return ReadText(place, value, text);
  };
}

Reader Flag(bool& flag) {
  return [&flag](const Place& place, const Json& value) {
    if (!value.is_boolean()) return Wrong(place, "must be true or false");
    flag = value.get<bool>();
    return absl::OkStatus();
  };
}

// A moment, with its time zone.
Reader Moment(absl::Time& time) {
  return [&time](const Place& place, const Json& value) {
    std::string text;
    absl::Status status = ReadText(place, value, text);
    if (!status.ok()) return status;
    // Abseil also reads `infinite-future`.
    const bool is_number = text.front() >= '0' && text.front() <= '9';
    if (is_number &&
        absl::ParseTime(absl::RFC3339_full, text, &time, nullptr)) {
      return status;
    }
    return Wrong(place, "must be a time such as 2026-11-30T12:00:00Z");
  };
}

// A list that is not empty.
absl::Status ReadEach(const Place& place, const Json& list,
                      const Reader& read) {
  if (!list.is_array() || list.empty()) {
    return Wrong(place, "must be a list that is not empty");
  }
  for (size_t i = 0; i < list.size(); ++i) {
    absl::Status status = read(absl::StrCat(place, "[", i, "]"), list[i]);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

Reader Texts(std::vector<std::string>& texts) {
  return [&texts](const Place& place, const Json& list) {
    texts.clear();
    return ReadEach(place, list, [&](const Place& each, const Json& value) {
      return ReadText(each, value, texts.emplace_back());
    });
  };
}

Reader RolesInto(Roles& roles) {
  return [&roles](const Place& place, const Json& list) {
    return ReadEach(place, list, [&](const Place& each, const Json& value) {
      std::string name;
      absl::Status status = ReadText(each, value, name);
      if (!status.ok()) return status;
      const std::optional<Role> role = RoleNamed(name);
      if (!role.has_value()) {
        return Wrong(each, absl::StrCat(QuoteForMessage(name),
                                        " is no role; roles "
                                        "are: ",
                                        Roles::All().ToString()));
      }
      roles.Add(*role);
      return absl::OkStatus();
    });
  };
}

absl::Status CheckTenant(const Place& place, const std::string& tenant,
                         const Policy& policy) {
  if (policy.tenants.contains(tenant)) return absl::OkStatus();
  return Wrong(place, absl::StrCat(QuoteForMessage(tenant),
                                   " is not among the tenants of the policy"));
}

absl::Status CheckCertificateName(const Place& place, const std::string& name) {
  for (const absl::string_view kind : {"spiffe://", "dns:", "cn:"}) {
    if (name.size() > kind.size() &&
        name.compare(0, kind.size(), kind.data(), kind.size()) == 0) {
      return absl::OkStatus();
    }
  }
  return Wrong(place,
               absl::StrCat(QuoteForMessage(name),
                            " is no name in a certificate; write "
                            "spiffe://DOMAIN/PATH, dns:NAME or cn:NAME"));
}

// What limits are called is what their refusals say.
absl::Status ReadTenant(const Place& place, const std::string& name,
                        const Json& value, Policy& policy) {
  TenantLimits& limits = policy.tenants[name];
  absl::Time& urls_not_before =
      policy.urls_not_before.emplace(name, absl::InfinitePast()).first->second;
  std::map<std::string, Reader> readers = {
      {"urls_not_before", Moment(urls_not_before)},
      {"contexts", Positive(limits.contexts)},
      {"open_orchestrations", Positive(limits.open_orchestrations)},
      {"stored_bytes", Positive(limits.stored_bytes)},
      {"kept_bytes", Positive(limits.kept_bytes)}};
  for (const CallClass each : {CallClass::kCall, CallClass::kEvent,
                               CallClass::kStart, CallClass::kRead}) {
    readers[RateName(each)] = Positive(limits.rates[static_cast<size_t>(each)]);
  }
  for (const Lasting each :
       {Lasting::kStream, Lasting::kWait, Lasting::kWatch, Lasting::kWorker}) {
    readers[OpenName(each)] = Positive(limits.open[static_cast<size_t>(each)]);
  }
  return ReadMembers(place, value, readers);
}

absl::Status ReadIdentity(const Place& place, const Json& value, bool named,
                          Identity& identity) {
  std::map<std::string, Reader> readers = {
      {"tenant", Text(identity.tenant)},
      {"roles", RolesInto(identity.roles)},
  };
  if (named) {
    readers["task_hubs"] = Texts(identity.task_hubs);
    readers["certificates"] = Texts(identity.certificates);
    readers["server_stats"] = Flag(identity.server_stats);
  }
  absl::Status status = ReadMembers(place, value, readers);
  if (!status.ok()) return status;
  if (identity.roles.empty()) {
    return Wrong(Member(place, "roles"), absl::StrCat("is missing; roles are: ",
                                                      Roles::All().ToString()));
  }
  return absl::OkStatus();
}

absl::Status CheckIdentity(const Place& place, const Identity& identity,
                           const Policy& policy) {
  absl::Status status =
      CheckTenant(Member(place, "tenant"), identity.tenant, policy);
  for (size_t i = 0; status.ok() && i < identity.task_hubs.size(); ++i) {
    status = CheckTenant(absl::StrCat(place, ".task_hubs[", i, "]"),
                         identity.task_hubs[i], policy);
  }
  for (size_t i = 0; status.ok() && i < identity.certificates.size(); ++i) {
    status = CheckCertificateName(absl::StrCat(place, ".certificates[", i, "]"),
                                  identity.certificates[i]);
  }
  return status;
}

absl::Status ReadRoleMap(const Place& place, const Json& value,
                         JwtIssuer& issuer) {
  if (!value.is_object() || value.empty()) {
    return Wrong(place, "must be an object that is not empty");
  }
  for (const auto& [name, roles] : value.items()) {
    absl::Status status = RolesInto(issuer.role_map[name])(
        Member(place, QuoteForMessage(name)), roles);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status ReadIssuer(const Place& place, const Json& value,
                        JwtIssuer& issuer) {
  absl::Status status =
      ReadMembers(place, value,
                  {{"issuer", Text(issuer.issuer)},
                   {"audience", Text(issuer.audience)},
                   {"jwks_file", Text(issuer.jwks_file)},
                   {"algorithms", Texts(issuer.algorithms)},
                   {"tenant_claim", Text(issuer.tenant_claim)},
                   {"tenant", Text(issuer.tenant)},
                   {"tenants", Texts(issuer.tenants)},
                   {"roles_claim", Text(issuer.roles_claim)},
                   {"role_map", [&issuer](const Place& at, const Json& map) {
                      return ReadRoleMap(at, map, issuer);
                    }}});
  if (!status.ok()) return status;
  for (const auto& [name, text] : {std::pair("issuer", issuer.issuer),
                                   std::pair("audience", issuer.audience),
                                   std::pair("jwks_file", issuer.jwks_file)}) {
    if (text.empty()) return Wrong(Member(place, name), "is missing");
  }
  if (issuer.tenant.empty() == issuer.tenant_claim.empty()) {
    return Wrong(place, "needs either tenant or tenant_claim");
  }
  if (issuer.tenants.empty() != issuer.tenant_claim.empty()) {
    return Wrong(place,
                 "tenant_claim and tenants, which it may name, go together");
  }
  if (issuer.role_map.empty()) {
    return Wrong(
        Member(place, "role_map"),
        "is missing: what the issuer calls a role, and what it is here");
  }
  return absl::OkStatus();
}

// What one part of the policy says of another.
absl::Status CheckTogether(const Policy& policy) {
  std::map<std::string, std::string> owners;  // Of names in certificates.
  for (const auto& [name, identity] : policy.identities) {
    const Place place = absl::StrCat("identities.", name);
    absl::Status status = CheckIdentity(place, identity, policy);
    if (!status.ok()) return status;
    for (const std::string& certificate : identity.certificates) {
      const auto [owner, added] = owners.emplace(certificate, name);
      if (added) continue;
      return Wrong(Member(place, "certificates"),
                   absl::StrCat(QuoteForMessage(certificate), " is identity ",
                                owner->second, "'s already"));
    }
  }
  if (policy.anonymous.has_value()) {
    absl::Status status = CheckIdentity("anonymous", *policy.anonymous, policy);
    if (!status.ok()) return status;
  }
  for (size_t i = 0; i < policy.jwt.size(); ++i) {
    std::vector<std::string> tenants = policy.jwt[i].tenants;
    if (!policy.jwt[i].tenant.empty()) tenants.push_back(policy.jwt[i].tenant);
    for (const std::string& tenant : tenants) {
      absl::Status status =
          CheckTenant(absl::StrCat("jwt[", i, "]"), tenant, policy);
      if (!status.ok()) return status;
    }
  }
  return absl::OkStatus();
}

absl::Status ReadPolicy(const Json& json, Policy& policy) {
  policy.tenants[std::string(kDefaultTenant)] = {};
  absl::Status status = ReadMembers(
      "", json,
      {{"tenants",
        [&policy](const Place& place, const Json& value) {
          return ReadNamed(place, value,
                           [&policy](const Place& at, const std::string& name,
                                     const Json& tenant) {
                             return ReadTenant(at, name, tenant, policy);
                           });
        }},
       {"identities",
        [&policy](const Place& place, const Json& value) {
          return ReadNamed(place, value,
                           [&policy](const Place& at, const std::string& name,
                                     const Json& identity) {
                             return ReadIdentity(at, identity, /*named=*/true,
                                                 policy.identities[name]);
                           });
        }},
       {"anonymous",
        [&policy](const Place& place, const Json& value) {
          return ReadIdentity(place, value, /*named=*/false,
                              policy.anonymous.emplace());
        }},
       {"jwt",
        [&policy](const Place& place, const Json& value) {
          return ReadEach(
              place, value, [&policy](const Place& at, const Json& issuer) {
                return ReadIssuer(at, issuer, policy.jwt.emplace_back());
              });
        }},
       {"token_file", Text(policy.token_file)}});
  return status.ok() ? CheckTogether(policy) : status;
}

}  // namespace

std::string RateName(CallClass call_class) {
  return absl::StrCat(View(NameOf(call_class)), "s_per_second");
}

std::string OpenName(Lasting lasting) {
  return absl::StrCat(View(NameOf(lasting)),
                      lasting == Lasting::kWatch ? "es" : "s");
}

absl::StatusOr<Policy> ParsePolicy(std::string_view text) {
  Policy policy;
  try {
    const Json json = ParseJson(text);
    if (const auto twice = FindDuplicateMember(text); twice.has_value()) {
      return Wrong(*twice, "is there twice");
    }
    absl::Status status = ReadPolicy(json, policy);
    if (!status.ok()) return status;
  } catch (const std::exception& error) {
    return Wrong("", absl::StrCat("is not JSON: ", error.what()));
  }
  return policy;
}

bool IsPolicyName(std::string_view name) {
  return !name.empty() && name.size() <= 64 &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                  (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
         });
}

}  // namespace leasehold
