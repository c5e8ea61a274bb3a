#include "service/orchestration/lookups.h"

#include <utility>

#include "service/orchestration/directory.h"

namespace leasehold {

void Lookups::Add(const InstanceKey& key, Lookup lookup) {
  const std::string name = Directory::NameOf(key);
  if (lookups_.Add(name, std::move(lookup))) Begin(key, name);
}

void Lookups::Begin(const InstanceKey& key, const std::string& name) {
  if (const auto held = held_.find(key.tenant); held != held_.end()) {
    held->second.keys.push_back(key);
    return;
  }
  outdated_.erase(name);
  readers_.Post(
      [&store = store_, key, reload = reload_, lookup = *lookups_.Take(name)] {
        lookup(store.Find(key.tenant, key.id), reload);
      });
}

bool Lookups::IsOutdated(const InstanceKey& key, uint64_t reload) const {
  const std::string name = Directory::NameOf(key);
  return reload != reload_ || !lookups_.Contains(name) ||
         outdated_.contains(name);
}

void Lookups::End(const InstanceKey& key, uint64_t reload) {
  if (reload != reload_) return;
  const std::string name = Directory::NameOf(key);
  if (lookups_.End(name)) {
    Begin(key, name);
  } else {
    outdated_.erase(name);
  }
}

void Lookups::OnEnd(const std::string& name) {
  if (lookups_.Contains(name)) outdated_.insert(name);
}

void Lookups::Hold(const std::string& tenant) {
  ++held_[tenant].times;
  lookups_.ForEachKey([&](const std::string& name) {
    if (Directory::IsOf(name, tenant)) outdated_.insert(name);
  });
}

void Lookups::Release(const std::string& tenant) {
  const auto held = held_.find(tenant);
  if (held == held_.end() || --held->second.times > 0) return;
  const std::vector<InstanceKey> keys = std::move(held->second.keys);
  held_.erase(held);
  for (const InstanceKey& key : keys) Begin(key, Directory::NameOf(key));
}

std::vector<Lookups::Lookup> Lookups::BeginReload() {
  ++reload_;
  outdated_.clear();
  held_.clear();
  return lookups_.Clear();
}

}  // namespace leasehold
