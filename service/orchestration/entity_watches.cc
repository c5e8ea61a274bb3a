#include "service/orchestration/entity_watches.h"

#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "service/orchestration/engine_section.h"

namespace leasehold {

EntityWatches::WaitId EntityWatches::Wait(EntityWait wait,
                                          Done<SharedEntity> done) {
  Engine::Section section(engine_);
  const WaitId id = ++last_id_;
  if (absl::Status status = engine_.admission_.accepting(); !status.ok()) {
    engine_.RefuseLocked(done, status);
    return id;
  }
  const InstanceKey key = wait.key;
  const std::optional<Waiter> oldest = waits_.Add(
      Directory::NameOf(key), {std::move(wait), id, std::move(done)});
  if (oldest.has_value()) {
    engine_.RefuseLocked(
        oldest->done,
        absl::ResourceExhaustedError(absl::StrCat(
            "this connection has begun ", engine_.options_.waits_max,
            " other watches of entities since: that is the limit, and its "
            "oldest one ends")));
  }
  // It may have changed before this caller waited.
  ReadLocked(key);
  return id;
}

bool EntityWatches::Cancel(const InstanceKey& key, WaitId id) {
  Engine::Section section(engine_);
  return !waits_
              .TakeIf(Directory::NameOf(key),
                      [id](const Waiter& waiter) { return waiter.id == id; })
              .empty();
}

void EntityWatches::OnChangedLocked(const InstanceKey& key) {
  engine_.mu_.AssertHeld();
  if (!waits_.empty() && waits_.Contains(Directory::NameOf(key))) {
    ReadLocked(key);
  }
}

void EntityWatches::OnAllChangedLocked() {
  ReadAllLocked([](const std::string&) { return true; });
}

void EntityWatches::OnTenantChangedLocked(const std::string& tenant) {
  ReadAllLocked([&tenant](const std::string& name) {
    return Directory::IsOf(name, tenant);
  });
}

template <typename IsSo>
void EntityWatches::ReadAllLocked(IsSo is_so) {
  engine_.mu_.AssertHeld();
  std::vector<InstanceKey> keys;
  for (const std::string& name : waits_.Keys()) {
    if (!is_so(name)) continue;
    // Looks, and takes nobody.
    waits_.TakeIf(name, [&](const Waiter& waiter) {
      if (keys.empty() || keys.back() != waiter.key) keys.push_back(waiter.key);
      return false;
    });
  }
  for (const InstanceKey& key : keys) ReadLocked(key);
}

void EntityWatches::ReadLocked(const InstanceKey& key) {
  engine_.mu_.AssertHeld();
  const auto [read, is_first] = reads_.try_emplace(Directory::NameOf(key));
  if (!is_first) {
    read->second.again = true;
    return;
  }
  engine_.readers_.Post([this, key] {
    OnRead(key, engine_.entity_calls_.ReadInfo(key, /*state=*/true));
  });
}

void EntityWatches::OnRead(
    const InstanceKey& key,
    const absl::StatusOr<std::optional<EntityInfo>>& info) {
  // One copy for all: a state may be large.
  SharedEntity whole;
  SharedEntity brief;
  if (info.ok()) {
    EntityInfo seen = info->value_or(EntityInfo{.id = key.id});
    EntityInfo without = seen;
    without.state.reset();
    whole = std::make_shared<const EntityInfo>(std::move(seen));
    brief = std::make_shared<const EntityInfo>(std::move(without));
  }
  Engine::Section section(engine_);
  const std::string name = Directory::NameOf(key);
  // While the store is read again, all is told later.
  const bool later = !info.ok() && !engine_.admission_.serving().ok() &&
                     !engine_.admission_.stopped();
  std::vector<Waiter> told;
  if (!later) {
    told = waits_.TakeIf(name, [&](const Waiter& waiter) {
      return !info.ok() || waiter.seen != whole->print;
    });
  }
  for (Waiter& waiter : told) {
    engine_.effects_.calls.push_back([done = std::move(waiter.done),
                                      status = info.status(),
                                      entity = waiter.state ? whole : brief] {
      if (!status.ok()) return done(status);
      done(entity);
    });
  }
  const auto read = reads_.find(name);
  const bool again = read->second.again;
  reads_.erase(read);
  if (again && waits_.Contains(name)) ReadLocked(key);
}

void EntityWatches::EndWaitsLocked(const absl::Status& status) {
  engine_.mu_.AssertHeld();
  for (Waiter& waiter : waits_.TakeAll()) {
    engine_.RefuseLocked(waiter.done, status);
  }
}

}  // namespace leasehold
