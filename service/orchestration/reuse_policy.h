// ReusePolicy: what a start does when its ID is taken.
//
// One table for all doors; it stands in the README of this room and is a test.
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
};

enum class StartDecision { kCreate, kReplace, kAttach, kRefuse };

// `present`: the status of the one that has the ID; nullopt: nobody has it.
StartDecision DecideStart(std::optional<OrchestrationStatus> present,
                          const ReusePolicy& policy);

// Whether the answer depends on which ended one is there, if one is.
bool AsksForEnded(const ReusePolicy& policy);

// What a refused start is told.
absl::Status AlreadyExists(std::string_view id, OrchestrationStatus present);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_REUSE_POLICY_H_
