// OrchestrationHost: the store, the engine and the engine's doors, as one part
// of leasehold-server.
//
// Thread-safety: one thread, except for the promises of HostedService.
// Lifetime: clock, log and the host outlive it.
#ifndef LEASEHOLD_SERVICE_HOST_ORCHESTRATION_HOST_H_
#define LEASEHOLD_SERVICE_HOST_ORCHESTRATION_HOST_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "lease/base/cells.h"
#include "lease/base/mutex.h"
#include "lease/clock.h"
#include "lease/wall_jumps.h"
#include "service/base/stats.h"
#include "service/doors/admin_server.h"
#include "service/doors/durable_task_server.h"
#include "service/doors/entities_server.h"
#include "service/doors/orchestration_server.h"
#include "service/host/server_host.h"
#include "service/host/server_log.h"
#include "service/host/server_options.h"
#include "service/host/work_log.h"
#include "service/instance/executor.h"
#include "service/orchestration/engine.h"
#include "service/orchestration/entities.h"
#include "service/orchestration/node_work_exchange.h"
#include "service/orchestration/orchestrations.h"
#include "service/rpc/served.h"
#include "service/security/access_control.h"
#include "service/storage/store.h"

namespace leasehold {

class OrchestrationHost final : private EngineObserver, private ServerPart {
 public:
  // Adds its services to `host`, whose drain is the engine's too. `console` may
  // be null; `access` too: then no tenant has limits. `stats`: what
  // leasehold.v1.Admin shows; null: nothing.
  OrchestrationHost(const ServerOptions& options, Clock& clock, ServerLog& log,
                    ServerHost& host, Console* console = nullptr,
                    const AccessControl* access = nullptr,
                    StatsSource* stats = nullptr);
  ~OrchestrationHost() override;

  // Opens the store, and continues the orchestrations that are open in it. Call
  // it before host.Start. Errors as of Store::Open.
  absl::Status Start();
  // Logs what was opened. Call it once the server listens: a server that does
  // not start says only why.
  void LogOpen();

  // How long orchestrations are kept from now on that have ended.
  void SetRetention(RetentionRules rules) {
    engine_.SetRetention(std::move(rules));
  }
  // Why the store cannot be written; OK: it can. On any thread.
  absl::Status store_status() const ABSL_LOCKS_EXCLUDED(mu_);

  // Has the thread that writes the store call `done` once, after what it has to
  // do. On any thread.
  void AskWriter(std::function<void()> done) { writer_.Post(std::move(done)); }

  // Has receipts of starts over gRPC carry URLs. Before the server serves.
  void UseUrls(WriteManagementUrls write) {
    orchestration_.UseUrls(std::move(write));
  }

  struct Stats {
    EngineCounts engine;
    SharedDispatcher::Stats dispatch;
    std::array<uint64_t, kWorkEventKinds> events = {};  // By WorkEventKind.
    absl::Duration commit_delay;
    absl::Status store_status;
    // `database`, `log`. Empty: the store is in memory.
    std::map<std::string, uint64_t> store_bytes = {};
  };
  // On any thread.
  Stats stats();
  // How many orchestrations a tenant has of each status, and all have together.
  // On any thread.
  RunCounts::ByStatus RunsOf(const std::string& tenant) const {
    return store_->run_counts().Of(tenant);
  }
  RunCounts::ByStatus AllRuns() const { return store_->run_counts().All(); }
  // How much a tenant has in the store. On any thread.
  uint64_t StoredBytes(const std::string& tenant) const {
    return store_->StoredBytes(tenant);
  }

  // For doors that others add.
  Orchestrations& orchestrations() { return engine_; }
  Entities& entities() { return engine_.entities(); }
  Explanations& explanations() { return engine_.explanations(); }
  const ConnectedWorkers& workers() const { return work_; }
  // For workers inside the process.
  WorkExchange& work() { return work_; }

 private:
  void OnStoreFailed(const absl::Status& status) override;
  void OnStoreRecovered(size_t open_orchestrations) override;
  void OnWork(const WorkEvent& event) override {
    events_[static_cast<size_t>(event.kind)].Add();
    work_log_.Write(event);
  }
  bool WantsLives() const override { return work_log_.WritesLives(); }
  void OnRetention(int64_t erased) override;
  void OnStopped(const EngineCounts& counts) override;
  void OnDraining() override { engine_.Drain(); }
  void OnStopping() override { engine_.Stop(); }

  // What leasehold.v1.Admin shows if nobody collects anything.
  class NoStats final : public StatsSource {
   public:
    std::vector<StatFamily> Collect(const StatsScope&) override { return {}; }
  };

  ServerLog& log_;
  const std::string data_;  // Empty: the store is in memory.
  NoStats no_stats_;
  std::array<SharedCell, kWorkEventKinds> events_ = {};
  mutable Mutex mu_;
  absl::Status store_status_ ABSL_GUARDED_BY(mu_);
  WorkLog work_log_;
  bool told_ = false;  // "store_open" was logged: log "store_closed" too.
  const std::unique_ptr<Store> store_;
  ThreadExecutor writer_{1};
  ThreadExecutor readers_;
  NodeWorkExchange work_;
  Engine engine_;
  std::unique_ptr<WallJumps> wall_jumps_;  // From Start on.
  DurableTaskServer sidecar_;
  OrchestrationServer orchestration_;
  EntitiesServer entities_;
  AdminServer admin_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HOST_ORCHESTRATION_HOST_H_
