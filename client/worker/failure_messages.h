// Failures in the messages of the Durable Task contract.
//
// Thread-safety: safe.   Lifetime: values.
#ifndef LEASEHOLD_CLIENT_WORKER_FAILURE_MESSAGES_H_
#define LEASEHOLD_CLIENT_WORKER_FAILURE_MESSAGES_H_

#include <string>
#include <vector>

#include "client/worker/failure.h"
#include "durabletask/orchestrator_service.pb.h"

namespace leasehold::worker::internal {

TaskFailureDetails ToProto(const TaskFailure& failure);
TaskFailure FromProto(const TaskFailureDetails& details);

// The failure of work with a name that the worker has not registered. `kind`:
// `Orchestrator` or `Activity`.
TaskFailureDetails NotFound(const std::string& kind, const std::string& name,
                            const std::vector<std::string>& known);

}  // namespace leasehold::worker::internal

#endif  // LEASEHOLD_CLIENT_WORKER_FAILURE_MESSAGES_H_
