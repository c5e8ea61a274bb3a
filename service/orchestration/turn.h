// Turn: one execution of an orchestrator against its history, and what comes of
// it.
//
// A worker is sent the history and what is new, replays the orchestrator, and
// answers with actions. ConcludeTurn says what these mean: which events join
// the history, which activities, timers and sub-orchestrations begin, who is
// sent a message. It decides nothing by the clock, reads nothing and keeps
// nothing; the engine makes one commit of its outcome.
//
// Thread-safety: pure functions and values.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_TURN_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_TURN_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "service/orchestration/history.h"
#include "service/orchestration/runtime_state.h"

namespace leasehold {

// ---- What a worker answers --------------------------------------------------

// Ends another orchestration.
struct TerminateOther {
  std::string instance_id;
  Payload reason;
  bool recursive = false;
};

// Ends this execution: as kCompleted, kFailed, kTerminated, or to begin anew
// with `result` as its input.
struct CompleteExecution {
  OrchestrationStatus status = OrchestrationStatus::kCompleted;
  Payload result;
  OpaqueMessage failure;
  Payload new_version;
  std::vector<std::string> carried_over;  // Encoded events.
};

// The answer to a turn that rewinds: the history to go on with, whole.
struct RewindHistory {
  std::vector<std::string> events;  // Encoded.
};

// What this server does not do.
struct UnsupportedAction {
  std::string what;
};

// Most are the very event that they become.
struct OrchestratorAction {
  int32_t id = 0;
  std::variant<TaskScheduled, SubOrchestrationCreated, TimerCreated, EventSent,
               TerminateOther, CompleteExecution, RewindHistory,
               UnsupportedAction>
      what;
};

struct TurnAnswer {
  std::vector<OrchestratorAction> actions;
  Payload custom_status;        // Absent: as it was.
  OpaqueMessage trace_context;  // For the next turn; absent: as it was.
  std::optional<int32_t> events_processed;  // Of those sent; absent: all.

  // An answer may come in parts, one after the other; only the last one is not
  // partial.
  bool partial = false;
  std::optional<int32_t> part;  // Its number, from 0.
  size_t bytes = 0;             // That the worker sent.
};

// ---- What comes of it -------------------------------------------------------

struct TurnLimits {
  size_t payload_bytes_max = 16 << 20;   // `--max-payload`
  int64_t history_events_max = 100'000;  // `--max-history-events`
};

// What is said of a payload of `size` bytes that breaks the limit; `what` is
// how the sentence begins: "the input has".
std::string PayloadTooLarge(std::string_view what, size_t size,
                            const TurnLimits& limits);
// ResourceExhausted, with those words; OK: it keeps the limit.
absl::Status CheckPayload(const Payload& payload, std::string_view what,
                          const TurnLimits& limits);

struct TurnOutcome {
  struct Task {
    int32_t id = 0;
    TaskScheduled task;
  };
  struct Timer {
    int32_t id = 0;
    Timestamp fire_at;
  };
  struct Child {
    int32_t id = 0;
    ExecutionStarted started;  // Has no execution ID yet.
  };
  struct Message {
    std::string instance_id;
    Payload execution_id;  // For that execution only; absent: for any.
    HistoryEvent event;
  };
  // The execution that follows this one.
  struct Next {
    ExecutionStarted started;  // Has no execution ID yet.
    std::vector<std::string> carried_over;
  };

  std::vector<HistoryEvent> events;  // Join the history after those sent.
  std::vector<Task> tasks;
  std::vector<Timer> timers;
  std::vector<Child> children;
  std::vector<Message> messages;
  std::optional<Next> next;
};

// Not OK: why no sub-orchestration can have this ID.
absl::Status CheckChildId(const std::string& id);

// How a sub-orchestration is started: action `action_id` of the orchestration
// `id`, whose state that is, has asked for it.
ExecutionStarted StartOfChild(const RuntimeState& state, const std::string& id,
                              int32_t action_id,
                              const SubOrchestrationCreated& child);

// What its parent is told of the end of the orchestration `id`. `action_id`: of
// the parent's, which asked for it.
EventBody EndOfChild(const std::string& id, int32_t action_id,
                     OrchestrationStatus status, const Payload& result,
                     const OpaqueMessage& failure);

// The outcome of a turn of the orchestration `id`. `state`: after the events
// that were sent. What breaks a limit fails the orchestration; the failure
// names it.
TurnOutcome ConcludeTurn(const RuntimeState& state, const std::string& id,
                         TurnAnswer answer, const TurnLimits& limits,
                         Timestamp now);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_TURN_H_
