// EntityBatch: operations that a worker was sent together, its answer, and what
// the commit of that changes, as one value.
//
//   what was sent ─┐
//   the answer    ─┼─▶ CommitBatch ─▶ CommittedBatch ─▶ the new state
//                  │                       ├─▶ messages that are done with
//                  │                       ├─▶ answers to callers
//                                          └─▶ signals and starts
//
// It depends on nothing else, and stores nothing; the engine makes one commit
// of it.
//
// Thread-safety: pure functions and values.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_ENTITY_BATCH_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_ENTITY_BATCH_H_

#include <cstddef>
#include <cstdint>
#include <ostream>
#include <string>
#include <variant>
#include <vector>

#include "absl/functional/function_ref.h"
#include "service/orchestration/entity_queue.h"
#include "service/orchestration/history.h"
#include "service/orchestration/turn.h"

namespace leasehold {

// The outcome of one operation.
struct OperationResult {
  Payload output;
  OpaqueMessage failure;  // Present: it failed.
};

// Starts an orchestration, under the ID in `started`; empty: a new one.
struct EntityStart {
  ExecutionStarted started;
};

using EntityAction = std::variant<EntityOperationSignaled, EntityStart>;

// A worker's answer to a batch.
struct BatchAnswer {
  // In the order of the operations. The rest of them is for the next batch.
  std::vector<OperationResult> results;
  std::vector<EntityAction> actions;
  Payload state;             // Absent: the entity has none any more.
  bool keeps_state = false;  // Whatever `state` says.
  // Present: the worker could not run the batch, and nothing happened.
  OpaqueMessage failure;
  // It wants to be sent the state, which it has got.
  bool wants_state = false;
};

// A call from outside of any orchestration that was in a batch.
struct EndedCall {
  std::string request_id;  // As its caller named it, if it is kept.
  bool kept = false;
  OperationResult result;
};

struct CommittedBatch {
  Payload state;  // Unless `keeps_state`.
  bool keeps_state = false;
  std::vector<int64_t> done;  // Messages that are no longer in the queue.
  std::vector<TurnOutcome::Message> messages;  // Answers and signals.
  std::vector<EndedCall> ended;
  std::vector<ExecutionStarted> starts;
  std::string limit;  // Why the operations failed; empty: no limit was hit.
};

// `sent`: the operations. `new_id` makes an ID of its own for each signal, and
// for each start without one. Exceeding a limit fails the operations: the state
// stays, and no action is carried out.
CommittedBatch CommitBatch(const std::vector<const EntityMessage*>& sent,
                           BatchAnswer answer, const TurnLimits& limits,
                           Timestamp now,
                           absl::FunctionRef<std::string()> new_id);

// The answer that fails the first operation, and leaves the others for later.
BatchAnswer FailingFirst(OpaqueMessage failure);

// One line, such as `has a state; done 1 2; tells p; starts o`.
std::ostream& operator<<(std::ostream& out, const CommittedBatch& batch);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_ENTITY_BATCH_H_
