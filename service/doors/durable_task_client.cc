#include "service/doors/durable_task_client.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "service/doors/durable_task_messages.h"
#include "service/doors/message_values.h"
#include "service/doors/orchestration_call.h"
#include "service/orchestration/bounds.h"
#include "service/orchestration/start_trace.h"
#include "service/rpc/server_call.h"

namespace leasehold {
namespace {

// Where the caller says how long a purge by filter may take.
constexpr absl::Duration kPurgeTimeoutMax = absl::Minutes(5);

constexpr int kTerminateNowMax = 500;

// In this contract it is not an error to command one that has ended.
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

// Answers a start with the ID of what was started.
template <typename Response>
auto StartedAs(Response& response, DoneStatus done) {
  return [&response,
          done = std::move(done)](const absl::StatusOr<StartReceipt>& receipt) {
    if (receipt.ok()) response.set_instanceid(receipt->instance_id);
    done(receipt.status());
  };
}

// ---- The methods whose answer comes from Orchestrations ---------------------
//
// Each fills the response, then calls `done`; both may happen on any thread.

void Hello(Orchestrations&, const Caller&, google::protobuf::Empty&,
           google::protobuf::Empty&, DoneStatus done) {
  done(absl::OkStatus());
}

void StartInstance(
    Orchestrations& orchestrations,
    UnaryCall<CreateInstanceRequest, CreateInstanceResponse>& call,
    const DoneStatus& done) {
  absl::StatusOr<StartRequest> start =
      FromMessage(std::move(call.request()), call.caller());
  if (!start.ok()) return done(start.status());
  start->by = RequesterOf(call);
  Done<StartReceipt> traced =
      TraceStart(call.trace(), *start, StartedAs(call.response(), done));
  orchestrations.Start(*std::move(start), std::move(traced));
}

void RestartInstance(
    Orchestrations& orchestrations,
    UnaryCall<RestartInstanceRequest, RestartInstanceResponse>& call,
    const DoneStatus& done) {
  const RestartInstanceRequest& request = call.request();
  const absl::StatusOr<InstanceKey> key =
      DurableTaskKey(request.instanceid(), call.caller());
  if (!key.ok()) return done(key.status());
  std::optional<std::string> new_id;
  if (request.restartwithnewinstanceid()) new_id = NewDurableTaskId();
  orchestrations.Restart(*key, std::move(new_id), RequesterOf(call),
                         call.trace(), StartedAs(call.response(), done));
}

void RewindInstance(Orchestrations& orchestrations, const Caller& caller,
                    RewindInstanceRequest& request, RewindInstanceResponse&,
                    DoneStatus done) {
  const absl::StatusOr<InstanceKey> key =
      DurableTaskKey(request.instanceid(), caller);
  if (!key.ok()) return done(key.status());
  Payload reason;
  if (request.has_reason()) reason = request.reason().value();
  orchestrations.Rewind(*key, std::move(reason), std::move(done));
}

void TerminateNow(Orchestrations& orchestrations, const Caller& caller,
                  SkipGracefulOrchestrationTerminationsRequest& request,
                  SkipGracefulOrchestrationTerminationsResponse& response,
                  DoneStatus done) {
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
  orchestrations.TerminateNow(
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

void GetInstance(Orchestrations& orchestrations, const Caller& caller,
                 GetInstanceRequest& request, GetInstanceResponse& response,
                 DoneStatus done) {
  const absl::StatusOr<InstanceKey> key =
      DurableTaskKey(request.instanceid(), caller);
  if (!key.ok()) return done(key.status());
  orchestrations.Get(
      *key, request.getinputsandoutputs(),
      [&response,
       done](const absl::StatusOr<std::optional<OrchestrationInfo>>& info) {
        if (info.ok()) {
          ToMessage(info->has_value() ? &**info : nullptr, response);
        }
        done(info.status());
      });
}

void RaiseEvent(Orchestrations& orchestrations, const Caller& caller,
                RaiseEventRequest& request, RaiseEventResponse&,
                DoneStatus done) {
  const absl::StatusOr<InstanceKey> key =
      DurableTaskKey(request.instanceid(), caller);
  if (!key.ok()) return done(key.status());
  if (absl::Status status = CheckName("name", request.name()); !status.ok()) {
    return done(status);
  }
  Payload input;
  if (request.has_input()) input = request.input().value();
  orchestrations.RaiseEvent(*key, request.name(), std::move(input),
                            ForgivingEnd(std::move(done)));
}

void TerminateInstance(Orchestrations& orchestrations, const Caller& caller,
                       TerminateRequest& request, TerminateResponse&,
                       DoneStatus done) {
  const absl::StatusOr<InstanceKey> key =
      DurableTaskKey(request.instanceid(), caller);
  if (!key.ok()) return done(key.status());
  Payload output;
  if (request.has_output()) output = request.output().value();
  orchestrations.Terminate(*key, std::move(output), request.recursive(),
                           ForgivingEnd(std::move(done)));
}

void SuspendInstance(Orchestrations& orchestrations, const Caller& caller,
                     SuspendRequest& request, SuspendResponse&,
                     DoneStatus done) {
  const absl::StatusOr<InstanceKey> key =
      DurableTaskKey(request.instanceid(), caller);
  if (!key.ok()) return done(key.status());
  Payload reason;
  if (request.has_reason()) reason = request.reason().value();
  orchestrations.Suspend(*key, std::move(reason),
                         ForgivingEnd(std::move(done)));
}

void ResumeInstance(Orchestrations& orchestrations, const Caller& caller,
                    ResumeRequest& request, ResumeResponse&, DoneStatus done) {
  const absl::StatusOr<InstanceKey> key =
      DurableTaskKey(request.instanceid(), caller);
  if (!key.ok()) return done(key.status());
  Payload reason;
  if (request.has_reason()) reason = request.reason().value();
  orchestrations.Resume(*key, std::move(reason), ForgivingEnd(std::move(done)));
}

void QueryInstances(Orchestrations& orchestrations, const Caller& caller,
                    QueryInstancesRequest& request,
                    QueryInstancesResponse& response, DoneStatus done) {
  absl::StatusOr<OrchestrationQuery> query =
      FromMessage(request.query(), caller);
  if (!query.ok()) return done(query.status());
  orchestrations.Query(*std::move(query), Into(response, std::move(done)));
}

void ListInstanceIds(Orchestrations& orchestrations, const Caller& caller,
                     ListInstanceIdsRequest& request,
                     ListInstanceIdsResponse& response, DoneStatus done) {
  absl::StatusOr<FinishedIdsQuery> query = FromMessage(request, caller);
  if (!query.ok()) return done(query.status());
  orchestrations.ListFinished(*std::move(query),
                              Into(response, std::move(done)));
}

void PurgeInstances(Orchestrations& orchestrations, const Caller& caller,
                    PurgeInstancesRequest& request,
                    PurgeInstancesResponse& response, DoneStatus done) {
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
    return orchestrations.PurgeMatching(
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
  orchestrations.Purge(*std::move(keys), request.recursive(), purged);
}

}  // namespace

std::vector<HostedService::Method> DurableTaskClient::Methods() {
  using enum MethodKind;
  using enum Role;
  using enum CallClass;
  const auto unary = [this](auto accept, auto handle) {
    return AnsweredBy(orchestrations_, service_, accept, handle);
  };
  const auto wait = [this](auto accept, Until until) {
    return [this, accept, until](MethodQueue& calls) {
      ServeWait(calls, accept, until);
    };
  };
  using Service = DurableTaskService;
  return {
      {"Hello", kUnary, kAnyRole, kEssential,
       unary(&Service::RequestHello, &Hello)},
      {"StartInstance", kUnary, kUser, kStart,
       [this](MethodQueue& calls) { ServeStart(calls); }},
      {"RestartInstance", kUnary, kUser, kStart,
       [this](MethodQueue& calls) { ServeRestart(calls); }},
      {"RewindInstance", kUnary, kOperator, kEvent,
       unary(&Service::RequestRewindInstance, &RewindInstance)},
      {"GetInstance", kUnary, kViewer, kRead,
       unary(&Service::RequestGetInstance, &GetInstance)},
      {"WaitForInstanceStart", kUnary, kViewer, kRead,
       wait(&Service::RequestWaitForInstanceStart, Until::kStarted),
       Lasting::kWait},
      {"WaitForInstanceCompletion", kUnary, kViewer, kRead,
       wait(&Service::RequestWaitForInstanceCompletion, Until::kFinished),
       Lasting::kWait},
      {"RaiseEvent", kUnary, kUser, kEvent,
       unary(&Service::RequestRaiseEvent, &RaiseEvent)},
      {"TerminateInstance", kUnary, kUser, kEvent,
       unary(&Service::RequestTerminateInstance, &TerminateInstance)},
      {"SkipGracefulOrchestrationTerminations", kUnary, kUser, kEvent,
       unary(&Service::RequestSkipGracefulOrchestrationTerminations,
             &TerminateNow)},
      {"SuspendInstance", kUnary, kUser, kEvent,
       unary(&Service::RequestSuspendInstance, &SuspendInstance)},
      {"ResumeInstance", kUnary, kUser, kEvent,
       unary(&Service::RequestResumeInstance, &ResumeInstance)},
      {"QueryInstances", kUnary, kViewer, kRead,
       unary(&Service::RequestQueryInstances, &QueryInstances)},
      {"ListInstanceIds", kUnary, kViewer, kRead,
       unary(&Service::RequestListInstanceIds, &ListInstanceIds)},
      {"PurgeInstances", kUnary, kOperator, kEvent,
       unary(&Service::RequestPurgeInstances, &PurgeInstances)},
      {"CreateTaskHub", kUnary, kOperator, kEvent,
       [this](MethodQueue& calls) {
         const auto answer = [this](auto& call, const DoneStatus& done) {
           if (!call.request().recreateifexists()) {
             return done(absl::OkStatus());
           }
           Wipe(call.caller(), done);
         };
         ServeUnary<CreateTaskHubRequest, CreateTaskHubResponse>(
             service_, calls, &Service::RequestCreateTaskHub, answer);
       }},
      {"DeleteTaskHub", kUnary, kOperator, kEvent,
       [this](MethodQueue& calls) {
         const auto answer = [this](auto& call, const DoneStatus& done) {
           Wipe(call.caller(), done);
         };
         ServeUnary<DeleteTaskHubRequest, DeleteTaskHubResponse>(
             service_, calls, &Service::RequestDeleteTaskHub, answer);
       }},
  };
}

void DurableTaskClient::ServeStart(MethodQueue& calls) {
  const auto start = [this](auto& call, const DoneStatus& done) {
    StartInstance(orchestrations_, call, done);
  };
  ServeUnary<CreateInstanceRequest, CreateInstanceResponse>(
      service_, calls, &DurableTaskService::RequestStartInstance, start);
}

void DurableTaskClient::ServeRestart(MethodQueue& calls) {
  const auto restart = [this](auto& call, const DoneStatus& done) {
    RestartInstance(orchestrations_, call, done);
  };
  ServeUnary<RestartInstanceRequest, RestartInstanceResponse>(
      service_, calls, &DurableTaskService::RequestRestartInstance, restart);
}

template <typename Accept>
CallTask DurableTaskClient::ServeWait(MethodQueue& calls, Accept accept,
                                      Until until) {
  UnaryCall<GetInstanceRequest, GetInstanceResponse> call(calls);
  if (!co_await call.Accept(service_, accept)) co_return;
  ServeWait(calls, accept, until);
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

void DurableTaskClient::Wipe(const Caller& caller, DoneStatus done) {
  if (!allow_hub_wipe_) {
    return done(absl::FailedPreconditionError(
        "this server does not let its orchestrations be wiped; start it with "
        "--allow-hub-wipe"));
  }
  orchestrations_.Wipe(caller.tenant, std::move(done));
}

}  // namespace leasehold
