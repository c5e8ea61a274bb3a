#include "service/orchestration/reuse_policy.h"

#include "absl/strings/str_cat.h"
#include "service/instance/instance_key.h"

namespace leasehold {

StartDecision DecideStart(std::optional<OrchestrationStatus> present,
                          const ReusePolicy& policy) {
  if (!present.has_value()) return StartDecision::kCreate;
  if (policy.attachable.contains(*present)) return StartDecision::kAttach;
  const bool replaces = policy.replaceable.has_value()
                            ? policy.replaceable->contains(*present)
                            : IsFinished(*present);
  return replaces ? StartDecision::kReplace : StartDecision::kRefuse;
}

bool AsksForEnded(const ReusePolicy& policy) {
  return policy.replaceable.has_value() || !policy.attachable.empty();
}

absl::Status AlreadyExists(std::string_view id, OrchestrationStatus present) {
  const std::string_view status = StatusName(present);
  return absl::AlreadyExistsError(absl::StrCat(
      "an orchestration instance already exists with the ID ",
      QuoteForMessage(id), "; it is ",
      absl::string_view(status.data(), status.size()),
      ". Wait for its end, terminate or purge it, choose another ID, or start "
      "with a reuse policy that names its status"));
}

}  // namespace leasehold
