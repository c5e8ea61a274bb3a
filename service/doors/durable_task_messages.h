// Between the messages with which callers use the Durable Task contract and the
// values of Orchestrations. Those of workers: work_messages.h.
//
// Thread-safety: pure functions.
#ifndef LEASEHOLD_SERVICE_DOORS_DURABLE_TASK_MESSAGES_H_
#define LEASEHOLD_SERVICE_DOORS_DURABLE_TASK_MESSAGES_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "durabletask/orchestrator_service.pb.h"
#include "service/instance/instance_key.h"
#include "service/orchestration/orchestration_info.h"
#include "service/orchestration/requests.h"
#include "service/rpc/caller.h"

namespace leasehold {

// A new random ID: 32 hexadecimal digits, as clients of this contract make
// them.
std::string NewDurableTaskId();

// The key of an orchestration of the tenant of `caller`, who names it.
//   InvalidArgument: the ID breaks a rule; the message says which.
absl::StatusOr<InstanceKey> DurableTaskKey(const std::string& id,
                                           const Caller& caller);

// Same, for an ID that may be of something new.
//   InvalidArgument: also if the ID is too long for this door.
absl::StatusOr<InstanceKey> NewDurableTaskKey(const std::string& id,
                                              const Caller& caller);

//   InvalidArgument: as above; there is no name; the ID is too long for this
//     door; the reuse policy contradicts itself.
absl::StatusOr<StartRequest> FromMessage(CreateInstanceRequest message,
                                         const Caller& caller);

//   InvalidArgument: a time is not valid.
absl::StatusOr<OrchestrationQuery> FromMessage(const ::InstanceQuery& message,
                                               const Caller& caller);
absl::StatusOr<FinishedIdsQuery> FromMessage(
    const ListInstanceIdsRequest& message, const Caller& caller);
absl::StatusOr<OrchestrationFilter> FromMessage(
    const PurgeInstanceFilter& message, const Caller& caller);

void ToMessage(const OrchestrationInfo& info, OrchestrationState& message);
// `info` is null if there is no such orchestration; then the message says so.
void ToMessage(const OrchestrationInfo* info, GetInstanceResponse& message);
void ToMessage(const OrchestrationPage& page, QueryInstancesResponse& message);
void ToMessage(const FinishedIdsPage& page, ListInstanceIdsResponse& message);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_DOORS_DURABLE_TASK_MESSAGES_H_
