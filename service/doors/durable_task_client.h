// DurableTaskClient: the methods of the Durable Task protocol with which
// callers use orchestrations. (Workers' methods: durable_task_worker.h.)
//
// Thread-safety: safe.   Lifetime: service and orchestrations outlive it; it
// outlives the server.
#ifndef LEASEHOLD_SERVICE_DOORS_DURABLE_TASK_CLIENT_H_
#define LEASEHOLD_SERVICE_DOORS_DURABLE_TASK_CLIENT_H_

#include <vector>

#include "service/doors/durable_task_service.h"
#include "service/orchestration/orchestrations.h"
#include "service/rpc/caller.h"
#include "service/rpc/rpc_queue.h"
#include "service/rpc/served.h"

namespace leasehold {

class DurableTaskClient {
 public:
  // `allow_hub_wipe`: whether callers may erase everything of their tenant.
  DurableTaskClient(DurableTaskService& service, Orchestrations& orchestrations,
                    bool allow_hub_wipe)
      : service_(service),
        orchestrations_(orchestrations),
        allow_hub_wipe_(allow_hub_wipe) {}

  std::vector<HostedService::Method> Methods();

 private:
  void ServeStart(MethodQueue& calls);
  void ServeRestart(MethodQueue& calls);
  template <typename Accept>
  CallTask ServeWait(MethodQueue& calls, Accept accept, Until until);
  // Erases everything of the caller's tenant.
  //   FailedPrecondition: callers may not.
  void Wipe(const Caller& caller, DoneStatus done);

  DurableTaskService& service_;
  Orchestrations& orchestrations_;
  const bool allow_hub_wipe_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_DOORS_DURABLE_TASK_CLIENT_H_
