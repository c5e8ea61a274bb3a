// RunBatch: a batch of operations on an entity, from request to response.
//
// A pure function of the state and the operations. Each operation begins with
// what the one before it has left behind; if it fails, nothing is left of it
// but its failure:
//
//   state 5   add 2 ─▶ 7   add "x" fails   get ─▶ 7   response: 7, 7
//
// Thread-safety: safe.   Lifetime: no references are kept.
#ifndef LEASEHOLD_CLIENT_WORKER_ENTITY_RUN_H_
#define LEASEHOLD_CLIENT_WORKER_ENTITY_RUN_H_

#include <string>

#include "client/worker/registry.h"
#include "durabletask/orchestrator_service.pb.h"

namespace leasehold::worker::internal {

// The code that runs the operations of this entity; null: there is none, or the
// ID is not that of an entity.
const Registry::Entity* FindEntityOf(const Registry& registry,
                                     const std::string& id);

// Without the completion token. Blocks for as long as the operations do.
// REQUIRES: the ID is that of an entity.
EntityBatchResult RunBatch(const Registry::Entity& entity,
                           const EntityRequest& request);

// The response in which every operation has failed like this, and nothing has
// happened.
EntityBatchResult FailBatch(const EntityRequest& request,
                            const TaskFailureDetails& failure);

}  // namespace leasehold::worker::internal

#endif  // LEASEHOLD_CLIENT_WORKER_ENTITY_RUN_H_
