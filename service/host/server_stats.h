// ServerStats: the numbers of the whole program, collected from the rooms that
// count them when somebody asks. /metrics and leasehold.v1.Admin show them.
//
// A caller who sees the whole server gets everything; any other caller only
// what is counted by tenant, of his tenant.
//
// Thread-safety: Collect is safe; the rest belongs to the thread that starts
// the server.   Lifetime: what it watches outlives the last Collect; it
// outlives the ServerHost.
#ifndef LEASEHOLD_SERVICE_HOST_SERVER_STATS_H_
#define LEASEHOLD_SERVICE_HOST_SERVER_STATS_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lease/base/cells.h"
#include "service/base/stats.h"
#include "service/base/tenant_tally.h"
#include "service/host/context_tally.h"
#include "service/host/http_host.h"
#include "service/host/orchestration_host.h"
#include "service/host/server_guard.h"
#include "service/host/server_host.h"
#include "service/host/server_log.h"
#include "service/http/http_route.h"
#include "service/metrics/stat_list.h"
#include "service/metrics/tenant_labels.h"
#include "service/security/access_control.h"

namespace leasehold {

// Floods that were cut off (service/network).
struct FloodCounts {
  SharedCell header_blocks;
  SharedCell resets;
  SharedCell unfinished_requests;
};

class ServerStats final : public StatsSource {
 public:
  struct Parts {
    ServerHost& host;
    OrchestrationHost& orchestrations;
    HttpHost& http;
    const ServerGuard& guard;
    const ServerLog& log;
  };

  // Whoever hosts contexts tells it of them.
  InstanceObserver& contexts() { return contexts_; }
  // Whoever cuts off floods counts them here.
  FloodCounts& floods() { return floods_; }
  // From now on there is something to collect, and /metrics shows it to whoever
  // may call leasehold.v1.Admin/Stats. Before the server serves, when all
  // services were added.
  void Serve(const Parts& parts);

  std::vector<StatFamily> Collect(const StatsScope& scope) override;

 private:
  HttpRoute Route();
  void AddContexts(StatList& list);
  void AddConnections(StatList& list) const;
  void AddHttp(StatList& list) const;
  // By limit and tenant: what those of the policy have refused. Each limit has
  // each tenant of the policy. REQUIRES: there is one.
  std::map<std::string, TenantTally::Counts> LimitsHit() const;
  void AddLimits(StatList& list) const;
  void AddCertificates(StatList& list) const;
  void AddProgram(StatList& list) const;
  void AddTenants(const StatsScope& scope, StatList& list);
  void AddTenantsOfPolicy(const StatsScope& scope, StatList& list);

  ContextTally contexts_;
  FloodCounts floods_;
  TenantLabels tenant_labels_;
  // Null: nobody is asked who he is.
  const AccessControl* access() const { return parts_->guard.access(); }

  std::optional<Parts> parts_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HOST_SERVER_STATS_H_
