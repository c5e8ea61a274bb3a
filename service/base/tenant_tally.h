// TenantTally: how often something has happened, by tenant: refusals, which are
// rare and cost more than this.
//
// Thread-safety: safe.   Lifetime: a value that stays where it is. Grows with
// the tenants that it was told of, of which a policy names all.
#ifndef LEASEHOLD_SERVICE_BASE_TENANT_TALLY_H_
#define LEASEHOLD_SERVICE_BASE_TENANT_TALLY_H_

#include <cstdint>
#include <map>
#include <string>

#include "lease/base/mutex.h"

namespace leasehold {

class TenantTally {
 public:
  using Counts = std::map<std::string, uint64_t>;

  void Add(const std::string& tenant) ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    ++counts_[tenant];
  }
  // Tenants to which it never happened may be missing.
  Counts Read() const ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    return counts_;
  }

 private:
  mutable Mutex mu_;
  Counts counts_ ABSL_GUARDED_BY(mu_);
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_BASE_TENANT_TALLY_H_
