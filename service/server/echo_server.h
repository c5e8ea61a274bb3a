// EchoServer: leasehold.v1.Echo over gRPC; translates to the Echo instance.
//
// Thread-safety: safe.   Lifetime: door and console outlive it; it outlives the
// runtime.
#ifndef LEASEHOLD_SERVICE_SERVER_ECHO_SERVER_H_
#define LEASEHOLD_SERVICE_SERVER_ECHO_SERVER_H_

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "leasehold/v1/echo.grpc.pb.h"
#include "service/server/console.h"
#include "service/server/instance_call.h"
#include "service/server/rpc_runtime.h"

namespace leasehold {

class EchoServer {
 public:
  // With what else an answer holds, a client whose messages are bounded at 4
  // MiB (gRPC's default) can take it.
  static constexpr size_t kTextBytesMax = (4 << 20) - 100;

  // `idle_timeout`: what this service wants at least of the contexts that it
  // touches; zero: the registry's. `console` may be null.
  EchoServer(const InstanceDoor& door, absl::Duration idle_timeout,
             Console* console)
      : door_(door), idle_timeout_(idle_timeout), console_(console) {}

  grpc::Service& service() { return service_; }

  // Serves calls from `queue`, until the server stops.
  void Serve(RpcQueue& queue) {
    for (int i = 0; i < kEchoesAwaited; ++i) ServeEcho(queue);
    ServeEchoStream(queue);
    ServeJoin(queue);
  }

 private:
  // How many calls may come at once before one has to wait within gRPC, which
  // costs some 500 instructions.
  static constexpr int kEchoesAwaited = 32;

  CallTask ServeEcho(RpcQueue& queue);
  CallTask ServeEchoStream(RpcQueue& queue);
  CallTask ServeJoin(RpcQueue& queue);

  // The instance that a call wants, told to the console as a request.
  absl::StatusOr<InstanceRequest> Request(const grpc::ServerContext& call,
                                          std::string_view method,
                                          std::string_view text) const;
  // Echoes the text of `request` in `context`; it goes over to `response`.
  void Respond(InstanceContext& context, std::string_view method,
               v1::EchoRequest& request, v1::EchoResponse& response) const;

  const InstanceDoor& door_;
  const absl::Duration idle_timeout_;
  Console* const console_;
  v1::Echo::AsyncService service_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_SERVER_ECHO_SERVER_H_
