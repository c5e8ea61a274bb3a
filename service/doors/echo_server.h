// EchoServer: leasehold.v1.Echo over gRPC; translates to the Echo instance.
//
// Thread-safety: safe.   Lifetime: door and observer outlive it; it outlives
// the runtime.
#ifndef LEASEHOLD_SERVICE_DOORS_ECHO_SERVER_H_
#define LEASEHOLD_SERVICE_DOORS_ECHO_SERVER_H_

#include <cstddef>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "leasehold/v1/echo.grpc.pb.h"
#include "service/doors/call_observer.h"
#include "service/doors/instance_call.h"
#include "service/doors/service_names.h"
#include "service/rpc/received.h"
#include "service/rpc/rpc_queue.h"
#include "service/rpc/served.h"
#include "service/rpc/server_call.h"

namespace leasehold {

class EchoServer final : public HostedService {
 public:
  // Together with the rest of an answer, such as the longest ID, it fits into a
  // message of 4 MiB, which is the default limit of gRPC's clients.
  static constexpr size_t kTextBytesMax = (4 << 20) - 2048;

  // `idle_timeout`: the least that this service asks for the contexts that it
  // uses; zero: the registry's. `observer` may be null.
  EchoServer(const InstanceDoor& door, absl::Duration idle_timeout,
             CallObserver* observer)
      : door_(door), idle_timeout_(idle_timeout), observer_(observer) {}

  grpc::Service& service() override { return service_; }
  std::string_view name() const override { return kEchoService.full; }
  std::vector<Method> Methods() override;

 private:
  using Service =
      RawService<v1::Echo::AsyncService, v1::Echo::WithRawMethod_Echo,
                 v1::Echo::WithRawMethod_EchoStream,
                 v1::Echo::WithRawMethod_Join>;

  // How many calls may arrive at once before one has to wait inside gRPC, which
  // costs about 500 instructions.
  static constexpr int kEchoesAwaited = 32;

  CallTask ServeEcho(MethodQueue& calls);
  CallTask ServeEchoStream(MethodQueue& calls);
  CallTask ServeJoin(MethodQueue& calls);

  // The instance that a call wants. Tells the observer of the request.
  absl::StatusOr<InstanceRequest> Request(const ServerCall& call,
                                          std::string_view method,
                                          std::string_view text) const;
  // Echoes the text of `request` in `context`, and moves it to `response`.
  void Respond(InstanceContext& context, std::string_view method,
               v1::EchoRequest& request, v1::EchoResponse& response) const;

  const InstanceDoor& door_;
  const absl::Duration idle_timeout_;
  CallObserver* const observer_;
  Service service_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_DOORS_ECHO_SERVER_H_
