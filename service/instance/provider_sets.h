// ProviderSets: which providers decide about a context.
//
// A context has the provider of the service that created it. When another
// service, with another provider, uses it too, it has both: it is idle when all
// of them say so, and has a lease if one of them has leases. A set never
// changes: a context that gets one more provider gets another set, and there
// are few of them, for any number of contexts.
//
// Thread-safety: safe.   Lifetime: providers outlive it; it owns the sets.
#ifndef LEASEHOLD_SERVICE_INSTANCE_PROVIDER_SETS_H_
#define LEASEHOLD_SERVICE_INSTANCE_PROVIDER_SETS_H_

#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "lease/base/mutex.h"

namespace leasehold {

class InstanceContextProvider;

// In the order in which their services came.
struct ProviderSet {
  std::vector<InstanceContextProvider*> providers;
  bool leased = false;  // Whether contexts have a lease.
};

class ProviderSets {
 public:
  // Asks `provider`, the server's, whether it has leases, as Of does.
  explicit ProviderSets(InstanceContextProvider& provider);

  // The server's provider alone.
  const ProviderSet& server() const { return *server_; }
  // `provider` alone. Asks it whether it has leases when it is met first: no
  // lock may be held.
  const ProviderSet& Of(InstanceContextProvider& provider)
      ABSL_LOCKS_EXCLUDED(mu_);
  // All of `set` and `more`. Asks nobody.
  const ProviderSet& Union(const ProviderSet& set, const ProviderSet& more)
      ABSL_LOCKS_EXCLUDED(mu_);

 private:
  using Providers = std::vector<InstanceContextProvider*>;

  const ProviderSet* FindLocked(const Providers& providers) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  const ProviderSet& AddLocked(Providers providers, bool leased)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  Mutex mu_;  // The last of all locks.
  std::vector<std::unique_ptr<const ProviderSet>> sets_ ABSL_GUARDED_BY(mu_);
  const ProviderSet* const server_;  // Constant after construction.
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_INSTANCE_PROVIDER_SETS_H_
