#include "service/instance/provider_sets.h"

#include <algorithm>
#include <utility>

#include "service/instance/instance_context_provider.h"

namespace leasehold {

ProviderSets::ProviderSets(InstanceContextProvider& provider)
    : server_(&Of(provider)) {}

const ProviderSet& ProviderSets::Of(InstanceContextProvider& provider) {
  {
    MutexLock lock(mu_);
    if (const ProviderSet* found = FindLocked({&provider})) return *found;
  }
  const bool leased = provider.Leased();
  MutexLock lock(mu_);
  // Another call may have been as early.
  if (const ProviderSet* found = FindLocked({&provider})) return *found;
  return AddLocked({&provider}, leased);
}

const ProviderSet& ProviderSets::Union(const ProviderSet& set,
                                       const ProviderSet& more) {
  Providers all = set.providers;
  for (InstanceContextProvider* provider : more.providers) {
    if (std::find(all.begin(), all.end(), provider) == all.end()) {
      all.push_back(provider);
    }
  }
  if (all.size() == set.providers.size()) return set;
  MutexLock lock(mu_);
  if (const ProviderSet* found = FindLocked(all)) return *found;
  return AddLocked(std::move(all), set.leased || more.leased);
}

const ProviderSet* ProviderSets::FindLocked(const Providers& providers) const {
  for (const auto& set : sets_) {
    if (set->providers == providers) return set.get();
  }
  return nullptr;
}

const ProviderSet& ProviderSets::AddLocked(Providers providers, bool leased) {
  sets_.push_back(std::make_unique<const ProviderSet>(
      ProviderSet{.providers = std::move(providers), .leased = leased}));
  return *sets_.back();
}

}  // namespace leasehold
