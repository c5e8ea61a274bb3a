// DashboardApi: the dashboard's API, as a list of routes: what it shows, what
// it does, and the stream of what changes.
//
// It is ours, and follows leasehold.v1: whoever may call a method over gRPC may
// use the route that stands for it.
//
// Thread-safety: safe.   Lifetime: what it is made of outlives it, and it
// outlives the listener that serves its routes. Stop it before the engine.
#ifndef LEASEHOLD_SERVICE_HTTP_DASHBOARD_API_H_
#define LEASEHOLD_SERVICE_HTTP_DASHBOARD_API_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "lease/clock.h"
#include "service/http/dashboard_batch.h"
#include "service/http/dashboard_call.h"
#include "service/http/dashboard_contexts.h"
#include "service/http/dashboard_stats.h"
#include "service/http/dashboard_work.h"
#include "service/http/live_hub.h"
#include "service/instance/executor.h"
#include "service/instance/instance_registry.h"
#include "service/instance/watch_hub.h"
#include "service/orchestration/orchestrations.h"
#include "service/orchestration/strips.h"

namespace leasehold {

class DashboardApi {
 public:
  struct Parts {
    Clock& clock;
    InstanceRegistry& registry;
    WatchHub& contexts;  // Of that registry.
    Orchestrations& orchestrations;
    const Strips& strips;  // Of that registry, and those.
    Executor& executor;    // Lists are read on it.
    DashboardWorkPorts work;
    DashboardFiguresOf figures;
    RunRequestFor run_for;  // What a batch does, one by one.
    std::string version;
  };
  // A stream follows this many topics at most.
  static constexpr size_t kTopicsMax = 4;
  // A stream of somebody who had to say who he is ends after this time: the
  // page opens another one, and is asked again.
  static constexpr absl::Duration kStreamMax = absl::Minutes(1);

  explicit DashboardApi(Parts parts);

  std::vector<HttpRoute> Routes();

  void Start() {
    live_.Start();
    batch_.Start();
  }
  // Ends all streams and batches. Idempotent.
  void Stop() {
    live_.Stop();
    batch_.Stop();
  }
  DashboardBatch& batch() { return batch_; }
  LiveHub& live() { return live_; }

 private:
  absl::Status Events(const HttpCallPtr& call);
  absl::StatusOr<LiveHub::Followed> TopicOf(std::string_view text,
                                            const Caller& caller);
  absl::Status WhoAmI(const HttpCallPtr& call) const;

  const Parts parts_;
  DashboardContexts contexts_;
  DashboardStats stats_;
  DashboardBatch batch_;
  LiveHub live_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HTTP_DASHBOARD_API_H_
