// Batches: the locks of entities.
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "service/base/invariant.h"
#include "service/orchestration/batches.h"
#include "service/orchestration/bounds.h"
#include "service/orchestration/engine_section.h"
#include "service/orchestration/legacy_answers.h"

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
  const OrchestrationPtr requester = FindRequesterLocked(entity.key, request);
  // Nobody would ever unlock it.
  if (requester == nullptr) return;
  if (!entity.queue.lock().has_value()) {
    entity.queue.Lock({.holder = requester->key.id,
                       .section_id = request.section_id,
                       .since = engine_.schedule_.Now().wall,
                       .execution_id = request.requester_execution});
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
  TellGrantedLocked(entity, request, commit);
  EventBody granted = EntityLockGranted{request.section_id};
  if (request.legacy) granted = LegacyGrant(request.section_id);
  engine_.mail_.SendLocked(
      entity.key,
      {requester->key,
       requester->execution_id,
       {HistoryEvent::kFromOutside, engine_.NowLocked(), std::move(granted)}},
      commit);
}

OrchestrationPtr Batches::FindRequesterLocked(
    const InstanceKey& entity, const EntityLockRequested& request) {
  engine_.mu_.AssertHeld();
  OrchestrationPtr found = engine_.directory_.FindNotEnded(
      NormalKey(entity.tenant, request.requester.value_or("")));
  if (found == nullptr || found->renewing) return nullptr;
  if (!request.requester_execution.empty() &&
      request.requester_execution != found->execution_id) {
    return nullptr;
  }
  return found;
}

// ---- Locks that end by themselves -------------------------------------------

void Batches::TellGrantedLocked(Entity& last,
                                const EntityLockRequested& request,
                                PendingCommit& commit) {
  engine_.mu_.AssertHeld();
  NoteGrantedLocked(last);
  std::set<std::string> others;
  for (const std::string& id : request.lock_set) {
    others.insert(NormalKey(last.key.tenant, id).id);
  }
  others.erase(last.key.id);
  for (const std::string& id : others) {
    engine_.mail_.SendLocked(last.key,
                             {{last.key.tenant, id},
                              "",
                              {HistoryEvent::kFromOutside, engine_.NowLocked(),
                               EntityLockGranted{request.section_id}}},
                             commit);
  }
}

void Batches::NoteGrantedLocked(Entity& entity) {
  engine_.mu_.AssertHeld();
  StoredTime until = entity.queue.lock()->until;
  const absl::Duration timeout = engine_.options_.entity_lock_timeout;
  if (until == 0 && timeout > absl::ZeroDuration()) {
    until = ToStored(engine_.clock_.WallNow() + timeout);
  }
  entity.queue.GrantLock(until);
}

void Batches::SetLockTimerLocked(Entity& entity) {
  engine_.mu_.AssertHeld();
  const std::optional<EntityLock>& lock = entity.queue.lock();
  const StoredTime due = lock.has_value() ? lock->until : 0;
  if (due == entity.lock_due) return;
  const auto timer = [&entity](StoredTime at) {
    return Timers::Entry{at, entity.number, Timers::Kind::kLock, 0};
  };
  if (entity.lock_due != 0) {
    engine_.schedule_.CancelTimer(timer(entity.lock_due));
  }
  entity.lock_due = due;
  if (due != 0) engine_.schedule_.AddTimer(timer(due));
}

void Batches::ExpireLocked(Entity& entity, PendingCommit& commit) {
  engine_.mu_.AssertHeld();
  const EntityLock& lock = *entity.queue.lock();
  engine_.answers_.ObserveLocked(
      {.kind = WorkEventKind::kLockExpired,
       .tenant = entity.key.tenant,
       .instance_id = entity.key.id,
       .name = entity.batch.name,
       .reason = absl::StrCat(
           "orchestration ", QuoteForMessage(lock.holder), " held it since ",
           absl::FormatTime(FromStored(lock.since), absl::UTCTimeZone()))});
  UnlockLocked(entity, commit);
}

void Batches::UnlockLocked(Entity& entity, PendingCommit& commit) {
  engine_.mu_.AssertHeld();
  const std::string holder = entity.queue.lock()->holder;
  entity.queue.Unlock();
  ForgetHolderLocked(entity, holder);
  AdvanceLocked(entity, commit);
  TouchLocked(entity, commit);
  ContinueAfterLocked(entity, commit);
}

void Batches::LimitLock(const EntityLockLimit& limit, Done<bool> done) {
  Engine::Section section(engine_);
  absl::Status status = engine_.admission_.serving();
  if (limit.timeout < absl::ZeroDuration()) {
    status = absl::InvalidArgumentError(
        absl::StrCat("a lock cannot last for ",
                     absl::FormatDuration(limit.timeout), ", as that is over"));
  }
  const EntityPtr entity = FindLocked(limit.key);
  const bool found =
      entity != nullptr && entity->queue.lock().has_value() &&
      (limit.section_id.empty() || entity->queue.IsLockedBy(limit.section_id));
  // Without this entity it would come to the others, and might wait for it
  // there for ever.
  if (status.ok() && found && !entity->queue.lock()->granted) {
    status = absl::FailedPreconditionError(absl::StrCat(
        "the critical section of orchestration ",
        QuoteForMessage(entity->queue.lock()->holder),
        " still waits for other entities; limit the one that has those"));
  }
  if (!status.ok()) return engine_.RefuseLocked(done, status);
  PendingCommit commit;
  commit.done = [found, done = std::move(done)](const absl::Status& committed) {
    if (!committed.ok()) return done(committed);
    done(found);
  };
  if (found) {
    const bool ends = limit.timeout < absl::InfiniteDuration();
    LimitSectionLocked(
        *entity, ends ? ToStored(engine_.clock_.WallNow() + limit.timeout) : 0,
        commit);
  }
  engine_.commits_.Submit(std::move(commit));
}

void Batches::LimitSectionLocked(const Entity& one, StoredTime until,
                                 PendingCommit& commit) {
  engine_.mu_.AssertHeld();
  const EntityLock lock = *one.queue.lock();
  const auto found =
      holders_.find(Directory::NameOf(NormalKey(one.key.tenant, lock.holder)));
  CheckInvariant(found != holders_.end(), "whoever has a lock is noted");
  for (const std::string& name : std::set<std::string>(found->second)) {
    const auto its = by_name_.find(name);
    if (its == by_name_.end()) continue;
    const EntityPtr entity = its->second;
    if (!entity->queue.IsLockedBy(lock.section_id)) continue;
    entity->queue.GrantLock(until);
    TouchLocked(*entity, commit);
    ContinueAfterLocked(*entity, commit);
  }
}

// ---- Locks that end with their holder ---------------------------------------

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
      queue.Unlock();
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
