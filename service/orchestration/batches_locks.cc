// Batches: the locks of entities.
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "service/orchestration/batches.h"
#include "service/orchestration/engine_section.h"

namespace leasehold {

void Batches::AdvanceLocked(Entity& entity, PendingCommit& commit) {
  engine_.mu_.AssertHeld();
  // What is with a worker came first.
  if (!entity.sent.empty() && !entity.committing) return;
  entity.queue.Release(engine_.schedule_.Now().wall);
  bool changed = false;
  while (const EntityMessage* next = entity.queue.NextLock()) {
    const std::optional<HistoryEvent> event = DecodeEvent(next->event);
    const int64_t sequence = next->sequence;
    commit.changes.push_back(DropOperation{entity.number, sequence});
    entity.queue.Remove(sequence);
    changed = true;
    if (event.has_value()) {
      GrantLocked(entity, std::get<EntityLockRequested>(event->body), commit);
    }
  }
  if (changed) TouchLocked(entity, commit);
}

void Batches::GrantLocked(Entity& entity, EntityLockRequested request,
                          PendingCommit& commit) {
  engine_.mu_.AssertHeld();
  const std::string holder = request.requester.value_or("");
  const InstanceKey requester = NormalKey(entity.key.tenant, holder);
  const OrchestrationPtr open = engine_.directory_.FindOpen(requester);
  // Nobody would ever unlock it.
  if (open == nullptr) return;
  if (!entity.queue.lock().has_value()) {
    entity.queue.Lock(
        {holder, request.section_id, engine_.schedule_.Now().wall});
  }
  const auto next = static_cast<size_t>(++request.position);
  if (next < request.lock_set.size()) {
    const InstanceKey to = NormalKey(entity.key.tenant, request.lock_set[next]);
    return engine_.mail_.SendLocked(
        entity.key,
        {to,
         "",
         {HistoryEvent::kFromOutside, engine_.NowLocked(), std::move(request)}},
        commit);
  }
  engine_.mail_.SendLocked(entity.key,
                           {requester,
                            open->execution_id,
                            {HistoryEvent::kFromOutside, engine_.NowLocked(),
                             EntityLockGranted{std::move(request.section_id)}}},
                           commit);
}

void Batches::ReleaseLocksLocked(const InstanceKey& holder,
                                 PendingCommit& commit) {
  engine_.mu_.AssertHeld();
  if (holders_.empty()) return;
  const auto found = holders_.find(Directory::NameOf(holder));
  if (found == holders_.end()) return;
  const std::set<std::string> names = std::move(found->second);
  holders_.erase(found);
  std::vector<EntityPtr> changed;
  // First all of them: what is granted next must not be what it wants itself.
  for (const std::string& name : names) {
    const auto entity = by_name_.find(name);
    if (entity == by_name_.end()) continue;
    changed.push_back(entity->second);
    EntityQueue& queue = changed.back()->queue;
    for (const int64_t sequence : queue.LocksOf(holder.id)) {
      commit.changes.push_back(DropOperation{changed.back()->number, sequence});
      queue.Remove(sequence);
    }
    if (queue.lock().has_value() && queue.lock()->holder == holder.id) {
      queue.Unlock(std::string(queue.lock()->section_id));
    }
  }
  for (const EntityPtr& entity : changed) {
    AdvanceLocked(*entity, commit);
    TouchLocked(*entity, commit);
    ContinueAfterLocked(*entity, commit);
  }
}

void Batches::ForgetHolderLocked(const Entity& entity,
                                 const std::string& holder) {
  if (!entity.queue.LocksOf(holder).empty()) return;
  const auto found =
      holders_.find(Directory::NameOf(NormalKey(entity.key.tenant, holder)));
  if (found == holders_.end()) return;
  found->second.erase(Directory::NameOf(entity.key));
  if (found->second.empty()) holders_.erase(found);
}

void Batches::ReleaseOrphans(std::string tenant, Done<int64_t> done) {
  Engine::Section section(engine_);
  if (absl::Status status = engine_.admission_.serving(); !status.ok()) {
    return engine_.RefuseLocked(done, status);
  }
  std::set<std::string> orphans;
  int64_t count = 0;
  for (const auto& [name, entity] : by_name_) {
    const std::optional<EntityLock>& lock = entity->queue.lock();
    if (entity->key.tenant != tenant || !lock.has_value()) continue;
    if (engine_.directory_.FindOpen(NormalKey(tenant, lock->holder)) !=
        nullptr) {
      continue;
    }
    ++count;
    orphans.insert(lock->holder);
  }
  PendingCommit commit;
  for (const std::string& holder : orphans) {
    ReleaseLocksLocked(NormalKey(tenant, holder), commit);
  }
  commit.done = [count, done = std::move(done)](const absl::Status& status) {
    if (!status.ok()) return done(status);
    done(count);
  };
  engine_.commits_.Submit(std::move(commit));
}

}  // namespace leasehold
