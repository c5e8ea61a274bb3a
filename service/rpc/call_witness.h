// CallWitness: is told how calls end, and who has made them.
//
// Thread-safety: safe; called on every queue's thread, and must not block.
// Lifetime: outlives the server.
#ifndef LEASEHOLD_SERVICE_RPC_CALL_WITNESS_H_
#define LEASEHOLD_SERVICE_RPC_CALL_WITNESS_H_

#include <grpcpp/server_context.h>

#include <string_view>

#include "absl/status/status.h"
#include "service/rpc/caller.h"
#include "service/rpc/method_info.h"

namespace leasehold {

struct CallReport {
  const MethodInfo& method;
  const grpc::ServerContextBase& call;
  const Caller* caller;  // Null: nobody is known.
  bool refused;          // By the gatekeeper.
  // The instances that fields of the request name, or of the answer. Empty:
  // none does; one may be named in the metadata.
  std::string_view instance_id;
  const absl::Status& status;
};

class CallWitness {
 public:
  virtual ~CallWitness() = default;

  // Whether it is to be told of calls of that method that were admitted. It is
  // told of all
  // that were not.
  virtual bool Watches(const MethodInfo& method) const = 0;
  // The call is about to be answered.
  virtual void OnEnd(const CallReport& report) = 0;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_RPC_CALL_WITNESS_H_
