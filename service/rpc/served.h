// ServerPart: what lives as long as a server serves, and is told of its drain
// and its end. HostedService: a part that is a service, with the table of its
// methods.
//
// All code that has to know what is served reads that table, and nothing else:
// the loop that serves calls, the gatekeeper, health, reflection. Each is for
// one server.
//
// Thread-safety: safe.   Lifetime: outlives the server.
#ifndef LEASEHOLD_SERVICE_RPC_SERVED_H_
#define LEASEHOLD_SERVICE_RPC_SERVED_H_

#include <grpcpp/impl/codegen/service_type.h>

#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "service/rpc/caller.h"
#include "service/rpc/method_info.h"
#include "service/rpc/method_queue.h"
#include "service/rpc/rpc_queue.h"

namespace leasehold {

enum class MethodKind {
  kUnary,         // One request, one response.
  kServerStream,  // One request, a stream of responses.
  kBidiStream,    // A stream of requests, a stream of responses.
};

class ServerPart {
 public:
  virtual ~ServerPart() = default;

  // The drain begins: open streams are about to be ended.
  virtual void OnDraining() {}
  // Calls have ended, or are cut; contexts are about to be closed, and must not
  // be held any more.
  virtual void OnStopping() {}
};

class HostedService : public ServerPart {
 public:
  struct Method {
    std::string_view name;
    MethodKind kind;
    Role role;
    CallClass call_class;
    // Awaits the method's calls from a queue, and serves them.
    std::function<void(MethodQueue&)> serve;
    // How its calls stay open, if not as other calls of that kind.
    std::optional<Lasting> lasting = std::nullopt;
    bool keeps_lease = false;  // As in MethodInfo.
  };

  virtual grpc::Service& service() = 0;
  // With its package: what reflection and health call it.
  virtual std::string_view name() const = 0;
  // Every method of the service, once.
  virtual std::vector<Method> Methods() = 0;

  // Serves calls from `queue`, until the server stops. Before its thread runs.
  void Serve(RpcQueue& queue) {
    for (const Method& method : Methods()) {
      method.serve(queue.AddMethod(
          {.service = name(),
           .name = method.name,
           .role = method.role,
           .call_class = method.call_class,
           .lasting = method.lasting.value_or(method.kind == MethodKind::kUnary
                                                  ? Lasting::kNo
                                                  : Lasting::kStream),
           .keeps_lease = method.keeps_lease}));
    }
  }

  // All services of the server. Before Serve.
  virtual void OnServing(const std::vector<HostedService*>& /*services*/) {}
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_RPC_SERVED_H_
