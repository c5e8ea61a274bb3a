// The spans of a run: what an orchestration does, as its history tells it.
//
//   caller's span, or create_orchestration:NAME
//   └─ orchestration:NAME                 the whole run
//      ├─ activity:NAME                   from its schedule to its end
//      ├─ orchestration:NAME:timer
//      ├─ orchestration_event:EVENT       from its arrival until it is taken
//      ├─ entity:NAME:OPERATION           a call
//      └─ orchestration:CHILD             from its schedule to its end
//         └─ orchestration:CHILD          the child's run
//
// The ID of a run's span stands in its start event, which continue-as-new
// keeps; those of the others are derived from it. So after a restart, and on
// another node, the same spans go on, and nothing else has to be stored. A span
// is made when its end is committed, so never in a replay.
//
// Some workers make these spans themselves. Such a worker says so, or gives its
// actions contexts of their own; then nothing is made here.
//
// Thread-safety: pure functions and values.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_RUN_SPANS_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_RUN_SPANS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "service/orchestration/history.h"
#include "service/orchestration/runtime_state.h"
#include "service/tracing/span.h"

namespace leasehold {

// Gives a run a span, if its caller's trace is sampled. `started` has its
// execution ID.
void GiveSpan(ExecutionStarted& started);

// The context that an action hands on: its own, if its worker makes spans, or
// else that of the span which is made when what it begins has ended. Without
// spans the run's own context goes on.
OpaqueMessage TraceOfAction(const RuntimeState& state, int32_t action_id,
                            OpaqueMessage given);

// A run, as its spans show it.
struct TracedRun {
  const std::string& id;
  absl::Time created;
  // The orchestrator's clock, for when something was taken.
  Timestamp now;
  bool worker_makes_spans = false;
};

// Adds the spans that end with `event`, which `state` does not include yet.
void AddSpans(const TracedRun& run, const RuntimeState& state,
              const HistoryEvent& event, std::vector<Span>& spans);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_RUN_SPANS_H_
