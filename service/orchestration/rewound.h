// Rewound: what becomes of an orchestration that is rewound, and of each of its
// children, as values.
//
// A worker makes the history to go on with: that of the failed orchestration
// without what had failed, under a new execution ID. The work in progress was
// dropped with the failure, so what this history does not end begins anew.
//
// Thread-safety: pure functions and values.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_REWOUND_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_REWOUND_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "service/orchestration/history.h"
#include "service/orchestration/orchestration.h"
#include "service/orchestration/orchestration_info.h"
#include "service/orchestration/runtime_state.h"
#include "service/storage/records.h"

namespace leasehold {

// The history to go on with.
struct RewoundHistory {
  RuntimeState state;
  std::string frames;
  // The work that it does not end, by action ID.
  std::map<int32_t, TaskScheduled> tasks;
  std::map<int32_t, SubOrchestrationCreated> children;

  const Payload& execution_id() const {
    return state.started.orchestration.execution_id;
  }
};

// `events` are encoded.
//   InvalidArgument: why one cannot go on with them.
absl::StatusOr<RewoundHistory> ReadRewoundHistory(
    const std::vector<std::string>& events);

// `hot` goes on with `history`, which keeps its tasks, its children and its
// state; `former`: the execution before. Returns the changes of the
// orchestration's own rows.
std::vector<Change> GoOnWith(RewoundHistory& history, RunNumber number,
                             std::string former, const SentTurn& sent,
                             Timestamp now, HotState& hot);

// A child as the store has it.
struct FoundChild {
  RunRow row;
  OrchestrationInfo info;  // With payloads, if it has ended.
};

enum class ChildStep {
  kNone,     // It runs, and will report its end.
  kStart,    // It begins: its ID is free, or another has it.
  kReopen,   // It has failed, and is rewound as well.
  kTellEnd,  // It has ended otherwise: its parent is told again.
};

// `open`: the number of the open orchestration that has the child's ID;
// `found`: nullptr: the store has none.
ChildStep StepOfChild(const std::string& parent_id,
                      std::optional<RunNumber> open, const FoundChild* found);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_REWOUND_H_
