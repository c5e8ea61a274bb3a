// The dashboard's API for histories: their events, part by part, and whole
// payloads of them.
//
// Where a part ends, the next one begins (`after`), also if it was the last
// one: a page that shows a running orchestration asks again from there, and
// gets what has happened since.
//
// Thread-safety: the routes' handlers are safe.   Lifetime: the port outlives
// them.
#ifndef LEASEHOLD_SERVICE_HTTP_DASHBOARD_HISTORY_H_
#define LEASEHOLD_SERVICE_HTTP_DASHBOARD_HISTORY_H_

#include <vector>

#include "service/http/http_route.h"
#include "service/orchestration/orchestrations.h"

namespace leasehold {

std::vector<HttpRoute> DashboardHistoryRoutes(Orchestrations& orchestrations);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HTTP_DASHBOARD_HISTORY_H_
