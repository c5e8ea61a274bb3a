// RunActivity: one call of an activity, from request to response.
//
// Thread-safety: safe.   Lifetime: registry and `stopping` outlive the call.
#ifndef LEASEHOLD_CLIENT_WORKER_ACTIVITY_RUN_H_
#define LEASEHOLD_CLIENT_WORKER_ACTIVITY_RUN_H_

#include <atomic>

#include "client/worker/registry.h"
#include "durabletask/orchestrator_service.pb.h"

namespace leasehold::worker::internal {

// Without the completion token. Blocks for as long as the activity does.
ActivityResponse RunActivity(const Registry& registry,
                             const ActivityRequest& request,
                             const std::atomic<bool>& stopping);

}  // namespace leasehold::worker::internal

#endif  // LEASEHOLD_CLIENT_WORKER_ACTIVITY_RUN_H_
