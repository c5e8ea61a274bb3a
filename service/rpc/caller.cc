#include "service/rpc/caller.h"

namespace leasehold {
namespace {

// No other place names the tenant of callers of whom nothing is known.
constexpr char kAnonymousTenant[] = "default";

}  // namespace

std::shared_ptr<const Caller> Anonymous() {
  // Shared by all calls, and never destroyed.
  static const auto& anonymous = *new std::shared_ptr<const Caller>(
      new Caller{.tenant = kAnonymousTenant});
  return anonymous;
}

std::shared_ptr<const Caller> Identify(const grpc::ServerContextBase&) {
  return Anonymous();
}

}  // namespace leasehold
