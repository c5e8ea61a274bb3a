// Rewinds: a failed orchestration continues from its last good point.
//
//   Rewind ─▶ open again, a rewind in its inbox ─▶ a turn with the whole
//   history ─▶ the worker's answer: the history to go on with ─▶ the rows of
//   its children are read ─▶ one commit: the new history, and what its children
//   need ─▶ a turn, in which the orchestrator does again what had failed
//
// The work in progress when it failed was dropped then, so it begins anew:
// activities are queued, timers set, failed children rewound themselves, and
// the ends of children that ended meanwhile are reported.
//
// Thread-safety: functions named ...Locked are called with the engine's lock
// held, all others without it.   Lifetime: a part of the engine.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_REWINDS_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_REWINDS_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "service/orchestration/commit_queue.h"
#include "service/orchestration/history.h"
#include "service/orchestration/orchestration.h"
#include "service/orchestration/orchestration_info.h"
#include "service/orchestration/requests.h"
#include "service/storage/records.h"

namespace leasehold {

class Engine;

class Rewinds {
 public:
  explicit Rewinds(Engine& engine) : engine_(engine) {}
  Rewinds(const Rewinds&) = delete;
  Rewinds& operator=(const Rewinds&) = delete;

  void Rewind(const InstanceKey& key, Payload reason, DoneStatus done);

  void RewindLocked(Orchestration& orchestration,
                    std::vector<std::string> events, DoneStatus done);

 private:
  // A rewind answer, which brings the history to continue with, in progress.
  struct RewindJob;
  using RewindJobPtr = std::shared_ptr<RewindJob>;

  // Reopens a failed orchestration, with a rewind in its inbox.
  void ReopenLocked(const RunRow& row, const OrchestrationInfo& info,
                    ExecutionRewound rewound, PendingCommit& commit);
  void LookUpChildLocked(const RewindJobPtr& job);
  void OnChildFound(const RewindJobPtr& job,
                    const absl::StatusOr<std::optional<RunRow>>& row,
                    uint64_t epoch);
  void ForgetChildrenLocked(RewindJob& job);
  void GiveUpRewindLocked(const RewindJobPtr& job, const absl::Status& status);
  void CommitRewindLocked(const RewindJobPtr& job);
  void RewindChildLocked(const RewindJob& job, int32_t action_id,
                         const SubOrchestrationCreated& child,
                         PendingCommit& commit);
  void ApplyRewindLocked(RewindJob& job);

  Engine& engine_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_REWINDS_H_
