// The dashboard's API for what work waits for: connected workers, entities, and
// why nothing happens.
//
// Thread-safety: the routes' handlers are safe.   Lifetime: the ports outlive
// them.
#ifndef LEASEHOLD_SERVICE_HTTP_DASHBOARD_WORK_H_
#define LEASEHOLD_SERVICE_HTTP_DASHBOARD_WORK_H_

#include <vector>

#include "service/doors/admin_messages.h"
#include "service/http/http_route.h"
#include "service/orchestration/connected_workers.h"
#include "service/orchestration/entities.h"
#include "service/orchestration/explanations.h"

namespace leasehold {

struct DashboardWorkPorts {
  const ConnectedWorkers& workers;
  Explanations& explanations;
  Entities& entities;
  AddressOf address_of;  // Called on any thread.
};

std::vector<HttpRoute> DashboardWorkRoutes(DashboardWorkPorts ports);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HTTP_DASHBOARD_WORK_H_
