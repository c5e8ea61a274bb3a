// HealthServer: grpc.health.v1.Health from our own queues.
//
// gRPC brings one, on its callback API: its threads then poll the connections
// of all other services too, and a call costs a tenth more instructions.
// (Measured with `./dev bench instructions`.)
//
// Not part of an installed library: its .proto has a global name, and a second
// copy of it ends the process at start.
//
// Thread-safety: safe.   Lifetime: outlives the runtime.
#ifndef LEASEHOLD_SERVICE_SERVER_HEALTH_SERVER_H_
#define LEASEHOLD_SERVICE_SERVER_HEALTH_SERVER_H_

#include <atomic>
#include <string>

#include "grpc/health/v1/health.grpc.pb.h"
#include "service/server/rpc_runtime.h"
#include "service/server/served.h"

namespace leasehold {

// SERVING, for the server (an empty name) and for Leasehold's services, until
// the drain begins, then NOT_SERVING. Who watches is told, and the stream ends.
class HealthServer final : public Served {
 public:
  grpc::Service& service() override { return service_; }
  void Serve(RpcQueue& queue) override {
    ServeCheck(queue);
    ServeWatch(queue);
  }
  void OnDraining() override { draining_ = true; }

 private:
  CallTask ServeCheck(RpcQueue& queue);
  CallTask ServeWatch(RpcQueue& queue);

  // SERVICE_UNKNOWN, if there is no such service.
  grpc::health::v1::HealthCheckResponse::ServingStatus StatusOf(
      const std::string& name) const;

  grpc::health::v1::Health::AsyncService service_;
  std::atomic<bool> draining_ = false;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_SERVER_HEALTH_SERVER_H_
