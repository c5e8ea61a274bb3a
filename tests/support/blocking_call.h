// BlockingCall: a call that blocks its thread until it is answered.
//
// Thread-safety: one thread asks; the answer may come from any.   Lifetime: the
// registry outlives it; it outlives the wait.
#ifndef LEASEHOLD_TESTS_SUPPORT_BLOCKING_CALL_H_
#define LEASEHOLD_TESTS_SUPPORT_BLOCKING_CALL_H_

#include <optional>
#include <utility>

#include "absl/status/statusor.h"
#include "lease/base/mutex.h"
#include "service/instance/instance_registry.h"

namespace leasehold {

class BlockingCall final : public PinWaiter {
 public:
  using PinWaiter::PinWaiter;

  void OnGrant(absl::StatusOr<PinGrant> grant) override {
    MutexLock lock(mu_);
    answer_ = std::move(grant);
    answered_.NotifyAll();
  }

  // Empty if it was cancelled.
  std::optional<absl::StatusOr<PinGrant>> Ask(InstanceRegistry& registry,
                                              bool cancel = false) {
    std::optional<absl::StatusOr<PinGrant>> answer = registry.Acquire(*this);
    if (answer.has_value()) return answer;
    if (cancel && registry.CancelWait(*this)) return std::nullopt;
    MutexLock lock(mu_);
    while (!answer_.has_value()) answered_.Wait(mu_);
    return std::move(answer_);
  }

 private:
  Mutex mu_;
  CondVar answered_;
  std::optional<absl::StatusOr<PinGrant>> answer_ ABSL_GUARDED_BY(mu_);
};

}  // namespace leasehold

#endif  // LEASEHOLD_TESTS_SUPPORT_BLOCKING_CALL_H_
