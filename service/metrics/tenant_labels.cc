#include "service/metrics/tenant_labels.h"

namespace leasehold {

std::string TenantLabels::LabelOf(const std::string& tenant) {
  if (tenant == kOther) return tenant;
  MutexLock lock(mu_);
  if (labels_.contains(tenant)) return tenant;
  if (labels_.size() >= labels_max_) return std::string(kOther);
  labels_.insert(tenant);
  return tenant;
}

}  // namespace leasehold
