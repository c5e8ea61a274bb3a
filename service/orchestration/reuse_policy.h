// ReusePolicy: what a start does when its ID is taken.
//
// One table for all doors; it stands in the README of this room and is a test.
// The doors ask in two ways: with a set of statuses that may be replaced (the
// Durable Task contract), or with two choices, one for a present one that is
// active and one for one that has ended (leasehold.v1.Orchestration).
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
  // Statuses in which the one that is there is replaced; in others the start is
  // refused. nullopt, as most clients send it: an ended one is replaced.
  std::optional<std::set<OrchestrationStatus>> replaceable;
  // Statuses in which the one that is there will do: the start changes nothing,
  // and says so. (An older form of the contract has this.)
  std::set<OrchestrationStatus> attachable;
  // It was made of the two choices below, and a refusal names them.
  bool of_choices = false;
};

enum class IfActive { kFail, kAttach, kTerminate };
enum class IfFinished { kFail, kAttach, kReplace };
ReusePolicy PolicyOf(IfActive if_active, IfFinished if_finished);

enum class StartDecision { kCreate, kReplace, kAttach, kRefuse };

// `present`: the status of the one that has the ID; nullopt: nobody has it.
StartDecision DecideStart(std::optional<OrchestrationStatus> present,
                          const ReusePolicy& policy);

// Whether the answer depends on which ended one is there, if one is.
bool AsksForEnded(const ReusePolicy& policy);

// What a refused start is told: the status of the one that is there, and what
// could be done.
absl::Status AlreadyExists(std::string_view id, OrchestrationStatus present,
                           const ReusePolicy& policy);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_REUSE_POLICY_H_
