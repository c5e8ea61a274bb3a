// ConnectedWorkers: who is connected to do work. The doors know this interface,
// not the dispatcher.
//
// Thread-safety: safe.   Lifetime: outlives its callers.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_CONNECTED_WORKERS_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_CONNECTED_WORKERS_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "service/dispatch/worker.h"
#include "service/orchestration/requests.h"

namespace leasehold {

struct ConnectedWorker {
  WorkerStatus status;
  absl::Time connected;
  absl::Time last_seen;  // It connected, or answered.
};

struct WorkersQuery {
  std::string tenant;
  PageToken page_token = {};
  size_t count_max = 100;  // At least 1.
};

// May be short without being the last one.
struct WorkersPage {
  std::vector<ConnectedWorker> workers;  // In the order of their connections.
  std::string next_page_token = {};      // Empty: this is the last page.
};

class ConnectedWorkers {
 public:
  virtual ~ConnectedWorkers() = default;

  // The connected workers of a tenant, page by page. Does not block.
  //   InvalidArgument: the page token is not one of this tenant's workers.
  virtual absl::StatusOr<WorkersPage> ListWorkers(
      const WorkersQuery& query) const = 0;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_CONNECTED_WORKERS_H_
