// AccessRules: a policy and all that it refers to, as read from files.
//
// Thread-safety: values; ReadAccessRules is safe.
#ifndef LEASEHOLD_SERVICE_SECURITY_ACCESS_RULES_H_
#define LEASEHOLD_SERVICE_SECURITY_ACCESS_RULES_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "service/security/jwt_verifier.h"
#include "service/security/policy.h"
#include "service/security/token_table.h"

namespace leasehold {

struct AccessRules {
  Policy policy;
  TokenTable tokens;
  size_t tokens_of_nobody = 0;         // Whose identity is not in the policy.
  std::vector<JwtVerifier> verifiers;  // As Policy::jwt.
  // The content of all files, to see whether they have changed.
  std::string content;
};

// The file that `name` in the policy at `policy_path` means: a relative name
// starts at the policy's folder.
std::string BesidePolicy(const std::string& policy_path,
                         const std::string& name);

// Reads the policy at `path`, and the files that it names.
//   InvalidArgument: one of them cannot be read or is not right; the message
//     begins with its name.
absl::StatusOr<AccessRules> ReadAccessRules(const std::string& path);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_SECURITY_ACCESS_RULES_H_
