// Caller: on whose behalf a call is served.
//
// Identify makes it once, when the call arrives; from then on it goes along
// with the call, and no other place decides whose instances a call may name.
// Today nothing is known of any caller.
//
// Thread-safety: values that do not change; Identify is safe.
#ifndef LEASEHOLD_SERVICE_RPC_CALLER_H_
#define LEASEHOLD_SERVICE_RPC_CALLER_H_

#include <grpcpp/server_context.h>

#include <memory>
#include <string>

namespace leasehold {

struct Caller {
  enum class KnownBy {
    kNothing,  // Anonymous.
  };

  std::string tenant;
  KnownBy known_by = KnownBy::kNothing;
};

// Somebody of whom nothing is known. Never null.
std::shared_ptr<const Caller> Anonymous();

// Who has made `call`. Never null.
std::shared_ptr<const Caller> Identify(const grpc::ServerContextBase& call);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_RPC_CALLER_H_
