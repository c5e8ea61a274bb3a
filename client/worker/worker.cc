#include "client/worker/worker.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "client/wire/backoff.h"
#include "client/wire/channel.h"
#include "client/wire/server_stream.h"
#include "client/wire/status.h"
#include "client/wire/timespan.h"
#include "client/worker/activity_run.h"
#include "client/worker/delivery.h"
#include "client/worker/entity_run.h"
#include "client/worker/turn.h"
#include "client/worker/work_pool.h"
#include "durabletask/orchestrator_service.grpc.pb.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/support/channel_arguments.h"
#include "lease/base/mutex.h"
#include "lease/base/utf8.h"

namespace leasehold::worker {
namespace {

using internal::AnyDelivery;
using internal::Delivery;

// If the server refuses a result, the orchestration, the activity or each
// operation fails with the server's reason, rather than being retried for ever.
TaskFailureDetails Refused(const char* what, const grpc::Status& status) {
  TaskFailureDetails details;
  details.set_errortype("ResultRefused");
  details.set_errormessage(
      MakeUtf8(absl::StrCat("the server refused the result of this ", what,
                            ": ", client::ToAbslStatus(status).ToString())));
  details.set_isnonretriable(true);
  return details;
}

OrchestratorResponse FailedTurn(const OrchestratorResponse& refused,
                                const grpc::Status& status) {
  OrchestratorResponse response;
  response.set_instanceid(refused.instanceid());
  response.set_completiontoken(refused.completiontoken());
  OrchestratorAction& action = *response.add_actions();
  for (const OrchestratorAction& each : refused.actions()) {
    action.set_id(std::max(action.id(), each.id()));
  }
  CompleteOrchestrationAction& completion =
      *action.mutable_completeorchestration();
  completion.set_orchestrationstatus(ORCHESTRATION_STATUS_FAILED);
  *completion.mutable_failuredetails() = Refused("turn", status);
  return response;
}

ActivityResponse FailedActivity(const ActivityResponse& refused,
                                const grpc::Status& status) {
  ActivityResponse response;
  response.set_instanceid(refused.instanceid());
  response.set_taskid(refused.taskid());
  response.set_completiontoken(refused.completiontoken());
  *response.mutable_failuredetails() = Refused("activity", status);
  return response;
}

EntityBatchResult FailedBatch(const WorkItem& item,
                              const grpc::Status& status) {
  EntityBatchResult response =
      internal::FailBatch(item.entityrequestv2(), Refused("batch", status));
  response.set_completiontoken(item.completiontoken());
  return response;
}

// Without a limit on received messages: a turn comes with its whole history.
std::shared_ptr<grpc::Channel> OpenUnlimited(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  return client::OpenChannel(address, arguments);
}

}  // namespace

class Worker::Host : public std::enable_shared_from_this<Host> {
 public:
  Host(std::shared_ptr<grpc::Channel> channel, WorkerOptions options,
       const Registry& registry)
      : registry_(registry),
        stub_(TaskHubSidecarService::NewStub(std::move(channel))),
        options_(std::move(options)),
        run_after_(
            options_.run_after
                ? options_.run_after
                : [this](
                      absl::Duration delay,
                      std::function<void()>
                          then) { loop_.CallAfter(delay, std::move(then)); }),
        turns_(std::clamp<size_t>(std::thread::hardware_concurrency(), 1,
                                  std::max(options_.max_concurrent_turns, 1))),
        activities_(std::max(options_.max_concurrent_activities, 1)),
        batches_(std::max(options_.max_concurrent_batches, 1)) {}

  absl::Status Start() ABSL_LOCKS_EXCLUDED(mu_) {
    if (options_.max_concurrent_turns < 1 ||
        options_.max_concurrent_activities < 1 ||
        options_.max_concurrent_batches < 1) {
      return absl::InvalidArgumentError(
          "a worker must allow at least one turn, one activity and one batch "
          "at a time");
    }
    {
      MutexLock lock(mu_);
      if (std::exchange(started_, true)) {
        return absl::FailedPreconditionError(
            "the worker has already been started");
      }
    }
    Connect();
    return absl::OkStatus();
  }

  absl::Status Stop(absl::Duration timeout) ABSL_LOCKS_EXCLUDED(mu_) {
    {
      MutexLock lock(mu_);
      stopping_ = true;
    }
    DropAll();
    size_t given_up = 0;
    {
      const auto deadline = client::DeadlineIn(timeout).at;
      MutexLock lock(mu_);
      while (at_hand_ > 0 && changed_.WaitUntil(mu_, deadline)) {
      }
      given_up = at_hand_;
      gave_up_ = true;
      for (const auto& delivery : deliveries_) delivery->Cancel();
      if (stream_ != nullptr) stream_->Silence();
    }
    loop_.Stop();
    MutexLock lock(mu_);
    deliveries_.clear();
    stream_ = nullptr;
    if (given_up == 0 || std::exchange(told_, true)) return absl::OkStatus();
    return absl::DeadlineExceededError(
        absl::StrCat(given_up, " work items had not ended after ",
                     absl::FormatDuration(timeout), " and were given up"));
  }

 private:
  using Stream = client::ServerStream<WorkItem>;

  void Connect() ABSL_LOCKS_EXCLUDED(mu_) {
    Stream::Callbacks callbacks;
    callbacks.on_message = [self = shared_from_this()](WorkItem& item) {
      self->OnItem(item);
    };
    callbacks.on_end = [self = shared_from_this()](const grpc::Status& status) {
      self->OnStreamEnd(status);
    };
    const auto stream = std::make_shared<Stream>(loop_, std::move(callbacks));
    {
      MutexLock lock(mu_);
      if (gave_up_) return;
      stream_ = stream;
      pinged_ = false;
      heard_ = 0;
      const GetWorkItemsRequest request = Request();
      stream->Start([&](auto* context, auto* queue) {
        // Where SDKs say who they are; a server shows it to people.
        context->AddMetadata("x-user-agent",
                             "leasehold-cpp/" LEASEHOLD_VERSION);
        return stub_->PrepareAsyncGetWorkItems(context, request, queue);
      });
    }
    ListenForSilence(stream, 0);
  }

  GetWorkItemsRequest Request() const {
    GetWorkItemsRequest request;
    request.set_maxconcurrentorchestrationworkitems(
        options_.max_concurrent_turns);
    request.set_maxconcurrentactivityworkitems(
        options_.max_concurrent_activities);
    request.set_maxconcurrententityworkitems(options_.max_concurrent_batches);
    if (!options_.only_registered) return request;
    WorkItemFilters& filters = *request.mutable_workitemfilters();
    for (const std::string& name : registry_.OrchestratorNames()) {
      filters.add_orchestrations()->set_name(name);
    }
    for (const std::string& name : registry_.ActivityNames()) {
      filters.add_activities()->set_name(name);
    }
    for (const std::string& name : registry_.EntityNames()) {
      filters.add_entities()->set_name(name);
    }
    return request;
  }

  // Checks after a while whether `stream`, which had brought `heard` messages,
  // has brought another one.
  void ListenForSilence(const std::shared_ptr<Stream>& stream, uint64_t heard) {
    run_after_(options_.silence_timeout,
               [weak = weak_from_this(),
                weak_stream = std::weak_ptr<Stream>(stream), heard] {
                 const auto self = weak.lock();
                 const auto stream = weak_stream.lock();
                 if (self && stream) self->OnSilence(stream, heard);
               });
  }
  void OnSilence(const std::shared_ptr<Stream>& stream, uint64_t heard)
      ABSL_LOCKS_EXCLUDED(mu_) {
    uint64_t now_heard = 0;
    {
      MutexLock lock(mu_);
      if (stream_ != stream) return;
      now_heard = heard_;
      // OnStreamEnd reports the end.
      if (pinged_ && heard == now_heard) stream->Cancel();
    }
    ListenForSilence(stream, now_heard);
  }

  void OnStreamEnd(const grpc::Status& status) ABSL_LOCKS_EXCLUDED(mu_) {
    absl::Duration wait;
    bool tell = false;
    {
      MutexLock lock(mu_);
      stream_ = nullptr;
      if (gave_up_) return;
      wait = backoff_.Next();
      tell = !std::exchange(lost_, true);
    }
    // The server sends work that has not started again, here or elsewhere.
    DropAll();
    if (tell) {
      const bool refused =
          status.error_code() == grpc::StatusCode::UNAUTHENTICATED ||
          status.error_code() == grpc::StatusCode::PERMISSION_DENIED;
      Log(absl::StrCat(
          refused ? "the server refuses this worker"
                  : "cannot reach the server",
          ", reconnecting: ", client::ToAbslStatus(status).ToString()));
    }
    run_after_(wait, [weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->Connect();
    });
  }

  void OnItem(WorkItem& item) ABSL_LOCKS_EXCLUDED(mu_) {
    bool found_again = false;
    bool take = false;
    {
      MutexLock lock(mu_);
      ++heard_;
      backoff_.Reset();
      found_again = std::exchange(lost_, false);
      if (item.has_healthping()) pinged_ = true;
      take = !stopping_ && CanDo(item);
      if (take) ++at_hand_;
    }
    if (found_again) Log("reconnected to the server");
    if (item.has_healthping()) return;
    // The pool copies its functions, but not the item.
    const auto taken = std::make_shared<WorkItem>();
    taken->Swap(&item);
    if (!take) {
      GiveBack(*taken);
    } else if (taken->has_activityrequest()) {
      activities_.Post({[this, taken] { DoActivity(*taken); },
                        [this, taken] { GiveBackTaken(*taken); }});
    } else if (taken->has_entityrequestv2()) {
      batches_.Post({[this, taken] { DoBatch(taken); },
                     [this, taken] { GiveBackTaken(*taken); }});
    } else {
      turns_.Post({[this, taken] { DoTurn(*taken); },
                   [this, taken] { GiveBackTaken(*taken); }});
    }
  }

  // Otherwise it is for another worker.
  bool CanDo(const WorkItem& item) const {
    if (item.has_orchestratorrequest()) {
      return !item.orchestratorrequest().requireshistorystreaming();
    }
    if (item.has_entityrequestv2()) {
      return internal::FindEntityOf(
                 registry_, item.entityrequestv2().instanceid()) != nullptr;
    }
    return item.has_activityrequest();
  }

  // Gives back all work that has not started.
  void DropAll() {
    turns_.Drop();
    activities_.Drop();
    batches_.Drop();
  }

  void DoTurn(const WorkItem& item) {
    OrchestratorResponse response =
        internal::RunTurn(registry_, item.orchestratorrequest(), options_.log);
    response.set_completiontoken(item.completiontoken());
    Deliver<OrchestratorResponse>(
        item.orchestratorrequest().instanceid(), std::move(response),
        &Stub::PrepareAsyncCompleteOrchestratorTask, &FailedTurn);
  }

  void DoActivity(const WorkItem& item) {
    ActivityResponse response =
        internal::RunActivity(registry_, item.activityrequest(), gave_up_);
    response.set_completiontoken(item.completiontoken());
    Deliver<ActivityResponse>(
        item.activityrequest().orchestrationinstance().instanceid(),
        std::move(response), &Stub::PrepareAsyncCompleteActivityTask,
        &FailedActivity);
  }

  void DoBatch(const std::shared_ptr<WorkItem>& item) {
    const EntityRequest& request = item->entityrequestv2();
    EntityBatchResult response = internal::RunBatch(
        *internal::FindEntityOf(registry_, request.instanceid()), request);
    response.set_completiontoken(item->completiontoken());
    Deliver<EntityBatchResult>(
        request.instanceid(), std::move(response),
        &Stub::PrepareAsyncCompleteEntityTask,
        [item](const EntityBatchResult&, const grpc::Status& status) {
          return FailedBatch(*item, status);
        });
  }

  using Stub = TaskHubSidecarService::Stub;
  template <typename Request, typename Response>
  using Method = std::unique_ptr<grpc::ClientAsyncResponseReader<Response>> (
      Stub::*)(grpc::ClientContext*, const Request&, grpc::CompletionQueue*);

  // Sends the result of an instance's work; after that, its item no longer
  // counts. If the server refuses it, what `failed` makes of it is sent
  // instead: a small one that says so.
  template <typename Result>
  using Replacement = std::function<Result(const Result&, const grpc::Status&)>;
  template <typename Result>
  void Deliver(std::string id, Result result,
               Method<Result, CompleteTaskResponse> method,
               Replacement<Result> failed) {
    Send<Result, CompleteTaskResponse>(
        std::move(result), method,
        [this, id = std::move(id), method, failed = std::move(failed)](
            const grpc::Status& status, Result& sent) {
          if (!status.ok() && failed && IsRefusal(status)) {
            Log(absl::StrCat("\"", id, "\": a result was refused: ",
                             client::ToAbslStatus(status).ToString()));
            Deliver<Result>(id, failed(sent, status), method, nullptr);
            return;
          }
          if (!status.ok()) {
            Log(absl::StrCat("\"", id, "\": a result could not be delivered: ",
                             client::ToAbslStatus(status).ToString()));
          }
          NoteDone();
        });
  }
  // Whether the server refuses this result for good: not because there is no
  // connection, and not because another worker has the work meanwhile.
  static bool IsRefusal(const grpc::Status& status) {
    return status.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED ||
           status.error_code() == grpc::StatusCode::INVALID_ARGUMENT ||
           status.error_code() == grpc::StatusCode::OUT_OF_RANGE;
  }

  void GiveBackTaken(const WorkItem& item) {
    GiveBack(item);
    NoteDone();
  }
  // Gives work back for other workers. If that fails, the end of the stream
  // gives it back.
  void GiveBack(const WorkItem& item) {
    if (item.has_orchestratorrequest()) {
      Abandon<AbandonOrchestrationTaskRequest,
              AbandonOrchestrationTaskResponse>(
          item, &Stub::PrepareAsyncAbandonTaskOrchestratorWorkItem);
    } else if (item.has_activityrequest()) {
      Abandon<AbandonActivityTaskRequest, AbandonActivityTaskResponse>(
          item, &Stub::PrepareAsyncAbandonTaskActivityWorkItem);
    } else {
      Abandon<AbandonEntityTaskRequest, AbandonEntityTaskResponse>(
          item, &Stub::PrepareAsyncAbandonTaskEntityWorkItem);
    }
  }
  template <typename Request, typename Response>
  void Abandon(const WorkItem& item, Method<Request, Response> method) {
    Request request;
    request.set_completiontoken(item.completiontoken());
    Send<Request, Response>(std::move(request), method,
                            [](const grpc::Status&, Request&) {});
  }

  template <typename Request, typename Response>
  void Send(Request request, Method<Request, Response> method,
            std::function<void(const grpc::Status&, Request&)> done)
      ABSL_LOCKS_EXCLUDED(mu_) {
    using Sent = Delivery<Request, Response>;
    typename Sent::Call call;
    call.request = std::move(request);
    call.prepare = [this, method](grpc::ClientContext* context,
                                  const Request& sent,
                                  grpc::CompletionQueue* queue) {
      return (*stub_.*method)(context, sent, queue);
    };
    // Set before it can be called: the delivery starts below.
    const auto weak = std::make_shared<std::weak_ptr<AnyDelivery>>();
    call.done = [this, weak, done = std::move(done)](const grpc::Status& status,
                                                     Request& sent) {
      {
        MutexLock lock(mu_);
        deliveries_.erase(weak->lock());
      }
      done(status, sent);
    };
    const auto delivery =
        std::make_shared<Sent>(loop_, run_after_, std::move(call));
    *weak = delivery;
    {
      MutexLock lock(mu_);
      if (gave_up_) return;
      deliveries_.insert(delivery);
    }
    delivery->Start();
  }

  void NoteDone() ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    --at_hand_;
    changed_.NotifyAll();
  }

  void Log(const std::string& message) const {
    if (options_.log) options_.log({"", MakeUtf8(message)});
  }

  // Constant after construction.
  const Registry& registry_;
  const std::unique_ptr<Stub> stub_;
  const WorkerOptions options_;
  const client::RunAfter run_after_;

  // Synchronises itself.
  client::EventLoop loop_;
  CondVar changed_;
  std::atomic<bool> gave_up_ = false;  // Set under mu_.

  // Guarded by mu_.
  Mutex mu_;
  bool started_ ABSL_GUARDED_BY(mu_) = false;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  bool told_ ABSL_GUARDED_BY(mu_) = false;
  bool lost_ ABSL_GUARDED_BY(mu_) = false;
  client::Backoff backoff_ ABSL_GUARDED_BY(mu_);
  std::shared_ptr<Stream> stream_ ABSL_GUARDED_BY(mu_);
  uint64_t heard_ ABSL_GUARDED_BY(mu_) = 0;
  bool pinged_ ABSL_GUARDED_BY(mu_) = false;
  // Items taken whose results the server does not have yet.
  size_t at_hand_ ABSL_GUARDED_BY(mu_) = 0;
  std::set<std::shared_ptr<AnyDelivery>> deliveries_ ABSL_GUARDED_BY(mu_);

  // Their threads use all members above.
  internal::WorkPool turns_;
  internal::WorkPool activities_;
  internal::WorkPool batches_;
};

Worker::Worker(const std::string& address, WorkerOptions options)
    : address_status_(client::CheckAddress(address)),
      host_(std::make_shared<Host>(OpenUnlimited(address), std::move(options),
                                   registry_)) {}

Worker::Worker(std::shared_ptr<grpc::Channel> channel, WorkerOptions options)
    : host_(std::make_shared<Host>(std::move(channel), std::move(options),
                                   registry_)) {}

Worker::~Worker() { host_->Stop(absl::ZeroDuration()).IgnoreError(); }

absl::Status Worker::Start() {
  if (!address_status_.ok()) return address_status_;
  if (!registry_.status().ok()) return registry_.status();
  return host_->Start();
}

absl::Status Worker::Stop(absl::Duration timeout) {
  return host_->Stop(timeout);
}

}  // namespace leasehold::worker
