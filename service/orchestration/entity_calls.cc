#include "service/orchestration/entity_calls.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "service/orchestration/engine_section.h"
#include "service/orchestration/page_queries.h"

namespace leasehold {
namespace {

constexpr size_t kPageEntitiesMax = 1000;
// Of the states in a page: one more may be in it.
constexpr size_t kPageBytesMax = 2 << 20;

absl::Status CannotBeRead(const InstanceKey& key, std::string_view why) {
  return absl::DataLossError(
      absl::StrCat("entity ", QuoteForMessage(key.id),
                   " cannot be read: ", std::string(why)));
}

}  // namespace

EntityInfo EntityCalls::InfoOf(EntityRow& row, bool state) {
  EntityInfo info{.id = row.id,
                  .modified = FromStored(row.modified),
                  .has_state = row.state.has_value()};
  if (state) info.state = std::move(row.state);
  const Engine::Look look(engine_);
  if (const EntityPtr entity =
          engine_.batches_.FindLocked({row.tenant, row.id})) {
    info.waiting = entity->queue.size();
    info.lock = entity->queue.lock();
    info.waiting_for = engine_.answers_.UnwantedLocked(entity->batch);
    if (info.waiting_for.empty()) {
      info.waiting_for = engine_.worker_watch_.WithWhomLocked(entity->batch);
    }
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
    auto row = engine_.store_.FindEntity(key.tenant, key.id);
    if (!row.ok()) return done(row.status());
    if (!row->has_value()) return done(std::nullopt);
    if ((*row)->damaged) {
      return done(CannotBeRead(key, "its row has a wrong checksum"));
    }
    done(InfoOf(**row, state));
  });
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
          if (bytes > kPageBytesMax) {
            page->next = list.entities.back().id;
            break;
          }
          // All that is asleep has a state: otherwise it would not be there.
          bool has_state = row.number == 0 || !query.with_stateless;
          if (query.with_state || !has_state) {
            // One by one: together they may be too much for the memory.
            auto whole = engine_.store_.FindEntity(row.tenant, row.id);
            if (!whole.ok()) return done(whole.status());
            if (whole->has_value() && !(*whole)->damaged) {
              row.state = std::move((*whole)->state);
            }
            if (row.state.has_value()) bytes += row.state->size();
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
  } else {
    engine_.batches_.EraseStateLocked(*entity, commit);
  }
  engine_.commits_.Submit(std::move(commit));
}

}  // namespace leasehold
