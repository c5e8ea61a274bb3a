// Purges: erases orchestrations that have ended or are damaged, one after the
// other; and everything, at once.
//
// Thread-safety: functions named ...Locked are called with the engine's lock
// held, all others without it.   Lifetime: a part of the engine.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_PURGES_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_PURGES_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "service/instance/instance_key.h"
#include "service/orchestration/requests.h"
#include "service/storage/records.h"

namespace leasehold {

class Engine;

class Purges {
 public:
  explicit Purges(Engine& engine) : engine_(engine) {}
  Purges(const Purges&) = delete;
  Purges& operator=(const Purges&) = delete;

  void Purge(std::vector<InstanceKey> keys, bool recursive,
             Done<PurgeResult> done);
  void PurgeMatching(OrchestrationFilter filter, bool recursive,
                     absl::Duration timeout, Done<PurgeResult> done);
  void Wipe(DoneStatus done);

 private:
  struct PurgeJob;

  void PurgeNext(const std::shared_ptr<PurgeJob>& job);
  // Takes the state of an entity away.
  void PurgeEntityLocked(const std::shared_ptr<PurgeJob>& job,
                         const InstanceKey& key);
  // The orchestration to erase for a key; 0: none.
  RunNumber PurgeableLocked(const InstanceKey& key,
                            const std::optional<RunRow>& row);
  void PurgeRow(const std::shared_ptr<PurgeJob>& job, const InstanceKey& key,
                const absl::StatusOr<std::optional<RunRow>>& row,
                uint64_t epoch);
  void PurgePage(const std::shared_ptr<PurgeJob>& job);

  Engine& engine_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_PURGES_H_
