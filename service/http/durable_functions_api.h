// DurableFunctionsApi: the Durable Functions HTTP management API, as a list of
// routes.
//
// It speaks to the engine through the same two ports as the doors for gRPC.
// Each route names the method of ours that does the same, whose role and limits
// count for it.
//
// Thread-safety: safe.   Lifetime: ports and clock outlive it, and it outlives
// the listener that serves its routes.
#ifndef LEASEHOLD_SERVICE_HTTP_DURABLE_FUNCTIONS_API_H_
#define LEASEHOLD_SERVICE_HTTP_DURABLE_FUNCTIONS_API_H_

#include <vector>

#include "lease/clock.h"
#include "service/http/durable_functions_entities.h"
#include "service/http/durable_functions_instances.h"
#include "service/http/durable_functions_starts.h"
#include "service/http/http_route.h"
#include "service/instance/alarm_clock.h"
#include "service/orchestration/entities.h"
#include "service/orchestration/orchestrations.h"

namespace leasehold {

// URLs without a credential: of a server that asks for none, and for callers
// who have their own.
ManagementUrls PlainUrls(const HttpRequest& request, const InstanceKey& key);

class DurableFunctionsApi {
 public:
  DurableFunctionsApi(Orchestrations& orchestrations, Entities& entities,
                      Clock& clock, ManagementUrlsOf urls = PlainUrls)
      : alarms_(clock),
        starts_(orchestrations, alarms_, std::move(urls)),
        instances_(orchestrations),
        entities_(entities) {}

  // All routes, each under both prefixes.
  std::vector<HttpRoute> Routes();

  // Starts the thread on which waits time out. Without it, they do so when
  // RunDue is called.
  void StartTimeouts() { alarms_.Start(); }
  size_t RunDue() { return alarms_.RunDue(); }

 private:
  AlarmClock alarms_;
  DurableFunctionsStarts starts_;
  DurableFunctionsInstances instances_;
  DurableFunctionsEntities entities_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HTTP_DURABLE_FUNCTIONS_API_H_
