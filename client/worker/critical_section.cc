#include "client/worker/critical_section.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/worker/failure.h"

namespace leasehold::worker::internal {
namespace {

std::string Quoted(const EntityId& entity) {
  return absl::StrCat("\"", entity.text(), "\"");
}

}  // namespace

void CriticalSection::Enter(std::vector<EntityId> entities, std::string id,
                            int32_t task_id) {
  entities_ = std::move(entities);
  id_ = std::move(id);
  task_id_ = task_id;
  granted_ = false;
}

void CriticalSection::CheckEnter() const {
  if (!inside()) return;
  throw EntityLockError(
      absl::StrCat(granted_ ? "this orchestration has locked "
                            : "this orchestration waits for its lock of ",
                   Names(), ": unlock them before you lock others"));
}

void CriticalSection::CheckCall(const EntityId& entity) const {
  if (!inside()) return;
  if (!granted_) {
    throw EntityLockError(absl::StrCat("await the lock of ", Names(),
                                       " before you call entity ",
                                       Quoted(entity)));
  }
  if (!Has(entity)) {
    throw EntityLockError(
        absl::StrCat("entity ", Quoted(entity), " is not one of those that ",
                     "this orchestration has locked: ", Names(),
                     ". Until it unlocks them, it can call no other"));
  }
  if (called_.contains(entity)) {
    throw EntityLockError(
        absl::StrCat("a call of entity ", Quoted(entity),
                     ", which is locked, is outstanding: await it first"));
  }
}

void CriticalSection::CheckSignal(const EntityId& entity) const {
  if (!inside() || !Has(entity)) return;
  throw EntityLockError(
      absl::StrCat("entity ", Quoted(entity),
                   " is locked by this orchestration: call it, or unlock it "
                   "before you signal it"));
}

void CriticalSection::CheckChild(std::string_view what) const {
  if (!inside()) return;
  throw EntityLockError(absl::StrCat("this orchestration has locked ", Names(),
                                     ": unlock them before you call ",
                                     std::string(what)));
}

void CriticalSection::Leave() { entities_.clear(); }

bool CriticalSection::Has(const EntityId& entity) const {
  return std::binary_search(entities_.begin(), entities_.end(), entity);
}

std::string CriticalSection::Names() const {
  return absl::StrJoin(entities_, ", ",
                       [](std::string* out, const EntityId& entity) {
                         absl::StrAppend(out, Quoted(entity));
                       });
}

std::vector<EntityId> InLockOrder(std::vector<EntityId> entities) {
  std::sort(entities.begin(), entities.end());
  entities.erase(std::unique(entities.begin(), entities.end()), entities.end());
  return entities;
}

}  // namespace leasehold::worker::internal
