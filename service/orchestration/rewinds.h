// Rewinds: a failed orchestration continues from its last good point.
//
//   Rewind ─▶ open again, a rewind in its inbox ─▶ a turn with the whole
//   history ─▶ the worker's answer: the history to go on with ─▶ one commit:
//   the new history, and a letter to each child that it waits for ─▶ a turn, in
//   which the orchestrator does again what had failed
//
// The work in progress when it failed was dropped then, so it begins anew:
// activities are queued, timers set, failed children rewound themselves, and
// the ends of children that ended meanwhile are reported. How a child has ended
// is in its own rows: they are read when its letter is acted on.
//
// Thread-safety: functions named ...Locked are called with the engine's lock
// held, all others without it.   Lifetime: a part of the engine.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_REWINDS_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_REWINDS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "service/orchestration/commit_queue.h"
#include "service/orchestration/history.h"
#include "service/orchestration/mail.h"
#include "service/orchestration/orchestration.h"
#include "service/orchestration/orchestration_info.h"
#include "service/orchestration/requests.h"
#include "service/orchestration/rewound.h"
#include "service/storage/records.h"

namespace leasehold {

class Engine;

class Rewinds {
 public:
  explicit Rewinds(Engine& engine) : engine_(engine) {}
  Rewinds(const Rewinds&) = delete;
  Rewinds& operator=(const Rewinds&) = delete;

  void Rewind(const InstanceKey& key, Payload reason, DoneStatus done);

  // The answer to a rewind turn, with the history to go on with.
  void RewindLocked(Orchestration& orchestration,
                    std::vector<std::string> events, DoneStatus done);

  // A child that a rewound orchestration waits for.
  void ActOnLocked(const LetterPtr& letter);

 private:
  // An answer whose commit is in progress.
  struct RewindJob;

  // Reopens a failed orchestration, with a rewind in its inbox.
  void ReopenLocked(const RunRow& row, const OrchestrationInfo& info,
                    ExecutionRewound rewound, PendingCommit& commit);
  void SendToChildLocked(const RewindJob& job, int32_t action_id,
                         const SubOrchestrationCreated& child,
                         PendingCommit& commit);
  void ApplyRewindLocked(RewindJob& job);

  void OnChildFound(const LetterPtr& letter,
                    const absl::StatusOr<std::optional<RunRow>>& row,
                    uint64_t reload);
  void GoOnWithChildLocked(const Letter& letter,
                           const std::optional<FoundChild>& found,
                           PendingCommit& commit);
  void TellParentLocked(const Letter& letter, EventBody end,
                        PendingCommit& commit);

  Engine& engine_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_REWINDS_H_
