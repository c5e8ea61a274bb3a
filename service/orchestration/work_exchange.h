// WorkExchange: everything that workers do: connect, receive work, and answer
// it. The doors know this interface, not who has work.
//
// Thread-safety: safe. Callbacks run on any thread, once each, under no lock;
// `done` must not block.   Lifetime: outlives its workers' connections.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_WORK_EXCHANGE_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_WORK_EXCHANGE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "service/dispatch/worker.h"
#include "service/instance/instance_key.h"
#include "service/orchestration/entity_batch.h"
#include "service/orchestration/history.h"
#include "service/orchestration/requests.h"
#include "service/orchestration/turn.h"

namespace leasehold {

// Identifies work. Some workers do not return the token.
struct WorkName {
  std::string token = {};
  InstanceKey key = {};  // The tenant is the worker's, and always there.
  int32_t task_id = 0;   // Of an activity.
};

// What workers say of work that they have.
class WorkAnswers {
 public:
  virtual ~WorkAnswers() = default;

  // An answer may come in parts; it counts once the last part has arrived.
  //   NotFound: this work is not out, or another worker has it, or had it. An
  //     answer without a token is dropped instead, and OK.
  virtual void CompleteTurn(const WorkName& name, TurnAnswer answer,
                            DoneStatus done) = 0;
  // `end`: TaskCompleted or TaskFailed, whose ID is set here. If the answer
  // says only that the worker does not know the name, the work goes to workers
  // that have not said so. As CompleteTurn; the answer to an activity of an
  // orchestration that has ended is dropped, too.
  virtual void CompleteActivity(const WorkName& name, EventBody end,
                                DoneStatus done) = 0;
  // The answer to a batch of operations of an entity. As CompleteTurn.
  virtual void CompleteEntity(const WorkName& name, BatchAnswer answer,
                              DoneStatus done) = 0;
  // A worker's answer was refused: `reason` says why, such as "its answer could
  // not be read". The work then counts as lost, as when its worker's stream
  // ends.
  virtual void RefuseAnswer(WorkKind kind, const WorkName& name,
                            std::string_view reason) = 0;
  // Returns work. It goes out again after a delay, to another worker if there
  // is one. Work that is not out is not affected.
  virtual void Abandon(WorkKind kind, const WorkName& name) = 0;
};

// The answers to the work of one owner, such as the engine of a partition.
class OwnerAnswers : public WorkAnswers {
 public:
  // Whether work of this instance is the owner's. Does not block.
  virtual bool Owns(const InstanceKey& key) const = 0;
};

class WorkExchange : public WorkAnswers {
 public:
  // Sends work to `sink` from now on, until Disconnect.
  virtual WorkerId Connect(WorkerOptions options,
                           std::shared_ptr<WorkSink> sink) = 0;
  // The worker's unanswered work goes to others at once.
  virtual void Disconnect(WorkerId id) = 0;
  // A worker has read enough of its items that it may get more.
  virtual void OnWorkTaken() = 0;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_WORK_EXCHANGE_H_
