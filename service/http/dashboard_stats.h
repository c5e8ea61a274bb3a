// DashboardStats: the figures on the dashboard's first page: contexts,
// orchestrations by status, workers, and how calls ended; as they are now, and
// as they were in the last ten minutes.
//
// However many follow them, they are collected once a second for all who may
// see the same; and not at all while nobody asks. What was collected is kept
// for ten minutes, so that whoever comes back finds his charts again. Calls are
// counted since the server began, so that a rate is right over any gap.
//
// They are those of the caller's tenant. Who sees the whole server
// (`server_stats` in the policy) may ask for all of it.
//
// Thread-safety: safe.   Lifetime: what the constructor is given outlives it,
// and it outlives its topics and routes.
#ifndef LEASEHOLD_SERVICE_HTTP_DASHBOARD_STATS_H_
#define LEASEHOLD_SERVICE_HTTP_DASHBOARD_STATS_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lease/base/mutex.h"
#include "lease/clock.h"
#include "service/base/stats.h"
#include "service/http/http_call.h"
#include "service/http/http_route.h"
#include "service/http/live_topic.h"
#include "service/instance/executor.h"
#include "service/instance/instance_registry.h"
#include "service/orchestration/history.h"
#include "service/rpc/call_outcomes.h"
#include "service/rpc/caller.h"

namespace leasehold {

// What others count.
struct DashboardFigures {
  std::map<OrchestrationStatus, uint64_t> orchestrations = {};
  uint64_t workers = 0;
  // Since the server began, over gRPC and the Durable Functions HTTP API; not
  // what the dashboard asks for itself.
  CallOutcomes::Counts calls = {};
  uint64_t contexts = 0;  // Open; of the whole server only.
};
// Does not block, and reads nothing from the store. Called on any thread.
using DashboardFiguresOf = std::function<DashboardFigures(const StatsScope&)>;

class DashboardStats {
 public:
  static constexpr absl::Duration kWindow = absl::Minutes(10);
  static constexpr absl::Duration kStep = absl::Seconds(1);

  DashboardStats(const Clock& clock, InstanceRegistry& registry,
                 Executor& executor, DashboardFiguresOf figures);

  // `GET /stats?window=10m&scope=server`.
  HttpRoute Route();

  // What `scope` stands for: `` the caller's tenant, `server` all of it.
  //   InvalidArgument: nothing.   PermissionDenied: he may not see that.
  static absl::StatusOr<StatsScope> ScopeIn(std::string_view scope,
                                            const Caller& caller);
  // The topic `stats`.
  std::unique_ptr<LiveTopic> Topic(StatsScope scope);

 private:
  class Followed;

  // What was collected at a time.
  struct Point {
    Instant at = {};
    uint64_t open = 0;
    uint64_t busy = 0;
    CallOutcomes::Counts calls = {};
  };
  struct Series {
    std::deque<Point> points;
    // What was collected last, and when.
    nlohmann::json latest;
    Instant looked;
  };

  absl::Status Get(const HttpCallPtr& call);
  // Collects the figures, and keeps them.
  nlohmann::json Look(const StatsScope& scope) ABSL_LOCKS_EXCLUDED(mu_);
  // The same, unless somebody has looked less than kStep ago.
  nlohmann::json Latest(const StatsScope& scope) ABSL_LOCKS_EXCLUDED(mu_);
  void Keep(const StatsScope& scope, const Point& point,
            const nlohmann::json& figures) ABSL_LOCKS_EXCLUDED(mu_);
  nlohmann::json PointsOf(const StatsScope& scope, absl::Duration window) const
      ABSL_LOCKS_EXCLUDED(mu_);

  // Constant after construction.
  const Clock& clock_;
  InstanceRegistry& registry_;
  Executor& executor_;
  const DashboardFiguresOf figures_;
  const Instant begun_;

  mutable Mutex mu_;
  // By tenant; empty: of the whole server. Those of a tenant that nobody has
  // looked at for as long as points are kept are dropped.
  std::map<std::string, Series> series_ ABSL_GUARDED_BY(mu_);
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HTTP_DASHBOARD_STATS_H_
