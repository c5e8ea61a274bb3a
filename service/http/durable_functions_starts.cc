#include "service/http/durable_functions_starts.h"

#include <algorithm>
#include <memory>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lease/base/mutex.h"
#include "lease/base/quote.h"
#include "lease/base/view.h"
#include "service/http/durable_functions_instances.h"
#include "service/http/durable_functions_query.h"
#include "service/http/durable_functions_status.h"
#include "service/orchestration/bounds.h"
#include "service/orchestration/start_trace.h"

namespace leasehold {
namespace {

// How long the caller wants to wait for the end; nullopt: not at all. Without
// an interval there is no wait in the reference; here nothing is polled.
std::optional<absl::Duration> TimeoutOf(QueryReader& query) {
  const auto timeout = query.Seconds("timeout");
  const auto interval = query.Seconds("pollingInterval");
  if (!timeout.has_value() || !interval.has_value()) return std::nullopt;
  return std::min(*timeout, DurableFunctionsStarts::kTimeoutMax);
}

// What else of a start's or a restart's query is used only once it is done.
void CheckRest(QueryReader& query) {
  query.Flag("returnInternalServerErrorOnFailure", false);
  query.Letters("capabilities", kCapabilities);
}

std::string IsTaken(std::string_view id, std::string_view runtime_status) {
  const auto status = RuntimeStatusNamed(runtime_status);
  const bool finished = status.has_value() && IsFinished(*status);
  return absl::StrCat(
      "orchestration ", QuoteForMessage(id), " is ", View(runtime_status),
      finished
          ? "; its ID is free once it is purged. Or start with "
            "?ifFinished=ATTACH (use it) or REPLACE (start a new one in its "
            "place)"
          : "; at most one of an ID is active. Or start with ?ifActive=ATTACH "
            "(use it) or TERMINATE (end it and start a new one)");
}

}  // namespace

// Ends with the orchestration, with the time, or with the client; whichever
// comes first answers.
class DurableFunctionsStarts::CompletionWait final
    : public Alarm,
      public std::enable_shared_from_this<CompletionWait> {
 public:
  CompletionWait(DurableFunctionsStarts& starts, HttpCallPtr call,
                 InstanceKey key, HttpResponse otherwise)
      : orchestrations_(starts.orchestrations_),
        alarms_(starts.alarms_),
        call_(std::move(call)),
        key_(std::move(key)),
        otherwise_(std::move(otherwise)) {}

  void Begin(absl::Duration timeout, bool failure_is_500) {
    const auto self = shared_from_this();
    alarms_.Set(self, timeout);
    call_->OnGone([self] {
      self->alarms_.Cancel(*self);
      self->End();
    });
    const Orchestrations::WaitId id = orchestrations_.Wait(
        {.key = key_,
         .until = Until::kFinished,
         .payloads = true,
         .peer = call_->request().peer},
        [self, failure_is_500](
            const absl::StatusOr<Orchestrations::SharedInfo>& info) {
          self->alarms_.Cancel(*self);
          self->OnFinished(info, failure_is_500);
        });
    {
      MutexLock lock(mu_);
      id_ = id;
      if (!over_) return;
    }
    orchestrations_.CancelWait(key_, id);
  }

  void OnDue() override {
    End();
    call_->Finish(std::exchange(otherwise_, {}));
  }

 private:
  void OnFinished(const absl::StatusOr<Orchestrations::SharedInfo>& info,
                  bool failure_is_500) {
    if (!info.ok()) return call_->Fail(info.status());
    if (*info == nullptr) {
      return call_->Fail(NoSuchOrchestration(key_), {.instance_id = key_.id});
    }
    HttpResponse response =
        StatusResponse(call_->request(), (*info)->status, failure_is_500);
    response.body = (*info)->status == OrchestrationStatus::kCompleted
                        ? OutputJson(**info)
                        : StatusJson(**info, /*show_input=*/true);
    response.instance_id = key_.id;
    call_->Finish(std::move(response));
  }

  // Nobody waits any more.
  void End() {
    std::optional<Orchestrations::WaitId> id;
    {
      MutexLock lock(mu_);
      over_ = true;
      id = id_;
    }
    if (id.has_value()) orchestrations_.CancelWait(key_, *id);
  }

  // Constant after construction, but `otherwise_`, which is the alarm's.
  Orchestrations& orchestrations_;
  AlarmClock& alarms_;
  const HttpCallPtr call_;
  const InstanceKey key_;
  HttpResponse otherwise_;

  Mutex mu_;
  std::optional<Orchestrations::WaitId> id_ ABSL_GUARDED_BY(mu_);
  bool over_ ABSL_GUARDED_BY(mu_) = false;
};

void DurableFunctionsStarts::Start(const HttpCallPtr& call) {
  const HttpRequest& request = call->request();
  StartRequest start;
  start.name = request.params.Get("name");
  absl::Status status = CheckSegment("functionName", start.name);

  const bool generated = !request.params.Has("id");
  start.key = {request.caller->tenant};
  if (generated) {
    start.key.id = NewInstanceId();
  } else {
    std::optional<InstanceKey> key = KeyOf(*call);
    if (!key.has_value()) return;
    start.key = *std::move(key);
    if (start.key.id.starts_with('@')) {
      status.Update(absl::InvalidArgumentError(
          absl::StrCat("instanceId: ", QuoteForMessage(start.key.id),
                       " begins with @; such IDs are those of entities")));
    }
  }
  start.context = {.key = start.key, .id_generated = generated};
  start.by = {.identity = request.caller->name, .peer = request.peer};

  QueryReader query(request.query);
  start.version = query.Text("version");
  status.Update(CheckVersion("version", start.version.value_or("")));
  start.policy = query.Policy();
  const std::optional<absl::Duration> timeout = TimeoutOf(query);
  CheckRest(query);
  status.Update(query.status());
  absl::StatusOr<Payload> input = JsonBodyOf(request);
  status.Update(input.status());
  if (!status.ok()) return call->Fail(status);
  start.input = *std::move(input);

  const InstanceKey key = start.key;
  Done<StartReceipt> done =
      [this, call, key, timeout](const absl::StatusOr<StartReceipt>& receipt) {
        if (receipt.ok()) return Answer(call, *receipt, timeout);
        Refuse(orchestrations_,
               {.call = call,
                .key = key,
                .message =
                    [id = key.id](std::string_view runtime_status) {
                      return IsTaken(id, runtime_status);
                    }},
               receipt.status());
      };
  done = TraceStart(request.trace, start, std::move(done));
  orchestrations_.Start(std::move(start), std::move(done));
}

void DurableFunctionsStarts::Restart(const HttpCallPtr& call) {
  const std::optional<InstanceKey> key = KeyOf(*call);
  if (!key.has_value()) return;
  QueryReader query(call->request().query);
  std::optional<std::string> new_id;
  if (query.Flag("restartWithNewInstanceId", true)) new_id = NewInstanceId();
  const std::optional<absl::Duration> timeout = TimeoutOf(query);
  CheckRest(query);
  if (!query.status().ok()) return call->Fail(query.status());
  orchestrations_.Restart(
      *key, std::move(new_id),
      {.identity = call->request().caller->name, .peer = call->request().peer},
      call->request().trace,
      [this, call, key = *key,
       timeout](const absl::StatusOr<StartReceipt>& receipt) {
        if (receipt.ok()) return Answer(call, *receipt, timeout);
        if (absl::IsNotFound(receipt.status())) {
          // As the reference: it is the request that names nothing.
          constexpr int kBadRequest = 400;
          return call->Finish(ErrorResponse(kBadRequest, receipt.status(),
                                            {.instance_id = key.id}));
        }
        Refuse(orchestrations_, {.call = call, .key = key}, receipt.status());
      });
}

void DurableFunctionsStarts::Answer(const HttpCallPtr& call,
                                    const StartReceipt& receipt,
                                    std::optional<absl::Duration> timeout) {
  const HttpRequest& request = call->request();
  HttpResponse response = CheckStatusResponse(request, receipt);
  if (!timeout.has_value()) return call->Finish(std::move(response));
  QueryReader query(request.query);  // Was read before, and is good.
  std::make_shared<CompletionWait>(
      *this, call, InstanceKey{request.caller->tenant, receipt.instance_id},
      std::move(response))
      ->Begin(*timeout,
              query.Flag("returnInternalServerErrorOnFailure", false));
}

HttpResponse DurableFunctionsStarts::CheckStatusResponse(
    const HttpRequest& request, const StartReceipt& receipt) const {
  const std::string& id = receipt.instance_id;
  const ManagementUrls urls = urls_(request, {request.caller->tenant, id});
  HttpResponse response = JsonResponse(202, CheckStatusJson(urls, id));
  response.instance_id = id;
  response.headers.Add("Location", urls.StatusOf(id));
  response.headers.Add("Retry-After", "10");
  response.headers.Add("x-leasehold-created",
                       receipt.created ? "true" : "false");
  return response;
}

}  // namespace leasehold
