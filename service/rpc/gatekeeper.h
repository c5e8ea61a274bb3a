// Gatekeeper: decides who has made a call, and whether he may make it.
//
// The runtime asks it once for each call, when the call arrives, before the
// request is parsed and before anything is made for it; and again for open
// streams when somebody says that the answers may have changed
// (RpcRuntime::AskAgain). A server without one lets everybody do everything, as
// Anonymous().
//
// Thread-safety: safe; called on every queue's thread, and must not block.
// Lifetime: outlives the server.
#ifndef LEASEHOLD_SERVICE_RPC_GATEKEEPER_H_
#define LEASEHOLD_SERVICE_RPC_GATEKEEPER_H_

#include <grpcpp/server_context.h>

#include <cstddef>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "service/rpc/caller.h"
#include "service/rpc/method_info.h"

namespace leasehold {

class Gatekeeper {
 public:
  virtual ~Gatekeeper() = default;

  // Whether `call` may be made. `caller` becomes whoever makes it, and is not
  // null if it may; the call holds it until it is over. If it may not, it is
  // null unless it is known who that was.
  //   Unauthenticated: nobody whom it knows.
  //   PermissionDenied: somebody who may not call this method.
  //   ResourceExhausted: not now.
  virtual absl::Status Admit(const grpc::ServerContextBase& call,
                             const MethodInfo& method,
                             std::shared_ptr<const Caller>& caller) = 0;

  // The same for a stream that was admitted before, as `before`. It is not a
  // new call: it counts for no limit of calls.
  virtual absl::Status AdmitStill(const grpc::ServerContextBase& call,
                                  const MethodInfo& method,
                                  const Caller& before) = 0;

  // How many bytes calls of a tenant may make the server keep at once
  // (byte_budget.h), where all together may have `all`, and one connection
  // `connection`. 0: the tenant has no limit of its own.
  virtual size_t KeptBytesMax(const std::string& /*tenant*/, size_t /*all*/,
                              size_t /*connection*/) const {
    return 0;
  }
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_RPC_GATEKEEPER_H_
