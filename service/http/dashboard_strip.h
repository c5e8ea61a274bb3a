// The dashboard's API for the strip of an ID: its contexts, the runs of its
// orchestration, and the starts of it, over time.
//
// It puts together what was recorded (service/orchestration/strips.h), what the
// store still knows of runs from before, and the context that is open now.
//
// Thread-safety: the routes' handlers are safe.   Lifetime: the ports outlive
// them.
#ifndef LEASEHOLD_SERVICE_HTTP_DASHBOARD_STRIP_H_
#define LEASEHOLD_SERVICE_HTTP_DASHBOARD_STRIP_H_

#include <optional>
#include <vector>

#include "service/http/http_route.h"
#include "service/instance/instance_info.h"
#include "service/instance/instance_registry.h"
#include "service/orchestration/orchestrations.h"
#include "service/orchestration/requests.h"
#include "service/orchestration/strips.h"

namespace leasehold {

struct DashboardStripPorts {
  InstanceRegistry& registry;
  Orchestrations& orchestrations;
  const Strips& strips;
};

std::vector<HttpRoute> DashboardStripRoutes(DashboardStripPorts ports);

// Adds what was known before the strip was read: the store's runs, the latest
// first, and the context that was open, if one was. What was recorded since
// then is newer, and stays.
void AddWhatIsKnown(const std::vector<StoredRun>& runs,
                    const std::optional<InstanceInfo>& context, Strip& strip);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HTTP_DASHBOARD_STRIP_H_
