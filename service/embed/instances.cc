#include "service/embed/instances.h"

#include <grpc/support/time.h>

#include <future>

namespace leasehold {
namespace {

std::vector<ContextInitializer*> Initializers(const InstancesOptions& options,
                                              LeaseInitializer& lease) {
  std::vector<ContextInitializer*> initializers;
  // Without a lease there is none to attach.
  if (options.provider == nullptr || options.provider->Leased()) {
    initializers.push_back(&lease);
  }
  initializers.insert(initializers.end(), options.initializers.begin(),
                      options.initializers.end());
  return initializers;
}

std::vector<InstanceObserver*> Observers(const InstancesOptions& options,
                                         WatchHub& hub, FailureLog& log) {
  std::vector<InstanceObserver*> observers = {&hub};
  if (options.log_failures) observers.push_back(&log);
  observers.insert(observers.end(), options.observers.begin(),
                   options.observers.end());
  return observers;
}

}  // namespace

Instances::Instances(InstancesOptions options)
    : options_(std::move(options)),
      clock_(options_.clock != nullptr ? *options_.clock : real_clock_),
      own_executor_(
          options_.executor != nullptr
              ? nullptr
              : std::make_unique<ThreadExecutor>(options_.user_threads)),
      executor_(options_.executor != nullptr ? *options_.executor
                                             : *own_executor_),
      registry_(clock_, executor_,
                options_.provider != nullptr
                    ? *options_.provider
                    : static_cast<InstanceContextProvider&>(shared_provider_),
                Initializers(options_, lease_initializer_),
                Observers(options_, watch_hub_, failure_log_),
                {.idle_timeout = options_.idle_timeout,
                 .idle_timeout_min = options_.idle_timeout_min,
                 .idle_timeout_max = options_.idle_timeout_max,
                 .contexts_max = options_.contexts_max,
                 .evict_idle = options_.evict_idle,
                 .detach_timeout = options_.detach_timeout,
                 .open_timeout = options_.open_timeout}),
      door_(registry_, options_.headers),
      access_timer_(clock_, executor_, options_.access_timeout),
      core_{.door = door_,
            .clock = clock_,
            .executor = executor_,
            .failures = failures_executor_,
            .access_timer = access_timer_,
            .idle_timeout = options_.idle_timeout,
            .states = {}},
      binder_(core_, {}),
      budget_(clock_, {.connection_bytes_max = options_.connection_bytes_max,
                       .total_bytes_max = options_.total_bytes_max}),
      heartbeats_(clock_, options_.heartbeat_interval) {}

Instances::~Instances() { Shutdown(); }

RpcRuntime& Instances::Runtime(grpc::ServerBuilder& builder) {
  if (runtime_ == nullptr) {
    runtime_ = std::make_unique<RpcRuntime>(builder, options_.queue_threads,
                                            budget_, &heartbeats_);
  }
  return *runtime_;
}

void Instances::RegisterEcho(grpc::ServerBuilder& builder) {
  Runtime(builder);
  echo_ = std::make_unique<EchoServer>(door_, options_.idle_timeout,
                                       /*observer=*/nullptr);
  builder.RegisterService(&echo_->service());
}

void Instances::RegisterInstances(grpc::ServerBuilder& builder) {
  Runtime(builder);
  instances_ = std::make_unique<InstancesServer>(door_, watch_hub_, executor_);
  builder.RegisterService(&instances_->service());
}

void Instances::Start() {
  registry_.Start();
  access_timer_.Start();
  if (runtime_ == nullptr) return;
  heartbeats_.Start();
  runtime_->Start([this](RpcQueue& queue) {
    if (echo_ != nullptr) echo_->Serve(queue);
    if (instances_ != nullptr) instances_->Serve(queue);
  });
}

void Instances::BeginDrain() {
  registry_.TellDraining();
  if (runtime_ != nullptr) {
    runtime_->EndStreams(absl::UnavailableError("the server is shutting down"));
  }
}

void Instances::Shutdown(grpc::Server& server, absl::Duration drain_timeout) {
  BeginDrain();
  // From now, by gRPC's own clock.
  server.Shutdown(gpr_time_from_nanos(absl::ToInt64Nanoseconds(drain_timeout),
                                      GPR_TIMESPAN));
  Shutdown();
}

void Instances::Shutdown() {
  if (std::exchange(shut_down_, true)) return;
  std::promise<void> detached;
  registry_.Shutdown([&detached] { detached.set_value(); });
  detached.get_future().wait();
  if (runtime_ != nullptr) runtime_->Stop();
}

absl::StatusOr<InstanceInfo> Instances::SetIdleTimeout(
    const InstanceContext& context, absl::Duration timeout) {
  return registry_.SetIdleTimeout({.tenant = std::string(context.tenant()),
                                   .id = std::string(context.id())},
                                  timeout);
}

}  // namespace leasehold
