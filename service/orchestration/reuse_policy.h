// ReusePolicy: what a start does if its ID is taken.
//
// One table for all doors; the README of this room shows it, and a test checks
// it. Doors specify a policy in two ways: as a set of statuses that may be
// replaced (the Durable Task contract), or as two choices, one for an active
// orchestration and one for a finished one (leasehold.v1.Orchestration).
//
// Thread-safety: pure functions and values.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_REUSE_POLICY_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_REUSE_POLICY_H_

#include <optional>
#include <set>
#include <string_view>

#include "absl/status/status.h"
#include "service/orchestration/history.h"

namespace leasehold {

struct ReusePolicy {
  // Statuses in which the existing orchestration is replaced; in others the
  // start is refused. nullopt, which most clients send: a finished one is
  // replaced.
  std::optional<std::set<OrchestrationStatus>> replaceable;
  // Statuses in which the existing orchestration is accepted: the start changes
  // nothing and reports that. (An older form of the contract has this.)
  std::set<OrchestrationStatus> attachable;
  // Made from the two choices below; a refusal names them.
  bool of_choices = false;
};

enum class IfActive { kFail, kAttach, kTerminate };
enum class IfFinished { kFail, kAttach, kReplace };
ReusePolicy PolicyOf(IfActive if_active, IfFinished if_finished);

enum class StartDecision { kCreate, kReplace, kAttach, kRefuse };

// `present`: the status of the orchestration with the ID; nullopt: none.
StartDecision DecideStart(std::optional<OrchestrationStatus> present,
                          const ReusePolicy& policy);

// Whether the decision depends on which finished orchestration exists, if any.
bool AsksForEnded(const ReusePolicy& policy);

// The answer to a refused start: the status of the existing orchestration, and
// the alternatives.
absl::Status AlreadyExists(std::string_view id, OrchestrationStatus present,
                           const ReusePolicy& policy);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_REUSE_POLICY_H_
