// DurableTaskServer: the Durable Task protocol, so that its SDKs connect
// unchanged: callers' methods, workers', and those for entities.
//
// Each method parses its request, asks a port (Orchestrations, Entities,
// WorkExchange), and translates the answer.
//
// Thread-safety: safe.   Lifetime: the ports and the clock outlive it;
// it outlives the server.
#ifndef LEASEHOLD_SERVICE_DOORS_DURABLE_TASK_SERVER_H_
#define LEASEHOLD_SERVICE_DOORS_DURABLE_TASK_SERVER_H_

#include <algorithm>
#include <iterator>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "lease/clock.h"
#include "service/doors/durable_task_client.h"
#include "service/doors/durable_task_entities.h"
#include "service/doors/durable_task_service.h"
#include "service/doors/durable_task_worker.h"
#include "service/orchestration/entities.h"
#include "service/orchestration/orchestrations.h"
#include "service/orchestration/work_exchange.h"
#include "service/rpc/served.h"

namespace leasehold {

struct DurableTaskOptions {
  bool allow_hub_wipe = false;  // `--allow-hub-wipe`
  // A worker's stream is never silent for longer.
  absl::Duration ping_interval = absl::Seconds(20);
};

class DurableTaskServer final : public HostedService {
 public:
  DurableTaskServer(Orchestrations& orchestrations, Entities& entities,
                    WorkExchange& work, Clock& clock,
                    const DurableTaskOptions& options)
      : entities_(entities),
        client_(service_, orchestrations, options.allow_hub_wipe),
        worker_(service_, orchestrations, work, clock, options.ping_interval) {}

  grpc::Service& service() override { return service_; }
  std::string_view name() const override {
    return TaskHubSidecarService::service_full_name();
  }
  std::vector<Method> Methods() override {
    std::vector<Method> all = client_.Methods();
    for (std::vector<Method> more :
         {worker_.Methods(), EntityMethods(service_, entities_)}) {
      std::move(more.begin(), more.end(), std::back_inserter(all));
    }
    return all;
  }
  void OnDraining() override { worker_.StopPings(); }

 private:
  DurableTaskService service_;
  Entities& entities_;
  DurableTaskClient client_;
  DurableTaskWorker worker_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_DOORS_DURABLE_TASK_SERVER_H_
