// AdminServer: leasehold.v1.Admin over gRPC.
//
// Thread-safety: safe.   Lifetime: the ports and the door outlive it; it
// outlives the server.
#ifndef LEASEHOLD_SERVICE_DOORS_ADMIN_SERVER_H_
#define LEASEHOLD_SERVICE_DOORS_ADMIN_SERVER_H_

#include <string_view>
#include <utility>
#include <vector>

#include "lease/clock.h"
#include "leasehold/v1/admin.grpc.pb.h"
#include "service/base/stats.h"
#include "service/doors/admin_messages.h"
#include "service/doors/instance_call.h"
#include "service/orchestration/connected_workers.h"
#include "service/orchestration/explanations.h"
#include "service/rpc/received.h"
#include "service/rpc/rpc_queue.h"
#include "service/rpc/served.h"

namespace leasehold {

class AdminServer final : public HostedService {
 public:
  // `address_of` is called on any thread.
  AdminServer(const ConnectedWorkers& workers, Explanations& explanations,
              const InstanceDoor& door, AddressOf address_of,
              StatsSource& stats, const Clock& clock)
      : workers_(workers),
        explanations_(explanations),
        stats_(stats),
        clock_(clock),
        door_(door),
        address_of_(std::move(address_of)) {}

  grpc::Service& service() override { return service_; }
  std::string_view name() const override { return "leasehold.v1.Admin"; }
  std::vector<Method> Methods() override;

 private:
  using Service =
      RawService<v1::Admin::AsyncService, v1::Admin::WithRawMethod_Workers,
                 v1::Admin::WithRawMethod_Explain,
                 v1::Admin::WithRawMethod_Stats>;

  CallTask ServeWorkers(MethodQueue& calls);
  CallTask ServeStats(MethodQueue& calls);

  const ConnectedWorkers& workers_;
  Explanations& explanations_;
  StatsSource& stats_;
  const Clock& clock_;
  const InstanceDoor& door_;
  const AddressOf address_of_;
  Service service_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_DOORS_ADMIN_SERVER_H_
