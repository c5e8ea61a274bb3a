#include "service/storage/run_counts.h"

namespace leasehold {

void RunCounts::AddTo(ByStatus& sums, const Counts& counts) {
  for (const auto& [status, count] : counts) {
    // Below 0 only if somebody else has changed the rows.
    if (count > 0) sums[status] += static_cast<uint64_t>(count);
  }
}

RunCounts::ByStatus RunCounts::Of(std::string_view tenant) const {
  ByStatus sums;
  MutexLock lock(mu_);
  const auto found = counts_.find(tenant);
  if (found != counts_.end()) AddTo(sums, found->second);
  return sums;
}

RunCounts::ByStatus RunCounts::All() const {
  ByStatus sums;
  MutexLock lock(mu_);
  for (const auto& [tenant, counts] : counts_) AddTo(sums, counts);
  return sums;
}

void RunCounts::Set(std::string_view tenant, int32_t status, int64_t count) {
  MutexLock lock(mu_);
  auto found = counts_.find(tenant);
  if (found == counts_.end()) found = counts_.emplace(tenant, Counts()).first;
  if (count != 0) {
    found->second[status] = count;
  } else {
    found->second.erase(status);
  }
  if (found->second.empty()) counts_.erase(found);
}

void RunCounts::Add(std::string_view tenant, int32_t status, int64_t count) {
  MutexLock lock(mu_);
  auto found = counts_.find(tenant);
  if (found == counts_.end()) found = counts_.emplace(tenant, Counts()).first;
  int64_t& sum = found->second[status];
  sum += count;
  if (sum == 0) found->second.erase(status);
  if (found->second.empty()) counts_.erase(found);
}

void RunCounts::Clear() {
  MutexLock lock(mu_);
  counts_.clear();
}

}  // namespace leasehold
