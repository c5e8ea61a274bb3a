#include "service/orchestration/entity_calls.h"

#include <algorithm>
#include <string>
#include <utility>

#include "service/base/hash.h"
#include "service/orchestration/engine_section.h"
#include "service/orchestration/page_queries.h"

namespace leasehold {
namespace {

constexpr size_t kPageEntitiesMax = 1000;
// Of the states in a page, unless one alone is larger.
constexpr size_t kEntityPageBytesMax = 2 << 20;

// Of all that watchers are told of.
uint64_t PrintOf(const EntityRow& row, const std::optional<EntityLock>& lock) {
  // As if there were nothing of its ID.
  if (!row.state.has_value() && !lock.has_value()) return 0;
  uint64_t print = HashBytes(row.state.value_or(""));
  print = HashBytes(row.state.has_value() ? "1" : "0", print);
  return lock.has_value() ? HashBytes(EncodeMessage(*lock), print) : print;
}

}  // namespace

EntityInfo EntityCalls::InfoOf(EntityRow& row, bool state) {
  EntityInfo info{.id = row.id,
                  .modified = FromStored(row.modified),
                  .has_state = row.state.has_value()};
  // As stored: what is in memory may not be durable.
  if (auto header = DecodeMessage<EntityHeader>(row.header)) {
    info.lock = std::move(header->lock);
  }
  info.print = PrintOf(row, info.lock);
  if (state) info.state = std::move(row.state);
  const Engine::Look look(engine_);
  if (const EntityPtr entity =
          engine_.batches_.FindLocked({row.tenant, row.id})) {
    info.waiting = entity->queue.size();
    info.waiting_for = engine_.batches_.WaitingForLocked(*entity);
  }
  return info;
}

void EntityCalls::Signal(EntitySignal signal, DoneStatus done) {
  engine_.batches_.Signal(std::move(signal), std::move(done));
}

void EntityCalls::GetEntity(const InstanceKey& key, bool state,
                            Done<std::optional<EntityInfo>> done) {
  {
    Engine::Section section(engine_);
    if (absl::Status status = engine_.admission_.readable(); !status.ok()) {
      return engine_.RefuseLocked(done, status);
    }
  }
  engine_.readers_.Post([this, key, state, done = std::move(done)] {
    done(ReadInfo(key, state));
  });
}

absl::StatusOr<std::optional<EntityInfo>> EntityCalls::ReadInfo(
    const InstanceKey& key, bool state) {
  auto row = engine_.store_.FindEntity(key.tenant, key.id);
  if (!row.ok()) return row.status();
  if (!row->has_value()) return std::nullopt;
  if ((*row)->damaged) {
    return EntityIsDamaged(key, "its row has a wrong checksum");
  }
  return InfoOf(**row, state);
}

Entities::WaitId EntityCalls::Call(EntityCall call,
                                   Done<OperationResult> done) {
  return engine_.outside_calls_.Call(std::move(call), std::move(done));
}

bool EntityCalls::CancelCall(WaitId id) {
  return engine_.outside_calls_.Cancel(id);
}

Entities::WaitId EntityCalls::AwaitChange(EntityWait wait,
                                          Done<SharedEntity> done) {
  return engine_.entity_watches_.Wait(std::move(wait), std::move(done));
}

bool EntityCalls::CancelWait(const InstanceKey& key, WaitId id) {
  return engine_.entity_watches_.Cancel(key, id);
}

void EntityCalls::QueryEntities(EntityListQuery query, Done<EntityList> done) {
  {
    Engine::Section section(engine_);
    if (absl::Status status = engine_.admission_.readable(); !status.ok()) {
      return engine_.RefuseLocked(done, status);
    }
  }
  query.count_max = std::clamp<size_t>(query.count_max, 1, kPageEntitiesMax);
  engine_.readers_.Post(
      [this, query = std::move(query), done = std::move(done)] {
        const auto asked = QueryFor(query, *engine_.page_tokens_);
        if (!asked.ok()) return done(asked.status());
        auto page = engine_.store_.QueryEntities(*asked);
        if (!page.ok()) return done(page.status());
        Cut(query.count_max, *page);
        EntityList list;
        size_t bytes = 0;
        for (EntityRow& row : page->rows) {
          // All that is asleep has a state: otherwise it would not be there.
          bool has_state = row.number == 0 || !query.with_stateless;
          if (query.with_state || !has_state) {
            // One by one: together they may be too much for the memory.
            auto whole = engine_.store_.FindEntity(row.tenant, row.id);
            if (!whole.ok()) return done(whole.status());
            if (whole->has_value() && !(*whole)->damaged) {
              row.state = std::move((*whole)->state);
            }
          }
          if (query.with_state && row.state.has_value()) {
            bytes += row.state->size();
          }
          // One that alone is larger has a page of its own.
          if (bytes > kEntityPageBytesMax && !list.entities.empty()) {
            page->next = list.entities.back().id;
            break;
          }
          list.entities.push_back(InfoOf(row, query.with_state));
          list.entities.back().has_state |= has_state;
        }
        if (page->next.has_value()) {
          list.next_page_token =
              TokenFor(query, *page->next, *engine_.page_tokens_);
        }
        done(std::move(list));
      });
}

void EntityCalls::LimitLock(EntityLockLimit limit, Done<bool> done) {
  engine_.batches_.LimitLock(limit, std::move(done));
}

void EntityCalls::ReleaseOrphanedLocks(std::string tenant, Done<int64_t> done) {
  engine_.batches_.ReleaseOrphans(std::move(tenant), std::move(done));
}

void EntityCalls::EraseEntity(const InstanceKey& key, Done<bool> done) {
  engine_.readers_.Post([this, key, done = std::move(done)] {
    const auto row = engine_.store_.FindEntity(key.tenant, key.id);
    if (!row.ok()) return done(row.status());
    const bool had =
        row->has_value() && ((*row)->state.has_value() || (*row)->damaged);
    EraseFound(key, had, done);
  });
}

void EntityCalls::EraseFound(const InstanceKey& key, bool had,
                             Done<bool> done) {
  Engine::Section section(engine_);
  if (absl::Status status = engine_.admission_.serving(); !status.ok()) {
    return engine_.RefuseLocked(done, status);
  }
  const EntityPtr entity = engine_.batches_.FindLocked(key);
  if (entity != nullptr && entity->committing) {
    return engine_.AfterCommitsLocked(
        [this, key, done](const absl::Status& status) {
          if (!status.ok()) return done(status);
          EraseEntity(key, done);
        });
  }
  PendingCommit commit;
  commit.done = [had, done = std::move(done)](const absl::Status& status) {
    if (!status.ok()) return done(status);
    done(had);
  };
  if (entity == nullptr) {
    commit.changes.push_back(leasehold::EraseEntity{key.tenant, key.id});
    commit.apply.push_back([this, key] {
      engine_.mu_.AssertHeld();
      engine_.entity_watches_.OnChangedLocked(key);
    });
  } else {
    engine_.batches_.EraseStateLocked(*entity, commit);
  }
  engine_.commits_.Submit(std::move(commit));
}

}  // namespace leasehold
