// CommittedTurn: everything that the commit of a turn changes, as one value.
//
//   what was sent ─┐
//   the answer    ─┼─▶ CommitTurn ─▶ CommittedTurn ─▶ rows for the store
//   the hot state ─┘                      │
//                                         ├─▶ memory, once they are durable
//                                         └─▶ children and messages to others
//
// It depends on nothing else: what has come meanwhile, and what becomes of it,
// is the engine's.
//
// Thread-safety: pure functions and values.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_COMMITTED_TURN_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_COMMITTED_TURN_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "service/orchestration/history.h"
#include "service/orchestration/inbox.h"
#include "service/orchestration/orchestration.h"
#include "service/orchestration/turn.h"
#include "service/storage/records.h"
#include "service/tracing/span.h"

namespace leasehold {

// A turn with its answer.
struct AnsweredTurn {
  RunNumber number = 0;
  const std::string& id;          // Of its orchestration.
  const SentTurn& sent;           // What the worker was sent.
  std::unique_ptr<HotState> hot;  // Before the turn.
  TurnAnswer answer;
  // The first messages of a next execution are numbered before this.
  int64_t first_sequence = 0;
};

// The execution that continues another as new.
struct NextExecution {
  std::string execution_id;
  Payload input;
  // The start, then what is carried over; numbered in this order.
  std::vector<Message> messages;
  bool terminates = false;  // One of them is an ExecutionTerminated.
  std::map<int32_t, Timestamp> former_timers;  // No longer awaited.
};

struct CommittedTurn {
  RunNumber number = 0;

  // ---- What it took ----
  int64_t last_sequence = 0;   // Messages up to here are in the history now.
  bool takes_stored = false;   // Some of them are in the store.
  std::vector<int32_t> fired;  // Timers that the store need not have any more.
  StoredTime ahead = 0;        // See SentTurn.

  // ---- What it is now ----
  size_t events = 0;              // That joined the history.
  std::string chunk;              // The same, in frames.
  std::unique_ptr<HotState> hot;  // After the turn.
  std::optional<StoredTime> finished;
  std::optional<NextExecution> next;

  // ---- What begins, and why it ended ----
  // Tasks, timers, children and messages. Its events, and its next execution,
  // are above.
  TurnOutcome outcome;

  // Those that end with it, without their tenant.
  std::vector<Span> spans;

  OrchestrationStatus status() const { return hot->state.status; }
  // The input of the present execution.
  const Payload& input() const {
    return next.has_value() ? next->input : hot->state.started.input;
  }
};

// `new_execution_id` is called if the orchestration continues as new.
CommittedTurn CommitTurn(AnsweredTurn turn, const TurnLimits& limits,
                         Timestamp now,
                         absl::FunctionRef<std::string()> new_execution_id);

// The changes of the orchestration's own rows, to be committed together. Called
// once: takes the chunk, and the events of large messages, out of `turn`.
std::vector<Change> TakeRows(CommittedTurn& turn);

// One line, such as `run 7 takes messages to 3, adds 4 events, is Running; task
// 1 Work; timer 2 at 1970-01-01T00:01:00+00:00; child 3 c; tells b`.
std::ostream& operator<<(std::ostream& out, const CommittedTurn& turn);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_COMMITTED_TURN_H_
