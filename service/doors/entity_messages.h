// Between the messages of entities.proto and the values of Entities.
//
// Thread-safety: pure functions.
#ifndef LEASEHOLD_SERVICE_DOORS_ENTITY_MESSAGES_H_
#define LEASEHOLD_SERVICE_DOORS_ENTITY_MESSAGES_H_

#include "absl/status/statusor.h"
#include "leasehold/v1/entities.pb.h"
#include "service/instance/instance_key.h"
#include "service/orchestration/entities.h"
#include "service/rpc/caller.h"

namespace leasehold {

// `key`: the entity that the call names. Takes what is in `message`.
//   InvalidArgument: a field breaks a rule; the message says which.
absl::StatusOr<EntitySignal> FromMessage(v1::SignalEntityRequest& message,
                                         const InstanceKey& key);
absl::StatusOr<EntityCall> FromMessage(v1::CallEntityRequest& message,
                                       const InstanceKey& key);
// Of the tenant of `caller`.
//   InvalidArgument: as above.
absl::StatusOr<EntityListQuery> FromMessage(
    const v1::ListEntitiesRequest& message, const Caller& caller);

// What a caller is told if its operation has failed: Unknown, with an
// OrchestrationFailure in its details. What is too long for the header of an
// answer is cut.
absl::Status OperationFailed(const EntityCall& call,
                             const OpaqueMessage& failure);

void ToMessage(const EntityInfo& info, v1::EntityInfo& message);
void ToMessage(const EntityList& list, v1::ListEntitiesResponse& message);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_DOORS_ENTITY_MESSAGES_H_
