// DurableTaskWorker: the methods of the Durable Task protocol with which
// workers receive work and answer it. (Callers' methods:
// durable_task_client.h.)
//
// A worker's stream is a sink: what the exchange sends is written as it is. A
// stream on which nothing is sent gets a health ping from time to time, because
// some SDKs take a silent stream for a dead one.
//
// Thread-safety: safe.   Lifetime: service, ports and clock outlive it; it
// outlives the server.
#ifndef LEASEHOLD_SERVICE_DOORS_DURABLE_TASK_WORKER_H_
#define LEASEHOLD_SERVICE_DOORS_DURABLE_TASK_WORKER_H_

#include <memory>
#include <set>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "lease/base/mutex.h"
#include "lease/clock.h"
#include "service/doors/durable_task_service.h"
#include "service/doors/orchestration_call.h"
#include "service/doors/work_stream.h"
#include "service/orchestration/orchestrations.h"
#include "service/orchestration/work_exchange.h"
#include "service/rpc/rpc_queue.h"
#include "service/rpc/served.h"

namespace leasehold {

class DurableTaskWorker {
 public:
  // A worker's stream is never silent for longer than `ping_interval`.
  DurableTaskWorker(DurableTaskService& service, Orchestrations& orchestrations,
                    WorkExchange& work, Clock& clock,
                    absl::Duration ping_interval);
  ~DurableTaskWorker();

  std::vector<HostedService::Method> Methods();
  // No more pings from now on.
  void StopPings() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  CallTask ServeGetWorkItems(MethodQueue& calls);
  CallTask ServeStreamInstanceHistory(MethodQueue& calls);

  void PingSilentStreams() ABSL_LOCKS_EXCLUDED(mu_);

  // Constant after construction.
  DurableTaskService& service_;
  Orchestrations& orchestrations_;
  WorkExchange& work_;
  Clock& clock_;
  const absl::Duration ping_interval_;

  // Synchronises itself.
  ReadGate reads_{4};  // Of histories.

  Mutex mu_;
  CondVar changed_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::set<std::shared_ptr<WorkStream>> streams_ ABSL_GUARDED_BY(mu_);
  std::thread pinger_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_DOORS_DURABLE_TASK_WORKER_H_
