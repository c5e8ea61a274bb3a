// HistoryEvent: something that happened to an orchestration.
//
// The history of an execution is the list of its events, in order, and all that
// is known of it: what an orchestrator has done and what it waits for is a fold
// of its history (runtime_state.h), and workers replay it. Events have the form
// and the field names of the message HistoryEvent in the Durable Task contract.
//
// Several events together are stored in *frames*: each is encoded as an entry
// of a repeated field, one after the other, so that a part of a history can be
// copied into such a message as it is.
//
// Thread-safety: values; callers synchronise.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_HISTORY_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_HISTORY_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "absl/time/time.h"
#include "service/orchestration/entity_events.h"
#include "service/orchestration/wire.h"

namespace leasehold {

// Numbers as in the contract, except for the last. No orchestration ever has
// status CONTINUED_AS_NEW, which only workers request, or CANCELED, which
// nothing requests.
enum class OrchestrationStatus : int32_t {
  kRunning = 0,
  kCompleted = 1,
  kContinuedAsNew = 2,
  kFailed = 3,
  kCanceled = 4,
  kTerminated = 5,
  kPending = 6,
  kSuspended = 7,
  // Our own, never stored: the stored orchestration cannot be read. It is set
  // aside until it is purged.
  kDamaged = 1000,
};

// `Running`, `Completed`, ...
std::string_view StatusName(OrchestrationStatus status);
// Whether the orchestration has ended. True for a damaged one.
bool IsFinished(OrchestrationStatus status);

Timestamp ToTimestamp(absl::Time time);
absl::Time ToTime(const Timestamp& timestamp);  // Rounded.

// An instance ID and one of its executions.
struct ExecutionOf {
  std::string instance_id;
  Payload execution_id;
  friend bool operator==(const ExecutionOf&, const ExecutionOf&) = default;

  template <typename Self, typename Fields>
  static void Visit(Self& self, Fields&& field) {
    field(1, self.instance_id);
    field(2, self.execution_id);
  }
};

// The parent of a sub-orchestration, and the action that created it.
struct ParentLink {
  int32_t task_scheduled_id = 0;
  Payload name;
  Payload version;
  ExecutionOf orchestration;
  friend bool operator==(const ParentLink&, const ParentLink&) = default;

  template <typename Self, typename Fields>
  static void Visit(Self& self, Fields&& field) {
    field(1, self.task_scheduled_id);
    field(2, self.name);
    field(3, self.version);
    field(4, self.orchestration);
  }
};

struct FailureDetails {
  std::string type;
  std::string message;
  friend bool operator==(const FailureDetails&,
                         const FailureDetails&) = default;

  template <typename Self, typename Fields>
  static void Visit(Self& self, Fields&& field) {
    field(1, self.type);
    field(2, self.message);
  }
};

// A failure that the server itself reports to a worker.
OpaqueMessage MakeFailure(std::string type, std::string message);

// ---- The events, each with its number in the contract -----------------------

struct ExecutionStarted {
  static constexpr int kNumber = 3;
  std::string name;
  Payload version;
  Payload input;
  ExecutionOf orchestration;
  std::optional<ParentLink> parent;
  std::optional<Timestamp> scheduled_start;
  OpaqueMessage trace;
  Payload span_id;
  StringMap tags;

  template <typename Self, typename Fields>
  static void Visit(Self& self, Fields&& field) {
    field(1, self.name);
    field(2, self.version);
    field(3, self.input);
    field(4, self.orchestration);
    field(5, self.parent);
    field(6, self.scheduled_start);
    field(7, self.trace);
    field(8, self.span_id);
    field(9, self.tags);
  }
};

struct ExecutionCompleted {
  static constexpr int kNumber = 4;
  int32_t status = 0;
  Payload result;
  OpaqueMessage failure;

  template <typename Self, typename Fields>
  static void Visit(Self& self, Fields&& field) {
    field(1, self.status);
    field(2, self.result);
    field(3, self.failure);
  }
};

struct ExecutionTerminated {
  static constexpr int kNumber = 5;
  Payload output;
  bool recursive = false;

  template <typename Self, typename Fields>
  static void Visit(Self& self, Fields&& field) {
    field(1, self.output);
    field(2, self.recursive);
  }
};

struct TaskScheduled {
  static constexpr int kNumber = 6;
  std::string name;
  Payload version;
  Payload input;
  OpaqueMessage trace;
  StringMap tags;

  template <typename Self, typename Fields>
  static void Visit(Self& self, Fields&& field) {
    field(1, self.name);
    field(2, self.version);
    field(3, self.input);
    field(4, self.trace);
    field(5, self.tags);
  }
};

// An activity (7) or a sub-orchestration (10) has completed.
template <int event_number>
struct ScheduledCompleted {
  static constexpr int kNumber = event_number;
  int32_t task_scheduled_id = 0;
  Payload result;

  template <typename Self, typename Fields>
  static void Visit(Self& self, Fields&& field) {
    field(1, self.task_scheduled_id);
    field(2, self.result);
  }
};
using TaskCompleted = ScheduledCompleted<7>;
using SubOrchestrationCompleted = ScheduledCompleted<10>;

// An activity (8) or a sub-orchestration (11) has failed.
template <int event_number>
struct ScheduledFailed {
  static constexpr int kNumber = event_number;
  int32_t task_scheduled_id = 0;
  OpaqueMessage failure;

  template <typename Self, typename Fields>
  static void Visit(Self& self, Fields&& field) {
    field(1, self.task_scheduled_id);
    field(2, self.failure);
  }
};
using TaskFailed = ScheduledFailed<8>;
using SubOrchestrationFailed = ScheduledFailed<11>;

struct SubOrchestrationCreated {
  static constexpr int kNumber = 9;
  std::string instance_id;
  std::string name;
  Payload version;
  Payload input;
  OpaqueMessage trace;
  StringMap tags;

  template <typename Self, typename Fields>
  static void Visit(Self& self, Fields&& field) {
    field(1, self.instance_id);
    field(2, self.name);
    field(3, self.version);
    field(4, self.input);
    field(5, self.trace);
    field(6, self.tags);
  }
};

struct TimerCreated {
  static constexpr int kNumber = 12;
  Timestamp fire_at;

  template <typename Self, typename Fields>
  static void Visit(Self& self, Fields&& field) {
    field(1, self.fire_at);
  }
};

struct TimerFired {
  static constexpr int kNumber = 13;
  Timestamp fire_at;
  int32_t timer_id = 0;

  template <typename Self, typename Fields>
  static void Visit(Self& self, Fields&& field) {
    field(1, self.fire_at);
    field(2, self.timer_id);
  }
};

// Begins each turn; its time is the orchestrator's clock.
struct OrchestratorStarted {
  static constexpr int kNumber = 14;

  template <typename Self, typename Fields>
  static void Visit(Self&, Fields&&) {}
};

struct EventSent {
  static constexpr int kNumber = 16;
  std::string instance_id;
  std::string name;
  Payload input;

  template <typename Self, typename Fields>
  static void Visit(Self& self, Fields&& field) {
    field(1, self.instance_id);
    field(2, self.name);
    field(3, self.input);
  }
};

struct EventRaised {
  static constexpr int kNumber = 17;
  std::string name;
  Payload input;

  template <typename Self, typename Fields>
  static void Visit(Self& self, Fields&& field) {
    field(1, self.name);
    field(2, self.input);
  }
};

// Suspended (21) or resumed (22).
template <int event_number>
struct ExecutionPaused {
  static constexpr int kNumber = event_number;
  Payload reason;

  template <typename Self, typename Fields>
  static void Visit(Self& self, Fields&& field) {
    field(1, self.reason);
  }
};
using ExecutionSuspended = ExecutionPaused<21>;
using ExecutionResumed = ExecutionPaused<22>;

// A failed orchestration continues from its last good point.
struct ExecutionRewound {
  static constexpr int kNumber = 30;
  Payload reason = {};
  // For a sub-orchestration that was rewound with its parent: the parent's new
  // execution.
  Payload parent_execution_id = {};
  // The rest is how it was started, for workers without its history.
  Payload instance_id = {};
  OpaqueMessage trace = {};
  Payload name = {};
  Payload version = {};
  Payload input = {};
  std::optional<ParentLink> parent = {};
  StringMap tags = {};

  template <typename Self, typename Fields>
  static void Visit(Self& self, Fields&& field) {
    field(1, self.reason);
    field(2, self.parent_execution_id);
    field(3, self.instance_id);
    field(4, self.trace);
    field(5, self.name);
    field(6, self.version);
    field(7, self.input);
    field(8, self.parent);
    field(9, self.tags);
  }
};

// An event that the engine passes on without decoding it.
struct OtherEvent {
  int number = 0;
  std::string bytes;
};

using EventBody = std::variant<
    OtherEvent, ExecutionStarted, ExecutionCompleted, ExecutionTerminated,
    TaskScheduled, TaskCompleted, TaskFailed, SubOrchestrationCreated,
    SubOrchestrationCompleted, SubOrchestrationFailed, TimerCreated, TimerFired,
    OrchestratorStarted, EventSent, EventRaised, ExecutionSuspended,
    ExecutionResumed, ExecutionRewound, EntityOperationSignaled,
    EntityOperationCalled, EntityOperationCompleted, EntityOperationFailed,
    EntityLockRequested, EntityLockGranted, EntityUnlockSent>;

struct HistoryEvent {
  static constexpr int32_t kFromOutside = -1;

  int32_t id = kFromOutside;  // Of the action that caused it.
  Timestamp time;
  EventBody body;

  template <typename T>
  const T* As() const {
    return std::get_if<T>(&body);
  }
};

// The number of the event's kind in the contract; 0: none.
int NumberOf(const HistoryEvent& event);
// Same, from the beginning of an encoded event; 0: too little to tell.
int NumberOf(std::string_view beginning);

std::string EncodeEvent(const HistoryEvent& event);
std::optional<HistoryEvent> DecodeEvent(std::string_view bytes);

// ---- Frames -----------------------------------------------------------------

// In the store: like the field past_events of OrchestratorRequest.
inline constexpr int kStoredFrame = 3;

void AppendFrame(std::string& frames, int field, std::string_view event);
// Calls `each` with the bytes of each event. False: these are not frames.
bool ForEachFrame(std::string_view frames,
                  const std::function<void(std::string_view event)>& each);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_HISTORY_H_
