// OrchestrationEvent: something that happened to an orchestration, as its
// history records it.
//
// One flat value for every kind of event; each member says which kinds of event
// have it.
//
// Thread-safety: safe.   Lifetime: values only.
#ifndef LEASEHOLD_CLIENT_ORCHESTRATIONS_ORCHESTRATION_EVENT_H_
#define LEASEHOLD_CLIENT_ORCHESTRATIONS_ORCHESTRATION_EVENT_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "client/orchestrations/orchestration.h"
#include "leasehold/v1/orchestration.pb.h"

namespace leasehold::client {

struct OrchestrationEvent {
  enum class Kind {
    // A kind that the server or this library does not know.
    kOther,
    kExecutionStarted,
    kExecutionCompleted,
    kExecutionTerminated,
    kExecutionSuspended,
    kExecutionResumed,
    kExecutionRewound,
    kActivityScheduled,
    kActivityCompleted,
    kActivityFailed,
    kSubOrchestrationStarted,
    kSubOrchestrationCompleted,
    kSubOrchestrationFailed,
    kTimerCreated,
    kTimerFired,
    kTurnStarted,
    kTurnCompleted,
    kEventRaised,
    kEventSent,
    kEntityCalled,
    kEntitySignaled,
    kEntityCallCompleted,
    kEntityCallFailed,
    kEntityLockRequested,
    kEntityLockGranted,
    kEntityUnlocked,
  };

  Kind kind = Kind::kOther;
  // The number of the orchestrator's action; -1 if it came from outside.
  int32_t id = 0;
  absl::Time time;

  // The `id` of the event that started what ends here: an activity, a
  // sub-orchestration or a timer. Empty for all other kinds: what ends a call
  // of an entity has its `request_id`.
  std::optional<int32_t> scheduled_id;
  // The name of the orchestrator, activity or event. kExecutionStarted,
  // kActivityScheduled, kSubOrchestrationStarted, kEventRaised, kEventSent.
  std::string name;
  // The first three of these.
  std::string version;
  // All kinds that have a name; kEntityCalled, kEntitySignaled.
  std::optional<std::string> input;
  // kExecutionCompleted, kExecutionTerminated, and successful ends.
  std::optional<std::string> output;
  // kExecutionCompleted, and failed ends.
  std::optional<OrchestrationFailure> failure;
  // The ID of another orchestration, or of an entity. kSubOrchestrationStarted,
  // kEventSent; kEntityCalled, kEntitySignaled, kEntityUnlocked.
  std::string instance_id;

  // kEntityCalled, kEntitySignaled.
  std::string operation;
  // The same for an operation and its end. kEntityCalled, kEntitySignaled,
  // kEntityCallCompleted, kEntityCallFailed.
  std::string request_id;
  // The same for a lock and its end. kEntityLockRequested, kEntityLockGranted,
  // kEntityUnlocked.
  std::string section_id;
  // The entities to lock. kEntityLockRequested.
  std::vector<std::string> instance_ids;
  // kEntitySignaled: it runs no earlier.
  std::optional<absl::Time> scheduled_time;

  // kExecutionStarted.
  std::string execution_id;
  std::string parent_instance_id;
  std::optional<absl::Time> scheduled_start_time;
  std::map<std::string, std::string> tags;
  // kExecutionCompleted.
  OrchestrationStatus status = OrchestrationStatus::kUnknown;
  // kExecutionTerminated.
  bool recursive = false;
  // kExecutionSuspended, kExecutionResumed, kExecutionRewound.
  std::string reason;
  // kTimerCreated, kTimerFired.
  std::optional<absl::Time> fire_time;
  // kOther: its number in the Durable Task contract, or 0 if unknown.
  int32_t number = 0;
};

// As the contract writes it: `execution_started`, `activity_scheduled`, …
const char* OrchestrationEventName(OrchestrationEvent::Kind kind);

OrchestrationEvent FromProto(const leasehold::v1::OrchestrationEvent& proto);

}  // namespace leasehold::client

#endif  // LEASEHOLD_CLIENT_ORCHESTRATIONS_ORCHESTRATION_EVENT_H_
