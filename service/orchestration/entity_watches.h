// EntityWatches: callers that wait until an entity changes.
//
// An entity that has nothing to do leaves nothing in memory, so there is no
// count of its changes: a caller says what it has seen (EntityInfo::print), and
// is answered once the entity shows something else. Each change wakes one read
// for all who wait for that entity; changes during the read wake one more.
//
// Thread-safety: functions named ...Locked are called with the engine's lock
// held, all others without it.   Lifetime: a part of the engine.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_ENTITY_WATCHES_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_ENTITY_WATCHES_H_

#include <cstddef>
#include <optional>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "service/instance/instance_key.h"
#include "service/orchestration/entities.h"
#include "service/orchestration/waits.h"

namespace leasehold {

class Engine;

class EntityWatches {
 public:
  using WaitId = Entities::WaitId;

  // `peer_max`: waits of one connection.
  EntityWatches(Engine& engine, size_t peer_max)
      : engine_(engine), waits_(peer_max) {}
  EntityWatches(const EntityWatches&) = delete;
  EntityWatches& operator=(const EntityWatches&) = delete;

  WaitId Wait(EntityWait wait, Done<SharedEntity> done);
  bool Cancel(const InstanceKey& key, WaitId id);

  // A commit that concerns the entity is durable.
  void OnChangedLocked(const InstanceKey& key);
  // Anything may have changed, or anything of a tenant.
  void OnAllChangedLocked();
  void OnTenantChangedLocked(const std::string& tenant);
  void EndWaitsLocked(const absl::Status& status);

 private:
  struct Waiter : EntityWait {
    WaitId id;
    Done<SharedEntity> done;
  };
  // A read that is under way.
  struct Read {
    bool again = false;  // Something has changed since it began.
  };

  // Looks at the entities that are awaited and have such names.
  template <typename IsSo>
  void ReadAllLocked(IsSo is_so);
  void ReadLocked(const InstanceKey& key);
  void OnRead(const InstanceKey& key,
              const absl::StatusOr<std::optional<EntityInfo>>& info);

  Engine& engine_;
  Waits<Waiter> waits_;
  WaitId last_id_ = 0;
  absl::flat_hash_map<std::string, Read> reads_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_ENTITY_WATCHES_H_
