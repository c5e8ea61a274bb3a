// HealthServer: grpc.health.v1.Health from our own queues.
//
// gRPC has a health service of its own, on its callback API. The threads of
// that API would poll the connections of all other services too, and a call
// would cost a tenth more instructions (measured with `./dev bench
// instructions`).
//
// Not part of an installed library: its .proto has a global name, and a second
// copy of it ends the process at start.
//
// Thread-safety: safe.   Lifetime: outlives the runtime.
#ifndef LEASEHOLD_SERVICE_DOORS_HEALTH_SERVER_H_
#define LEASEHOLD_SERVICE_DOORS_HEALTH_SERVER_H_

#include <atomic>
#include <set>
#include <string>
#include <vector>

#include "grpc/health/v1/health.grpc.pb.h"
#include "service/rpc/received.h"
#include "service/rpc/rpc_queue.h"
#include "service/rpc/served.h"

namespace leasehold {

// SERVING for the server (an empty name) and for each of its services until the
// drain begins, then NOT_SERVING. Watchers are told, and their streams end.
class HealthServer final : public HostedService {
 public:
  grpc::Service& service() override { return service_; }
  std::string_view name() const override {
    return grpc::health::v1::Health::service_full_name();
  }
  std::vector<Method> Methods() override;
  void OnServing(const std::vector<HostedService*>& services) override {
    for (const HostedService* service : services)
      services_.emplace(service->name());
  }
  void OnDraining() override { draining_ = true; }

 private:
  using Health = grpc::health::v1::Health;
  using Service = RawService<Health::AsyncService, Health::WithRawMethod_Check,
                             Health::WithRawMethod_Watch>;

  CallTask ServeCheck(MethodQueue& calls);
  CallTask ServeWatch(MethodQueue& calls);

  // SERVICE_UNKNOWN if there is no such service.
  grpc::health::v1::HealthCheckResponse::ServingStatus StatusOf(
      const std::string& name) const;

  Service service_;
  std::set<std::string> services_;  // Constant once it serves.
  std::atomic<bool> draining_ = false;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_DOORS_HEALTH_SERVER_H_
