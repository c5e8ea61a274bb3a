// DashboardContexts: the dashboard's API for instance contexts.
//
// Thread-safety: safe.   Lifetime: registry, clock and executor outlive it, and
// it outlives the listener that serves its routes.
#ifndef LEASEHOLD_SERVICE_HTTP_DASHBOARD_CONTEXTS_H_
#define LEASEHOLD_SERVICE_HTTP_DASHBOARD_CONTEXTS_H_

#include <vector>

#include "absl/status/status.h"
#include "lease/clock.h"
#include "service/http/dashboard_call.h"
#include "service/instance/executor.h"
#include "service/instance/instance_registry.h"

namespace leasehold {

class DashboardContexts {
 public:
  // `executor`: lists are read on it, as that takes time.
  DashboardContexts(InstanceRegistry& registry, const Clock& clock,
                    Executor& executor)
      : registry_(registry), clock_(clock), executor_(executor) {}

  std::vector<HttpRoute> Routes();

 private:
  absl::Status List(const HttpCallPtr& call);
  absl::Status Get(const HttpCallPtr& call);
  absl::Status Release(const HttpCallPtr& call);

  InstanceRegistry& registry_;
  const Clock& clock_;
  Executor& executor_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HTTP_DASHBOARD_CONTEXTS_H_
