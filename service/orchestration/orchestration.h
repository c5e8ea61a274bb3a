// Orchestration: what the engine keeps in memory of an open orchestration; and
// OrchestrationInstance, the hot state, which hangs on the instance context.
//
// Every open orchestration has an Orchestration, parked or not: who it is,
// where it stands, what has come for it and what workers are to do. Its history
// is in the hot state, an extension of the context of its key. Work that is out
// pins that context; one that waits for a timer, an event or a child does not,
// so the lease may end and the history is forgotten. The next turn reads it
// again.
//
// Thread-safety: guarded by the engine's lock.   Lifetime: an Orchestration is
// shared by the directory and by what is under way for it.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_ORCHESTRATION_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_ORCHESTRATION_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "service/instance/extension.h"
#include "service/instance/held_pin.h"
#include "service/instance/instance_key.h"
#include "service/orchestration/dispatcher.h"
#include "service/orchestration/history.h"
#include "service/orchestration/orchestration_info.h"
#include "service/orchestration/runtime_state.h"
#include "service/orchestration/timers.h"
#include "service/orchestration/turn.h"

namespace leasehold {

class Engine;
class Orchestration;

// An event that has come and is in no turn yet.
struct Message {
  int64_t sequence = 0;
  // For this execution only; empty: for any.
  std::string execution_id;
  std::string event = {};  // Encoded; empty: it only wakes.
  bool urgent = false;     // As IsUrgent.
  bool rewinds = false;    // It is an ExecutionRewound.
  // The timer that fired. There is no such message in the store, only the
  // timer, and its event is made when it is sent.
  std::optional<int32_t> timer = std::nullopt;
};

// Whether an event goes on with one that is suspended, or not started yet.
inline bool IsUrgent(const HistoryEvent& event) {
  return event.As<ExecutionTerminated>() != nullptr ||
         event.As<ExecutionResumed>() != nullptr;
}

// What a worker was sent, until its answer is durable.
struct SentTurn {
  std::vector<std::string> events;  // Encoded; OrchestratorStarted first.
  // Of each event after the first: the message that it was.
  std::vector<int64_t> sequences;
  int64_t last_sequence = 0;    // Of all messages that it took.
  std::vector<int32_t> timers;  // That have fired.
  Timestamp time;
  size_t bytes = 0;      // Of the whole item.
  bool stored = false;   // Some of its messages are in the store.
  bool rewinds = false;  // It asks for a history to go on with.
  // What has come of an answer that comes in parts.
  TurnAnswer answer;
  int parts = 0;
  size_t answer_bytes = 0;
};

// What workers do for an orchestration.
struct OwnedWork : Work {
  OwnedWork(Orchestration& owner, WorkKind kind, std::string name,
            std::string version)
      : Work(kind, std::move(name), std::move(version)), owner(owner) {}
  Orchestration& owner;
  int given_back = 0;  // Times in a row.
  // Times in a row that it went out and did not come back, or was given back.
  int lost = 0;
  bool sent = false;  // Its worker has been sent it.
  // It holds the context: it is out, or its end is on the way to the store.
  bool pins = false;
};

// All work is of this type.
inline OwnedWork& Owned(Work& work) { return static_cast<OwnedWork&>(work); }

struct ActivityWork final : OwnedWork {
  ActivityWork(Orchestration& owner, int32_t id, TaskScheduled task,
               std::string version)
      : OwnedWork(owner, WorkKind::kActivity, task.name, std::move(version)),
        id(id),
        task(std::move(task)) {}
  const int32_t id;  // Of the action.
  const TaskScheduled task;
  bool ended = false;  // Its end is on the way to the store.
};

// What is known of an orchestration that is hot.
struct HotState {
  absl::Time created;
  Summary summary;
  RuntimeState state;
  std::string past;    // The history, in frames.
  int64_t chunks = 0;  // In which it is stored.
};

// Where it lies.
class OrchestrationInstance final : public Extension {
 public:
  explicit OrchestrationInstance(Engine& engine) : engine_(engine) {}

  bool MayBlock() const override { return false; }
  void OnDetach(InstanceContext& context, DetachReason reason,
                HookDone done) override;

 private:
  friend class Engine;

  void Forget();

  Engine& engine_;

  // Guarded by the engine's lock.
  Orchestration* owner_ = nullptr;   // Null: none, or it has ended.
  std::unique_ptr<HotState> state_;  // Null: cold, or a turn has it.
  uint64_t load_ = 0;                // The read that is to bring it; 0: none.
};

class Orchestration : public std::enable_shared_from_this<Orchestration> {
 public:
  Orchestration(InstanceNumber number, InstanceKey key, std::string name,
                const Payload& version, std::string execution_id)
      : number(number),
        key(std::move(key)),
        execution_id(std::move(execution_id)),
        turn(*this, WorkKind::kTurn, std::move(name), version.value_or("")) {}
  Orchestration(const Orchestration&) = delete;
  Orchestration& operator=(const Orchestration&) = delete;

  const InstanceNumber number;
  const InstanceKey key;

  // What is durable.
  bool durable = false;   // That there is one.
  uint64_t revision = 0;  // As OrchestrationInfo; 0: not durable yet.
  std::string execution_id;
  std::vector<std::string> former_executions;  // As in Summary.
  OrchestrationStatus status = OrchestrationStatus::kPending;
  Timestamp turn_time;

  // A commit is under way that ends it, or another has taken its place: nothing
  // that comes now is for it.
  bool ending = false;
  // It has ended: what was under way for it changes nothing.
  bool gone = false;

  // Not before this; 0: at once.
  StoredTime start_at = 0;
  // Messages are numbered upwards, but those that a new execution begins with
  // stand before all others.
  int64_t last_sequence = 0;
  int64_t first_sequence = 0;
  // As it will be once all that has come for it is in a turn.
  bool suspended = false;
  std::vector<Message> inbox;  // In order of their sequences.

  OwnedWork turn;
  std::unique_ptr<SentTurn> sent;  // Of the turn that is, or was last, out.
  bool committing = false;         // Its answer is on the way to the store.
  bool held = false;               // It was given back, and waits a while.
  std::map<int32_t, std::unique_ptr<ActivityWork>> activities;

  int pins = 0;  // Work that pins the context.
  std::unique_ptr<HeldPin> pin;
  bool pinning = false;       // It is being acquired.
  std::vector<Work*> unsent;  // Out already, but not sent.

  OrchestrationInstance* hot = nullptr;
  // Of one that has just been created: there is nothing to read.
  std::unique_ptr<HotState> fresh;
};

// Keeps `suspended` up with an event that has come.
void NoteSuspension(const HistoryEvent& event, Orchestration& orchestration);

// Whether it is for the present execution, or for any.
bool IsForPresent(const Message& message, const Orchestration& orchestration);

// How one was started that has no history yet; nullopt: it has.
std::optional<ExecutionStarted> PendingStartOf(
    const Orchestration& orchestration);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_ORCHESTRATION_H_
