// Batches: entities at work: what they receive, their locks, and the batches of
// operations that go to workers and come back.
//
//   Receive ─▶ the queue ─▶ LineUp ─▶ dispatcher ─▶ Send ─▶ Complete ─▶ commit
//                  ▲ │                                          │
//    locks  ───────┘ └──────────▶ Advance ◀──────────────────────┘
//
// A message is in the queue as soon as it is decided, and may go to a worker
// once it is durable. An entity that was asleep is given a number, and awakes
// in the same commit: its state is read only when a batch of it goes out.
//
// Thread-safety: functions named ...Locked are called with the engine's lock
// held, all others without it.   Lifetime: a part of the engine.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_BATCHES_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_BATCHES_H_

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/flat_hash_map.h"
#include "service/instance/instance_key.h"
#include "service/orchestration/commit_queue.h"
#include "service/orchestration/directory.h"
#include "service/orchestration/entities.h"
#include "service/orchestration/entity.h"
#include "service/orchestration/entity_batch.h"
#include "service/orchestration/timers.h"
#include "service/orchestration/work_exchange.h"
#include "service/storage/records.h"

namespace leasehold {

class Engine;

absl::Status EntityIsDamaged(const InstanceKey& key, std::string_view why);

class Batches {
 public:
  explicit Batches(Engine& engine) : engine_(engine) {}
  Batches(const Batches&) = delete;
  Batches& operator=(const Batches&) = delete;

  void Signal(EntitySignal signal, DoneStatus done);
  void Complete(const WorkName& name, BatchAnswer answer, DoneStatus done);
  void LimitLock(const EntityLockLimit& limit, Done<bool> done);
  void ReleaseOrphans(std::string tenant, Done<int64_t> done);

  // Before a caller sends it something.
  //   DataLoss, ResourceExhausted: as Entities::Call says.
  absl::Status CheckRoomLocked(const InstanceKey& key, const Payload& input);
  // As EntityInfo::waiting_for.
  std::string WaitingForLocked(const Entity& entity);

  // An event for an entity: a signal, a call, a lock request or an unlock; or
  // that a critical section has all its entities. Others are dropped.
  void ReceiveLocked(const InstanceKey& key, HistoryEvent event,
                     PendingCommit& commit);
  // The orchestration ends, or its execution does: what it holds is released,
  // and what it waits for is dropped.
  void ReleaseLocksLocked(const InstanceKey& holder, PendingCommit& commit);
  // The batch is out and pinned: sends it.
  void SendLocked(Entity& entity);
  // Fails the first operation of the batch.
  void FailFirstLocked(Entity& entity, OpaqueMessage failure);
  // A timer of that number, which is of no orchestration.
  void FireLocked(const Timers::Entry& entry);
  // Its context has closed.
  void OnParkedLocked(Entity& entity);
  // Takes the state away. REQUIRES: no commit of its state is in progress.
  void EraseStateLocked(Entity& entity, PendingCommit& commit);

  // nullptr: it is not in memory.
  EntityPtr FindLocked(const InstanceKey& key) const;
  size_t size() const { return by_name_.size(); }

  // ---- Memory from the store, and back --------------------------------------

  Entity& LoadLocked(AwakeEntity stored);
  // All are loaded: begins what they have to do.
  void BeginLocked();
  void ForgetAllLocked();
  // Forgets the entities of a tenant. Returns their numbers.
  std::vector<RunNumber> ForgetTenantLocked(const std::string& tenant);

 private:
  // From memory, or as one that was asleep.
  Entity& WakeLocked(const InstanceKey& key);
  // What it may do now that something has changed: takes locks.
  void AdvanceLocked(Entity& entity, PendingCommit& commit);
  void GrantLocked(Entity& entity, EntityLockRequested request,
                   PendingCommit& commit);
  // Who asks for a lock, or has been granted it; nullptr: that execution has
  // ended, or it is decided that it ends.
  OrchestrationPtr FindRequesterLocked(const InstanceKey& entity,
                                       const EntityLockRequested& request);
  // The section has all its entities: tells them.
  void TellGrantedLocked(Entity& last, const EntityLockRequested& request,
                         PendingCommit& commit);
  // The time of its lock begins.
  void NoteGrantedLocked(Entity& entity);
  // All locks of the section that has this entity end at that time; 0: never.
  void LimitSectionLocked(const Entity& one, StoredTime until,
                          PendingCommit& commit);
  // Ends its lock.
  void UnlockLocked(Entity& entity, PendingCommit& commit);
  // The time of its lock is over.
  void ExpireLocked(Entity& entity, PendingCommit& commit);
  // As its lock is now.
  void SetLockTimerLocked(Entity& entity);
  // The work of its batch ends.
  void EndWorkLocked(Entity& entity);
  // Changes its row, with this state.
  void PutLocked(Entity& entity, Payload state, PendingCommit& commit);
  // Changes its row, except for its state.
  void TouchLocked(Entity& entity, PendingCommit& commit);
  EntityRow RowOf(const Entity& entity) const;
  // Once `commit` is durable: goes on.
  void ContinueAfterLocked(Entity& entity, PendingCommit& commit);
  // Lines its batch up, sets its timer, or forgets it.
  void ContinueLocked(Entity& entity);
  void ReadState(const EntityPtr& entity, const std::string& token);
  void CommitLocked(Entity& entity, BatchAnswer answer, DoneStatus done);
  void SetAsideLocked(Entity& entity, std::string why);
  // Returns it, so that it lives as long as its caller wants.
  EntityPtr ForgetLocked(Entity& entity);
  bool HasToDo(const Entity& entity) const;
  // Unless it still waits for the entity, or holds it.
  void ForgetHolderLocked(const Entity& entity, const std::string& holder);

  Engine& engine_;
  absl::flat_hash_map<std::string, EntityPtr> by_name_;
  absl::btree_map<RunNumber, Entity*> by_number_;
  // The names of entities that an orchestration holds or waits for, by its own
  // name.
  absl::flat_hash_map<std::string, std::set<std::string>> holders_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_BATCHES_H_
