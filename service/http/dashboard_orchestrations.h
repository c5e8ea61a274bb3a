// The dashboard's API for orchestrations: their list, one of them, and what can
// be done with it. Requests and answers are the messages of
// leasehold.v1.Orchestration, as JSON.
//
// Thread-safety: the routes' handlers are safe.   Lifetime: the port outlives
// them.
#ifndef LEASEHOLD_SERVICE_HTTP_DASHBOARD_ORCHESTRATIONS_H_
#define LEASEHOLD_SERVICE_HTTP_DASHBOARD_ORCHESTRATIONS_H_

#include <vector>

#include "absl/status/statusor.h"
#include "service/http/http_message.h"
#include "service/http/http_route.h"
#include "service/orchestration/orchestrations.h"

namespace leasehold {

// Which orchestrations the query of a request asks for: `status`, `prefix`,
// `name`, `tag`, `from`, `to`.
//   InvalidArgument: one of them breaks its rule.
absl::StatusOr<OrchestrationFilter> OrchestrationFilterIn(
    const HttpRequest& request);

std::vector<HttpRoute> DashboardOrchestrationRoutes(
    Orchestrations& orchestrations);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HTTP_DASHBOARD_ORCHESTRATIONS_H_
