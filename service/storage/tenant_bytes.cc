#include "service/storage/tenant_bytes.h"

namespace leasehold {

uint64_t TenantBytes::Of(std::string_view tenant) const {
  MutexLock lock(mu_);
  const auto found = bytes_.find(tenant);
  // Below 0 only if somebody else has changed the rows.
  return found == bytes_.end() || found->second < 0
             ? 0
             : static_cast<uint64_t>(found->second);
}

void TenantBytes::Set(std::string_view tenant, int64_t bytes) {
  MutexLock lock(mu_);
  const auto found = bytes_.find(tenant);
  if (found == bytes_.end()) {
    if (bytes != 0) bytes_.emplace(tenant, bytes);
  } else if (bytes != 0) {
    found->second = bytes;
  } else {
    bytes_.erase(found);
  }
}

void TenantBytes::Add(std::string_view tenant, int64_t bytes) {
  MutexLock lock(mu_);
  auto found = bytes_.find(tenant);
  if (found == bytes_.end()) found = bytes_.emplace(tenant, 0).first;
  found->second += bytes;
  if (found->second == 0) bytes_.erase(found);
}

void TenantBytes::Clear() {
  MutexLock lock(mu_);
  bytes_.clear();
}

}  // namespace leasehold
