// The dashboard's API for orchestrations: their list, one of them, and what can
// be done with it. Requests and answers are the messages of
// leasehold.v1.Orchestration, as JSON.
//
// Thread-safety: the routes' handlers are safe.   Lifetime: the port outlives
// them.
#ifndef LEASEHOLD_SERVICE_HTTP_DASHBOARD_ORCHESTRATIONS_H_
#define LEASEHOLD_SERVICE_HTTP_DASHBOARD_ORCHESTRATIONS_H_

#include <vector>

#include "service/http/http_route.h"
#include "service/orchestration/orchestrations.h"

namespace leasehold {

std::vector<HttpRoute> DashboardOrchestrationRoutes(
    Orchestrations& orchestrations);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HTTP_DASHBOARD_ORCHESTRATIONS_H_
