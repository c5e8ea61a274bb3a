// Rewinding: the history with which a failed orchestration continues.
//
// Such a turn has an end among its past events and a rewind among its new ones.
// The answer is a whole history without the failed parts: failed activities and
// the events that started them, so that the code starts them again; failures of
// sub-orchestrations, which are rewound themselves; and the end.
//
// Thread-safety: pure functions.
#ifndef LEASEHOLD_CLIENT_WORKER_REWIND_H_
#define LEASEHOLD_CLIENT_WORKER_REWIND_H_

#include "durabletask/orchestrator_service.pb.h"

namespace leasehold::worker::internal {

bool AsksForRewind(const OrchestratorRequest& request);

// Whether the history has continued from a rewind before: the code may start
// again what the history no longer contains.
bool WasRewound(const OrchestratorRequest& request);

// REQUIRES: AsksForRewind.
OrchestratorResponse RunRewind(const OrchestratorRequest& request);

}  // namespace leasehold::worker::internal

#endif  // LEASEHOLD_CLIENT_WORKER_REWIND_H_
