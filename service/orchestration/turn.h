// Turn: one execution of an orchestrator against its history, and its outcome.
//
// A worker receives the history and the new events, replays the orchestrator,
// and answers with actions. ConcludeTurn interprets these: which events join
// the history, which activities, timers and sub-orchestrations begin, and which
// messages are sent. It uses no clock of its own, reads nothing and stores
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

// ---- Answers from workers ---------------------------------------------------

// Ends another orchestration.
struct TerminateOther {
  std::string instance_id;
  Payload reason;
  bool recursive = false;
};

// Ends this execution: as kCompleted, kFailed or kTerminated, or to continue as
// new with `result` as its input.
struct CompleteExecution {
  OrchestrationStatus status = OrchestrationStatus::kCompleted;
  Payload result;
  OpaqueMessage failure;
  Payload new_version;
  std::vector<std::string> carried_over;  // Encoded events.
};

// The answer to a rewind turn: the complete history to continue with.
struct RewindHistory {
  std::vector<std::string> events;  // Encoded.
};

// An event to the ID of an entity, which is a message for it: from workers that
// know no others. In the history it is the event.
struct LegacyEntityMessage {
  EventSent sent = {};
  std::variant<EntityOperationSignaled, EntityOperationCalled,
               EntityLockRequested, EntityUnlockSent>
      message = {};
  std::string problem = {};  // Why it is no such message; empty: it is one.
};

// Most actions are the event that they become.
struct OrchestratorAction {
  int32_t id = 0;
  std::variant<TaskScheduled, SubOrchestrationCreated, TimerCreated, EventSent,
               EntityOperationSignaled, EntityOperationCalled,
               EntityLockRequested, EntityUnlockSent, LegacyEntityMessage,
               TerminateOther, CompleteExecution, RewindHistory>
      what;
};

struct TurnAnswer {
  std::vector<OrchestratorAction> actions;
  Payload custom_status;        // Absent: unchanged.
  OpaqueMessage trace_context;  // For the next turn; absent: unchanged.
  std::optional<int32_t> events_processed;  // Of those sent; absent: all.
  // Names of events that it waits for, as far as its worker says; for people.
  std::vector<std::string> awaited_events = {};

  // An answer may come in consecutive parts; all but the last are partial.
  bool partial = false;
  std::optional<int32_t> part;  // Its number, from 0.
  size_t bytes = 0;             // As the worker sent it.

  // Set by the engine: the terminate in this turn was already in a former
  // execution, which continued as new.
  bool terminate_is_old = false;

  // The answer was refused, and fails the orchestration with this, whatever its
  // earlier parts said.
  std::optional<FailureDetails> refusal;
};

// ---- The outcome ------------------------------------------------------------

struct TurnLimits {
  size_t payload_bytes_max = 16 << 20;   // `--max-payload`
  int64_t history_events_max = 100'000;  // `--max-history-events`
};

// The message for a payload of `size` bytes that exceeds the limit. It begins
// with `what`, such as "the input has".
std::string PayloadTooLarge(std::string_view what, size_t size,
                            const TurnLimits& limits);
// ResourceExhausted with that message; OK: within the limit.
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
    Payload execution_id;  // Only for that execution; absent: for any.
    HistoryEvent event;
  };
  // The execution that follows this one.
  struct Next {
    ExecutionStarted started;  // Has no execution ID yet.
    std::vector<std::string> carried_over;
  };

  std::vector<HistoryEvent> events;  // Appended to those sent.
  std::vector<Task> tasks;
  std::vector<Timer> timers;
  std::vector<Child> children;
  std::vector<Message> messages;
  std::optional<Next> next;
  std::string limit;  // Why it was failed; empty: it was not.
  // It was ended because its worker ignored a terminate.
  bool terminate_unheeded = false;
};

// Not OK: why no sub-orchestration can have this ID.
absl::Status CheckChildId(const std::string& id);

// The start event of a sub-orchestration that action `action_id` of the
// orchestration `id` created; `state` is the latter's.
ExecutionStarted StartOfChild(const RuntimeState& state, const std::string& id,
                              int32_t action_id,
                              const SubOrchestrationCreated& child);

// The event that tells the parent that the orchestration `id` ended.
// `action_id`: the parent's action that created it.
EventBody EndOfChild(const std::string& id, int32_t action_id,
                     OrchestrationStatus status, const Payload& result,
                     const OpaqueMessage& failure);

// The outcome of a turn of the orchestration `id`; `state` includes the events
// that were sent. Exceeding a limit fails the orchestration, with a failure
// that names the limit. If the worker was told to terminate it and did not, it
// is terminated; but it may continue as new once.
TurnOutcome ConcludeTurn(const RuntimeState& state, const std::string& id,
                         TurnAnswer answer, const TurnLimits& limits,
                         Timestamp now);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_TURN_H_
