// How many instances of each tenant have each status, counted as they change:
// so that nobody has to look at all of them to know.
//
// Thread-safety: safe.   Lifetime: a value.
#ifndef LEASEHOLD_SERVICE_STORAGE_RUN_COUNTS_H_
#define LEASEHOLD_SERVICE_STORAGE_RUN_COUNTS_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "lease/base/mutex.h"

namespace leasehold {

class RunCounts {
 public:
  // By status (RunRow), those above 0.
  using ByStatus = std::map<int32_t, uint64_t>;

  ByStatus Of(std::string_view tenant) const ABSL_LOCKS_EXCLUDED(mu_);
  // Of all tenants together.
  ByStatus All() const ABSL_LOCKS_EXCLUDED(mu_);

  void Set(std::string_view tenant, int32_t status, int64_t count)
      ABSL_LOCKS_EXCLUDED(mu_);
  void Add(std::string_view tenant, int32_t status, int64_t count)
      ABSL_LOCKS_EXCLUDED(mu_);
  void Clear() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  using Counts = std::map<int32_t, int64_t>;

  static void AddTo(ByStatus& sums, const Counts& counts);

  mutable Mutex mu_;
  std::map<std::string, Counts, std::less<>> counts_ ABSL_GUARDED_BY(mu_);
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_STORAGE_RUN_COUNTS_H_
