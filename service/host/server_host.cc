#include "service/host/server_host.h"

#include <grpcpp/server_builder.h>

#include <utility>

#include "absl/time/time.h"
#include "service/doors/service_names.h"

namespace leasehold {

namespace {

// The largest message that gRPC accepts, whatever the method: twice the largest
// answer of a worker, so that answers that are too large are seen, and their
// work can be ended with a reason. Other requests have kRequestBytesMax.
constexpr int kMessageBytesMax = 256 << 20;

// Log lines on overloads that begin or end.
constexpr uint64_t kOverloadLinesMax = 10;
constexpr absl::Duration kOverloadLinesSpan = absl::Minutes(1);

AcceptLimits AcceptLimitsOf(const ServerOptions& options) {
  const ConnectionPolicy& policy = options.connections;
  return {.connections_max = options.connections_max,
          .connections_of_address_max = options.connections_of_address_max,
          .first_bytes_timeout = policy.handshake_timeout,
          .unsent_timeout = policy.keepalive_time + policy.keepalive_timeout,
          .proxies = options.proxies};
}

InstancesOptions InstancesOptionsOf(
    const ServerOptions& options, Clock& clock,
    std::vector<InstanceObserver*> observers, TenantContexts* contexts,
    Gatekeeper* gatekeeper, CallWitness* witness, Tracer* tracer,
    std::function<void(const Overload::Change&)> on_overload) {
  std::vector<ContextInitializer*> initializers;
  if (contexts != nullptr) initializers.push_back(contexts);
  return {.initializers = std::move(initializers),
          .observers = std::move(observers),
          .idle_timeout = options.idle_timeout,
          .idle_timeout_min = options.idle_timeout_min,
          .idle_timeout_max = options.idle_timeout_max,
          .contexts_max = options.contexts_max,
          .evict_idle = options.evict_idle,
          .detach_timeout = options.detach_timeout,
          .open_timeout = options.open_timeout,
          .heartbeat_interval = options.heartbeat_interval,
          .headers = options.instance_header,
          .user_threads = options.user_threads,
          .queue_threads = options.queue_threads,
          .connection_bytes_max = options.connection_bytes_max,
          .total_bytes_max = options.total_bytes_max,
          .gatekeeper = gatekeeper,
          .witness = witness,
          .tracer = tracer,
          .overload_delay = options.overload_delay,
          .on_overload = std::move(on_overload),
          .log_failures = false,  // The server's log has them.
          .clock = &clock};
}

// `strips` and `console` may be null.
std::vector<InstanceObserver*> With(std::vector<InstanceObserver*> observers,
                                    ServerLog& log, Strips* strips,
                                    Console* console) {
  observers.push_back(&log);
  if (strips != nullptr) observers.push_back(strips);
  if (console != nullptr) observers.push_back(console);
  return observers;
}

}  // namespace

ServerHost::ServerHost(ServerOptions options, Clock& clock, ServerLog& log,
                       Console* console,
                       std::vector<InstanceObserver*> observers,
                       AccessControl* access, CallWitness* witness,
                       Tracer* tracer)
    : options_(std::move(options)),
      log_(log),
      tracer_(tracer),
      overload_lines_(clock, kOverloadLinesMax, kOverloadLinesSpan),
      tenant_contexts_(access == nullptr
                           ? nullptr
                           : std::make_unique<TenantContexts>(
                                 [access](const std::string& tenant) {
                                   return access->ContextsMax(tenant);
                                 })),
      strips_(clock),
      instances_(InstancesOptionsOf(
          options_, clock,
          With(std::move(observers), log, records_strips() ? &strips_ : nullptr,
               console),
          tenant_contexts_.get(), access, witness, tracer,
          [this](const Overload::Change& change) { OnOverload(change); })),
      listener_(clock, log, AcceptLimitsOf(options_),
                options_.unix_socket_mode) {
  instances_.AddEcho({.idle_timeout = options_.IdleTimeoutOf(kEchoService),
                      .observer = console});
  instances_.AddInstances();
  strips_.UseAddresses(
      [this](const std::string& peer) { return callers().Find(peer); });
  // The console shows leases start.
  if (console != nullptr) instances_.registry().WatchUse();
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
  instances_.Register(builder);
  server_ = builder.BuildAndStart();
  if (server_ == nullptr) {
    listener_.Stop();
    return absl::InternalError("gRPC could not start; its log says why");
  }
  stopped_ = false;
  addresses_ = listener_.addresses();
  instances_.Start();
  listener_.Start();
  for (const std::string& address : addresses_) {
    log_.Info("listening", {{"address", address}});
  }
  return absl::OkStatus();
}

void ServerHost::OnOverload(const Overload::Change& change) {
  uint64_t left_out = 0;
  if (!overload_lines_.Admit(left_out)) return;
  const std::string waits =
      change.cause == Overload::Cause::kQueue ? "calls" : "commits";
  if (change.begins) {
    log_.Warning("overload_begins",
                 {{"waits", waits},
                  {"delay", absl::FormatDuration(change.delay)},
                  {"limit", absl::FormatDuration(change.limit)},
                  {"lines_left_out", left_out}});
  } else {
    log_.Info("overload_ends", {{"lasted", absl::FormatDuration(change.lasted)},
                                {"refused_calls", change.refused_calls},
                                {"lines_left_out", left_out}});
  }
}

std::shared_ptr<grpc::Channel> ServerHost::InProcessChannel() {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  return server_->InProcessChannel(arguments);
}

void ServerHost::StopAndDrain() {
  if (std::exchange(stopped_, true)) return;
  log_.Info("draining",
            {{"timeout", absl::FormatDuration(options_.drain_timeout)}});
  instances_.Drain(options_.drain_timeout);
  listener_.Stop();
  instances_.Shutdown(*server_, absl::ZeroDuration());
  server_.reset();  // It knows the services that were added.
  log_.Info("stopped", {});
}

}  // namespace leasehold
