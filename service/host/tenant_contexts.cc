#include "service/host/tenant_contexts.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "service/base/retry_after.h"
#include "service/instance/extension.h"

namespace leasehold {
namespace {

// A lease is over within some seconds as a rule.
constexpr absl::Duration kRetry = absl::Seconds(1);

}  // namespace

// What a context takes of its tenant's limit, for as long as it lives.
class TenantContexts::Place final : public Extension {
 public:
  explicit Place(std::shared_ptr<Count> count) : count_(std::move(count)) {}
  ~Place() override { --*count_; }

  bool MayBlock() const override { return false; }

 private:
  const std::shared_ptr<Count> count_;
};

std::shared_ptr<TenantContexts::Count> TenantContexts::CountOf(
    const std::string& tenant) {
  MutexLock lock(mu_);
  std::shared_ptr<Count>& count = counts_[tenant];
  if (count == nullptr) count = std::make_shared<Count>(0);
  return count;
}

void TenantContexts::Initialize(InstanceContext& context,
                                const InitializerRequest& request,
                                HookDone done) {
  const std::string& tenant = request.request.key.tenant;
  const uint64_t limit = limit_(tenant);
  if (limit == 0) return done();
  const std::shared_ptr<Count> count = CountOf(tenant);
  uint64_t now = *count;
  while (now < limit && !count->compare_exchange_weak(now, now + 1)) {
  }
  if (now >= limit) {
    refused_.Add(tenant);
    return done(WithRetryAfter(
        absl::ResourceExhaustedError(absl::StrCat(
            "the limit contexts of this tenant is reached, which is ", limit)),
        kRetry));
  }
  context.Attach<Place>(count);
  done();
}

}  // namespace leasehold
