// RuntimeState: what is known of one execution: a fold of its history.
//
// It depends on nothing else: no clock, no store, only the events in order. So
// a state thawed from the store equals the one that stayed in memory.
//
// Thread-safety: a value; callers synchronise.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_RUNTIME_STATE_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_RUNTIME_STATE_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "service/orchestration/history.h"
#include "service/tracing/span_context.h"

namespace leasehold {

struct RuntimeState {
  // As it was started; has a name from the first turn on.
  ExecutionStarted started;

  OrchestrationStatus status = OrchestrationStatus::kPending;
  Payload output;
  OpaqueMessage failure;

  // The orchestrator's clock: the time of its last turn.
  Timestamp turn_time;
  // It was told to terminate, together with its children.
  std::optional<ExecutionTerminated> terminated;

  // What it waits for, by action ID.
  std::set<int32_t> tasks;
  std::map<int32_t, Timestamp> timers;      // When they fire.
  std::map<int32_t, std::string> children;  // Their instance IDs.

  // What has begun and not ended, for its span (run_spans.h); only in a run
  // that has one.
  struct UnderWay {
    Timestamp time;
    std::string name = {};  // Of the activity, the child or the operation.
    Payload version = {};
    std::string target = {};  // The ID of the child or the entity.
    SpanId span = 0;          // That it was handed.
  };
  // By action ID; calls of entities by 0 and their request IDs.
  std::map<std::pair<int32_t, std::string>, UnderWay> under_way;

  int64_t event_count = 0;

  void Apply(const HistoryEvent& event);
  // Applies events in frames. False: these are not events.
  bool ApplyFrames(std::string_view frames);
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_RUNTIME_STATE_H_
