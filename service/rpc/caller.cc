#include "service/rpc/caller.h"

#include "service/base/tenant.h"

namespace leasehold {

std::shared_ptr<const Caller> Anonymous() {
  // Shared by all calls, and never destroyed.
  static const auto& anonymous = *new std::shared_ptr<const Caller>(
      new Caller{.tenant = std::string(kDefaultTenant)});
  return anonymous;
}

std::shared_ptr<const Caller> Identify(const grpc::ServerContextBase&) {
  return Anonymous();
}

}  // namespace leasehold
