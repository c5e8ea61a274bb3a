#include "service/doors/durable_task_server.h"

#include <deque>
#include <type_traits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "service/doors/durable_task_messages.h"
#include "service/doors/work_stream.h"
#include "service/doors/worker_answer.h"
#include "service/orchestration/bounds.h"
#include "service/orchestration/history.h"
#include "service/rpc/server_call.h"
#include "service/rpc/stream_call.h"

namespace leasehold {
namespace {

// How long a purge by filter goes on, if the caller does not say.
constexpr absl::Duration kPurgeTimeout = absl::Seconds(30);
constexpr absl::Duration kPurgeTimeoutMax = absl::Minutes(5);

constexpr int kTerminateNowMax = 500;

// Of a history that is streamed: what one message holds, about.
constexpr size_t kHistoryChunkBytes = 256 << 10;
constexpr int kHistoryChunkField = 1;

grpc::ByteBuffer ToBuffer(std::string bytes) {
  // The slice keeps the string until it was written.
  auto* kept = new std::string(std::move(bytes));
  const grpc::Slice slice(
      kept->data(), kept->size(),
      [](void* string) { delete static_cast<std::string*>(string); }, kept);
  return {&slice, 1};
}

// In this contract nothing is wrong with telling one that has ended something.
DoneStatus ForgivingEnd(DoneStatus done) {
  return [done = std::move(done)](const absl::Status& status) {
    done(absl::IsFailedPrecondition(status) ? absl::OkStatus() : status);
  };
}

absl::StatusOr<std::vector<InstanceKey>> DurableTaskKeys(
    const google::protobuf::RepeatedPtrField<std::string>& ids,
    const Caller& caller) {
  std::vector<InstanceKey> keys;
  for (const std::string& id : ids) {
    absl::StatusOr<InstanceKey> key = DurableTaskKey(id, caller);
    if (!key.ok()) return key.status();
    keys.push_back(*std::move(key));
  }
  return keys;
}

}  // namespace

DurableTaskServer::DurableTaskServer(Orchestrations& orchestrations,
                                     WorkExchange& work, Clock& clock,
                                     DurableTaskOptions options)
    : orchestrations_(orchestrations),
      work_(work),
      clock_(clock),
      options_(options),
      pinger_([this] { PingSilentStreams(); }) {}

DurableTaskServer::~DurableTaskServer() {
  {
    MutexLock lock(mu_);
    stopping_ = true;
  }
  changed_.NotifyAll();
  pinger_.join();
}

void DurableTaskServer::OnDraining() {
  {
    MutexLock lock(mu_);
    stopping_ = true;
  }
  changed_.NotifyAll();
}

void DurableTaskServer::PingSilentStreams() {
  // Twice in an interval, so that no stream is silent for longer than that.
  const absl::Duration pause = options_.ping_interval / 2;
  Instant next = clock_.Now() + pause;
  for (;;) {
    std::set<std::shared_ptr<WorkStream>> streams;
    {
      MutexLock lock(mu_);
      while (!stopping_ && (streams_.empty() || clock_.Now() < next)) {
        clock_.WaitUntil(changed_, mu_,
                         streams_.empty() ? Instant::Infinite() : next);
      }
      if (stopping_) return;
      streams = streams_;
    }
    next = clock_.Now() + pause;
    for (const std::shared_ptr<WorkStream>& stream : streams) {
      stream->PingIfSilent();
    }
  }
}

std::vector<HostedService::Method> DurableTaskServer::Methods() {
  using enum MethodKind;
  using enum Role;
  const auto unary = [this](auto accept, auto handle) {
    return [this, accept, handle](RpcQueue& queue) {
      ServeUnary(queue, accept, handle);
    };
  };
  const auto answer = [this](auto accept, auto handle) {
    return [this, accept, handle](RpcQueue& queue) {
      ServeAnswer(queue, accept, handle);
    };
  };
  const auto wait = [this](auto accept, Until until) {
    return [this, accept, until](RpcQueue& queue) {
      ServeWait(queue, accept, until);
    };
  };
  return {
      {"Hello", kUnary, kAnyRole,
       unary(&Service::RequestHello, &DurableTaskServer::Hello)},
      {"StartInstance", kUnary, kUser,
       unary(&Service::RequestStartInstance,
             &DurableTaskServer::StartInstance)},
      {"RestartInstance", kUnary, kUser,
       unary(&Service::RequestRestartInstance,
             &DurableTaskServer::RestartInstance)},
      {"RewindInstance", kUnary, kOperator,
       unary(&Service::RequestRewindInstance,
             &DurableTaskServer::RewindInstance)},
      {"GetInstance", kUnary, kViewer,
       unary(&Service::RequestGetInstance, &DurableTaskServer::GetInstance)},
      {"WaitForInstanceStart", kUnary, kViewer,
       wait(&Service::RequestWaitForInstanceStart, Until::kStarted)},
      {"WaitForInstanceCompletion", kUnary, kViewer,
       wait(&Service::RequestWaitForInstanceCompletion, Until::kFinished)},
      {"RaiseEvent", kUnary, kUser,
       unary(&Service::RequestRaiseEvent, &DurableTaskServer::RaiseEvent)},
      {"TerminateInstance", kUnary, kUser,
       unary(&Service::RequestTerminateInstance,
             &DurableTaskServer::TerminateInstance)},
      {"SkipGracefulOrchestrationTerminations", kUnary, kUser,
       unary(&Service::RequestSkipGracefulOrchestrationTerminations,
             &DurableTaskServer::TerminateNow)},
      {"SuspendInstance", kUnary, kUser,
       unary(&Service::RequestSuspendInstance,
             &DurableTaskServer::SuspendInstance)},
      {"ResumeInstance", kUnary, kUser,
       unary(&Service::RequestResumeInstance,
             &DurableTaskServer::ResumeInstance)},
      {"QueryInstances", kUnary, kViewer,
       unary(&Service::RequestQueryInstances,
             &DurableTaskServer::QueryInstances)},
      {"ListInstanceIds", kUnary, kViewer,
       unary(&Service::RequestListInstanceIds,
             &DurableTaskServer::ListInstanceIds)},
      {"PurgeInstances", kUnary, kOperator,
       unary(&Service::RequestPurgeInstances,
             &DurableTaskServer::PurgeInstances)},
      {"CompleteActivityTask", kUnary, kWorker,
       answer(&Service::RequestCompleteActivityTask,
              &DurableTaskServer::CompleteActivityTask)},
      {"CompleteOrchestratorTask", kUnary, kWorker,
       answer(&Service::RequestCompleteOrchestratorTask,
              &DurableTaskServer::CompleteOrchestratorTask)},
      {"AbandonTaskActivityWorkItem", kUnary, kWorker,
       unary(&Service::RequestAbandonTaskActivityWorkItem,
             &DurableTaskServer::AbandonActivity)},
      {"AbandonTaskOrchestratorWorkItem", kUnary, kWorker,
       unary(&Service::RequestAbandonTaskOrchestratorWorkItem,
             &DurableTaskServer::AbandonTurn)},
      {"CreateTaskHub", kUnary, kOperator,
       unary(&Service::RequestCreateTaskHub,
             &DurableTaskServer::CreateTaskHub)},
      {"DeleteTaskHub", kUnary, kOperator,
       unary(&Service::RequestDeleteTaskHub,
             &DurableTaskServer::DeleteTaskHub)},
      {"GetWorkItems", kServerStream, kWorker,
       [this](RpcQueue& queue) { ServeGetWorkItems(queue); }},
      {"StreamInstanceHistory", kServerStream, kWorker,
       [this](RpcQueue& queue) { ServeStreamInstanceHistory(queue); }},
      {"CompleteEntityTask", kUnary, kWorker,
       [this](RpcQueue& queue) {
         ServeNothing<EntityBatchResult, CompleteTaskResponse>(
             queue, &Service::RequestCompleteEntityTask, "entities");
       }},
      {"SignalEntity", kUnary, kUser,
       [this](RpcQueue& queue) {
         ServeNothing<SignalEntityRequest, SignalEntityResponse>(
             queue, &Service::RequestSignalEntity, "entities");
       }},
      {"GetEntity", kUnary, kViewer,
       [this](RpcQueue& queue) {
         ServeNothing<GetEntityRequest, GetEntityResponse>(
             queue, &Service::RequestGetEntity, "entities");
       }},
      {"QueryEntities", kUnary, kViewer,
       [this](RpcQueue& queue) {
         ServeNothing<QueryEntitiesRequest, QueryEntitiesResponse>(
             queue, &Service::RequestQueryEntities, "entities");
       }},
      {"CleanEntityStorage", kUnary, kOperator,
       [this](RpcQueue& queue) {
         ServeNothing<CleanEntityStorageRequest, CleanEntityStorageResponse>(
             queue, &Service::RequestCleanEntityStorage, "entities");
       }},
      {"AbandonTaskEntityWorkItem", kUnary, kWorker,
       [this](RpcQueue& queue) {
         ServeNothing<AbandonEntityTaskRequest, AbandonEntityTaskResponse>(
             queue, &Service::RequestAbandonTaskEntityWorkItem, "entities");
       }},
  };
}

// ---- How methods are served -------------------------------------------------

template <typename Request, typename Response, typename Accept>
CallTask DurableTaskServer::ServeUnary(
    RpcQueue& queue, Accept accept,
    void (DurableTaskServer::*handle)(const Caller& caller, Request& request,
                                      Response& response, DoneStatus done)) {
  UnaryCall<Request, Response> call(queue);
  if (!co_await call.Accept(service_, accept)) co_return;
  ServeUnary(queue, accept, handle);
  if (!co_await call.Parse()) co_return;

  const std::function<void(AnswerAwaiter<absl::Status>::Done)> begin =
      [&](const AnswerAwaiter<absl::Status>::Done& done) {
        (this->*handle)(call.caller(), call.request(), call.response(), done);
      };
  absl::Status status = call.Admit();
  if (status.ok()) {
    AnswerAwaiter<absl::Status> answered(queue, begin);
    status = co_await answered;
  }
  co_await call.Finish(status);
}

template <typename Accept>
CallTask DurableTaskServer::ServeAnswer(
    RpcQueue& queue, Accept accept,
    void (DurableTaskServer::*handle)(const Caller& caller,
                                      grpc::ByteBuffer& answer,
                                      DoneStatus done)) {
  UnaryCall<grpc::ByteBuffer, CompleteTaskResponse> call(queue);
  if (!co_await call.Accept(service_, accept)) co_return;
  ServeAnswer(queue, accept, handle);
  call.AdmitAnyway();  // Its work would be out for ever.

  const std::function<void(AnswerAwaiter<absl::Status>::Done)> begin =
      [&](const AnswerAwaiter<absl::Status>::Done& done) {
        (this->*handle)(call.caller(), call.request(), done);
      };
  AnswerAwaiter<absl::Status> answered(queue, begin);
  const absl::Status status = co_await answered;
  co_await call.Finish(status);
}

template <typename Request, typename Response, typename Accept>
CallTask DurableTaskServer::ServeNothing(RpcQueue& queue, Accept accept,
                                         const char* what) {
  UnaryCall<Request, Response> call(queue);
  if (!co_await call.Accept(service_, accept)) co_return;
  ServeNothing<Request, Response>(queue, accept, what);
  if (!co_await call.Parse()) co_return;

  const absl::Status status = absl::UnimplementedError(
      absl::StrCat(what, " is not supported by this server"));
  co_await call.Finish(status);
}

template <typename Accept>
CallTask DurableTaskServer::ServeWait(RpcQueue& queue, Accept accept,
                                      Until until) {
  UnaryCall<GetInstanceRequest, GetInstanceResponse> call(queue);
  if (!co_await call.Accept(service_, accept)) co_return;
  ServeWait(queue, accept, until);
  if (!co_await call.Parse()) co_return;

  const absl::StatusOr<InstanceKey> key =
      DurableTaskKey(call.request().instanceid(), call.caller());
  absl::Status status = key.status();
  if (key.ok()) {
    OrchestrationWait waited(
        orchestrations_, call,
        {.key = *key,
         .until = until,
         .payloads = call.request().getinputsandoutputs()});
    const OrchestrationWait::Answer info = co_await waited;
    status = info.status();
    if (info.ok()) ToMessage(info->get(), call.response());
  }
  co_await call.Finish(status);
}

CallTask DurableTaskServer::ServeGetWorkItems(RpcQueue& queue) {
  ServerStreamCall<GetWorkItemsRequest, grpc::ByteBuffer> call(queue);
  if (!co_await call.Accept(service_, &Service::RequestGetWorkItems)) co_return;
  ServeGetWorkItems(queue);
  if (!co_await call.Parse()) co_return;

  absl::StatusOr<WorkerOptions> options = FromMessage(call.request());
  if (!options.ok()) {
    co_await call.Finish(options.status());
    co_return;
  }
  const auto stream = std::make_shared<WorkStream>(work_, call.control());
  stream->Ping();  // So that the client sees at once that it is connected.
  {
    MutexLock lock(mu_);
    streams_.insert(stream);
  }
  changed_.NotifyAll();
  options->peer = call.context().peer();
  const WorkerId worker = work_.Connect(*std::move(options), stream);
  bool open = true;
  while (open) {
    std::deque<std::string> items = stream->Take();
    if (items.empty()) {
      open = co_await call.News();
      continue;
    }
    while (open && !items.empty()) {
      const grpc::ByteBuffer item = ToBuffer(std::move(items.front()));
      items.pop_front();
      // The answer that this work comes of may still fill the connection's
      // part: then the work waits, as a stream that ended would lose it.
      open = co_await call.Room(item.Length());
      if (!open) break;
      const size_t bytes = item.Length();
      open = co_await call.Write(item);
      call.LeaveRoom();
      stream->OnTaken(bytes);
    }
  }
  {
    MutexLock lock(mu_);
    streams_.erase(stream);
  }
  work_.Disconnect(worker);
  // Never with OK: some workers would be back at once, again and again.
  const absl::Status status =
      call.EndStatus(absl::UnavailableError("the stream was cut"));
  co_await call.Finish(status);
}

CallTask DurableTaskServer::ServeStreamInstanceHistory(RpcQueue& queue) {
  ServerStreamCall<StreamInstanceHistoryRequest, grpc::ByteBuffer> call(queue);
  if (!co_await call.Accept(service_, &Service::RequestStreamInstanceHistory)) {
    co_return;
  }
  ServeStreamInstanceHistory(queue);
  if (!co_await call.Parse()) co_return;

  const StreamInstanceHistoryRequest& request = call.request();
  const absl::StatusOr<InstanceKey> key =
      DurableTaskKey(request.instanceid(), call.caller());
  absl::Status status = key.status();
  std::optional<HistoryQuery> query(std::in_place);
  if (request.has_executionid()) {
    query->execution_id = request.executionid().value();
  }
  bool open = key.ok();
  while (open && query.has_value()) {
    co_await reads_.Enter(queue);
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
    std::vector<std::string> messages(1);
    for (const std::string& chunk : page->chunks) {
      ForEachFrame(chunk, [&messages](std::string_view event) {
        if (messages.back().size() + event.size() > kHistoryChunkBytes &&
            !messages.back().empty()) {
          messages.emplace_back();
        }
        AppendFrame(messages.back(), kHistoryChunkField, event);
      });
    }
    query = std::move(page->next);
    page = HistoryPage();
    for (std::string& message : messages) {
      if (!open || message.empty()) break;
      const grpc::ByteBuffer buffer = ToBuffer(std::move(message));
      open = co_await call.Write(buffer);
    }
    call.LeaveRoom();
  }
  const absl::Status end = call.EndStatus(status);
  co_await call.Finish(end);
}

// ---- The methods ------------------------------------------------------------

void DurableTaskServer::Hello(const Caller&, google::protobuf::Empty&,
                              google::protobuf::Empty&, DoneStatus done) {
  done(absl::OkStatus());
}

void DurableTaskServer::StartInstance(const Caller& caller,
                                      CreateInstanceRequest& request,
                                      CreateInstanceResponse& response,
                                      DoneStatus done) {
  absl::StatusOr<StartRequest> start = FromMessage(std::move(request), caller);
  if (!start.ok()) return done(start.status());
  orchestrations_.Start(
      *std::move(start),
      [&response, done](const absl::StatusOr<StartReceipt>& receipt) {
        if (receipt.ok()) {
          response.set_instanceid(receipt->instance_id);
        }
        done(receipt.status());
      });
}

void DurableTaskServer::RestartInstance(const Caller& caller,
                                        RestartInstanceRequest& request,
                                        RestartInstanceResponse& response,
                                        DoneStatus done) {
  const absl::StatusOr<InstanceKey> key =
      DurableTaskKey(request.instanceid(), caller);
  if (!key.ok()) return done(key.status());
  std::optional<std::string> new_id;
  if (request.restartwithnewinstanceid()) new_id = NewDurableTaskId();
  orchestrations_.Restart(
      *key, std::move(new_id),
      [&response, done](const absl::StatusOr<StartReceipt>& receipt) {
        if (receipt.ok()) response.set_instanceid(receipt->instance_id);
        done(receipt.status());
      });
}

void DurableTaskServer::RewindInstance(const Caller& caller,
                                       RewindInstanceRequest& request,
                                       RewindInstanceResponse&,
                                       DoneStatus done) {
  const absl::StatusOr<InstanceKey> key =
      DurableTaskKey(request.instanceid(), caller);
  if (!key.ok()) return done(key.status());
  Payload reason;
  if (request.has_reason()) reason = request.reason().value();
  orchestrations_.Rewind(*key, std::move(reason), std::move(done));
}

void DurableTaskServer::TerminateNow(
    const Caller& caller, SkipGracefulOrchestrationTerminationsRequest& request,
    SkipGracefulOrchestrationTerminationsResponse& response, DoneStatus done) {
  const auto& ids = request.instancebatch().instanceids();
  if (ids.size() > kTerminateNowMax) {
    return done(absl::InvalidArgumentError(
        absl::StrCat("instanceBatch names ", ids.size(),
                     " orchestrations; at "
                     "most ",
                     kTerminateNowMax, " are allowed")));
  }
  absl::StatusOr<std::vector<InstanceKey>> keys = DurableTaskKeys(ids, caller);
  if (!keys.ok()) return done(keys.status());
  Payload output;
  if (request.has_reason()) output = request.reason().value();
  orchestrations_.TerminateNow(
      *std::move(keys), std::move(output),
      [&response,
       done](const absl::StatusOr<std::vector<InstanceKey>>& not_open) {
        if (not_open.ok()) {
          for (const InstanceKey& key : *not_open) {
            response.add_unterminatedinstanceids(key.id);
          }
        }
        done(not_open.status());
      });
}

void DurableTaskServer::GetInstance(const Caller& caller,
                                    GetInstanceRequest& request,
                                    GetInstanceResponse& response,
                                    DoneStatus done) {
  const absl::StatusOr<InstanceKey> key =
      DurableTaskKey(request.instanceid(), caller);
  if (!key.ok()) return done(key.status());
  orchestrations_.Get(
      *key, request.getinputsandoutputs(),
      [&response,
       done](const absl::StatusOr<std::optional<OrchestrationInfo>>& info) {
        if (info.ok()) {
          ToMessage(info->has_value() ? &**info : nullptr, response);
        }
        done(info.status());
      });
}

void DurableTaskServer::RaiseEvent(const Caller& caller,
                                   RaiseEventRequest& request,
                                   RaiseEventResponse&, DoneStatus done) {
  const absl::StatusOr<InstanceKey> key =
      DurableTaskKey(request.instanceid(), caller);
  if (!key.ok()) return done(key.status());
  if (absl::Status status = CheckName("name", request.name()); !status.ok()) {
    return done(status);
  }
  Payload input;
  if (request.has_input()) input = request.input().value();
  orchestrations_.RaiseEvent(*key, request.name(), std::move(input),
                             ForgivingEnd(std::move(done)));
}

void DurableTaskServer::TerminateInstance(const Caller& caller,
                                          TerminateRequest& request,
                                          TerminateResponse&, DoneStatus done) {
  const absl::StatusOr<InstanceKey> key =
      DurableTaskKey(request.instanceid(), caller);
  if (!key.ok()) return done(key.status());
  Payload output;
  if (request.has_output()) output = request.output().value();
  orchestrations_.Terminate(*key, std::move(output), request.recursive(),
                            ForgivingEnd(std::move(done)));
}

void DurableTaskServer::SuspendInstance(const Caller& caller,
                                        SuspendRequest& request,
                                        SuspendResponse&, DoneStatus done) {
  const absl::StatusOr<InstanceKey> key =
      DurableTaskKey(request.instanceid(), caller);
  if (!key.ok()) return done(key.status());
  Payload reason;
  if (request.has_reason()) reason = request.reason().value();
  orchestrations_.Suspend(*key, std::move(reason),
                          ForgivingEnd(std::move(done)));
}

void DurableTaskServer::ResumeInstance(const Caller& caller,
                                       ResumeRequest& request, ResumeResponse&,
                                       DoneStatus done) {
  const absl::StatusOr<InstanceKey> key =
      DurableTaskKey(request.instanceid(), caller);
  if (!key.ok()) return done(key.status());
  Payload reason;
  if (request.has_reason()) reason = request.reason().value();
  orchestrations_.Resume(*key, std::move(reason),
                         ForgivingEnd(std::move(done)));
}

void DurableTaskServer::QueryInstances(const Caller& caller,
                                       QueryInstancesRequest& request,
                                       QueryInstancesResponse& response,
                                       DoneStatus done) {
  absl::StatusOr<OrchestrationQuery> query =
      FromMessage(request.query(), caller);
  if (!query.ok()) return done(query.status());
  orchestrations_.Query(
      *std::move(query),
      [&response, done](const absl::StatusOr<OrchestrationPage>& page) {
        if (page.ok()) ToMessage(*page, response);
        done(page.status());
      });
}

void DurableTaskServer::ListInstanceIds(const Caller& caller,
                                        ListInstanceIdsRequest& request,
                                        ListInstanceIdsResponse& response,
                                        DoneStatus done) {
  absl::StatusOr<FinishedIdsQuery> query = FromMessage(request, caller);
  if (!query.ok()) return done(query.status());
  orchestrations_.ListFinished(
      *std::move(query),
      [&response, done](const absl::StatusOr<FinishedIdsPage>& page) {
        if (page.ok()) ToMessage(*page, response);
        done(page.status());
      });
}

void DurableTaskServer::PurgeInstances(const Caller& caller,
                                       PurgeInstancesRequest& request,
                                       PurgeInstancesResponse& response,
                                       DoneStatus done) {
  const auto purged = [&response,
                       done](const absl::StatusOr<PurgeResult>& result) {
    if (result.ok()) {
      response.set_deletedinstancecount(static_cast<int32_t>(result->erased));
      response.mutable_iscomplete()->set_value(result->complete);
    }
    done(result.status());
  };
  if (request.has_purgeinstancefilter()) {
    const PurgeInstanceFilter& filter = request.purgeinstancefilter();
    absl::Duration timeout = absl::Seconds(filter.timeout().seconds()) +
                             absl::Nanoseconds(filter.timeout().nanos());
    if (timeout <= absl::ZeroDuration()) timeout = kPurgeTimeout;
    absl::StatusOr<OrchestrationFilter> matching = FromMessage(filter, caller);
    if (!matching.ok()) return done(matching.status());
    return orchestrations_.PurgeMatching(
        *std::move(matching), request.recursive(),
        std::min(timeout, kPurgeTimeoutMax), purged);
  }
  google::protobuf::RepeatedPtrField<std::string> ids;
  if (request.has_instancebatch()) {
    ids.Swap(request.mutable_instancebatch()->mutable_instanceids());
  } else {
    ids.Add()->swap(*request.mutable_instanceid());
  }
  absl::StatusOr<std::vector<InstanceKey>> keys = DurableTaskKeys(ids, caller);
  if (!keys.ok()) return done(keys.status());
  orchestrations_.Purge(*std::move(keys), request.recursive(), purged);
}

void DurableTaskServer::CompleteActivityTask(const Caller& caller,
                                             grpc::ByteBuffer& bytes,
                                             DoneStatus done) {
  AnswerActivity(work_, caller, bytes, std::move(done));
}

void DurableTaskServer::CompleteOrchestratorTask(const Caller& caller,
                                                 grpc::ByteBuffer& bytes,
                                                 DoneStatus done) {
  AnswerTurn(work_, caller, bytes, std::move(done));
}

void DurableTaskServer::AbandonActivity(const Caller&,
                                        AbandonActivityTaskRequest& request,
                                        AbandonActivityTaskResponse&,
                                        DoneStatus done) {
  work_.Abandon(WorkKind::kActivity, {.token = request.completiontoken()});
  done(absl::OkStatus());
}

void DurableTaskServer::AbandonTurn(const Caller&,
                                    AbandonOrchestrationTaskRequest& request,
                                    AbandonOrchestrationTaskResponse&,
                                    DoneStatus done) {
  work_.Abandon(WorkKind::kTurn, {.token = request.completiontoken()});
  done(absl::OkStatus());
}

void DurableTaskServer::Wipe(DoneStatus done) {
  if (!options_.allow_hub_wipe) {
    return done(absl::FailedPreconditionError(
        "this server does not let its orchestrations be wiped; start it with "
        "--allow-hub-wipe"));
  }
  orchestrations_.Wipe(std::move(done));
}

void DurableTaskServer::CreateTaskHub(const Caller&,
                                      CreateTaskHubRequest& request,
                                      CreateTaskHubResponse&, DoneStatus done) {
  if (!request.recreateifexists()) return done(absl::OkStatus());
  Wipe(std::move(done));
}

void DurableTaskServer::DeleteTaskHub(const Caller&, DeleteTaskHubRequest&,
                                      DeleteTaskHubResponse&, DoneStatus done) {
  Wipe(std::move(done));
}

}  // namespace leasehold
