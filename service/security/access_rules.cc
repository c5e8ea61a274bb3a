#include "service/security/access_rules.h"

#include <filesystem>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "lease/base/small_file.h"

namespace leasehold {
namespace {

absl::Status In(const std::string& path, const absl::Status& status) {
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", status.message()));
}

// Adds the file's content to that of `rules`.
absl::StatusOr<std::string> Read(const std::string& path, AccessRules& rules) {
  absl::StatusOr<std::string> text = ReadSmallFile(path);
  if (text.ok()) absl::StrAppend(&rules.content, text->size(), " ", *text);
  return text;
}

absl::Status ReadTokens(const std::string& path, AccessRules& rules) {
  const absl::StatusOr<std::string> text = Read(path, rules);
  if (!text.ok()) return text.status();
  absl::StatusOr<TokenTable> tokens = TokenTable::Parse(*text);
  if (!tokens.ok()) return In(path, tokens.status());
  // These do not keep the rest from counting: an identity that was removed in a
  // hurry is gone at once.
  for (const auto& [id, entry] : tokens->entries()) {
    if (!rules.policy.identities.contains(entry.identity)) {
      ++rules.tokens_of_nobody;
    }
  }
  rules.tokens = *std::move(tokens);
  return absl::OkStatus();
}

absl::Status ReadKeys(const std::string& policy_path, const JwtIssuer& issuer,
                      AccessRules& rules) {
  const std::string path = BesidePolicy(policy_path, issuer.jwks_file);
  const absl::StatusOr<std::string> text = Read(path, rules);
  if (!text.ok()) return text.status();
  absl::StatusOr<JwtVerifier> verifier =
      JwtVerifier::Make({.issuer = issuer.issuer,
                         .audience = issuer.audience,
                         .jwks = *text,
                         .algorithms = issuer.algorithms});
  if (!verifier.ok()) return In(path, verifier.status());
  rules.verifiers.push_back(*std::move(verifier));
  return absl::OkStatus();
}

}  // namespace

std::string BesidePolicy(const std::string& policy_path,
                         const std::string& name) {
  return (std::filesystem::path(policy_path).parent_path() / name).string();
}

absl::StatusOr<AccessRules> ReadAccessRules(const std::string& path) {
  AccessRules rules;
  const absl::StatusOr<std::string> text = Read(path, rules);
  if (!text.ok()) return text.status();
  absl::StatusOr<Policy> policy = ParsePolicy(*text);
  if (!policy.ok()) return In(path, policy.status());
  rules.policy = *std::move(policy);
  if (!rules.policy.token_file.empty()) {
    absl::Status status =
        ReadTokens(BesidePolicy(path, rules.policy.token_file), rules);
    if (!status.ok()) return status;
  }
  for (const JwtIssuer& issuer : rules.policy.jwt) {
    absl::Status status = ReadKeys(path, issuer, rules);
    if (!status.ok()) return status;
  }
  return rules;
}

}  // namespace leasehold
