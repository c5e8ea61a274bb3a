#include "service/host/server_access.h"

#include <utility>

namespace leasehold {

absl::StatusOr<std::unique_ptr<ServerAccess>> ServerAccess::Open(
    std::string policy_path, const Clock& clock, ServerLog& log) {
  absl::StatusOr<AccessRules> rules = ReadAccessRules(policy_path);
  if (!rules.ok()) return rules.status();
  return std::unique_ptr<ServerAccess>(
      new ServerAccess(std::move(policy_path), *std::move(rules), clock, log));
}

ServerAccess::ServerAccess(std::string policy_path, AccessRules rules,
                           const Clock& clock, ServerLog& log)
    : policy_path_(std::move(policy_path)),
      clock_(clock),
      log_(log),
      control_(rules, clock),
      refused_(log, "policy_kept", "the last good policy goes on counting"),
      asked_(clock.Now()) {
  Note(rules, "policy");
}

void ServerAccess::Note(const AccessRules& rules, const char* event) {
  content_ = rules.content;
  tenants_.clear();
  for (const auto& [name, _] : rules.policy.tenants) tenants_.push_back(name);
  log_.Info(event, {{"file", policy_path_},
                    {"identities", uint64_t{rules.policy.identities.size()}},
                    {"tenants", uint64_t{tenants_.size()}},
                    {"tokens", uint64_t{rules.tokens.entries().size()}}});
  if (rules.tokens_of_nobody > 0) {
    log_.Warning(
        "tokens_of_nobody",
        {{"count", uint64_t{rules.tokens_of_nobody}},
         {"message",
          "their identities are not in the policy: they are refused"}});
  }
}

void ServerAccess::LookAgain(const std::function<void()>& ask_again) {
  absl::StatusOr<AccessRules> read = ReadAccessRules(policy_path_);
  bool ask = clock_.Now() >= asked_ + kAskAgain;
  if (!read.ok()) {
    refused_.OnRefused(read.status());
  } else {
    refused_.OnAccepted();
    if (read->content != content_) {
      // Before the log says so: from then on it counts.
      control_.Set(*read);
      Note(*read, "policy_changed");
      ask = true;
    }
  }
  if (!ask) return;
  asked_ = clock_.Now();
  ask_again();
}

}  // namespace leasehold
