// ServerHost: the whole server, put together and taken apart in order.
//
// Start: executor, registry, translators, gRPC server, queues, leases.
// StopAndDrain: new calls are refused; calls in flight end, or are cancelled at
// the drain timeout; every context is detached (`shutdown`); then the queues
// end.
//
// Thread-safety: one thread.   Lifetime: clock, log and console outlive it.
#ifndef LEASEHOLD_SERVICE_SERVER_SERVER_HOST_H_
#define LEASEHOLD_SERVICE_SERVER_SERVER_HOST_H_

#include <grpcpp/server.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "lease/clock.h"
#include "service/instance/context_lease.h"
#include "service/instance/executor.h"
#include "service/instance/instance_registry.h"
#include "service/instance/shared_provider.h"
#include "service/instance/watch_hub.h"
#include "service/server/console.h"
#include "service/server/echo_server.h"
#include "service/server/instance_call.h"
#include "service/server/instances_server.h"
#include "service/server/rpc_runtime.h"
#include "service/server/served.h"
#include "service/server/server_log.h"
#include "service/server/server_options.h"

namespace leasehold {

class ServerHost {
 public:
  // `console` may be null. `observers` are told what log and console are told.
  // All outlive the host.
  ServerHost(ServerOptions options, Clock& clock, ServerLog& log,
             Console* console, std::vector<InstanceObserver*> observers = {});
  // Drains, if that has not been done.
  ~ServerHost();
  ServerHost(const ServerHost&) = delete;
  ServerHost& operator=(const ServerHost&) = delete;

  // Serves it too, beside Leasehold's own services. Before Start; it lives
  // until StopAndDrain has returned.
  void Add(Served& served) { served_.push_back(&served); }
  // For those that are added.
  InstanceRegistry& registry() { return registry_; }
  const InstanceDoor& door() const { return door_; }

  // Serves from when it returns OK.
  //   Unavailable: an address cannot be listened on; the message says why.
  absl::Status Start();

  // Where it listens, with the ports that were taken for port 0.
  const std::vector<std::string>& addresses() const { return addresses_; }

  // A connection that stays in this process. REQUIRES: Start has returned OK.
  std::shared_ptr<grpc::Channel> InProcessChannel();

  // Ends it. Blocks until all is done. Idempotent.
  void StopAndDrain();

 private:
  // Refuses calls until those in flight have ended and no more come, or the
  // drain timeout is over.
  void RefuseAndServe();
  // Adds what can be listened on to `builder`.
  absl::Status Listen(grpc::ServerBuilder& builder);

  const ServerOptions options_;
  Clock& clock_;
  ServerLog& log_;
  std::vector<Served*> served_;

  ThreadExecutor executor_;
  SharedProvider provider_;
  LeaseInitializer lease_initializer_;
  WatchHub watch_hub_;
  InstanceRegistry registry_;
  InstanceDoor door_;
  EchoServer echo_;
  InstancesServer instances_;
  std::unique_ptr<RpcRuntime> runtime_;
  std::unique_ptr<grpc::Server> server_;

  std::vector<ListenAddress> listening_;
  std::vector<int> ports_;  // One for each of listening_, set by gRPC.
  std::vector<std::string> addresses_;
  bool stopped_ = true;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_SERVER_SERVER_HOST_H_
