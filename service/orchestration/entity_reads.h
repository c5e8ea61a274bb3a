// EntityReads: states and lists of entities; taking a state away.
//
// States are read from the store, as everything in it is durable; what waits,
// and who holds what, is in memory.
//
// Thread-safety: functions take the engine's lock themselves.   Lifetime: a
// part of the engine.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_ENTITY_READS_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_ENTITY_READS_H_

#include <optional>

#include "service/instance/instance_key.h"
#include "service/orchestration/entities.h"
#include "service/storage/records.h"

namespace leasehold {

class Engine;

class EntityReads {
 public:
  explicit EntityReads(Engine& engine) : engine_(engine) {}
  EntityReads(const EntityReads&) = delete;
  EntityReads& operator=(const EntityReads&) = delete;

  void Get(const InstanceKey& key, bool state,
           Done<std::optional<EntityInfo>> done);
  void Query(EntityListQuery query, Done<EntityList> done);
  void Erase(const InstanceKey& key, Done<bool> done);

 private:
  // With what waits for it. Takes the state out of `row` if it is wanted.
  EntityInfo InfoOf(EntityRow& row, bool state);
  void EraseFound(const InstanceKey& key, bool had, Done<bool> done);

  Engine& engine_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_ENTITY_READS_H_
