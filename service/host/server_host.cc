#include "service/host/server_host.h"

#include <grpc/support/time.h>
#include <grpcpp/alarm.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/server_builder.h>

#include <algorithm>
#include <future>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

namespace leasehold {

namespace {

// How a drain looks whether it is over: each tick; the calls in flight served,
// and no call for a few ticks. Who goes on calling, or does not take the end of
// its stream, is not waited for long.
constexpr absl::Duration kDrainTick = absl::Milliseconds(10);
constexpr int kQuietTicks = 3;
constexpr int kServedTicks = 100;

// What gRPC takes as one message, whatever the method: twice what an answer of
// a worker may have, so that those which are too large are seen, and their work
// can be ended with a reason. Other requests have kRequestBytesMax.
constexpr int kMessageBytesMax = 256 << 20;

// A span that gRPC adds to its own clock, without an overflow.
gpr_timespec Span(absl::Duration duration) {
  return gpr_time_from_nanos(absl::ToInt64Nanoseconds(duration), GPR_TIMESPAN);
}

AcceptLimits AcceptLimitsOf(const ServerOptions& options) {
  const ConnectionPolicy& policy = options.connections;
  return {.connections_max = options.connections_max,
          .connections_of_address_max = options.connections_of_address_max,
          .first_bytes_timeout = policy.handshake_timeout,
          .unsent_timeout = policy.keepalive_time + policy.keepalive_timeout};
}

std::vector<InstanceObserver*> With(std::vector<InstanceObserver*> observers,
                                    WatchHub& hub, ServerLog& log,
                                    Console* console) {
  observers.push_back(&hub);
  observers.push_back(&log);
  if (console != nullptr) observers.push_back(console);
  return observers;
}

}  // namespace

ServerHost::ServerHost(ServerOptions options, Clock& clock, ServerLog& log,
                       Console* console,
                       std::vector<InstanceObserver*> observers)
    : options_(std::move(options)),
      clock_(clock),
      log_(log),
      executor_(options_.user_threads),
      registry_(clock_, executor_, provider_, {&lease_initializer_},
                With(std::move(observers), watch_hub_, log_, console),
                {.idle_timeout = options_.idle_timeout,
                 .idle_timeout_min = options_.idle_timeout_min,
                 .idle_timeout_max = options_.idle_timeout_max,
                 .contexts_max = options_.contexts_max,
                 .evict_idle = options_.evict_idle,
                 .detach_timeout = options_.detach_timeout,
                 .open_timeout = options_.open_timeout}),
      door_(registry_, options_.instance_header),
      echo_(door_, options_.IdleTimeoutOf(kEchoService), console),
      instances_(door_, watch_hub_, executor_),
      budget_(clock_, {.connection_bytes_max = options_.connection_bytes_max,
                       .total_bytes_max = options_.total_bytes_max}),
      heartbeats_(clock_, options_.heartbeat_interval),
      listener_(clock_, log_, AcceptLimitsOf(options_),
                options_.unix_socket_mode) {
  served_ = {&echo_, &instances_};
  if (console != nullptr) registry_.WatchUse();  // It shows leases start.
}

ServerHost::~ServerHost() { StopAndDrain(); }

absl::Status ServerHost::Start() {
  grpc::ServerBuilder builder;
  builder.SetMaxReceiveMessageSize(kMessageBytesMax);
  options_.connections.Apply(builder);
  if (absl::Status status = listener_.Open(options_.listen); !status.ok()) {
    return status;
  }
  listener_.Register(builder);
  for (HostedService* served : served_)
    builder.RegisterService(&served->service());
  runtime_ = std::make_unique<RpcRuntime>(builder, options_.queue_threads,
                                          budget_, &heartbeats_);
  server_ = builder.BuildAndStart();
  if (server_ == nullptr) {
    listener_.Stop();
    return absl::InternalError("gRPC could not start; its log says why");
  }
  stopped_ = false;
  addresses_ = listener_.addresses();
  for (HostedService* served : served_) served->OnServing(served_);
  runtime_->Start([this](RpcQueue& queue) {
    for (HostedService* served : served_) served->Serve(queue);
  });
  registry_.Start();
  listener_.Start();
  heartbeats_.Start();
  for (const std::string& address : addresses_) {
    log_.Info("listening", {{"address", address}});
  }
  return absl::OkStatus();
}

std::shared_ptr<grpc::Channel> ServerHost::InProcessChannel() {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  return server_->InProcessChannel(arguments);
}

void ServerHost::RefuseAndServe() {
  // gRPC cancels a call that arrives once it shuts down, and only UNAVAILABLE
  // tells a client that it may try elsewhere. So we refuse first, and gRPC is
  // shut down when nobody calls any more.
  door_.Refuse();
  grpc::CompletionQueue ticks;
  grpc::Alarm alarm;
  int quiet = 0;
  int served = 0;
  size_t arrived = 0;
  for (absl::Duration waited; waited < options_.drain_timeout;
       waited += kDrainTick) {
    const RpcRuntime::Load load = runtime_->load();
    quiet = load.arrived == arrived ? quiet + 1 : 0;
    served = load.running == 0 ? served + 1 : 0;
    arrived = load.arrived;
    if (served > 0 && quiet >= kQuietTicks && load.ending == 0) break;
    if (served >= kServedTicks) break;
    alarm.Set(&ticks,
              Span(std::min(kDrainTick, options_.drain_timeout - waited)),
              nullptr);
    void* tag;
    bool ok;
    ticks.Next(&tag, &ok);
  }
  ticks.Shutdown();
}

void ServerHost::StopAndDrain() {
  if (std::exchange(stopped_, true)) return;
  log_.Info("draining",
            {{"timeout", absl::FormatDuration(options_.drain_timeout)}});
  for (ServerPart* part : parts_) part->OnDraining();
  // They would stay open for as long as the drain may take.
  runtime_->EndStreams(absl::UnavailableError("the server is shutting down"));
  RefuseAndServe();
  listener_.Stop();
  server_->Shutdown(Span(absl::ZeroDuration()));
  for (ServerPart* part : parts_) part->OnStopping();
  std::promise<void> detached;
  registry_.Shutdown([&detached] { detached.set_value(); });
  detached.get_future().wait();
  runtime_->Stop();
  server_.reset();  // It knows the services that were added.
  log_.Info("stopped", {});
}

}  // namespace leasehold
