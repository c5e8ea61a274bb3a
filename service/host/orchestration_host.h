// OrchestrationHost: the store, the engine and the engine's doors, as one part
// of leasehold-server.
//
// Thread-safety: one thread, except for the promises of HostedService.
// Lifetime: clock, log and the host outlive it.
#ifndef LEASEHOLD_SERVICE_HOST_ORCHESTRATION_HOST_H_
#define LEASEHOLD_SERVICE_HOST_ORCHESTRATION_HOST_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "lease/base/mutex.h"
#include "lease/clock.h"
#include "lease/wall_jumps.h"
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
  // be null; `access` too: then no tenant has limits.
  OrchestrationHost(const ServerOptions& options, Clock& clock, ServerLog& log,
                    ServerHost& host, Console* console = nullptr,
                    const AccessControl* access = nullptr);
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

  // Has receipts of starts over gRPC carry URLs. Before the server serves.
  void UseUrls(WriteManagementUrls write) {
    orchestration_.UseUrls(std::move(write));
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
  void OnWork(const WorkEvent& event) override { work_log_.Write(event); }
  bool WantsLives() const override { return work_log_.WritesLives(); }
  void OnRetention(int64_t erased) override;
  void OnStopped(const EngineCounts& counts) override;
  void OnDraining() override { engine_.Drain(); }
  void OnStopping() override { engine_.Stop(); }

  ServerLog& log_;
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
