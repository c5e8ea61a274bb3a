// ContextTally: how many contexts have come and gone, why, and of which tenant.
//
// Thread-safety: safe.   Lifetime: outlives the registry that it observes.
#ifndef LEASEHOLD_SERVICE_HOST_CONTEXT_TALLY_H_
#define LEASEHOLD_SERVICE_HOST_CONTEXT_TALLY_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "lease/base/cells.h"
#include "lease/base/mutex.h"
#include "service/instance/instance_observer.h"

namespace leasehold {

class ContextTally final : public InstanceObserver {
 public:
  struct OfTenant {
    uint64_t created = 0;
    uint64_t closed = 0;
  };
  struct Counts {
    uint64_t created = 0;
    std::array<uint64_t, kDetachReasons> closed = {};  // By DetachReason.
    uint64_t expired = 0;  // Leases that were over, and ended their contexts.
    uint64_t open_failed = 0;
    uint64_t detach_failed = 0;
    uint64_t threw = 0;
    std::map<std::string, OfTenant> tenants = {};
  };
  Counts counts() const ABSL_LOCKS_EXCLUDED(mu_);

  void OnEvent(const InstanceEvent& event) override ABSL_LOCKS_EXCLUDED(mu_);

 private:
  alignas(kCellsApart) SharedCell created_;
  std::array<SharedCell, kDetachReasons> closed_ = {};
  SharedCell expired_;
  SharedCell open_failed_;
  SharedCell detach_failed_;
  SharedCell threw_;

  mutable Mutex mu_;
  // Tenants are those of a policy: there are not many.
  absl::flat_hash_map<std::string, OfTenant> tenants_ ABSL_GUARDED_BY(mu_);
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HOST_CONTEXT_TALLY_H_
