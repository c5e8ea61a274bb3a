// Between the messages of orchestration.proto and the values of Orchestrations.
//
// Thread-safety: pure functions.
#ifndef LEASEHOLD_SERVICE_DOORS_ORCHESTRATION_MESSAGES_H_
#define LEASEHOLD_SERVICE_DOORS_ORCHESTRATION_MESSAGES_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "leasehold/v1/orchestration.pb.h"
#include "service/instance/instance_headers.h"
#include "service/orchestration/history.h"
#include "service/orchestration/orchestration_info.h"
#include "service/orchestration/requests.h"
#include "service/rpc/caller.h"

namespace leasehold {

// `context`: the instance that the call names, in its header or in the field.
//   InvalidArgument: a field breaks a rule; the message says which.
absl::StatusOr<StartRequest> FromMessage(v1::StartOrchestrationRequest message,
                                         InstanceRequest context);
// Of the tenant of `caller`.
//   InvalidArgument: as above.
absl::StatusOr<OrchestrationQuery> FromMessage(
    const v1::ListOrchestrationsRequest& message, const Caller& caller);
absl::StatusOr<OrchestrationFilter> FromMessage(
    const v1::OrchestrationFilter& message, const Caller& caller);

void ToMessage(const StartReceipt& receipt,
               v1::StartOrchestrationResponse& message);
void ToMessage(const OrchestrationInfo& info, v1::OrchestrationState& message);
void ToMessage(const OrchestrationPage& page,
               v1::ListOrchestrationsResponse& message);
void ToMessage(const CountedOrchestrations& counts,
               v1::CountOrchestrationsResponse& message);
// `failure`: as the Durable Task protocol has it.
void ToMessage(const OpaqueMessage& failure, v1::OrchestrationFailure& message);
void ToMessage(const HistoryEvent& event, v1::OrchestrationEvent& message);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_DOORS_ORCHESTRATION_MESSAGES_H_
