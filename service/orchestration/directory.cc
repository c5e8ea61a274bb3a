#include "service/orchestration/directory.h"

#include <utility>

#include "service/base/invariant.h"

namespace leasehold {

std::string Directory::NameOf(const InstanceKey& key) {
  std::string name;
  name.reserve(key.tenant.size() + key.id.size() + 1);
  name.append(key.tenant).push_back('\0');
  name.append(key.id);
  return name;
}

OrchestrationPtr Directory::FindByName(const std::string& name) const {
  const auto it = by_name_.find(name);
  return it == by_name_.end() ? nullptr : it->second;
}

OrchestrationPtr Directory::FindOpen(const InstanceKey& key) const {
  OrchestrationPtr found = Find(key);
  if (found != nullptr && found->ending) return nullptr;
  return found;
}

OrchestrationPtr Directory::FindNotEnded(const InstanceKey& key) const {
  OrchestrationPtr found = Find(key);
  if (found != nullptr && found->ending && !found->undecided) return nullptr;
  return found;
}

Orchestration* Directory::FindByNumber(RunNumber number) const {
  const auto it = by_number_.find(number);
  return it == by_number_.end() ? nullptr : it->second;
}

Orchestration* Directory::first() const {
  return by_number_.empty() ? nullptr : by_number_.begin()->second;
}

void Directory::Add(OrchestrationPtr orchestration) {
  CheckInvariant(
      by_number_.emplace(orchestration->number, orchestration.get()).second,
      "no two orchestrations have one number");
  OrchestrationPtr& place = by_name_[NameOf(orchestration->key)];
  place = std::move(orchestration);
}

OrchestrationPtr Directory::Remove(const Orchestration& orchestration) {
  by_number_.erase(orchestration.number);
  const auto place = by_name_.find(NameOf(orchestration.key));
  if (place == by_name_.end() || place->second.get() != &orchestration) {
    return nullptr;
  }
  OrchestrationPtr had = std::move(place->second);
  by_name_.erase(place);
  return had;
}

}  // namespace leasehold
