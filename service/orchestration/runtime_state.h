// RuntimeState: what is known of one execution, as a fold of its history.
//
// Nothing else goes in: no clock, no store, no order but that of the events. So
// a state that was thawed from the store equals the one that lived in memory.
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

#include "service/orchestration/history.h"

namespace leasehold {

struct RuntimeState {
  // As it was started; a name is there from the first turn on.
  ExecutionStarted started;

  OrchestrationStatus status = OrchestrationStatus::kPending;
  Payload output;
  OpaqueMessage failure;

  // The clock of the orchestrator: the time of its last turn.
  Timestamp turn_time;
  // Somebody wants it terminated together with its children.
  std::optional<ExecutionTerminated> terminated;

  // What it waits for, by the ID of the action.
  std::set<int32_t> tasks;
  std::map<int32_t, Timestamp> timers;      // When they fire.
  std::map<int32_t, std::string> children;  // Their instance IDs.

  int64_t event_count = 0;

  void Apply(const HistoryEvent& event);
  // Applies events in frames. False: those are no events.
  bool ApplyFrames(std::string_view frames);
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_RUNTIME_STATE_H_
