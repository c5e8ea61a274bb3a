#include "service/instance/context_lease.h"

namespace leasehold {

absl::Duration LeaseExtension::Remaining() const {
  return context_.lease_remaining();
}

void LeaseExtension::Renew() { context_.RenewLease(); }

bool LeaseExtension::IsIdle() const {
  return context_.word().idle() &&
         context_.lease_remaining() == absl::ZeroDuration();
}

void LeaseInitializer::Initialize(InstanceContext& context,
                                  const InitializerRequest&, HookDone done) {
  context.Attach<LeaseExtension, ContextLease>(context);
  done();
}

}  // namespace leasehold
