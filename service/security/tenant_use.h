// TenantUse: what a tenant does and has now, held against its limits.
//
// Thread-safety: safe.   Lifetime: shared by the gatekeeper and by the calls
// that are open.
#ifndef LEASEHOLD_SERVICE_SECURITY_TENANT_USE_H_
#define LEASEHOLD_SERVICE_SECURITY_TENANT_USE_H_

#include <array>
#include <cstdint>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lease/base/cells.h"
#include "lease/base/mutex.h"
#include "lease/clock.h"
#include "service/rpc/call_outcomes.h"
#include "service/rpc/method_info.h"
#include "service/rpc/refusal_pace.h"
#include "service/security/policy.h"

namespace leasehold {

class TenantUse : public std::enable_shared_from_this<TenantUse> {
 public:
  // Refusals are told no later than that: what a tenant may not do anyway, it
  // need not hear of soon.
  static constexpr absl::Duration kTellAfterMax = absl::Milliseconds(800);

  // While it lives, a call is open.
  class Open {
   public:
    Open(std::shared_ptr<TenantUse> use, Lasting lasting)
        : use_(std::move(use)), lasting_(lasting) {}
    ~Open() { use_->Close(lasting_); }
    Open(const Open&) = delete;
    Open& operator=(const Open&) = delete;

   private:
    const std::shared_ptr<TenantUse> use_;
    const Lasting lasting_;
  };

  // What the tenant has called, and what its limits have refused.
  struct Counts {
    std::array<uint64_t, kCallClasses> calls = {};  // With those refused.
    std::array<uint64_t, kCallClasses> too_often = {};
    std::array<uint64_t, kLastings> too_many = {};
  };
  Counts counts() const;
  // How its calls have ended, as those count them who know its callers.
  CallOutcomes& outcomes() { return outcomes_; }

  // A call of that method comes at `now`. Null: it does not count as open.
  //   ResourceExhausted: it is one too many; the message names the limit, and
  //     the status says when to try again, and when to tell it.
  absl::StatusOr<std::unique_ptr<Open>> Enter(const TenantLimits& limits,
                                              const MethodInfo& method,
                                              Instant now)
      ABSL_LOCKS_EXCLUDED(mu_);

 private:
  // Calls of a class that may come now: as many as come in a second may come at
  // once.
  struct Bucket {
    double calls = 0;
    Instant filled;
    bool used = false;
  };

  absl::Status TakeLocked(CallClass call_class, double rate, Instant now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Close(Lasting lasting) ABSL_LOCKS_EXCLUDED(mu_);

  CallOutcomes outcomes_;
  alignas(kCellsApart) std::array<SharedCell, kCallClasses> calls_ = {};
  std::array<SharedCell, kCallClasses> too_often_ = {};
  std::array<SharedCell, kLastings> too_many_ = {};

  Mutex mu_;
  std::array<Bucket, kCallClasses> buckets_ ABSL_GUARDED_BY(mu_);
  RefusalPace pace_ ABSL_GUARDED_BY(mu_){kTellAfterMax};
  std::array<uint64_t, kLastings> open_ ABSL_GUARDED_BY(mu_) = {};
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_SECURITY_TENANT_USE_H_
