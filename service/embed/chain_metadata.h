// The metadata of call chains: what lets a call come back to its own instance.
//
// A handler of a kReentrant State calls on with its chain:
//
//   return instances_.Bind<Account>(call, [=, this](Account& account,
//                                                   InstanceContext&,
//                                                   const CallChain& chain) {
//     grpc::ClientContext out;
//     AddCallChain(chain, out);
//     return bank_->Audit(&out, request, reply);  // May call Account again.
//   });
//
// A service in between, which may know nothing of instances, passes the header
// on; in other languages it copies `instance-call-chain`.
//
// Thread-safety: safe.   Lifetime: values only.
#ifndef LEASEHOLD_SERVICE_EMBED_CHAIN_METADATA_H_
#define LEASEHOLD_SERVICE_EMBED_CHAIN_METADATA_H_

#include <grpcpp/client_context.h>
#include <grpcpp/server_context.h>

#include "absl/status/statusor.h"
#include "service/instance/call_chain.h"

namespace leasehold {

// The chain that a call came by; an empty one if it has none.
//   InvalidArgument: the header is malformed, or given more than once.
absl::StatusOr<CallChain> ReadCallChain(const grpc::ServerContextBase& call);

// `call`, which is about to start, is made on behalf of the call that got
// `chain`. Adds nothing if the chain is empty.
void AddCallChain(const CallChain& chain, grpc::ClientContext& call);

// The same for a service in between: passes on what `from` came by, if that can
// be read.
void PassOnCallChain(const grpc::ServerContextBase& from,
                     grpc::ClientContext& to);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_EMBED_CHAIN_METADATA_H_
