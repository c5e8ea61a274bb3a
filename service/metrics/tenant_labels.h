// TenantLabels: which tenants have a label of their own in numbers that are
// counted by tenant. Each label is a series that Prometheus keeps for weeks, so
// only the first so many tenants that are seen have one, and keep it; all
// others together are `other`.
//
// Thread-safety: safe.   Lifetime: a value.
#ifndef LEASEHOLD_SERVICE_METRICS_TENANT_LABELS_H_
#define LEASEHOLD_SERVICE_METRICS_TENANT_LABELS_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "lease/base/mutex.h"
#include "service/base/stats.h"

namespace leasehold {

class TenantLabels {
 public:
  static constexpr size_t kLabelsMax = 100;
  static constexpr std::string_view kOther = "other";

  explicit TenantLabels(size_t labels_max = kLabelsMax)
      : labels_max_(labels_max) {}

  // A tenant that is called `other` has no label of its own.
  std::string LabelOf(const std::string& tenant) ABSL_LOCKS_EXCLUDED(mu_);

  // Numbers of tenants by label. In a scope of one tenant: that tenant's,
  // whatever its label, and nothing of others.
  template <typename Number>
  std::map<std::string, Number> Fold(
      const std::map<std::string, Number>& tenants, const StatsScope& scope) {
    std::map<std::string, Number> folded;
    if (!scope.whole_server) {
      const auto own = tenants.find(scope.tenant);
      if (own != tenants.end()) folded.insert(*own);
      return folded;
    }
    for (const auto& [tenant, number] : tenants) {
      folded[LabelOf(tenant)] += number;
    }
    return folded;
  }

 private:
  const size_t labels_max_;

  Mutex mu_;
  std::set<std::string> labels_ ABSL_GUARDED_BY(mu_);
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_METRICS_TENANT_LABELS_H_
