#include "service/orchestration/reuse_policy.h"

#include "absl/strings/str_cat.h"
#include "service/instance/instance_key.h"

namespace leasehold {

ReusePolicy PolicyOf(IfActive if_active, IfFinished if_finished) {
  using Status = OrchestrationStatus;
  ReusePolicy policy;
  policy.of_choices = true;
  std::set<Status>& replaceable = policy.replaceable.emplace();
  const std::set<Status> active = {Status::kPending, Status::kRunning,
                                   Status::kSuspended};
  const std::set<Status> finished = {Status::kCompleted, Status::kFailed,
                                     Status::kTerminated, Status::kCanceled};
  if (if_active == IfActive::kAttach) policy.attachable.merge(std::set(active));
  if (if_active == IfActive::kTerminate) replaceable.merge(std::set(active));
  if (if_finished == IfFinished::kAttach) {
    policy.attachable.merge(std::set(finished));
  }
  if (if_finished == IfFinished::kReplace)
    replaceable.merge(std::set(finished));
  return policy;
}

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

absl::Status AlreadyExists(std::string_view id, OrchestrationStatus present,
                           const ReusePolicy& policy) {
  const std::string status(StatusName(present));
  if (policy.of_choices) {
    return absl::AlreadyExistsError(absl::StrCat(
        "orchestration ", QuoteForMessage(id), " is ", status,
        IsFinished(present)
            ? "; its ID is free once it is purged. Or start with if_finished: "
              "ATTACH (use it) or REPLACE (start a new one in its place)"
            : "; at most one of an ID is active. Or start with if_active: "
              "ATTACH (use it) or TERMINATE (end it and start a new one)"));
  }
  return absl::AlreadyExistsError(absl::StrCat(
      "an orchestration instance already exists with the ID ",
      QuoteForMessage(id), "; it is ", status,
      ". Wait for its end, terminate or purge it, choose another ID, or start "
      "with a reuse policy that names its status"));
}

}  // namespace leasehold
