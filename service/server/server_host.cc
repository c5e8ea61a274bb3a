#include "service/server/server_host.h"

#include <grpc/support/time.h>
#include <grpcpp/alarm.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/security/server_credentials.h>
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

// What gRPC takes as one message. Services have bounds of their own, below
// this.
constexpr int kMessageBytesMax = 64 << 20;

// A span that gRPC adds to its own clock, without an overflow.
gpr_timespec Span(absl::Duration duration) {
  return gpr_time_from_nanos(absl::ToInt64Nanoseconds(duration), GPR_TIMESPAN);
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
                 .detach_timeout = options_.detach_timeout}),
      door_(registry_, options_.instance_header),
      echo_(door_, options_.IdleTimeoutOf("echo"), console),
      instances_(door_, watch_hub_, executor_) {
  if (console != nullptr) registry_.WatchUse();  // It shows leases start.
}

ServerHost::~ServerHost() { StopAndDrain(); }

absl::Status ServerHost::Listen(grpc::ServerBuilder& builder) {
  const bool default_addresses = options_.listen.empty();
  listening_ = options_.listen;
  if (default_addresses) {
    listening_ = {{.host = "127.0.0.1", .port = 4001, .unix_path = ""}};
    const ListenAddress v6 = {.host = "::1", .port = 4001, .unix_path = ""};
    const absl::Status can = CheckCanListen(v6);
    if (absl::IsNotFound(can)) {
      log_.Info("no_ipv6", {{"message", std::string(can.message())}});
    } else {
      listening_.push_back(v6);
    }
  }
  ports_.assign(listening_.size(), 0);
  for (size_t i = 0; i < listening_.size(); ++i) {
    if (const absl::Status can = CheckCanListen(listening_[i]); !can.ok()) {
      return absl::UnavailableError(can.message());
    }
    builder.AddListeningPort(listening_[i].ToString(),
                             grpc::InsecureServerCredentials(), &ports_[i]);
  }
  return absl::OkStatus();
}

absl::Status ServerHost::Start() {
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  builder.SetMaxReceiveMessageSize(kMessageBytesMax);
  // Else a second server on the port starts and takes half of the connections.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  if (absl::Status status = Listen(builder); !status.ok()) return status;
  // For reflection alone: the other services have our queues.
  builder.SetSyncServerOption(grpc::ServerBuilder::NUM_CQS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::MIN_POLLERS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::MAX_POLLERS, 2);
  builder.RegisterService(&echo_.service());
  builder.RegisterService(&instances_.service());
  for (Served* served : served_) builder.RegisterService(&served->service());
  runtime_ = std::make_unique<RpcRuntime>(builder, options_.queue_threads);
  server_ = builder.BuildAndStart();
  if (server_ == nullptr) {
    return absl::UnavailableError(
        "gRPC could not listen; another process may have taken an address just "
        "now");
  }
  stopped_ = false;
  for (size_t i = 0; i < listening_.size(); ++i) {
    ListenAddress address = listening_[i];
    if (!address.is_unix()) address.port = ports_[i];
    addresses_.push_back(address.ToString());
  }
  runtime_->Start([this](RpcQueue& queue) {
    echo_.Serve(queue);
    instances_.Serve(queue);
    for (Served* served : served_) served->Serve(queue);
  });
  registry_.Start();
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
  for (Served* served : served_) served->OnDraining();
  // They would stay open for as long as the drain may take.
  runtime_->EndStreams(absl::UnavailableError("the server is shutting down"));
  RefuseAndServe();
  server_->Shutdown(Span(absl::ZeroDuration()));
  for (Served* served : served_) served->OnStopping();
  std::promise<void> detached;
  registry_.Shutdown([&detached] { detached.set_value(); });
  detached.get_future().wait();
  runtime_->Stop();
  server_.reset();  // It knows the services that were added.
  log_.Info("stopped", {});
}

}  // namespace leasehold
