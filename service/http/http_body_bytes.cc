#include "service/http/http_body_bytes.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "service/base/retry_after.h"

namespace leasehold {
namespace {

// When it may be worth while to ask again.
constexpr absl::Duration kRetry = absl::Seconds(1);

}  // namespace

void HttpBodyBytes::Room::Begin(std::string tenant, size_t tenant_bytes_max) {
  tenant_ = std::move(tenant);
  tenant_bytes_max_ = tenant_bytes_max;
}

absl::Status HttpBodyBytes::Room::Set(size_t bytes) {
  if (bytes > bytes_) {
    if (all_.bytes_ - bytes_ + bytes > all_.bytes_max_) {
      all_.refused_.Add();
      return WithRetryAfter(
          absl::UnavailableError("too many bytes of requests are here"),
          kRetry);
    }
    const auto found = all_.of_tenants_.find(tenant_);
    const size_t others =
        found == all_.of_tenants_.end() ? 0 : found->second - bytes_;
    if (tenant_bytes_max_ > 0 && others > 0 &&
        others + bytes > tenant_bytes_max_) {
      all_.refused_of_tenants_.Add(tenant_);
      return WithRetryAfter(
          absl::ResourceExhaustedError(absl::StrCat(
              "the limit kept_bytes of this tenant is reached, which is ",
              tenant_bytes_max_)),
          kRetry);
    }
  }
  Change(bytes);
  return absl::OkStatus();
}

void HttpBodyBytes::Room::Change(size_t bytes) {
  if (bytes == bytes_) return;
  all_.bytes_ = all_.bytes_ - bytes_ + bytes;
  size_t& of_tenant = all_.of_tenants_[tenant_];
  of_tenant = of_tenant - bytes_ + bytes;
  if (of_tenant == 0) all_.of_tenants_.erase(tenant_);
  bytes_ = bytes;
}

}  // namespace leasehold
