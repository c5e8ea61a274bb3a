// ServerHost: the whole server, started and stopped in order.
//
// Start: executor, registry, services, gRPC server, queues, leases.
// StopAndDrain: new calls are refused; calls in flight end, or are cancelled at
// the drain timeout; every context is detached (`shutdown`); then the queues
// end.
//
// Thread-safety: one thread.   Lifetime: clock, log and console outlive it.
#ifndef LEASEHOLD_SERVICE_HOST_SERVER_HOST_H_
#define LEASEHOLD_SERVICE_HOST_SERVER_HOST_H_

#include <grpcpp/server.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "lease/clock.h"
#include "service/doors/echo_server.h"
#include "service/doors/instance_call.h"
#include "service/doors/instances_server.h"
#include "service/host/console.h"
#include "service/host/listener.h"
#include "service/host/server_log.h"
#include "service/host/server_options.h"
#include "service/instance/context_lease.h"
#include "service/instance/executor.h"
#include "service/instance/instance_registry.h"
#include "service/instance/shared_provider.h"
#include "service/instance/watch_hub.h"
#include "service/rpc/byte_budget.h"
#include "service/rpc/rpc_runtime.h"
#include "service/rpc/served.h"

namespace leasehold {

class ServerHost {
 public:
  // `console` may be null. `observers` are told the same as log and console.
  // All of them outlive the host.
  ServerHost(ServerOptions options, Clock& clock, ServerLog& log,
             Console* console, std::vector<InstanceObserver*> observers = {});
  // Drains, if StopAndDrain was not called.
  ~ServerHost();
  ServerHost(const ServerHost&) = delete;
  ServerHost& operator=(const ServerHost&) = delete;

  // Serves this service too. Call it before Start; `served` lives until
  // StopAndDrain has returned.
  void Add(HostedService& served) {
    served_.push_back(&served);
    Add(static_cast<ServerPart&>(served));
  }
  // The same for a part that is not a service.
  void Add(ServerPart& part) { parts_.push_back(&part); }
  // All services, with those that were added.
  const std::vector<HostedService*>& services() const { return served_; }
  // For services that are added.
  InstanceRegistry& registry() { return registry_; }
  const InstanceDoor& door() const { return door_; }

  // The server serves once this returns OK.
  //   Unavailable: an address cannot be used; the message says why.
  absl::Status Start();

  // Where it listens, with the ports that were chosen for port 0.
  const std::vector<std::string>& addresses() const { return addresses_; }

  // A connection that stays in this process. REQUIRES: Start has returned OK.
  std::shared_ptr<grpc::Channel> InProcessChannel();

  // Ends the server. Blocks until everything is done. Idempotent.
  void StopAndDrain();

 private:
  // Refuses calls until those in flight have ended and no more come, or the
  // drain timeout is over.
  void RefuseAndServe();

  const ServerOptions options_;
  Clock& clock_;
  ServerLog& log_;
  // All services: Echo, Instances, and those that are added.
  std::vector<HostedService*> served_;
  std::vector<ServerPart*> parts_;  // Those, and others.

  ThreadExecutor executor_;
  SharedProvider provider_;
  LeaseInitializer lease_initializer_;
  WatchHub watch_hub_;
  InstanceRegistry registry_;
  InstanceDoor door_;
  EchoServer echo_;
  InstancesServer instances_;
  ByteBudget budget_;
  HeartbeatTimer heartbeats_;
  std::unique_ptr<RpcRuntime> runtime_;
  Listener listener_;
  std::unique_ptr<grpc::Server> server_;

  std::vector<std::string> addresses_;
  bool stopped_ = true;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HOST_SERVER_HOST_H_
