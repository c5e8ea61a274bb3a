// Purges: erases orchestrations that have ended or are damaged.
//
// A caller's keys are erased one after the other. A recursive purge sends a
// letter to each sub-orchestration in the commit that erases its parent, whose
// history is all that names it; so whatever happens in between, none is left
// behind.
//
// Thread-safety: functions named ...Locked are called with the engine's lock
// held, all others without it.   Lifetime: a part of the engine.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_PURGES_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_PURGES_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "service/instance/instance_key.h"
#include "service/orchestration/directory.h"
#include "service/orchestration/mail.h"
#include "service/orchestration/requests.h"
#include "service/storage/records.h"

namespace leasehold {

class Engine;

// A run that has ended, as it was listed.
struct EndedRun {
  InstanceKey key;
  RunNumber number = 0;
};

class Purges {
 public:
  explicit Purges(Engine& engine) : engine_(engine) {}
  Purges(const Purges&) = delete;
  Purges& operator=(const Purges&) = delete;

  void Purge(std::vector<InstanceKey> keys, bool recursive,
             Done<PurgeResult> done);
  void PurgeMatching(OrchestrationFilter filter, bool recursive,
                     absl::Duration timeout, Done<PurgeResult> done);

  // Erases those of these runs that are still as they were listed, together;
  // not their sub-orchestrations.
  void EraseEndedLocked(std::vector<EndedRun> runs, Done<PurgeResult> done);

  // A sub-orchestration of one that was erased.
  void ActOnLocked(const LetterPtr& letter);

 private:
  // A caller's purge.
  struct PurgeJob;
  // One key of a job, or of a letter.
  struct Target;

  void PurgeNext(const std::shared_ptr<PurgeJob>& job);
  // Takes the state of an entity away.
  void PurgeEntityLocked(const std::shared_ptr<PurgeJob>& job,
                         const InstanceKey& key);
  void PurgePage(const std::shared_ptr<PurgeJob>& job);
  void EndJobLocked(PurgeJob& job, const absl::Status& status);

  void LookUpLocked(const Target& target);
  void OnFound(const Target& target,
               const absl::StatusOr<std::optional<RunRow>>& row,
               uint64_t reload);
  // The keys of the sub-orchestrations that are in the history. Reads the
  // store.
  absl::StatusOr<std::vector<InstanceKey>> ReadChildren(const RunRow& row);
  // The orchestration to erase; 0: none.
  RunNumber PurgeableLocked(const Target& target,
                            const OrchestrationPtr& present,
                            const std::optional<RunRow>& row);
  void EraseLocked(const Target& target, RunNumber number,
                   std::vector<InstanceKey> children, uint64_t reload);
  // There was nothing to erase.
  void PassOverLocked(const Target& target);
  void GiveUpLocked(const Target& target, const absl::Status& status);

  Engine& engine_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_PURGES_H_
