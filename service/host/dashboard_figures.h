// Where the figures of the dashboard come from.
//
// Thread-safety: what is returned is safe.   Lifetime: what is passed outlives
// what is returned.
#ifndef LEASEHOLD_SERVICE_HOST_DASHBOARD_FIGURES_H_
#define LEASEHOLD_SERVICE_HOST_DASHBOARD_FIGURES_H_

#include "service/host/http_host.h"
#include "service/host/orchestration_host.h"
#include "service/host/server_host.h"
#include "service/http/dashboard_stats.h"
#include "service/security/access_control.h"

namespace leasehold {

// `access`: null if everybody may do everything; then all calls are those of
// the only tenant.
DashboardFiguresOf FiguresOf(ServerHost& host,
                             OrchestrationHost& orchestrations,
                             const HttpHost& http, const AccessControl* access);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HOST_DASHBOARD_FIGURES_H_
