// Rewinding: the history with which an orchestration that has failed goes on.
//
// The turn that asks for it has an end in its past and a rewind among what is
// new. The answer is a whole history, without what failed: failed activities
// with what began them, so that the code begins them again; the failures of
// sub-orchestrations, which are rewound themselves; and the end.
//
// Thread-safety: pure functions.
#ifndef LEASEHOLD_CLIENT_WORKER_REWIND_H_
#define LEASEHOLD_CLIENT_WORKER_REWIND_H_

#include "durabletask/orchestrator_service.pb.h"

namespace leasehold::worker::internal {

bool AsksForRewind(const OrchestratorRequest& request);

// Whether the history went on from a rewind once: the code may begin again what
// stands there no more.
bool WasRewound(const OrchestratorRequest& request);

// REQUIRES: AsksForRewind.
OrchestratorResponse RunRewind(const OrchestratorRequest& request);

}  // namespace leasehold::worker::internal

#endif  // LEASEHOLD_CLIENT_WORKER_REWIND_H_
