// Between the messages of the Durable Task contract and the engine's values.
//
// Thread-safety: pure functions.
#ifndef LEASEHOLD_SERVICE_SERVER_SIDECAR_MESSAGES_H_
#define LEASEHOLD_SERVICE_SERVER_SIDECAR_MESSAGES_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "durabletask/orchestrator_service.pb.h"
#include "service/instance/instance_key.h"
#include "service/orchestration/dispatcher.h"
#include "service/orchestration/engine.h"
#include "service/orchestration/orchestration_info.h"
#include "service/orchestration/turn.h"

namespace leasehold {

// A new random ID: 32 hexadecimal digits, as clients of this contract make
// them.
std::string NewSidecarId();

// The key of an orchestration that a call names.
//   InvalidArgument: the ID breaks a rule; the message says which.
absl::StatusOr<InstanceKey> SidecarKey(const std::string& id);

//   InvalidArgument: as above; there is no name; the ID is too long for this
//     door; the reuse policy contradicts itself.
absl::StatusOr<StartRequest> FromMessage(CreateInstanceRequest message);

//   InvalidArgument: an action is none, or ends in a way that there is not.
//   Unimplemented: the answer comes in parts.
absl::StatusOr<TurnAnswer> FromMessage(OrchestratorResponse message);

// The event that the end of an activity becomes.
EventBody FromMessage(ActivityResponse message);

WorkerOptions FromMessage(const GetWorkItemsRequest& message);

//   InvalidArgument: the page token is none of ours.
absl::StatusOr<OrchestrationQuery> FromMessage(const ::InstanceQuery& message);
absl::StatusOr<FinishedQuery> FromMessage(
    const ListInstanceIdsRequest& message);
RowQuery FromMessage(const PurgeInstanceFilter& message);

void ToMessage(const OrchestrationInfo& info, OrchestrationState& message);
// Adds what is there, or says that there is nothing.
void ToMessage(const std::optional<OrchestrationInfo>& info,
               GetInstanceResponse& message);
void ToMessage(const OrchestrationPage& page, QueryInstancesResponse& message);
void ToMessage(const FinishedPage& page, ListInstanceIdsResponse& message);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_SERVER_SIDECAR_MESSAGES_H_
