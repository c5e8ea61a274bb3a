// EchoServer: leasehold.v1.Echo over gRPC; translates to the Echo instance.
//
// Thread-safety: safe.   Lifetime: door and console outlive it; it outlives the
// runtime.
#ifndef LEASEHOLD_SERVICE_SERVER_ECHO_SERVER_H_
#define LEASEHOLD_SERVICE_SERVER_ECHO_SERVER_H_

#include "leasehold/v1/echo.grpc.pb.h"
#include "service/server/console.h"
#include "service/server/instance_call.h"
#include "service/server/rpc_runtime.h"

namespace leasehold {

class EchoServer {
 public:
  // `console` may be null.
  EchoServer(const InstanceDoor& door, Console* console)
      : door_(door), console_(console) {}

  grpc::Service& service() { return service_; }

  // Serves calls from `queue`, until the server stops.
  void Serve(RpcQueue& queue) { ServeEcho(queue); }

 private:
  CallTask ServeEcho(RpcQueue& queue);

  const InstanceDoor& door_;
  Console* const console_;
  v1::Echo::AsyncService service_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_SERVER_ECHO_SERVER_H_
