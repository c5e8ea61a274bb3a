// From the messages of workers, in the Durable Task contract, to the values of
// WorkExchange.
//
// Thread-safety: pure functions.
#ifndef LEASEHOLD_SERVICE_DOORS_WORK_MESSAGES_H_
#define LEASEHOLD_SERVICE_DOORS_WORK_MESSAGES_H_

#include "absl/status/statusor.h"
#include "durabletask/orchestrator_service.pb.h"
#include "service/orchestration/entity_batch.h"
#include "service/orchestration/history.h"
#include "service/orchestration/turn.h"
#include "service/orchestration/work_exchange.h"

namespace leasehold {

//   InvalidArgument: an action is empty, or ends with an unknown status; an
//     event in it breaks a limit.
absl::StatusOr<TurnAnswer> FromMessage(OrchestratorResponse message);

// The event for the end of an activity. Its failure is truncated to the limits
// of failures, like those in the answer to a turn.
EventBody FromMessage(ActivityResponse message);

//   InvalidArgument: an action is empty, or breaks a limit.
absl::StatusOr<BatchAnswer> FromMessage(EntityBatchResult message);

// `user_agent`: as in the header of this name. A worker that says nothing of
// entities and is written in Go is sent none: Go's SDK drops them.
//   InvalidArgument: there are too many filters, or one breaks a limit.
absl::StatusOr<WorkerOptions> FromMessage(const GetWorkItemsRequest& message,
                                          std::string_view user_agent = {});

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_DOORS_WORK_MESSAGES_H_
