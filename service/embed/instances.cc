#include "service/embed/instances.h"

#include <grpc/support/time.h>
#include <grpcpp/alarm.h>
#include <grpcpp/completion_queue.h>

#include <algorithm>
#include <future>
#include <utility>

#include "service/rpc/caller.h"

namespace leasehold {
namespace {

// How a drain checks whether it is over, once a tick: the calls in flight have
// ended, and no call has arrived for a few ticks. A client that keeps calling,
// or does not read the end of its stream, is not waited for long.
constexpr absl::Duration kDrainTick = absl::Milliseconds(10);
constexpr int kQuietTicks = 3;
constexpr int kServedTicks = 100;

// A span that gRPC adds to its own clock, without an overflow.
gpr_timespec TimeSpan(absl::Duration duration) {
  return gpr_time_from_nanos(absl::ToInt64Nanoseconds(duration), GPR_TIMESPAN);
}

std::vector<ContextInitializer*> Initializers(const InstancesOptions& options,
                                              LeaseInitializer& lease) {
  std::vector<ContextInitializer*> initializers;
  // Without leases there is none to attach.
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
      door_(registry_, options_.headers, options_.gatekeeper),
      access_timer_(clock_, executor_, options_.access_timeout),
      core_{.door = door_,
            .clock = clock_,
            .executor = executor_,
            .failures = failures_executor_,
            .access_timer = access_timer_,
            .idle_timeout = options_.idle_timeout,
            .provider =
                options_.provider != nullptr
                    ? *options_.provider
                    : static_cast<InstanceContextProvider&>(shared_provider_),
            .states = {}},
      binder_(core_, {}),
      budget_(clock_, {.connection_bytes_max = options_.connection_bytes_max,
                       .total_bytes_max = options_.total_bytes_max}),
      heartbeats_(clock_, options_.heartbeat_interval) {
  if (options_.overload_delay > absl::ZeroDuration()) {
    overload_.emplace(
        clock_, OverloadLimits{.queue_delay_max = options_.overload_delay},
        options_.on_overload);
  }
}

Instances::~Instances() { Shutdown(); }

void Instances::RegisterEcho(grpc::ServerBuilder& builder,
                             EchoOptions options) {
  AddEcho(options);
  Register(builder);
}

void Instances::RegisterInstances(grpc::ServerBuilder& builder) {
  AddInstances();
  Register(builder);
}

void Instances::AddEcho(EchoOptions options) {
  echo_ = std::make_unique<EchoServer>(
      door_,
      options.idle_timeout > absl::ZeroDuration() ? options.idle_timeout
                                                  : options_.idle_timeout,
      options.observer);
  Add(*echo_);
}

void Instances::AddInstances() {
  instances_ = std::make_unique<InstancesServer>(door_, watch_hub_, executor_);
  Add(*instances_);
}

void Instances::Add(HostedService& service) {
  services_.push_back(&service);
  Add(static_cast<ServerPart&>(service));
}

void Instances::Register(grpc::ServerBuilder& builder) {
  for (; registered_ < services_.size(); ++registered_) {
    builder.RegisterService(&services_[registered_]->service());
  }
  if (runtime_ == nullptr && registered_ > 0) {
    runtime_ = std::make_unique<RpcRuntime>(
        builder, options_.queue_threads, budget_,
        RpcHooks{.heartbeats = &heartbeats_,
                 .gatekeeper = options_.gatekeeper,
                 .witness = options_.witness,
                 .overload = overload_.has_value() ? &*overload_ : nullptr,
                 .tracer = options_.tracer,
                 .clock = &clock_});
    if (overload_.has_value()) {
      probe_.emplace(
          builder, clock_, [this] { return runtime_->load().arrived; },
          [this](absl::Duration delay) {
            overload_->OnQueueDelay(delay);
            overload_->LookAtCommits();
            return overload_->overloaded();
          });
    }
  }
}

void Instances::Start() {
  started_ = true;
  registry_.Start();
  access_timer_.Start();
  if (runtime_ == nullptr) return;
  heartbeats_.Start();
  for (HostedService* service : services_) service->OnServing(services_);
  runtime_->Start([this](RpcQueue& queue) {
    for (HostedService* service : services_) service->Serve(queue);
  });
  if (probe_.has_value()) probe_->Start();
}

void Instances::AskAgain() {
  if (runtime_ != nullptr) runtime_->AskAgain();
}

void Instances::BeginDrain() {
  if (std::exchange(draining_, true)) return;
  for (ServerPart* part : parts_) part->OnDraining();
  registry_.TellDraining();
  // They would stay open for as long as the drain may take.
  if (runtime_ != nullptr) {
    runtime_->EndStreams(absl::UnavailableError("the server is shutting down"));
  }
}

absl::Duration Instances::Drain(absl::Duration timeout) {
  BeginDrain();
  if (runtime_ == nullptr) return timeout;
  // gRPC cancels a call that arrives once it shuts down, and only UNAVAILABLE
  // tells a client that it may try elsewhere. So we refuse first, and gRPC is
  // shut down when nobody calls any more.
  door_.Refuse();
  grpc::CompletionQueue ticks;
  grpc::Alarm alarm;
  int quiet = 0;
  int served = 0;
  size_t arrived = 0;
  absl::Duration waited;
  while (waited < timeout) {
    const RpcRuntime::Load load = runtime_->load();
    quiet = load.arrived == arrived ? quiet + 1 : 0;
    served = load.running == 0 ? served + 1 : 0;
    arrived = load.arrived;
    if (served > 0 && quiet >= kQuietTicks && load.ending == 0) break;
    if (served >= kServedTicks) break;
    const absl::Duration tick = std::min(kDrainTick, timeout - waited);
    alarm.Set(&ticks, TimeSpan(tick), nullptr);
    void* tag;
    bool ok;
    ticks.Next(&tag, &ok);
    waited += tick;
  }
  ticks.Shutdown();
  return timeout - waited;
}

void Instances::Shutdown(grpc::Server& server, absl::Duration drain_timeout) {
  const absl::Duration left = Drain(drain_timeout);
  if (probe_.has_value()) probe_->Stop();
  server.Shutdown(TimeSpan(left));  // From now, by gRPC's own clock.
  Shutdown();
}

void Instances::Shutdown() {
  if (std::exchange(shut_down_, true)) return;
  if (probe_.has_value()) probe_->Stop();
  if (started_) {
    for (ServerPart* part : parts_) part->OnStopping();
  }
  std::promise<void> detached;
  registry_.Shutdown([&detached] { detached.set_value(); });
  detached.get_future().wait();
  if (runtime_ != nullptr) runtime_->Stop();
}

InstanceKey Instances::Key(std::string_view id, std::string_view tenant) {
  return NormalKey(tenant, id);
}

absl::StatusOr<InstanceInfo> Instances::SetIdleTimeout(
    const InstanceContext& context, absl::Duration timeout) {
  return registry_.SetIdleTimeout({.tenant = std::string(context.tenant()),
                                   .id = std::string(context.id())},
                                  timeout);
}

}  // namespace leasehold
