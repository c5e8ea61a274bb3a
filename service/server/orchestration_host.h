// OrchestrationHost: the store, the engine and the doors to it, as one thing
// that leasehold-server has.
//
// Thread-safety: one thread, but for what Served promises.   Lifetime: clock,
// log and the host outlive it.
#ifndef LEASEHOLD_SERVICE_SERVER_ORCHESTRATION_HOST_H_
#define LEASEHOLD_SERVICE_SERVER_ORCHESTRATION_HOST_H_

#include <memory>

#include "lease/clock.h"
#include "service/instance/executor.h"
#include "service/orchestration/engine.h"
#include "service/server/orchestration_server.h"
#include "service/server/server_host.h"
#include "service/server/server_log.h"
#include "service/server/server_options.h"
#include "service/server/sidecar_server.h"
#include "service/storage/store.h"

namespace leasehold {

class OrchestrationHost final : private EngineObserver {
 public:
  // Adds its services to `host`.
  // `console` may be null.
  OrchestrationHost(const ServerOptions& options, Clock& clock, ServerLog& log,
                    ServerHost& host, Console* console = nullptr);
  ~OrchestrationHost() override;

  // Opens the store, and goes on with what is open in it. Before host.Start.
  // As Store::Open.
  absl::Status Start();
  // Says in the log what was opened. Once the server listens: one that does not
  // start says only why.
  void LogOpen();

 private:
  void OnStoreFailed(const absl::Status& status) override;
  void OnStoreRecovered(size_t open_orchestrations) override;
  void OnStopped(const EngineCounts& counts) override;

  ServerLog& log_;
  bool told_ = false;  // That the store is open: then also that it is closed.
  const std::unique_ptr<Store> store_;
  ThreadExecutor writer_{1};
  ThreadExecutor readers_;
  Engine engine_;
  SidecarServer sidecar_;
  OrchestrationServer orchestration_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_SERVER_ORCHESTRATION_HOST_H_
