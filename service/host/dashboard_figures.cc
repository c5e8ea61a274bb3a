#include "service/host/dashboard_figures.h"

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "service/http/http_door.h"
#include "service/http/http_route.h"
#include "service/rpc/call_cells.h"

namespace leasehold {
namespace {

void Add(absl::StatusCode code, uint64_t count, CallOutcomes::Counts& calls) {
  calls[static_cast<size_t>(OutcomeOf(code))] += count;
}

// What an HTTP status says of how a call ended.
absl::StatusCode CodeOf(int status) {
  switch (status) {
    case 401:
      return absl::StatusCode::kUnauthenticated;
    case 403:
      return absl::StatusCode::kPermissionDenied;
    case 429:
      return absl::StatusCode::kResourceExhausted;
    default:
      return status != 0 && status < 400 ? absl::StatusCode::kOk
                                         : absl::StatusCode::kUnknown;
  }
}

CallOutcomes::Counts AllCalls(ServerHost& host, const HttpHost& http) {
  CallOutcomes::Counts calls{};
  for (const MethodCalls& method : host.instances().calls()) {
    for (size_t code = 0; code < kStatusCodes; ++code) {
      Add(static_cast<absl::StatusCode>(code), method.ended[code], calls);
    }
  }
  const auto requests = http.requests();
  if (!requests.has_value()) return calls;
  const auto& answers =
      requests->answers[static_cast<size_t>(HttpGroup::kDurableFunctions)];
  for (size_t i = 0; i < kHttpCodes; ++i) {
    Add(CodeOf(kHttpStatuses[i]), answers[i], calls);
  }
  return calls;
}

}  // namespace

DashboardFiguresOf FiguresOf(ServerHost& host,
                             OrchestrationHost& orchestrations,
                             const HttpHost& http,
                             const AccessControl* access) {
  return [&host, &orchestrations, &http, access](const StatsScope& scope) {
    DashboardFigures figures;
    const RunCounts::ByStatus runs = scope.whole_server
                                         ? orchestrations.AllRuns()
                                         : orchestrations.RunsOf(scope.tenant);
    for (const auto& [status, count] : runs) {
      figures.orchestrations[static_cast<OrchestrationStatus>(status)] = count;
    }
    for (const auto& [tenant, of] : orchestrations.stats().dispatch.workers) {
      if (scope.whole_server || tenant == scope.tenant) {
        figures.workers += of.workers;
      }
    }
    if (scope.whole_server) figures.contexts = host.registry().counts().live;
    if (scope.whole_server || access == nullptr) {
      figures.calls = AllCalls(host, http);
    } else {
      figures.calls = access->EndedCalls(scope.tenant);
    }
    return figures;
  };
}

}  // namespace leasehold
