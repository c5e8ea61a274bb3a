// ServerHost: the whole server, started and stopped in order.
//
// It is the first embedder of Leasehold: contexts, services, drain and end are
// those of Instances (service/embed). The program adds its settings, its
// sockets, its log and its console.
//
// Thread-safety: one thread.   Lifetime: clock, log and console outlive it.
#ifndef LEASEHOLD_SERVICE_HOST_SERVER_HOST_H_
#define LEASEHOLD_SERVICE_HOST_SERVER_HOST_H_

#include <grpcpp/server.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "lease/clock.h"
#include "service/doors/instance_call.h"
#include "service/embed/instances.h"
#include "service/host/console.h"
#include "service/host/line_budget.h"
#include "service/host/listener.h"
#include "service/host/server_log.h"
#include "service/host/server_options.h"
#include "service/host/tenant_contexts.h"
#include "service/instance/instance_observer.h"
#include "service/instance/instance_registry.h"
#include "service/network/caller_addresses.h"
#include "service/orchestration/strips.h"
#include "service/rpc/call_witness.h"
#include "service/rpc/overload.h"
#include "service/rpc/served.h"
#include "service/security/access_control.h"
#include "service/tracing/tracer.h"

namespace leasehold {

class ServerHost {
 public:
  // `console` may be null. `observers` are told the same as log and console.
  // All of them outlive the host.
  // `access` decides who may call, `witness` is told what they did, and
  // `tracer` makes spans; each may be null.
  ServerHost(ServerOptions options, Clock& clock, ServerLog& log,
             Console* console, std::vector<InstanceObserver*> observers = {},
             AccessControl* access = nullptr, CallWitness* witness = nullptr,
             Tracer* tracer = nullptr);
  // Drains, if StopAndDrain was not called.
  ~ServerHost();
  ServerHost(const ServerHost&) = delete;
  ServerHost& operator=(const ServerHost&) = delete;

  // Serves this service too. Call it before Start; `service` lives until
  // StopAndDrain has returned.
  void Add(HostedService& service) { instances_.Add(service); }
  // The same for a part that is not a service.
  void Add(ServerPart& part) { instances_.Add(part); }
  // All services: Echo, Instances, and those that were added.
  const std::vector<HostedService*>& services() const {
    return instances_.services();
  }
  // TCP connections are encrypted. Call it before Start.
  void UseTls(std::shared_ptr<grpc::ServerCredentials> credentials) {
    listener_.UseTls(std::move(credentials));
  }
  // As Instances::WatchCommits. Call it before Start.
  void WatchCommits(std::function<absl::Duration()> commit_delay) {
    instances_.WatchCommits(std::move(commit_delay));
  }
  // What has become of each ID. Nothing is recorded if nobody can look at it,
  // as HTTP is off.
  Strips& strips() { return strips_; }
  bool records_strips() const { return !options_.http.off; }
  // Who is behind the connections of trusted proxies.
  const CallerAddresses& callers() const { return listener_.callers(); }
  // For services that are added.
  InstanceRegistry& registry() { return instances_.registry(); }
  WatchHub& watch_hub() { return instances_.watch_hub(); }
  const InstanceDoor& door() const { return instances_.door(); }
  // Null: no spans are made.
  Tracer* tracer() const { return tracer_; }
  // For whoever counts: calls, contexts, connections. Safe while it serves.
  const Instances& instances() const { return instances_; }
  Listener::Counts connections() const { return listener_.counts(); }
  // How many contexts the limit of each tenant has refused.
  TenantTally::Counts contexts_refused() const {
    return tenant_contexts_ == nullptr ? TenantTally::Counts()
                                       : tenant_contexts_->refused();
  }

  // The server serves once this returns OK.
  //   Unavailable: an address cannot be used; the message says why.
  absl::Status Start();

  // As Instances::AskAgain.
  void AskAgain() { instances_.AskAgain(); }

  // Where it listens, with the ports that were chosen for port 0.
  const std::vector<std::string>& addresses() const { return addresses_; }

  // A connection that stays in this process. REQUIRES: Start has returned OK.
  std::shared_ptr<grpc::Channel> InProcessChannel();

  // Ends the server. New calls are refused; calls in flight end, or are
  // cancelled at the drain timeout; every context is detached (`shutdown`).
  // Blocks until everything is done. Idempotent.
  void StopAndDrain();

 private:
  void OnOverload(const Overload::Change& change);

  const ServerOptions options_;
  ServerLog& log_;
  Tracer* const tracer_;
  LineBudget overload_lines_;
  const std::unique_ptr<TenantContexts> tenant_contexts_;  // Null: no limits.
  Strips strips_;
  Instances instances_;
  Listener listener_;
  std::unique_ptr<grpc::Server> server_;

  std::vector<std::string> addresses_;
  bool stopped_ = true;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HOST_SERVER_HOST_H_
