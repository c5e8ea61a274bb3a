#include "service/orchestration/storage_room.h"

#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "lease/base/mutex.h"
#include "service/base/retry_after.h"

namespace leasehold {
namespace {

constexpr absl::Duration kRetryWithoutRoom = absl::Seconds(1);

// Names, IDs and rows around a payload, about.
constexpr size_t kAroundPayload = 256;

}  // namespace

// What commits that are not done will store, by tenant.
class StorageRoom::Coming {
 public:
  // False: with what is `stored`, the tenant has `limit` already.
  bool Add(const std::string& tenant, uint64_t bytes, uint64_t stored,
           uint64_t limit) ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    const auto found = bytes_.find(tenant);
    const uint64_t coming = found == bytes_.end() ? 0 : found->second;
    if (stored + coming >= limit) return false;
    bytes_[tenant] = coming + bytes;
    return true;
  }
  void Remove(const std::string& tenant, uint64_t bytes)
      ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    const auto found = bytes_.find(tenant);
    found->second -= bytes;
    if (found->second == 0) bytes_.erase(found);
  }

  uint64_t Of(const std::string& tenant) ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    const auto found = bytes_.find(tenant);
    return found == bytes_.end() ? 0 : found->second;
  }

 private:
  Mutex mu_;
  std::map<std::string, uint64_t> bytes_ ABSL_GUARDED_BY(mu_);
};

// Lives as long as its commit.
class StorageRoom::Taken {
 public:
  Taken(std::shared_ptr<Coming> coming, std::string tenant, uint64_t bytes)
      : coming_(std::move(coming)), tenant_(std::move(tenant)), bytes_(bytes) {}
  ~Taken() { Release(); }
  Taken(const Taken&) = delete;
  Taken& operator=(const Taken&) = delete;

  void Release() {
    if (!std::exchange(released_, true)) coming_->Remove(tenant_, bytes_);
  }

 private:
  const std::shared_ptr<Coming> coming_;
  const std::string tenant_;
  const uint64_t bytes_;
  bool released_ = false;
};

StorageRoom::StorageRoom(const Store& store, LimitOf limit_of)
    : store_(store),
      limit_of_(std::move(limit_of)),
      coming_(std::make_shared<Coming>()) {}

std::optional<StorageRoom::Full> StorageRoom::FullOf(
    const std::string& tenant) const {
  const uint64_t limit = limit_of_ == nullptr ? 0 : limit_of_(tenant);
  if (limit == 0) return std::nullopt;
  const uint64_t bytes = store_.StoredBytes(tenant) + coming_->Of(tenant);
  if (bytes < limit) return std::nullopt;
  return Full{.bytes = bytes, .bytes_max = limit};
}

absl::Status StorageRoom::Take(const std::string& tenant, size_t bytes,
                               PendingCommit& commit) {
  const uint64_t limit = limit_of_ == nullptr ? 0 : limit_of_(tenant);
  if (limit == 0) return absl::OkStatus();
  const uint64_t all = bytes + kAroundPayload;
  if (!coming_->Add(tenant, all, store_.StoredBytes(tenant), limit)) {
    refused_.Add(tenant);
    return WithRetryAfter(
        absl::ResourceExhaustedError(absl::StrCat(
            "the limit stored_bytes of this tenant is reached, which is ",
            limit,
            "; orchestrations that have ended can be purged to make room")),
        kRetryWithoutRoom);
  }
  // Before anybody is told: from then on the store counts them.
  commit.apply.push_back([taken = std::make_shared<Taken>(
                              coming_, tenant, all)] { taken->Release(); });
  return absl::OkStatus();
}

}  // namespace leasehold
