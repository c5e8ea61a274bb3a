// Instances: shared instances for the services of an embedder's own server.
//
// An embedder creates one, hands it to its services, and keeps its own
// grpc::ServerBuilder:
//
//   leasehold::Instances instances;
//   CounterService counter(instances);          // Calls instances.Bind<State>.
//   grpc::ServerBuilder builder;
//   builder.AddListeningPort(...).RegisterService(&counter);
//   instances.RegisterEcho(builder);            // Leasehold's own, if wanted.
//   std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
//   instances.Start();
//   ...
//   instances.Shutdown(*server, absl::Seconds(10));
//
// Services that share an Instances object share its contexts: one ID, one
// context, one generation, with each service's state beside the others'.
//
// Thread-safety: Bind (see InstanceBinder), SetIdleTimeout and the registry are
// safe; the rest belongs to the thread that starts and ends the server.
// Lifetime: what the options point to outlives it; it outlives every call.
#ifndef LEASEHOLD_SERVICE_EMBED_INSTANCES_H_
#define LEASEHOLD_SERVICE_EMBED_INSTANCES_H_

#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lease/clock.h"
#include "service/doors/call_observer.h"
#include "service/doors/echo_server.h"
#include "service/doors/instance_call.h"
#include "service/doors/instances_server.h"
#include "service/embed/failure_log.h"
#include "service/embed/instance_binder.h"
#include "service/embed/state_timer.h"
#include "service/instance/context_initializer.h"
#include "service/instance/context_lease.h"
#include "service/instance/executor.h"
#include "service/instance/instance_context_provider.h"
#include "service/instance/instance_headers.h"
#include "service/instance/instance_info.h"
#include "service/instance/instance_key.h"
#include "service/instance/instance_observer.h"
#include "service/instance/instance_registry.h"
#include "service/instance/serial_queue.h"
#include "service/instance/shared_provider.h"
#include "service/instance/watch_hub.h"
#include "service/rpc/call_witness.h"
#include "service/rpc/delay_probe.h"
#include "service/rpc/gatekeeper.h"
#include "service/rpc/heartbeat.h"
#include "service/rpc/overload.h"
#include "service/rpc/rpc_runtime.h"
#include "service/rpc/served.h"
#include "service/tracing/tracer.h"

namespace leasehold {

struct InstancesOptions {
  // Decides when a context is idle. Null: contexts are shared by header, and
  // have a lease. A service may have another one (ServiceOptions::provider).
  InstanceContextProvider* provider = nullptr;
  // Run in order for each new context, after the one that attaches its lease.
  std::vector<ContextInitializer*> initializers = {};
  std::vector<InstanceObserver*> observers = {};

  absl::Duration idle_timeout = absl::Seconds(20);
  absl::Duration idle_timeout_min = absl::Milliseconds(10);
  absl::Duration idle_timeout_max = absl::Hours(24);
  size_t contexts_max = 1'000'000;
  // At that limit: true closes an idle context to make room, false refuses.
  bool evict_idle = true;
  // How long calls wait for a detach hook that does not answer.
  absl::Duration detach_timeout = absl::Seconds(5);
  // How long all initializers of a context may take together; after that, the
  // calls that wait for it are told which initializer has not answered.
  absl::Duration open_timeout = absl::Seconds(30);
  // How long a message may wait for access in a serial State.
  absl::Duration access_timeout = absl::Seconds(30);
  // Leasehold's own streams are never silent for longer than this.
  absl::Duration heartbeat_interval = kHeartbeatInterval;
  // InstanceHeaderNames::Make("my-header") for a header of another name.
  InstanceHeaderNames headers = {};

  // Threads that run initializers, detach hooks and calls that had to wait.
  int user_threads = 4;
  // Threads that serve Leasehold's own services, if they are registered.
  int queue_threads = 1;
  // How many bytes of requests and of unread answers these services keep: for
  // one connection, and for all connections together.
  size_t connection_bytes_max = size_t{64} << 20;
  size_t total_bytes_max = size_t{512} << 20;

  // Decides who may call Leasehold's own services and those that are bound, and
  // which tenant a call is in. Null: everybody may, and there is one tenant.
  Gatekeeper* gatekeeper = nullptr;
  // Is told how calls of Leasehold's own services end, if not null.
  CallWitness* witness = nullptr;
  // Makes a span for each call. Null: none are made.
  Tracer* tracer = nullptr;

  // From when on Leasehold's own services refuse calls because the server is
  // overloaded: what arrives waits for longer than this (overload.h). Zero:
  // they never do.
  absl::Duration overload_delay = absl::ZeroDuration();
  // Is told that an overload begins or ends, on a thread of its own, if not
  // null.
  std::function<void(const Overload::Change&)> on_overload = nullptr;

  // Whether exceptions of your code, and failures of initializers and detach
  // hooks, go to the log of the process (gpr_log) as well as to `observers`.
  bool log_failures = true;

  Clock* clock = nullptr;        // Null: the machine's.
  Executor* executor = nullptr;  // Null: one of `user_threads`.
};

struct EchoOptions {
  // The contexts that Echo uses have at least this idle timeout; zero: the
  // server's.
  absl::Duration idle_timeout = absl::ZeroDuration();
  CallObserver* observer = nullptr;  // Told of each echo, if not null.
};

class Instances {
 public:
  explicit Instances(InstancesOptions options = {});
  // Shuts down, if that has not been done. REQUIRES: no call is running.
  ~Instances();
  Instances(const Instances&) = delete;
  Instances& operator=(const Instances&) = delete;

  // States of this type come from `factory`, which may be called for two calls
  // at once (then one of the two States is used). Needed for States without a
  // constructor `State()` or `State(InstanceContext&)`. Call it before the
  // first call is served.
  template <typename State>
  void MakeWith(StateMaker::Factory<State> factory) {
    core_.states.Set<State>(std::move(factory));
  }

  // Adds Leasehold's own services to an embedder's server: leasehold.v1.Echo,
  // and leasehold.v1.Instances, through which clients see, hold and release
  // contexts. Call them before BuildAndStart, with the same builder.
  void RegisterEcho(grpc::ServerBuilder& builder, EchoOptions options = {});
  void RegisterInstances(grpc::ServerBuilder& builder);

  // The same in two steps, for a program that has to know its services before
  // it has a builder, or that has more services of this kind: Add..., then
  // Register, which registers what was added since the last time. All that is
  // added outlives the end of Shutdown.
  void AddEcho(EchoOptions options = {});
  void AddInstances();
  void Add(HostedService& service);
  // A part that is not a service, but is told of the drain and the end.
  void Add(ServerPart& part) { parts_.push_back(&part); }
  void Register(grpc::ServerBuilder& builder);
  // All services that were added.
  const std::vector<HostedService*>& services() const { return services_; }
  // Commits that wait for longer than 250 ms are an overload too, if
  // `overload_delay` is set; `commit_delay` says how long the oldest one has
  // waited. It is called on another thread from Start on, until Shutdown.
  void WatchCommits(std::function<absl::Duration()> commit_delay) {
    if (overload_.has_value()) overload_->WatchCommits(std::move(commit_delay));
  }
  // What has become of the calls of Leasehold's own services. Safe from the end
  // of Start on.
  std::vector<MethodCalls> calls() const {
    return runtime_ == nullptr ? std::vector<MethodCalls>() : runtime_->calls();
  }
  RpcRuntime::Load load() const {
    return runtime_ == nullptr ? RpcRuntime::Load() : runtime_->load();
  }
  // Has each thread that serves Leasehold's own services call `done` once,
  // soon, if it does not hang; returns how many will. From the end of Start
  // until Shutdown; safe. For watchdogs.
  size_t AskQueues(const std::function<void()>& done) const {
    return runtime_ == nullptr ? 0 : runtime_->AskQueues(done);
  }
  // Null: no call is refused for an overload. Safe.
  const Overload* overload() const {
    return overload_.has_value() ? &*overload_ : nullptr;
  }
  // What the server keeps for its callers. Safe.
  const ByteBudget& budget() const { return budget_; }
  // For services that are added: how their calls find instances.
  const InstanceDoor& door() const { return door_; }

  // From now on leases run and Leasehold's own services are served. Call it
  // after BuildAndStart.
  void Start();

  // Asks the gatekeeper again about open streams of Leasehold's own services,
  // and ends those that it does not admit any more.
  void AskAgain();

  // Asks long calls to end: Leasehold's own streams end at once (Unavailable);
  // yours are told, also those that are bound later
  // (ReleaseListener::OnDraining). Idempotent; Drain does it first.
  void BeginDrain();
  // Whether BeginDrain was called, for code that would rather ask.
  bool draining() const { return registry_.draining(); }
  // BeginDrain; then Leasehold's own services refuse calls (Unavailable, so
  // that clients go elsewhere) until those in flight have ended and no more
  // come, or until `timeout`. Calls of your own services are served as before.
  // Blocks. Returns what is left of `timeout`. Shutdown(server) does it first.
  absl::Duration Drain(absl::Duration timeout);

  // Ends everything in order: Drain; then the server, where running calls have
  // what is left of `drain_timeout` and are cancelled after that; then the
  // rest. Blocks.
  void Shutdown(grpc::Server& server, absl::Duration drain_timeout);
  // The rest: detaches every context (`shutdown`) and waits until all hooks
  // have answered. Call it after grpc::Server::Shutdown. Idempotent.
  void Shutdown();

  // See InstanceBinder for the parameters and results of these.
  template <typename State, typename Fn>
  [[nodiscard]] grpc::ServerUnaryReactor* Bind(
      grpc::CallbackServerContext* call, Fn fn,
      const char* method = __builtin_FUNCTION()) const {
    return binder_.Bind<State>(call, std::move(fn), method);
  }
  template <typename State, typename Then>
  WaitHandle Bind(grpc::ServerContextBase& call, Then then,
                  std::shared_ptr<ReleaseListener> listener = nullptr,
                  const char* method = __builtin_FUNCTION()) const {
    return binder_.Bind<State>(call, std::move(then), std::move(listener),
                               method);
  }
  template <typename State>
  absl::StatusOr<Bound<State>> BindBlocking(
      grpc::ServerContext& call,
      std::shared_ptr<ReleaseListener> listener = nullptr,
      const char* method = __builtin_FUNCTION()) const {
    return binder_.BindBlocking<State>(call, std::move(listener), method);
  }
  // The same for a service with options of its own.
  InstanceBinder ForService(ServiceOptions service) const {
    return InstanceBinder(core_, service);
  }

  // Changes the idle timeout of `context`, within the limits; services and
  // requests do not change it any more. Returns what is known of the context
  // afterwards.
  //   NotFound: the context is closing, because it was released by force.
  // REQUIRES: the caller holds it pinned, as in a handler.
  absl::StatusOr<InstanceInfo> SetIdleTimeout(const InstanceContext& context,
                                              absl::Duration timeout);

  // To look at contexts and manage them: Describe, List, KeepAlive, Release.
  InstanceRegistry& registry() { return registry_; }
  const InstanceRegistry& registry() const { return registry_; }
  // To be told what happens to them.
  WatchHub& watch_hub() { return watch_hub_; }
  // The key of instance `id`, as calls of that tenant name it:
  //   instances.registry().Release(instances.Key("room-1"));
  static InstanceKey Key(std::string_view id,
                         std::string_view tenant = kDefaultTenant);

 private:
  // Constant after construction.
  const InstancesOptions options_;
  RealClock real_clock_;
  Clock& clock_;
  const std::unique_ptr<Executor> own_executor_;
  Executor& executor_;

  // See BinderCore.
  ThreadExecutor failures_executor_{1};

  SharedProvider shared_provider_;
  LeaseInitializer lease_initializer_;
  WatchHub watch_hub_;
  FailureLog failure_log_;
  InstanceRegistry registry_;
  InstanceDoor door_;
  AccessTimer access_timer_;
  internal::BinderCore core_;
  const InstanceBinder binder_;

  // Leasehold's own services, if they were added.
  std::unique_ptr<EchoServer> echo_;
  std::unique_ptr<InstancesServer> instances_;
  std::vector<HostedService*> services_;
  std::vector<ServerPart*> parts_;  // Those, and others.
  ByteBudget budget_;
  HeartbeatTimer heartbeats_;
  std::optional<Overload> overload_;     // If calls are refused in one.
  std::unique_ptr<RpcRuntime> runtime_;  // From the first Register on.
  std::optional<DelayProbe> probe_;      // The same, if there is an overload_.
  size_t registered_ = 0;                // How many of the services.

  bool started_ = false;
  bool draining_ = false;
  bool shut_down_ = false;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_EMBED_INSTANCES_H_
