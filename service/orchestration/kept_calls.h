// KeptCalls: which calls of entities that have ended are kept, so that a caller
// who asks again is told what came of the call: the newest, as far as three
// limits permit. The calls themselves are in the store.
//
// The limits are those of all tenants together. When they are reached, the
// oldest of the tenant goes that has the most: so nobody's calls are forgotten
// because another tenant makes many.
//
// Thread-safety: none; callers synchronise.   Lifetime: a value.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_KEPT_CALLS_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_KEPT_CALLS_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "service/storage/records.h"

namespace leasehold {

struct KeptCallLimits {
  absl::Duration age_max = absl::Hours(1);
  size_t count_max = 10'000;
  size_t bytes_max = size_t{64} << 20;  // Of their outcomes, together.
};

class KeptCalls {
 public:
  explicit KeptCalls(KeptCallLimits limits = {}) : limits_(limits) {}

  // Adds one that ended later than all others, or is loaded in that order. One
  // with its name is forgotten. Returns those that are kept no longer, the
  // oldest first; never the new one.
  std::vector<CallMark> Add(CallMark mark);
  bool IsTooOld(StoredTime ended, StoredTime now) const {
    return now - ended > absl::ToInt64Microseconds(limits_.age_max);
  }

  size_t size() const { return marks_.size(); }
  size_t bytes() const { return bytes_; }
  void Forget(std::string_view tenant);
  void Clear();

 private:
  using Name = std::pair<std::string, std::string>;  // Tenant and request.

  // What a tenant has of them.
  struct Share {
    std::set<int64_t> orders;
    size_t bytes = 0;
  };

  CallMark Take(std::map<int64_t, CallMark>::iterator it);
  // The oldest of the tenant with the most bytes, or calls; not the newest of
  // all.
  std::map<int64_t, CallMark>::iterator OldestOfMost(bool bytes);

  const KeptCallLimits limits_;
  int64_t last_order_ = 0;
  std::map<int64_t, CallMark> marks_;  // In the order of their ends.
  absl::flat_hash_map<Name, int64_t> orders_;
  std::map<std::string, Share> shares_;  // By tenant.
  size_t bytes_ = 0;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_KEPT_CALLS_H_
