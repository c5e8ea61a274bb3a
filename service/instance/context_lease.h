// ContextLease: a context's lease, in the form of an extension.
//
// An initializer attaches it; code that has the context finds it by this
// interface: `context.Find<ContextLease>()`. Embedders may instead attach their
// own lease, with a provider that consults it (compare the custom lease of
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

  // Time that would remain if the context became idle now; never negative.
  // While the context is busy, the whole timeout.
  virtual absl::Duration Remaining() const = 0;
  // The lease runs for its full timeout from now.
  virtual void Renew() = 0;
  // Whether the lease is over.
  virtual bool IsIdle() const = 0;
  // Sets the callback to run when IsIdle may have changed: the one that a
  // provider received with NotifyIdle. Replaces any earlier one.
  virtual void SetIdleCallback(std::function<void()> callback) = 0;
};

// The lease that the registry's lease manager keeps. The manager itself asks
// again when the lease is over, so this class ignores the callback.
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
