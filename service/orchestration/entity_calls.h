// EntityCalls: what callers ask of entities: signals, states, lists; taking a
// state away.
//
// States are read from the store, as everything in it is durable; what waits,
// and who holds what, is in memory.
//
// Thread-safety: functions take the engine's lock themselves.   Lifetime: a
// part of the engine.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_ENTITY_CALLS_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_ENTITY_CALLS_H_

#include <cstdint>
#include <optional>
#include <string>

#include "service/instance/instance_key.h"
#include "service/orchestration/entities.h"
#include "service/storage/records.h"

namespace leasehold {

class Engine;

class EntityCalls final : public Entities {
 public:
  explicit EntityCalls(Engine& engine) : engine_(engine) {}
  EntityCalls(const EntityCalls&) = delete;
  EntityCalls& operator=(const EntityCalls&) = delete;

  void Signal(EntitySignal signal, DoneStatus done) override;
  WaitId Call(EntityCall call, Done<OperationResult> done) override;
  bool CancelCall(WaitId id) override;
  WaitId AwaitChange(EntityWait wait, Done<SharedEntity> done) override;
  bool CancelWait(const InstanceKey& key, WaitId id) override;
  void GetEntity(const InstanceKey& key, bool state,
                 Done<std::optional<EntityInfo>> done) override;
  void QueryEntities(EntityListQuery query, Done<EntityList> done) override;
  void EraseEntity(const InstanceKey& key, Done<bool> done) override;
  void LimitLock(EntityLockLimit limit, Done<bool> done) override;
  void ReleaseOrphanedLocks(std::string tenant, Done<int64_t> done) override;

  // As GetEntity. Blocks; for readers.
  absl::StatusOr<std::optional<EntityInfo>> ReadInfo(const InstanceKey& key,
                                                     bool state);

 private:
  // With what waits for it. Takes the state out of `row` if it is wanted.
  EntityInfo InfoOf(EntityRow& row, bool state);
  void EraseFound(const InstanceKey& key, bool had, Done<bool> done);

  Engine& engine_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_ENTITY_CALLS_H_
