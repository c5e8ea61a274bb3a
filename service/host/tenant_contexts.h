// TenantContexts: how many instance contexts each tenant may have at once.
//
// A context initializer: one too many never opens, and its call is refused. The
// place that a context takes is an extension, so that it is free when the
// context has gone.
//
// Thread-safety: safe.   Lifetime: outlives the registry.
#ifndef LEASEHOLD_SERVICE_HOST_TENANT_CONTEXTS_H_
#define LEASEHOLD_SERVICE_HOST_TENANT_CONTEXTS_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "lease/base/mutex.h"
#include "service/base/tenant_tally.h"
#include "service/instance/context_initializer.h"

namespace leasehold {

class TenantContexts final : public ContextInitializer {
 public:
  // `limit`: how many contexts a tenant may have; 0: as many as it likes.
  // Called for each context that opens.
  explicit TenantContexts(std::function<uint64_t(const std::string&)> limit)
      : limit_(std::move(limit)) {}

  bool MayBlock() const override { return false; }
  // How many contexts the limit of each tenant has refused.
  TenantTally::Counts refused() const { return refused_.Read(); }
  //   ResourceExhausted: the tenant has as many as it may have.
  void Initialize(InstanceContext& context, const InitializerRequest& request,
                  HookDone done) override;

 private:
  using Count = std::atomic<uint64_t>;
  class Place;

  std::shared_ptr<Count> CountOf(const std::string& tenant)
      ABSL_LOCKS_EXCLUDED(mu_);

  const std::function<uint64_t(const std::string&)> limit_;
  TenantTally refused_;

  Mutex mu_;
  std::map<std::string, std::shared_ptr<Count>> counts_ ABSL_GUARDED_BY(mu_);
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HOST_TENANT_CONTEXTS_H_
