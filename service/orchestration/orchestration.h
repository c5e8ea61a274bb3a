// Orchestration: what the engine keeps in memory for an open orchestration; and
// HotOrchestration, the hot state, which hangs on the instance context.
//
// Every open orchestration, parked or not, has an Orchestration: its identity,
// its status, what it has received and the work for workers. Its history is in
// the hot state, an extension of the context of its key. Work that is out pins
// that context; waiting for a timer, an event or a child does not, so the lease
// may end and the history is dropped. The next turn reads the history again.
//
// Thread-safety: guarded by the engine's lock.   Lifetime: an Orchestration is
// shared by the directory and by the operations in progress for it.
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
#include "service/instance/instance_key.h"
#include "service/orchestration/durable.h"
#include "service/orchestration/history.h"
#include "service/orchestration/inbox.h"
#include "service/orchestration/orchestration_info.h"
#include "service/orchestration/runtime_state.h"
#include "service/orchestration/timers.h"
#include "service/orchestration/turn.h"

namespace leasehold {

class Engine;
class Orchestration;

// What was sent to a worker; kept until the answer is durable.
struct SentTurn {
  std::vector<std::string> events;  // Encoded; OrchestratorStarted first.
  // For each event after the first: the sequence of its message.
  std::vector<int64_t> sequences;
  int64_t last_sequence = 0;    // The last of its messages.
  std::vector<int32_t> timers;  // That have fired.
  Timestamp time;
  // How far `time` is ahead of the wall clock, which was set back since. Timers
  // that the turn sets are ahead by as much.
  StoredTime ahead = 0;
  size_t bytes = 0;      // Of the whole item.
  bool stored = false;   // Some of its messages are in the store.
  bool rewinds = false;  // It asks for a history to go on with.
  // The parts of a partial answer so far.
  TurnAnswer answer;
  int parts = 0;
  size_t answer_bytes = 0;
};

struct ActivityWork final : OwnedWork {
  ActivityWork(Durable& owner, int32_t id, TaskScheduled task, bool away,
               std::string version)
      : OwnedWork(owner, WorkKind::kActivity, task.name, std::move(version)),
        id(id),
        task(std::move(task)),
        away(away) {}
  const int32_t id;  // Of the action.
  const TaskScheduled task;
  // It is large: only its name is in memory, the rest is in the store.
  const bool away;
  bool ended = false;  // Its end is being committed.
};

// What is known of a hot orchestration.
struct HotState {
  absl::Time created;
  Summary summary;
  RuntimeState state;
  std::string past;    // The history, in frames.
  int64_t chunks = 0;  // Chunks in the store.
};

// Holds the hot state; of an entity only its place in the context.
class HotOrchestration final : public Extension {
 public:
  explicit HotOrchestration(Engine& engine) : engine_(engine) {}

  bool MayBlock() const override { return false; }
  void OnDetach(InstanceContext& context, DetachReason reason,
                HookDone done) override;
  bool has_state() const { return state != nullptr; }
  void Forget() {
    owner = nullptr;
    state.reset();
    load = 0;
  }

  // Guarded by the engine's lock.
  Durable* owner = nullptr;  // Null: none, or it has ended.
  // Of an orchestration. Null: cold, or in use by a turn.
  std::unique_ptr<HotState> state;
  uint64_t load = 0;  // The read that will load it; 0: none.

 private:
  Engine& engine_;
};

class Orchestration final : public Durable {
 public:
  Orchestration(RunNumber number, InstanceKey key, std::string name,
                const Payload& version, std::string execution_id)
      : Durable(number, std::move(key)),
        execution_id(std::move(execution_id)),
        turn(*this, WorkKind::kTurn, std::move(name), version.value_or("")) {}

  std::shared_ptr<Orchestration> shared_from_this() {
    return std::static_pointer_cast<Orchestration>(Durable::shared_from_this());
  }
  void ForEachWork(absl::FunctionRef<void(OwnedWork&)> each) override {
    each(turn);
    for (auto& [id, activity] : activities) each(*activity);
  }
  void OnParked() override {
    // The remaining memory may stay for long.
    inbox.ShrinkToFit();
    turn.token.shrink_to_fit();
  }

  // Durable state.
  uint64_t revision = 0;  // As OrchestrationInfo; 0: not durable yet.
  std::string execution_id;
  std::vector<std::string> former_executions;  // As in Summary.
  OrchestrationStatus status = OrchestrationStatus::kPending;
  Timestamp turn_time;

  // A commit that ends it is in progress, or another orchestration has taken
  // its key: it receives nothing more.
  bool ending = false;
  // `ending`, but its rows are read first: its end is not in the commit queue,
  // and may never be. Until then it has its ID, and what is sent to it is not
  // lost.
  bool undecided = false;
  // Why it is set aside, if a part of it cannot be read. None of its turns goes
  // out, and only a purge can change it. Null: it is intact.
  std::unique_ptr<const std::string> damage;

  // As Summary::begun_by_work. Constant once it is in the directory.
  bool begun_by_work = false;

  // Earliest start; 0: at once.
  StoredTime start_at = 0;
  // Messages have ascending numbers. The first messages of a new execution are
  // numbered before all others.
  int64_t last_sequence = 0;
  int64_t first_sequence = 0;
  // As it will be once a turn has taken all that was received.
  bool suspended = false;
  bool terminating = false;  // An ExecutionTerminated was received.
  Inbox inbox;

  OwnedWork turn;
  std::unique_ptr<SentTurn> sent;  // Of the turn that is, or was last, out.
  bool committing = false;         // Its answer is being committed.
  bool renewing = false;           // And with that it continues as new.
  std::map<int32_t, std::unique_ptr<ActivityWork>> activities;

  // Of a new orchestration, which has nothing to read.
  std::unique_ptr<HotState> fresh;

  // Used by the directory: its pointer to it, and whether it looks at it when
  // it packs what is parked.
  std::shared_ptr<Orchestration> listed;
  bool noted_parked = false;
};

// The orchestration of a turn or an activity.
inline Orchestration& OrchestrationOf(Work& work) {
  return static_cast<Orchestration&>(Owned(work).owner);
}

// Updates `suspended` for a received event.
void NoteSuspension(int event_number, Orchestration& orchestration);

// Whether the message is for the present execution, or for any.
bool IsForPresent(const Message& message, const Orchestration& orchestration);

// The start event of an orchestration without history; nullopt: it has a
// history, or the event is away (StartIsAway).
std::optional<ExecutionStarted> PendingStartOf(
    const Orchestration& orchestration);
bool StartIsAway(const Orchestration& orchestration);
// Keeps the start event, if it is away, in memory. `rows`: its first message in
// the store.
void KeepStart(std::vector<MessageRow> rows, Orchestration& orchestration);
// The start event in these rows; nullopt: they hold none.
std::optional<ExecutionStarted> StartIn(const std::vector<MessageRow>& rows);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_ORCHESTRATION_H_
