#include "service/server/orchestration_server.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "service/server/engine_call.h"
#include "service/server/orchestration_messages.h"

namespace leasehold {
namespace {

using Info = std::optional<OrchestrationInfo>;
using Begin = std::function<void(AnswerAwaiter<absl::Status>::Done)>;
using History = std::vector<std::string>;

// How long a purge by filter goes on. It says if it did not get to the end.
constexpr absl::Duration kPurgeTimeout = absl::Seconds(30);

// Of one that must be there.
absl::Status StatusOf(const absl::StatusOr<Info>& info,
                      const InstanceKey& key) {
  if (info.ok() && !info->has_value()) return NoSuchOrchestration(key);
  return info.status();
}

Payload ToPayload(std::string& text) {
  if (text.empty()) return std::nullopt;
  return std::move(text);
}

// Whether somebody who watches sees a difference.
bool Differs(const OrchestrationInfo& one, const OrchestrationInfo& other) {
  return one.status != other.status ||
         one.summary.custom_status != other.summary.custom_status ||
         one.created != other.created;
}

}  // namespace

void OrchestrationServer::Serve(RpcQueue& queue) {
  ServeStart(queue);
  ServeOne(queue, &Service::RequestGet, &OrchestrationServer::Get);
  ServeWait(queue, &Service::RequestWaitForStart, Engine::Until::kStarted);
  ServeWait(queue, &Service::RequestWaitForCompletion,
            Engine::Until::kFinished);
  ServeWatch(queue);
  ServeOne(queue, &Service::RequestRaiseEvent,
           &OrchestrationServer::RaiseEvent);
  ServeOne(queue, &Service::RequestSuspend, &OrchestrationServer::Suspend);
  ServeOne(queue, &Service::RequestResume, &OrchestrationServer::Resume);
  ServeOne(queue, &Service::RequestTerminate, &OrchestrationServer::Terminate);
  ServeRestart(queue);
  ServeOne(queue, &Service::RequestRewind, &OrchestrationServer::Rewind);
  ServeOne(queue, &Service::RequestPurge, &OrchestrationServer::Purge);
  ServeMany(queue, &Service::RequestPurgeMany, &OrchestrationServer::PurgeMany);
  ServeMany(queue, &Service::RequestList, &OrchestrationServer::List);
  ServeGetHistory(queue);
}

// ---- How methods are served -------------------------------------------------

template <typename Request, typename Response, typename Accept>
CallTask OrchestrationServer::ServeOne(
    RpcQueue& queue, Accept accept,
    void (OrchestrationServer::*handle)(const InstanceKey& key,
                                        Request& request, Response& response,
                                        DoneStatus done)) {
  UnaryCall<Request, Response> call(queue);
  if (!co_await call.Accept(service_, accept)) co_return;
  ServeOne(queue, accept, handle);

  const absl::StatusOr<InstanceKey> key =
      door_.ReadKey(call.context(), call.request().instance_id());
  absl::Status status = key.status();
  if (key.ok()) {
    const Begin begin = [&](const AnswerAwaiter<absl::Status>::Done& done) {
      (this->*handle)(*key, call.request(), call.response(), done);
    };
    AnswerAwaiter<absl::Status> answered(queue, begin);
    status = co_await answered;
  }
  co_await call.Finish(status);
}

template <typename Request, typename Response, typename Accept>
CallTask OrchestrationServer::ServeMany(
    RpcQueue& queue, Accept accept,
    void (OrchestrationServer::*handle)(Request& request, Response& response,
                                        DoneStatus done)) {
  UnaryCall<Request, Response> call(queue);
  if (!co_await call.Accept(service_, accept)) co_return;
  ServeMany(queue, accept, handle);

  const Begin begin = [&](const AnswerAwaiter<absl::Status>::Done& done) {
    (this->*handle)(call.request(), call.response(), done);
  };
  AnswerAwaiter<absl::Status> answered(queue, begin);
  const absl::Status status = co_await answered;
  co_await call.Finish(status);
}

template <typename Accept>
CallTask OrchestrationServer::ServeWait(RpcQueue& queue, Accept accept,
                                        Engine::Until until) {
  UnaryCall<v1::GetOrchestrationRequest, v1::OrchestrationState> call(queue);
  if (!co_await call.Accept(service_, accept)) co_return;
  ServeWait(queue, accept, until);

  const absl::StatusOr<InstanceKey> key =
      door_.ReadKey(call.context(), call.request().instance_id());
  absl::Status status = key.status();
  if (key.ok()) {
    EngineWait waited(engine_, call, *key, until,
                      !call.request().omit_payloads());
    const absl::StatusOr<Info> info = co_await waited;
    status = StatusOf(info, *key);
    if (status.ok()) ToMessage(**info, call.response());
  }
  co_await call.Finish(status);
}

// ---- Starting ---------------------------------------------------------------

absl::Status OrchestrationServer::Receive(
    const absl::StatusOr<StartReceipt>& receipt, grpc::ServerContext& call,
    v1::StartOrchestrationResponse& response) {
  if (!receipt.ok()) return receipt.status();
  ToMessage(*receipt, response);
  if (const auto& context = receipt->context) {
    door_.Write({.id = receipt->instance_id,
                 .generation = context->generation,
                 .created = context->created,
                 .idle_timeout = context->idle_timeout},
                call);
    if (console_ && receipt->created) {
      console_->OnSingletonCreated(receipt->instance_id);
    }
  }
  return absl::OkStatus();
}

CallTask OrchestrationServer::ServeStart(RpcQueue& queue) {
  UnaryCall<v1::StartOrchestrationRequest, v1::StartOrchestrationResponse> call(
      queue);
  if (!co_await call.Accept(service_, &Service::RequestStart)) co_return;
  ServeStart(queue);

  const CallMetadata metadata(call.context());
  absl::StatusOr<InstanceRequest> context =
      door_.Read(call.context(), call.request().instance_id());
  absl::Status status = context.status();
  if (status.ok()) {
    context->metadata = &metadata;
    if (console_) {
      console_->OnRequest("Start", *context, call.request().name());
    }
    absl::StatusOr<StartRequest> request =
        FromMessage(std::move(call.request()), *std::move(context));
    status = request.status();
    if (status.ok()) {
      using Answer = absl::StatusOr<StartReceipt>;
      const std::function<void(AnswerAwaiter<Answer>::Done)> begin =
          [&](const AnswerAwaiter<Answer>::Done& done) {
            engine_.Start(*std::move(request), done);
          };
      AnswerAwaiter<Answer> answered(queue, begin);
      const Answer receipt = co_await answered;
      status = Receive(receipt, call.context(), call.response());
    }
  }
  co_await call.Finish(status);
}

CallTask OrchestrationServer::ServeRestart(RpcQueue& queue) {
  UnaryCall<v1::RestartOrchestrationRequest, v1::StartOrchestrationResponse>
      call(queue);
  if (!co_await call.Accept(service_, &Service::RequestRestart)) co_return;
  ServeRestart(queue);

  const absl::StatusOr<InstanceKey> key =
      door_.ReadKey(call.context(), call.request().instance_id());
  absl::Status status = key.status();
  if (key.ok()) {
    using Answer = absl::StatusOr<StartReceipt>;
    const std::function<void(AnswerAwaiter<Answer>::Done)> begin =
        [&](const AnswerAwaiter<Answer>::Done& done) {
          std::optional<std::string> new_id;
          if (call.request().new_instance_id()) new_id = NewInstanceId();
          engine_.Restart(*key, std::move(new_id), done);
        };
    AnswerAwaiter<Answer> answered(queue, begin);
    const Answer receipt = co_await answered;
    status = Receive(receipt, call.context(), call.response());
  }
  co_await call.Finish(status);
}

// ---- Streams ----------------------------------------------------------------

CallTask OrchestrationServer::ServeWatch(RpcQueue& queue) {
  ServerStreamCall<v1::GetOrchestrationRequest, v1::OrchestrationState> call(
      queue);
  if (!co_await call.Accept(service_, &Service::RequestWatch)) co_return;
  ServeWatch(queue);

  const absl::StatusOr<InstanceKey> key =
      door_.ReadKey(call.context(), call.request().instance_id());
  absl::Status status = key.status();
  Info told;
  bool open = status.ok();
  while (open) {
    // The first time at once: no revision is zero.
    EngineWait waited(engine_, call, *key, Engine::Until::kChanged,
                      !call.request().omit_payloads(),
                      told.has_value() ? told->revision : 0);
    const absl::StatusOr<Info> info = co_await waited;
    status = StatusOf(info, *key);
    if (!status.ok()) break;
    const bool news = !told.has_value() || Differs(*told, **info);
    told = **info;
    if (news) {
      v1::OrchestrationState message;
      ToMessage(*told, message);
      open = co_await call.Write(message);
    }
    if (IsFinished(told->status)) break;
  }
  const absl::Status end = call.EndStatus(status);
  co_await call.Finish(end);
}

CallTask OrchestrationServer::ServeGetHistory(RpcQueue& queue) {
  ServerStreamCall<v1::GetOrchestrationHistoryRequest, v1::OrchestrationEvent>
      call(queue);
  if (!co_await call.Accept(service_, &Service::RequestGetHistory)) co_return;
  ServeGetHistory(queue);

  const absl::StatusOr<InstanceKey> key =
      door_.ReadKey(call.context(), call.request().instance_id());
  absl::Status status = key.status();
  if (key.ok()) {
    using Answer = absl::StatusOr<History>;
    const std::function<void(AnswerAwaiter<Answer>::Done)> begin =
        [&](const AnswerAwaiter<Answer>::Done& done) {
          engine_.ReadHistory(*key, call.request().execution_id(),
                              /*replaced=*/true, done);
        };
    AnswerAwaiter<Answer> answered(queue, begin);
    const Answer history = co_await answered;
    status = history.status();
    bool open = status.ok();
    for (size_t i = 0; open && i < history->size(); ++i) {
      std::vector<v1::OrchestrationEvent> messages;
      ForEachFrame((*history)[i], [&messages](std::string_view bytes) {
        if (const std::optional<HistoryEvent> event = DecodeEvent(bytes)) {
          ToMessage(*event, messages.emplace_back());
        }
      });
      for (const v1::OrchestrationEvent& message : messages) {
        open = open && co_await call.Write(message);
      }
    }
  }
  const absl::Status end = call.EndStatus(status);
  co_await call.Finish(end);
}

// ---- The methods ------------------------------------------------------------

void OrchestrationServer::Get(const InstanceKey& key,
                              v1::GetOrchestrationRequest& request,
                              v1::OrchestrationState& response,
                              DoneStatus done) {
  engine_.Get(key, !request.omit_payloads(),
              [key, &response, done](const absl::StatusOr<Info>& info) {
                const absl::Status status = StatusOf(info, key);
                if (status.ok()) ToMessage(**info, response);
                done(status);
              });
}

void OrchestrationServer::RaiseEvent(
    const InstanceKey& key, v1::RaiseOrchestrationEventRequest& request,
    v1::RaiseOrchestrationEventResponse&, DoneStatus done) {
  if (request.name().empty()) {
    return done(absl::InvalidArgumentError(
        "name: is required; it says which event to raise"));
  }
  Payload input;
  if (request.has_input()) input = std::move(*request.mutable_input());
  engine_.RaiseEvent(key, request.name(), std::move(input), std::move(done));
}

void OrchestrationServer::Suspend(const InstanceKey& key,
                                  v1::SuspendOrchestrationRequest& request,
                                  v1::SuspendOrchestrationResponse&,
                                  DoneStatus done) {
  engine_.Suspend(key, ToPayload(*request.mutable_reason()), std::move(done));
}

void OrchestrationServer::Resume(const InstanceKey& key,
                                 v1::ResumeOrchestrationRequest& request,
                                 v1::ResumeOrchestrationResponse&,
                                 DoneStatus done) {
  engine_.Resume(key, ToPayload(*request.mutable_reason()), std::move(done));
}

void OrchestrationServer::Terminate(const InstanceKey& key,
                                    v1::TerminateOrchestrationRequest& request,
                                    v1::TerminateOrchestrationResponse&,
                                    DoneStatus done) {
  Payload output;
  if (request.has_output()) output = std::move(*request.mutable_output());
  engine_.Terminate(key, std::move(output), request.recursive(),
                    std::move(done));
}

void OrchestrationServer::Rewind(const InstanceKey& key,
                                 v1::RewindOrchestrationRequest& request,
                                 v1::RewindOrchestrationResponse&,
                                 DoneStatus done) {
  engine_.Rewind(key, ToPayload(*request.mutable_reason()), std::move(done));
}

void OrchestrationServer::Purge(const InstanceKey& key,
                                v1::PurgeOrchestrationRequest& request,
                                v1::PurgeOrchestrationResponse& response,
                                DoneStatus done) {
  engine_.Purge({key}, request.recursive(),
                [this, key, &request, &response,
                 done](const absl::StatusOr<PurgeResult>& result) {
                  if (!result.ok() || result->erased > 0) {
                    if (result.ok()) response.set_purged(result->erased);
                    return done(result.status());
                  }
                  engine_.Get(
                      key, /*payloads=*/false,
                      [this, key, &request, &response,
                       done](const absl::StatusOr<Info>& info) {
                        const absl::Status status = StatusOf(info, key);
                        if (!status.ok()) return done(status);
                        if (IsFinished((*info)->status)) {  // Just now.
                          return Purge(key, request, response, done);
                        }
                        done(absl::FailedPreconditionError(absl::StrCat(
                            "orchestration ", QuoteForMessage(key.id), " is ",
                            std::string(StatusName((*info)->status)),
                            "; only one that has ended can be purged")));
                      });
                });
}

void OrchestrationServer::PurgeMany(v1::PurgeOrchestrationsRequest& request,
                                    v1::PurgeOrchestrationsResponse& response,
                                    DoneStatus done) {
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
    absl::StatusOr<RowQuery> query = FromMessage(request.filter());
    if (!query.ok()) return done(query.status());
    return engine_.PurgeMatching(*std::move(query), request.recursive(),
                                 kPurgeTimeout, purged);
  }
  std::vector<InstanceKey> keys;
  for (const std::string& id : request.instance_ids()) {
    absl::StatusOr<InstanceKey> key =
        MakeInstanceKey(kDefaultTenant, id, "instance_ids");
    if (!key.ok()) return done(key.status());
    keys.push_back(*std::move(key));
  }
  engine_.Purge(std::move(keys), request.recursive(), purged);
}

void OrchestrationServer::List(v1::ListOrchestrationsRequest& request,
                               v1::ListOrchestrationsResponse& response,
                               DoneStatus done) {
  absl::StatusOr<OrchestrationQuery> query = FromMessage(request);
  if (!query.ok()) return done(query.status());
  engine_.Query(
      *std::move(query),
      [&response, done](const absl::StatusOr<OrchestrationPage>& page) {
        if (page.ok()) ToMessage(*page, response);
        done(page.status());
      });
}

}  // namespace leasehold
