#include "service/server/sidecar_server.h"

#include <deque>
#include <utility>

#include "absl/strings/str_cat.h"
#include "service/orchestration/history.h"
#include "service/server/engine_call.h"
#include "service/server/sidecar_messages.h"

namespace leasehold {
namespace {

// How long a purge by filter goes on, if the caller does not say.
constexpr absl::Duration kPurgeTimeout = absl::Seconds(30);
constexpr absl::Duration kPurgeTimeoutMax = absl::Minutes(5);

constexpr int kTerminateNowMax = 500;

// Of a history that is streamed: what one message holds, about.
constexpr size_t kHistoryChunkBytes = 256 << 10;
constexpr int kHistoryChunkField = 1;

// What gRPC 1.51 calls a peer that has no address: one with an in-process
// channel. Others have theirs (`ipv4:`, `ipv6:`, `unix:`).
constexpr char kPeerInProcess[] = "unknown";

grpc::ByteBuffer ToBuffer(std::string bytes) {
  // The slice keeps the string until it was written.
  auto* kept = new std::string(std::move(bytes));
  const grpc::Slice slice(
      kept->data(), kept->size(),
      [](void* string) { delete static_cast<std::string*>(string); }, kept);
  return {&slice, 1};
}

// In this contract nothing is wrong with telling one that has ended something.
Engine::DoneStatus ForgivingEnd(Engine::DoneStatus done) {
  return [done = std::move(done)](const absl::Status& status) {
    done(absl::IsFailedPrecondition(status) ? absl::OkStatus() : status);
  };
}

absl::StatusOr<std::vector<InstanceKey>> SidecarKeys(
    const google::protobuf::RepeatedPtrField<std::string>& ids) {
  std::vector<InstanceKey> keys;
  for (const std::string& id : ids) {
    absl::StatusOr<InstanceKey> key = SidecarKey(id);
    if (!key.ok()) return key.status();
    keys.push_back(*std::move(key));
  }
  return keys;
}

template <typename Message>
absl::StatusOr<Message> Parse(const grpc::ByteBuffer& buffer) {
  grpc::Slice slice;
  Message message;
  if (!buffer.DumpToSingleSlice(&slice).ok() ||
      !message.ParseFromArray(slice.begin(), static_cast<int>(slice.size()))) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the request is no ", message.GetDescriptor()->full_name()));
  }
  return message;
}

}  // namespace

// A worker's open stream: the queue between the engine and the wire.
class SidecarServer::WorkStream final : public WorkSink {
 public:
  explicit WorkStream(std::shared_ptr<StreamControl> control)
      : control_(std::move(control)) {}

  void Send(std::string item) override {
    {
      MutexLock lock(mu_);
      items_.push_back(std::move(item));
      silent_ = false;
    }
    control_->Notify();
  }

  // Sends a ping, if there was nothing since this was called last.
  void PingIfSilent() {
    {
      MutexLock lock(mu_);
      if (!std::exchange(silent_, true)) return;
    }
    Ping();
  }
  void Ping() {
    ::WorkItem ping;
    ping.mutable_healthping();
    Send(ping.SerializeAsString());
  }

  std::deque<std::string> Take() {
    MutexLock lock(mu_);
    return std::exchange(items_, {});
  }

 private:
  const std::shared_ptr<StreamControl> control_;
  Mutex mu_;
  std::deque<std::string> items_ ABSL_GUARDED_BY(mu_);
  bool silent_ ABSL_GUARDED_BY(mu_) = false;
};

SidecarServer::SidecarServer(Engine& engine, Clock& clock,
                             SidecarOptions options)
    : engine_(engine),
      clock_(clock),
      options_(options),
      pinger_([this] { PingSilentStreams(); }) {}

SidecarServer::~SidecarServer() {
  {
    MutexLock lock(mu_);
    stopping_ = true;
  }
  changed_.NotifyAll();
  pinger_.join();
}

void SidecarServer::OnDraining() {
  engine_.Drain();
  {
    MutexLock lock(mu_);
    stopping_ = true;
  }
  changed_.NotifyAll();
}

void SidecarServer::PingSilentStreams() {
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

void SidecarServer::Serve(RpcQueue& queue) {
  ServeUnary(queue, &Service::RequestHello, &SidecarServer::Hello);
  ServeUnary(queue, &Service::RequestStartInstance,
             &SidecarServer::StartInstance);
  ServeUnary(queue, &Service::RequestRestartInstance,
             &SidecarServer::RestartInstance);
  ServeUnary(queue, &Service::RequestRewindInstance,
             &SidecarServer::RewindInstance);
  ServeUnary(queue, &Service::RequestGetInstance, &SidecarServer::GetInstance);
  ServeWait(queue, &Service::RequestWaitForInstanceStart,
            Engine::Until::kStarted);
  ServeWait(queue, &Service::RequestWaitForInstanceCompletion,
            Engine::Until::kFinished);
  ServeUnary(queue, &Service::RequestRaiseEvent, &SidecarServer::RaiseEvent);
  ServeUnary(queue, &Service::RequestTerminateInstance,
             &SidecarServer::TerminateInstance);
  ServeUnary(queue, &Service::RequestSkipGracefulOrchestrationTerminations,
             &SidecarServer::TerminateNow);
  ServeUnary(queue, &Service::RequestSuspendInstance,
             &SidecarServer::SuspendInstance);
  ServeUnary(queue, &Service::RequestResumeInstance,
             &SidecarServer::ResumeInstance);
  ServeUnary(queue, &Service::RequestQueryInstances,
             &SidecarServer::QueryInstances);
  ServeUnary(queue, &Service::RequestListInstanceIds,
             &SidecarServer::ListInstanceIds);
  ServeUnary(queue, &Service::RequestPurgeInstances,
             &SidecarServer::PurgeInstances);
  ServeUnary(queue, &Service::RequestCompleteActivityTask,
             &SidecarServer::CompleteActivityTask);
  ServeUnary(queue, &Service::RequestCompleteOrchestratorTask,
             &SidecarServer::CompleteOrchestratorTask);
  ServeUnary(queue, &Service::RequestAbandonTaskActivityWorkItem,
             &SidecarServer::AbandonActivity);
  ServeUnary(queue, &Service::RequestAbandonTaskOrchestratorWorkItem,
             &SidecarServer::AbandonTurn);
  ServeUnary(queue, &Service::RequestCreateTaskHub,
             &SidecarServer::CreateTaskHub);
  ServeUnary(queue, &Service::RequestDeleteTaskHub,
             &SidecarServer::DeleteTaskHub);
  ServeGetWorkItems(queue);
  ServeStreamInstanceHistory(queue);

  ServeNothing<EntityBatchResult, CompleteTaskResponse>(
      queue, &Service::RequestCompleteEntityTask, "entities");
  ServeNothing<SignalEntityRequest, SignalEntityResponse>(
      queue, &Service::RequestSignalEntity, "entities");
  ServeNothing<GetEntityRequest, GetEntityResponse>(
      queue, &Service::RequestGetEntity, "entities");
  ServeNothing<QueryEntitiesRequest, QueryEntitiesResponse>(
      queue, &Service::RequestQueryEntities, "entities");
  ServeNothing<CleanEntityStorageRequest, CleanEntityStorageResponse>(
      queue, &Service::RequestCleanEntityStorage, "entities");
  ServeNothing<AbandonEntityTaskRequest, AbandonEntityTaskResponse>(
      queue, &Service::RequestAbandonTaskEntityWorkItem, "entities");
}

// ---- How methods are served -------------------------------------------------

template <typename Request, typename Response, typename Accept>
CallTask SidecarServer::ServeUnary(
    RpcQueue& queue, Accept accept,
    void (SidecarServer::*handle)(Request& request, Response& response,
                                  DoneStatus done)) {
  UnaryCall<Request, Response> call(queue);
  if (!co_await call.Accept(service_, accept)) co_return;
  ServeUnary(queue, accept, handle);

  const std::function<void(AnswerAwaiter<absl::Status>::Done)> begin =
      [&](const AnswerAwaiter<absl::Status>::Done& done) {
        (this->*handle)(call.request(), call.response(), done);
      };
  AnswerAwaiter<absl::Status> answered(queue, begin);
  const absl::Status status = co_await answered;
  co_await call.Finish(status);
}

template <typename Request, typename Response, typename Accept>
CallTask SidecarServer::ServeNothing(RpcQueue& queue, Accept accept,
                                     const char* what) {
  UnaryCall<Request, Response> call(queue);
  if (!co_await call.Accept(service_, accept)) co_return;
  ServeNothing<Request, Response>(queue, accept, what);

  const absl::Status status = absl::UnimplementedError(
      absl::StrCat(what, " is not supported by this server"));
  co_await call.Finish(status);
}

template <typename Accept>
CallTask SidecarServer::ServeWait(RpcQueue& queue, Accept accept,
                                  Engine::Until until) {
  UnaryCall<GetInstanceRequest, GetInstanceResponse> call(queue);
  if (!co_await call.Accept(service_, accept)) co_return;
  ServeWait(queue, accept, until);

  const absl::StatusOr<InstanceKey> key =
      SidecarKey(call.request().instanceid());
  absl::Status status = key.status();
  if (key.ok()) {
    EngineWait waited(engine_, call, *key, until,
                      call.request().getinputsandoutputs());
    const EngineWait::Answer info = co_await waited;
    status = info.status();
    if (info.ok()) ToMessage(*info, call.response());
  }
  co_await call.Finish(status);
}

CallTask SidecarServer::ServeGetWorkItems(RpcQueue& queue) {
  ServerStreamCall<grpc::ByteBuffer, grpc::ByteBuffer> call(queue);
  if (!co_await call.Accept(service_, &Service::RequestGetWorkItems)) co_return;
  ServeGetWorkItems(queue);

  const absl::StatusOr<GetWorkItemsRequest> request =
      Parse<GetWorkItemsRequest>(call.request());
  if (!request.ok()) {
    co_await call.Finish(request.status());
    co_return;
  }
  const auto stream = std::make_shared<WorkStream>(call.control());
  stream->Ping();  // So that the client sees at once that it is connected.
  {
    MutexLock lock(mu_);
    streams_.insert(stream);
  }
  changed_.NotifyAll();
  WorkerOptions options = FromMessage(*request);
  // Nobody but the built-in worker is in this process.
  options.last_resort = call.context().peer() == kPeerInProcess;
  const WorkerId worker = engine_.Connect(std::move(options), stream);
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
      open = co_await call.Write(item);
    }
  }
  {
    MutexLock lock(mu_);
    streams_.erase(stream);
  }
  engine_.Disconnect(worker);
  // Never with OK: some workers would be back at once, again and again.
  const absl::Status status =
      call.EndStatus(absl::UnavailableError("the stream was cut"));
  co_await call.Finish(status);
}

CallTask SidecarServer::ServeStreamInstanceHistory(RpcQueue& queue) {
  ServerStreamCall<grpc::ByteBuffer, grpc::ByteBuffer> call(queue);
  if (!co_await call.Accept(service_, &Service::RequestStreamInstanceHistory)) {
    co_return;
  }
  ServeStreamInstanceHistory(queue);

  const absl::StatusOr<StreamInstanceHistoryRequest> request =
      Parse<StreamInstanceHistoryRequest>(call.request());
  const absl::StatusOr<InstanceKey> key =
      request.ok() ? SidecarKey(request->instanceid())
                   : absl::StatusOr<InstanceKey>(request.status());
  absl::Status status = key.status();
  if (key.ok()) {
    Payload execution_id;
    if (request->has_executionid()) {
      execution_id = request->executionid().value();
    }
    using Answer = absl::StatusOr<std::vector<std::string>>;
    const std::function<void(AnswerAwaiter<Answer>::Done)> begin =
        [&](AnswerAwaiter<Answer>::Done done) {
          engine_.ReadHistory(*key, execution_id, /*replaced=*/false,
                              std::move(done));
        };
    AnswerAwaiter<Answer> answered(queue, begin);
    const Answer history = co_await answered;
    status = history.status();
    std::vector<std::string> messages(1);
    if (history.ok()) {
      for (const std::string& chunk : *history) {
        ForEachFrame(chunk, [&messages](std::string_view event) {
          if (messages.back().size() + event.size() > kHistoryChunkBytes &&
              !messages.back().empty()) {
            messages.emplace_back();
          }
          AppendFrame(messages.back(), kHistoryChunkField, event);
        });
      }
    }
    bool open = true;
    for (std::string& message : messages) {
      if (!open || message.empty()) break;
      const grpc::ByteBuffer buffer = ToBuffer(std::move(message));
      open = co_await call.Write(buffer);
    }
  }
  const absl::Status end = call.EndStatus(status);
  co_await call.Finish(end);
}

// ---- The methods ------------------------------------------------------------

void SidecarServer::Hello(google::protobuf::Empty&, google::protobuf::Empty&,
                          DoneStatus done) {
  done(absl::OkStatus());
}

void SidecarServer::StartInstance(CreateInstanceRequest& request,
                                  CreateInstanceResponse& response,
                                  DoneStatus done) {
  absl::StatusOr<StartRequest> start = FromMessage(std::move(request));
  if (!start.ok()) return done(start.status());
  engine_.Start(*std::move(start),
                [&response, done](const absl::StatusOr<StartReceipt>& receipt) {
                  if (receipt.ok()) {
                    response.set_instanceid(receipt->instance_id);
                  }
                  done(receipt.status());
                });
}

void SidecarServer::RestartInstance(RestartInstanceRequest& request,
                                    RestartInstanceResponse& response,
                                    DoneStatus done) {
  const absl::StatusOr<InstanceKey> key = SidecarKey(request.instanceid());
  if (!key.ok()) return done(key.status());
  std::optional<std::string> new_id;
  if (request.restartwithnewinstanceid()) new_id = NewSidecarId();
  engine_.Restart(
      *key, std::move(new_id),
      [&response, done](const absl::StatusOr<StartReceipt>& receipt) {
        if (receipt.ok()) response.set_instanceid(receipt->instance_id);
        done(receipt.status());
      });
}

void SidecarServer::RewindInstance(RewindInstanceRequest& request,
                                   RewindInstanceResponse&, DoneStatus done) {
  const absl::StatusOr<InstanceKey> key = SidecarKey(request.instanceid());
  if (!key.ok()) return done(key.status());
  Payload reason;
  if (request.has_reason()) reason = request.reason().value();
  engine_.Rewind(*key, std::move(reason), std::move(done));
}

void SidecarServer::TerminateNow(
    SkipGracefulOrchestrationTerminationsRequest& request,
    SkipGracefulOrchestrationTerminationsResponse& response, DoneStatus done) {
  const auto& ids = request.instancebatch().instanceids();
  if (ids.size() > kTerminateNowMax) {
    return done(absl::InvalidArgumentError(
        absl::StrCat("instanceBatch names ", ids.size(),
                     " orchestrations; at "
                     "most ",
                     kTerminateNowMax, " are allowed")));
  }
  absl::StatusOr<std::vector<InstanceKey>> keys = SidecarKeys(ids);
  if (!keys.ok()) return done(keys.status());
  Payload output;
  if (request.has_reason()) output = request.reason().value();
  engine_.TerminateNow(
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

void SidecarServer::GetInstance(GetInstanceRequest& request,
                                GetInstanceResponse& response,
                                DoneStatus done) {
  const absl::StatusOr<InstanceKey> key = SidecarKey(request.instanceid());
  if (!key.ok()) return done(key.status());
  engine_.Get(
      *key, request.getinputsandoutputs(),
      [&response,
       done](const absl::StatusOr<std::optional<OrchestrationInfo>>& info) {
        if (info.ok()) ToMessage(*info, response);
        done(info.status());
      });
}

void SidecarServer::RaiseEvent(RaiseEventRequest& request, RaiseEventResponse&,
                               DoneStatus done) {
  const absl::StatusOr<InstanceKey> key = SidecarKey(request.instanceid());
  if (!key.ok()) return done(key.status());
  Payload input;
  if (request.has_input()) input = request.input().value();
  engine_.RaiseEvent(*key, request.name(), std::move(input),
                     ForgivingEnd(std::move(done)));
}

void SidecarServer::TerminateInstance(TerminateRequest& request,
                                      TerminateResponse&, DoneStatus done) {
  const absl::StatusOr<InstanceKey> key = SidecarKey(request.instanceid());
  if (!key.ok()) return done(key.status());
  Payload output;
  if (request.has_output()) output = request.output().value();
  engine_.Terminate(*key, std::move(output), request.recursive(),
                    ForgivingEnd(std::move(done)));
}

void SidecarServer::SuspendInstance(SuspendRequest& request, SuspendResponse&,
                                    DoneStatus done) {
  const absl::StatusOr<InstanceKey> key = SidecarKey(request.instanceid());
  if (!key.ok()) return done(key.status());
  Payload reason;
  if (request.has_reason()) reason = request.reason().value();
  engine_.Suspend(*key, std::move(reason), ForgivingEnd(std::move(done)));
}

void SidecarServer::ResumeInstance(ResumeRequest& request, ResumeResponse&,
                                   DoneStatus done) {
  const absl::StatusOr<InstanceKey> key = SidecarKey(request.instanceid());
  if (!key.ok()) return done(key.status());
  Payload reason;
  if (request.has_reason()) reason = request.reason().value();
  engine_.Resume(*key, std::move(reason), ForgivingEnd(std::move(done)));
}

void SidecarServer::QueryInstances(QueryInstancesRequest& request,
                                   QueryInstancesResponse& response,
                                   DoneStatus done) {
  absl::StatusOr<OrchestrationQuery> query = FromMessage(request.query());
  if (!query.ok()) return done(query.status());
  engine_.Query(
      *std::move(query),
      [&response, done](const absl::StatusOr<OrchestrationPage>& page) {
        if (page.ok()) ToMessage(*page, response);
        done(page.status());
      });
}

void SidecarServer::ListInstanceIds(ListInstanceIdsRequest& request,
                                    ListInstanceIdsResponse& response,
                                    DoneStatus done) {
  absl::StatusOr<FinishedQuery> query = FromMessage(request);
  if (!query.ok()) return done(query.status());
  engine_.ListFinished(
      *std::move(query),
      [&response, done](const absl::StatusOr<FinishedPage>& page) {
        if (page.ok()) ToMessage(*page, response);
        done(page.status());
      });
}

void SidecarServer::PurgeInstances(PurgeInstancesRequest& request,
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
    return engine_.PurgeMatching(FromMessage(filter), request.recursive(),
                                 std::min(timeout, kPurgeTimeoutMax), purged);
  }
  google::protobuf::RepeatedPtrField<std::string> ids;
  if (request.has_instancebatch()) {
    ids.Swap(request.mutable_instancebatch()->mutable_instanceids());
  } else {
    ids.Add()->swap(*request.mutable_instanceid());
  }
  absl::StatusOr<std::vector<InstanceKey>> keys = SidecarKeys(ids);
  if (!keys.ok()) return done(keys.status());
  engine_.Purge(*std::move(keys), request.recursive(), purged);
}

void SidecarServer::CompleteActivityTask(ActivityResponse& request,
                                         CompleteTaskResponse&,
                                         DoneStatus done) {
  const Engine::WorkName name{
      .token = request.completiontoken(),
      .key = NormalKey(kDefaultTenant, request.instanceid()),
      .task_id = request.taskid()};
  engine_.CompleteActivity(name, FromMessage(std::move(request)),
                           std::move(done));
}

void SidecarServer::CompleteOrchestratorTask(OrchestratorResponse& request,
                                             CompleteTaskResponse&,
                                             DoneStatus done) {
  const Engine::WorkName name{
      .token = request.completiontoken(),
      .key = NormalKey(kDefaultTenant, request.instanceid())};
  if (request.requireshistory()) {
    // The worker has not the history, and did nothing.
    engine_.RefuseAnswer(name);
    return done(absl::OkStatus());
  }
  absl::StatusOr<TurnAnswer> answer = FromMessage(std::move(request));
  if (!answer.ok()) {
    // No other answer may come: workers do not try again.
    engine_.RefuseAnswer(name);
    return done(answer.status());
  }
  engine_.CompleteTurn(name, *std::move(answer), std::move(done));
}

void SidecarServer::AbandonActivity(AbandonActivityTaskRequest& request,
                                    AbandonActivityTaskResponse&,
                                    DoneStatus done) {
  engine_.Abandon(WorkKind::kActivity, {.token = request.completiontoken()});
  done(absl::OkStatus());
}

void SidecarServer::AbandonTurn(AbandonOrchestrationTaskRequest& request,
                                AbandonOrchestrationTaskResponse&,
                                DoneStatus done) {
  engine_.Abandon(WorkKind::kTurn, {.token = request.completiontoken()});
  done(absl::OkStatus());
}

void SidecarServer::Wipe(DoneStatus done) {
  if (!options_.allow_hub_wipe) {
    return done(absl::FailedPreconditionError(
        "this server does not let its orchestrations be wiped; start it with "
        "--allow-hub-wipe"));
  }
  engine_.Wipe(std::move(done));
}

void SidecarServer::CreateTaskHub(CreateTaskHubRequest& request,
                                  CreateTaskHubResponse&, DoneStatus done) {
  if (!request.recreateifexists()) return done(absl::OkStatus());
  Wipe(std::move(done));
}

void SidecarServer::DeleteTaskHub(DeleteTaskHubRequest&, DeleteTaskHubResponse&,
                                  DoneStatus done) {
  Wipe(std::move(done));
}

}  // namespace leasehold
