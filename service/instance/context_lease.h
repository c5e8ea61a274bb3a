// ContextLease: the lease of a context, as one of its extensions.
//
// An initializer attaches it; code that has the context finds it by this
// interface: `context.Find<ContextLease>()`. An embedder may attach a lease of
// its own instead, and a provider that asks it (compare the custom lease of
// WCF's shared instancing sample).
//
// Thread-safety: safe.   Lifetime: as every Extension.
#ifndef LEASEHOLD_SERVICE_INSTANCE_CONTEXT_LEASE_H_
#define LEASEHOLD_SERVICE_INSTANCE_CONTEXT_LEASE_H_

#include <functional>

#include "absl/time/time.h"
#include "service/instance/context_initializer.h"
#include "service/instance/extension.h"
#include "service/instance/instance_context.h"

namespace leasehold {

class ContextLease {
 public:
  virtual ~ContextLease() = default;

  // What remains if the context were left alone now; never negative. While it
  // is busy, the whole timeout.
  virtual absl::Duration Remaining() const = 0;
  // Runs for its whole length from now.
  virtual void Renew() = 0;
  // Whether it is over.
  virtual bool IsIdle() const = 0;
  // Who to tell that IsIdle may have changed: what a provider was given with
  // NotifyIdle. In place of any earlier one.
  virtual void SetIdleCallback(std::function<void()> callback) = 0;
};

// The lease that the registry's lease manager keeps, which asks again by itself
// when it is over: so it needs no callback, and drops what it is given.
class LeaseExtension final : public Extension, public ContextLease {
 public:
  explicit LeaseExtension(InstanceContext& context) : context_(context) {}

  bool MayBlock() const override { return false; }
  absl::Duration Remaining() const override;
  void Renew() override;
  bool IsIdle() const override;
  void SetIdleCallback(std::function<void()>) override {}

 private:
  InstanceContext& context_;
};

// Attaches a LeaseExtension.
class LeaseInitializer final : public ContextInitializer {
 public:
  bool MayBlock() const override { return false; }
  void Initialize(InstanceContext& context, const InitializerRequest& request,
                  HookDone done) override;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_INSTANCE_CONTEXT_LEASE_H_
