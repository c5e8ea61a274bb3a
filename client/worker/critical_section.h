// CriticalSection: which entities an orchestrator has locked, and what it may
// do meanwhile.
//
//   free ── Enter ──▶ waiting ── OnGranted ──▶ held ── Leave ──▶ free
//
// It enforces what the other SDKs enforce: nobody can wait for somebody who
// waits for him, since whoever holds locks waits for nothing but the entities
// that he holds.
//
// Thread-safety: one thread: the turn's.   Lifetime: a part of its turn.
#ifndef LEASEHOLD_CLIENT_WORKER_CRITICAL_SECTION_H_
#define LEASEHOLD_CLIENT_WORKER_CRITICAL_SECTION_H_

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "client/worker/entity_id.h"

namespace leasehold::worker::internal {

class CriticalSection {
 public:
  // ---- What the orchestrator does: EntityLockError if it may not ------------

  // It asks for the lock, as task `task_id`.
  void Enter(std::vector<EntityId> entities, std::string id, int32_t task_id);
  // Throws if there is one already.
  void CheckEnter() const;
  // Throws if it may not call the entity; OnCalled notes that it does.
  void CheckCall(const EntityId& entity) const;
  void OnCalled(const EntityId& entity) { called_.insert(entity); }
  void CheckSignal(const EntityId& entity) const;
  // `what`: as in `sub-orchestration "Ship"`.
  void CheckChild(std::string_view what) const;
  void Leave();

  // ---- What the history says ------------------------------------------------

  // Under which ID the lock was requested.
  void Rename(std::string id) { id_ = std::move(id); }
  void OnGranted() { granted_ = true; }
  // A call of the entity has ended.
  void OnAnswered(const EntityId& entity) { called_.erase(entity); }

  bool inside() const { return !entities_.empty(); }
  // Inside: what the server knows it by, what it locks, and who asked.
  const std::string& id() const { return id_; }
  const std::vector<EntityId>& entities() const { return entities_; }
  int32_t task_id() const { return task_id_; }

 private:
  bool Has(const EntityId& entity) const;
  // `"@a@1", "@b@2"`.
  std::string Names() const;

  std::vector<EntityId> entities_;  // Empty: outside.
  std::string id_;
  int32_t task_id_ = 0;
  bool granted_ = false;
  std::set<EntityId> called_;  // Also outside.
};

// In the order in which all orchestrators lock them, and without duplicates: so
// that no two wait for each other.
std::vector<EntityId> InLockOrder(std::vector<EntityId> entities);

}  // namespace leasehold::worker::internal

#endif  // LEASEHOLD_CLIENT_WORKER_CRITICAL_SECTION_H_
