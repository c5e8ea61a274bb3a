// Fuzzes ParsePolicy: what is accepted keeps the rules that the rest of the
// room relies on, and what is refused is refused in one line.
#include <cstdint>
#include <set>
#include <string>
#include <string_view>

#include "service/security/policy.h"
#include "tests/fuzz/property.h"

namespace {

using leasehold::Identity;
using leasehold::ParsePolicy;
using leasehold::Policy;
using leasehold::Property;

void Check(const Policy& policy, const Identity& identity) {
  Property(policy.tenants.contains(identity.tenant), "its tenant is known");
  Property(!identity.roles.empty(), "it has a role");
  for (const std::string& hub : identity.task_hubs) {
    Property(policy.tenants.contains(hub), "its task hubs are tenants");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto policy = ParsePolicy(text);
  if (!policy.ok()) {
    Property(absl::IsInvalidArgument(policy.status()),
             "a refusal is INVALID_ARGUMENT");
    Property(policy.status().message().find('\n') == absl::string_view::npos,
             "a refusal is one line");
    return 0;
  }
  Property(policy->tenants.contains("default"), "there is the default tenant");
  std::set<std::string> certificates;
  for (const auto& [name, identity] : policy->identities) {
    Property(leasehold::IsPolicyName(name), "identities have names");
    Check(*policy, identity);
    for (const std::string& certificate : identity.certificates) {
      Property(certificates.insert(certificate).second,
               "a certificate is one identity's");
    }
  }
  if (policy->anonymous.has_value()) Check(*policy, *policy->anonymous);
  for (const auto& issuer : policy->jwt) {
    Property(!issuer.issuer.empty() && !issuer.audience.empty(),
             "an issuer is named, and so are we");
    Property(issuer.tenant.empty() || policy->tenants.contains(issuer.tenant),
             "its tenant is known");
  }
  return 0;
}
