#include "service/doors/orchestration_server.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/hash/hash.h"
#include "absl/strings/str_cat.h"
#include "service/doors/message_values.h"
#include "service/doors/orchestration_messages.h"
#include "service/doors/orchestration_methods.h"
#include "service/orchestration/start_trace.h"
#include "service/rpc/server_call.h"
#include "service/rpc/stream_call.h"

namespace leasehold {
namespace {

absl::Status StatusOf(const absl::StatusOr<Orchestrations::SharedInfo>& info,
                      const InstanceKey& key) {
  if (info.ok() && *info == nullptr) return NoSuchOrchestration(key);
  return info.status();
}

// What a watcher can see change. Texts may be large, and a watcher stays for
// long: only a hash of them is kept.
struct Seen {
  explicit Seen(const OrchestrationInfo& info)
      : status(info.status),
        custom_status(absl::HashOf(info.summary.custom_status)),
        created(info.created) {}
  friend bool operator==(const Seen&, const Seen&) = default;

  OrchestrationStatus status;
  size_t custom_status;
  absl::Time created;
};

// ---- Methods on many --------------------------------------------------------

void PurgeMany(Orchestrations& orchestrations, const Caller& caller,
               v1::PurgeOrchestrationsRequest& request,
               v1::PurgeOrchestrationsResponse& response, DoneStatus done) {
  if (request.instance_ids().empty() != request.has_filter()) {
    return done(absl::InvalidArgumentError(
        "either instance_ids or filter is required, and not both"));
  }
  const auto purged = [&response,
                       done](const absl::StatusOr<PurgeResult>& result) {
    if (result.ok()) {
      response.set_purged(result->erased);
      response.set_complete(result->complete);
    }
    done(result.status());
  };
  if (request.has_filter()) {
    absl::StatusOr<OrchestrationFilter> filter =
        FromMessage(request.filter(), caller);
    if (!filter.ok()) return done(filter.status());
    return orchestrations.PurgeMatching(*std::move(filter), request.recursive(),
                                        kPurgeTimeout, purged);
  }
  std::vector<InstanceKey> keys;
  for (const std::string& id : request.instance_ids()) {
    absl::StatusOr<InstanceKey> key =
        MakeInstanceKey(caller.tenant, id, "instance_ids");
    if (!key.ok()) return done(key.status());
    keys.push_back(*std::move(key));
  }
  orchestrations.Purge(std::move(keys), request.recursive(), purged);
}

void List(Orchestrations& orchestrations, const Caller& caller,
          v1::ListOrchestrationsRequest& request,
          v1::ListOrchestrationsResponse& response, DoneStatus done) {
  absl::StatusOr<OrchestrationQuery> query = FromMessage(request, caller);
  if (!query.ok()) return done(query.status());
  orchestrations.Query(*std::move(query), Into(response, std::move(done)));
}

void Count(Orchestrations& orchestrations, const Caller& caller,
           v1::CountOrchestrationsRequest& request,
           v1::CountOrchestrationsResponse& response, DoneStatus done) {
  absl::StatusOr<OrchestrationFilter> filter =
      FromMessage(request.filter(), caller);
  if (!filter.ok()) return done(filter.status());
  orchestrations.Count(*std::move(filter), kCountTimeout,
                       Into(response, std::move(done)));
}

}  // namespace

std::vector<HostedService::Method> OrchestrationServer::Methods() {
  using enum MethodKind;
  using enum Role;
  using enum CallClass;
  using On = OrchestrationMethods;
  // For methods on one orchestration, which `instance_id` or the header names.
  const auto one = [this]<typename Request, typename Response>(
                       auto accept,
                       void (*handle)(Orchestrations&, const InstanceKey&,
                                      Request&, Response&, DoneStatus)) {
    return [this, accept, handle](MethodQueue& calls) {
      const auto answer = [this, handle](auto& call, const DoneStatus& done) {
        const auto key = door_.ReadKey(call, call.request().instance_id());
        if (!key.ok()) return done(key.status());
        handle(orchestrations_, *key, call.request(), call.response(), done);
      };
      ServeUnary<Request, Response>(service_, calls, accept, answer);
    };
  };
  const auto many = [this](auto accept, auto handle) {
    return AnsweredBy(orchestrations_, service_, accept, handle);
  };
  const auto wait = [this](auto accept, Until until) {
    return [this, accept, until](MethodQueue& calls) {
      ServeWait(calls, accept, until);
    };
  };
  return {
      {"Start", kUnary, kUser, kStart,
       [this](MethodQueue& calls) { ServeStart(calls); }},
      {"Get", kUnary, kViewer, kRead, one(&Service::RequestGet, &On::Get)},
      {"WaitForStart", kUnary, kViewer, kRead,
       wait(&Service::RequestWaitForStart, Until::kStarted), Lasting::kWait},
      {"WaitForCompletion", kUnary, kViewer, kRead,
       wait(&Service::RequestWaitForCompletion, Until::kFinished),
       Lasting::kWait},
      {"Watch", kServerStream, kViewer, kRead,
       [this](MethodQueue& calls) { ServeWatch(calls); }, Lasting::kWatch},
      {"RaiseEvent", kUnary, kUser, kEvent,
       one(&Service::RequestRaiseEvent, &On::RaiseEvent)},
      {"Suspend", kUnary, kUser, kEvent,
       one(&Service::RequestSuspend, &On::Suspend)},
      {"Resume", kUnary, kUser, kEvent,
       one(&Service::RequestResume, &On::Resume)},
      {"Terminate", kUnary, kUser, kEvent,
       one(&Service::RequestTerminate, &On::Terminate)},
      {"Restart", kUnary, kUser, kStart,
       [this](MethodQueue& calls) { ServeRestart(calls); }},
      {"Rewind", kUnary, kOperator, kEvent,
       one(&Service::RequestRewind, &On::Rewind)},
      {"Purge", kUnary, kOperator, kEvent,
       one(&Service::RequestPurge, &On::Purge)},
      {"PurgeMany", kUnary, kOperator, kEvent,
       many(&Service::RequestPurgeMany, &PurgeMany)},
      {"List", kUnary, kViewer, kRead, many(&Service::RequestList, &List)},
      {"Count", kUnary, kViewer, kRead, many(&Service::RequestCount, &Count)},
      {"GetHistory", kServerStream, kViewer, kRead,
       [this](MethodQueue& calls) { ServeGetHistory(calls); }},
  };
}

// ---- How methods are served -------------------------------------------------

template <typename Accept>
CallTask OrchestrationServer::ServeWait(MethodQueue& calls, Accept accept,
                                        Until until) {
  UnaryCall<v1::GetOrchestrationRequest, v1::OrchestrationState> call(calls);
  if (!co_await call.Accept(service_, accept)) co_return;
  ServeWait(calls, accept, until);
  if (!co_await call.Parse()) co_return;

  const absl::StatusOr<InstanceKey> key =
      door_.ReadKey(call, call.request().instance_id());
  absl::Status status = key.status();
  if (key.ok()) {
    OrchestrationWait waited(orchestrations_, call,
                             {.key = *key,
                              .until = until,
                              .payloads = !call.request().omit_payloads()});
    const OrchestrationWait::Answer info = co_await waited;
    status = StatusOf(info, *key);
    if (status.ok()) ToMessage(**info, call.response());
  }
  co_await call.Finish(status);
}

// ---- Starting ---------------------------------------------------------------

absl::Status OrchestrationServer::Receive(
    const absl::StatusOr<StartReceipt>& receipt, const Caller& caller,
    grpc::ServerContext& call, v1::StartOrchestrationResponse& response) {
  if (!receipt.ok()) return receipt.status();
  ToMessage(*receipt, response);
  if (write_urls_) {
    write_urls_({.tenant = caller.tenant, .id = receipt->instance_id},
                *response.mutable_urls());
  }
  if (const auto& context = receipt->context) {
    door_.Write({.id = receipt->instance_id,
                 .generation = context->generation,
                 .created = context->created,
                 .idle_timeout = context->idle_timeout},
                call);
    if (observer_ && receipt->created) {
      observer_->OnSingletonCreated(receipt->instance_id);
    }
  }
  return absl::OkStatus();
}

CallTask OrchestrationServer::ServeStart(MethodQueue& calls) {
  UnaryCall<v1::StartOrchestrationRequest, v1::StartOrchestrationResponse> call(
      calls);
  if (!co_await call.Accept(service_, &Service::RequestStart)) co_return;
  ServeStart(calls);
  if (!co_await call.Parse()) co_return;

  const CallMetadata metadata(call.context(), call.method().service,
                              call.method().name);
  absl::StatusOr<InstanceRequest> context =
      door_.Read(call, call.request().instance_id());
  absl::Status status = context.ok() ? call.Admit() : context.status();
  if (status.ok()) {
    context->metadata = &metadata;
    if (observer_) {
      observer_->OnRequest("Start", *context, call.request().name());
    }
    absl::StatusOr<StartRequest> request =
        FromMessage(std::move(call.request()), *std::move(context));
    status = request.status();
    if (status.ok()) {
      request->by = RequesterOf(call);
      using Answer = absl::StatusOr<StartReceipt>;
      const std::function<void(AnswerAwaiter<Answer>::Done)> begin =
          [&](const AnswerAwaiter<Answer>::Done& done) {
            Done<StartReceipt> traced =
                TraceStart(call.trace(), *request, done);
            orchestrations_.Start(*std::move(request), std::move(traced));
          };
      AnswerAwaiter<Answer> answered(call.queue(), begin);
      const Answer receipt = co_await answered;
      status = Receive(receipt, call.caller(), call.context(), call.response());
    }
  }
  co_await call.Finish(status);
}

CallTask OrchestrationServer::ServeRestart(MethodQueue& calls) {
  UnaryCall<v1::RestartOrchestrationRequest, v1::StartOrchestrationResponse>
      call(calls);
  if (!co_await call.Accept(service_, &Service::RequestRestart)) co_return;
  ServeRestart(calls);
  if (!co_await call.Parse()) co_return;

  const absl::StatusOr<InstanceKey> key =
      door_.ReadKey(call, call.request().instance_id());
  absl::Status status = key.status();
  if (key.ok()) {
    using Answer = absl::StatusOr<StartReceipt>;
    const std::function<void(AnswerAwaiter<Answer>::Done)> begin =
        [&](const AnswerAwaiter<Answer>::Done& done) {
          std::optional<std::string> new_id;
          if (call.request().new_instance_id()) new_id = NewInstanceId();
          orchestrations_.Restart(*key, std::move(new_id), RequesterOf(call),
                                  call.trace(), done);
        };
    AnswerAwaiter<Answer> answered(call.queue(), begin);
    const Answer receipt = co_await answered;
    status = Receive(receipt, call.caller(), call.context(), call.response());
  }
  co_await call.Finish(status);
}

// ---- Streams ----------------------------------------------------------------

CallTask OrchestrationServer::ServeWatch(MethodQueue& calls) {
  ServerStreamCall<v1::GetOrchestrationRequest, v1::OrchestrationState> call(
      calls);
  if (!co_await call.Accept(service_, &Service::RequestWatch)) co_return;
  ServeWatch(calls);
  if (!co_await call.Parse()) co_return;

  const absl::StatusOr<InstanceKey> key =
      call.WithHeartbeat(door_.ReadKey(call, call.request().instance_id()));
  absl::Status status = key.status();
  std::optional<Seen> told;
  uint64_t revision = 0;  // The first time at once: no revision is zero.
  bool open = status.ok();
  while (open) {
    // Watchers that learn of a change share it; later readers get their own.
    const bool looks = revision == 0;
    if (looks) co_await reads_.Enter(call.queue());
    OrchestrationWait waited(orchestrations_, call,
                             {.key = *key,
                              .until = Until::kChanged,
                              .payloads = !call.request().omit_payloads(),
                              .seen = revision});
    OrchestrationWait::Answer info = co_await waited;
    status = StatusOf(info, *key);
    std::optional<Seen> seen;
    v1::OrchestrationState message;
    size_t room = 0;
    bool fits = false;
    if (status.ok()) {
      seen.emplace(**info);
      revision = (*info)->revision;
      room = SizeOf(**info) + kRoomBeside;
      fits = told == seen || call.TryRoom(room);
      if (fits && told != seen) ToMessage(**info, message);
    }
    info = Orchestrations::SharedInfo();
    if (looks) reads_.Leave();
    if (!status.ok()) break;
    if (!fits) {
      // It is looked at again once there is room: nothing waits in memory.
      revision = 0;
      open = co_await call.Room(room);
      continue;
    }
    if (told != seen) {
      told = seen;
      open = co_await call.Write(std::move(message));
      call.BeginHeartbeats();
    }
    call.LeaveRoom();
    if (IsFinished(seen->status)) break;
  }
  const absl::Status end = call.EndStatus(status);
  co_await call.Finish(end);
}

CallTask OrchestrationServer::ServeGetHistory(MethodQueue& calls) {
  ServerStreamCall<v1::GetOrchestrationHistoryRequest, v1::OrchestrationEvent>
      call(calls);
  if (!co_await call.Accept(service_, &Service::RequestGetHistory)) co_return;
  ServeGetHistory(calls);
  if (!co_await call.Parse()) co_return;

  const absl::StatusOr<InstanceKey> key =
      door_.ReadKey(call, call.request().instance_id());
  absl::Status status = key.status();
  std::optional<HistoryQuery> query = HistoryQuery{
      .execution_id = call.request().execution_id(), .replaced = true};
  bool open = key.ok();
  while (open && query.has_value()) {
    co_await reads_.Enter(call.queue());
    HistoryRead read(orchestrations_, call, *key, *query);
    absl::StatusOr<HistoryPage> page = co_await read;
    status = page.status();
    const size_t room = status.ok() ? HistoryRoom(*page) : 0;
    const bool fits = !status.ok() || call.TryRoom(room);
    if (!fits) page = HistoryPage();
    reads_.Leave();
    if (!status.ok()) break;
    if (!fits) {
      // It is read again once there is room: nothing waits in memory.
      open = co_await call.Room(room);
      continue;
    }
    std::vector<std::string_view> events;
    for (const std::string& chunk : page->chunks) {
      ForEachFrame(chunk, [&events](std::string_view bytes) {
        events.push_back(bytes);
      });
    }
    for (size_t i = 0; open && i < events.size(); ++i) {
      v1::OrchestrationEvent message;
      if (const std::optional<HistoryEvent> event = DecodeEvent(events[i])) {
        ToMessage(*event, message);
        open = co_await call.Write(std::move(message));
      }
    }
    call.LeaveRoom();
    query = std::move(page->next);
  }
  const absl::Status end = call.EndStatus(status);
  co_await call.Finish(end);
}

}  // namespace leasehold
