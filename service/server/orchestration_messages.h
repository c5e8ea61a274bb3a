// Between the messages of orchestration.proto and the engine's values.
//
// Thread-safety: pure functions.
#ifndef LEASEHOLD_SERVICE_SERVER_ORCHESTRATION_MESSAGES_H_
#define LEASEHOLD_SERVICE_SERVER_ORCHESTRATION_MESSAGES_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "leasehold/v1/orchestration.pb.h"
#include "service/instance/instance_headers.h"
#include "service/orchestration/engine.h"
#include "service/orchestration/history.h"
#include "service/orchestration/orchestration_info.h"

namespace leasehold {

// `context`: what the call says of the instance, from header or field.
//   InvalidArgument: a field breaks a rule; the message says which.
absl::StatusOr<StartRequest> FromMessage(v1::StartOrchestrationRequest message,
                                         InstanceRequest context);
//   InvalidArgument: as above, or the page token is none of ours.
absl::StatusOr<OrchestrationQuery> FromMessage(
    const v1::ListOrchestrationsRequest& message);
absl::StatusOr<RowQuery> FromMessage(const v1::OrchestrationFilter& message);

void ToMessage(const StartReceipt& receipt,
               v1::StartOrchestrationResponse& message);
void ToMessage(const OrchestrationInfo& info, v1::OrchestrationState& message);
void ToMessage(const OrchestrationPage& page,
               v1::ListOrchestrationsResponse& message);
void ToMessage(const HistoryEvent& event, v1::OrchestrationEvent& message);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_SERVER_ORCHESTRATION_MESSAGES_H_
