#include "service/http/durable_functions_instances.h"

#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lease/base/json_text.h"
#include "lease/base/quote.h"
#include "service/http/durable_functions_history_answer.h"
#include "service/http/durable_functions_query.h"
#include "service/http/durable_functions_status.h"

namespace leasehold {
namespace {

using Info = std::optional<OrchestrationInfo>;

// How long a purge by filter may take. The answer says if it did not finish.
constexpr absl::Duration kPurgeTimeout = absl::Seconds(30);

HttpResponse PurgedResponse(const PurgeResult& result) {
  HttpResponse response = JsonResponse(
      200, absl::StrCat("{\"instancesDeleted\":", result.erased, "}"));
  if (!result.complete) {
    response.headers.Add("x-leasehold-incomplete", "true");
  }
  return response;
}

struct StatusRequest {
  bool show_history = false;
  bool show_history_output = false;
  bool show_input = true;
  bool failure_is_500 = false;
  int attempts = 3;  // To read a history of which there is a newer one then.
};

void AnswerStatus(Orchestrations& orchestrations, const HttpCallPtr& call,
                  const InstanceKey& key, const StatusRequest& asked) {
  orchestrations.Get(
      key, /*payloads=*/true,
      [&orchestrations, call, key, asked](const absl::StatusOr<Info>& info) {
        if (!info.ok()) return call->Fail(info.status());
        if (!info->has_value()) {
          return call->Fail(NoSuchOrchestration(key), {.instance_id = key.id});
        }
        const OrchestrationStatus status = (*info)->status;
        HttpResponse response =
            StatusResponse(call->request(), status, asked.failure_is_500);
        // What is damaged has no history that could be read.
        if (!asked.show_history || status == OrchestrationStatus::kPending ||
            status == OrchestrationStatus::kDamaged) {
          response.body = StatusJson(**info, asked.show_input);
          return call->Finish(std::move(response));
        }
        const auto again = [&orchestrations, call, key,
                            asked = asked]() mutable {
          if (--asked.attempts > 0) {
            return AnswerStatus(orchestrations, call, key, asked);
          }
          call->Fail(absl::UnavailableError(absl::StrCat(
              "orchestration ", QuoteForMessage(key.id),
              " begins new histories faster than they are read; try again")));
        };
        FinishWithHistory(orchestrations, call, key,
                          {.execution_id = (*info)->summary.execution_id,
                           .shown = {.inputs = asked.show_input,
                                     .outputs = asked.show_history_output},
                           .head = OpenStatusJson(**info, asked.show_input),
                           .again = again},
                          std::move(response));
      });
}

}  // namespace

HttpResponse StatusResponse(const HttpRequest& request,
                            OrchestrationStatus status, bool failure_is_500) {
  if (!IsFinished(status)) {
    HttpResponse response = JsonResponse(202, "");
    response.headers.Add("Location", request.base_url + request.target);
    response.headers.Add("Retry-After", "5");
    return response;
  }
  const bool failed = status == OrchestrationStatus::kFailed ||
                      status == OrchestrationStatus::kDamaged;
  return JsonResponse(failed && failure_is_500 ? 500 : 200, "");
}

// ---- Many -------------------------------------------------------------------

void DurableFunctionsInstances::List(const HttpCallPtr& call) {
  const HttpRequest& request = call->request();
  QueryReader query(request.query);
  OrchestrationQuery list{
      .filter = {.tenant = request.caller->tenant,
                 .statuses = query.Statuses(),
                 .created_from = query.Time("createdTimeFrom"),
                 .created_to = query.Time("createdTimeTo"),
                 .id_prefix = query.Text("instanceIdPrefix").value_or(""),
                 .count_max = query.Top()},
      .payloads = true,
      .page_token = {
          .text = std::string(request.headers.Get(kContinuationHeader)),
          .field = kContinuationHeader}};
  const bool show_input = query.Flag("showInput", true);
  if (!query.status().ok()) return call->Fail(query.status());
  orchestrations_.Query(
      std::move(list),
      [call, show_input](const absl::StatusOr<OrchestrationPage>& page) {
        if (!page.ok()) return call->Fail(page.status());
        std::string json = "[";
        for (const OrchestrationInfo& info : page->orchestrations) {
          if (json.size() > 1) json += ',';
          json += StatusJson(info, show_input);
        }
        json += ']';
        HttpResponse response = JsonResponse(200, std::move(json));
        // After the last page there is none: an empty or a strange one makes
        // clients loop.
        if (!page->next_page_token.empty()) {
          response.headers.Add(kContinuationHeader, page->next_page_token);
        }
        call->Finish(std::move(response));
      });
}

void DurableFunctionsInstances::PurgeMany(const HttpCallPtr& call) {
  const HttpRequest& request = call->request();
  QueryReader query(request.query);
  OrchestrationFilter filter{.tenant = request.caller->tenant,
                             .statuses = query.Statuses(),
                             .created_from = query.Time("createdTimeFrom"),
                             .created_to = query.Time("createdTimeTo")};
  if (!query.status().ok()) return call->Fail(query.status());
  if (!filter.created_from.has_value()) {
    return call->Finish(JsonResponse(
        400,
        JsonString("Please provide value for 'createdTimeFrom' parameter.")));
  }
  orchestrations_.PurgeMatching(
      std::move(filter), /*recursive=*/false, kPurgeTimeout,
      [call](const absl::StatusOr<PurgeResult>& result) {
        if (!result.ok()) return call->Fail(result.status());
        if (result->erased == 0 && result->complete) {
          return call->Fail(absl::NotFoundError(
              "no orchestration that has ended matches the filter"));
        }
        call->Finish(PurgedResponse(*result));
      });
}

// ---- One --------------------------------------------------------------------

void DurableFunctionsInstances::Status(const HttpCallPtr& call) {
  const std::optional<InstanceKey> key = KeyOf(*call);
  if (!key.has_value()) return;
  QueryReader query(call->request().query);
  const StatusRequest asked{
      .show_history = query.Flag("showHistory", false),
      .show_history_output = query.Flag("showHistoryOutput", false),
      .show_input = query.Flag("showInput", true),
      .failure_is_500 =
          query.Flag("returnInternalServerErrorOnFailure", false)};
  if (!query.status().ok()) return call->Fail(query.status());
  AnswerStatus(orchestrations_, call, *key, asked);
}

void DurableFunctionsInstances::Purge(const HttpCallPtr& call) {
  const std::optional<InstanceKey> key = KeyOf(*call);
  if (!key.has_value()) return;
  orchestrations_.Purge(
      {*key}, /*recursive=*/false,
      [this, call, key = *key](const absl::StatusOr<PurgeResult>& result) {
        if (!result.ok()) return call->Fail(result.status());
        if (result->erased > 0) return call->Finish(PurgedResponse(*result));
        orchestrations_.Get(
            key, /*payloads=*/false,
            [this, call, key](const absl::StatusOr<Info>& info) {
              if (!info.ok()) return call->Fail(info.status());
              if (!info->has_value()) {
                return call->Fail(NoSuchOrchestration(key),
                                  {.instance_id = key.id});
              }
              if (IsFinished((*info)->status)) return Purge(call);  // Just now.
              const std::string status(RuntimeStatusOf((*info)->status));
              call->Fail(
                  absl::FailedPreconditionError(absl::StrCat(
                      "orchestration ", QuoteForMessage(key.id), " is ", status,
                      "; only one that has ended can be purged")),
                  {.instance_id = key.id, .runtime_status = status});
            });
      });
}

DoneStatus DurableFunctionsInstances::Told(const HttpCallPtr& call,
                                           const InstanceKey& key,
                                           int wrong_state) {
  return [this, call, key, wrong_state](const absl::Status& status) {
    if (status.ok()) return call->Finish(EmptyResponse(202));
    Refuse(orchestrations_,
           {.call = call, .key = key, .wrong_state = wrong_state}, status);
  };
}

namespace {

// What a command is about, and why it is given. nullopt: it was refused.
struct Command {
  InstanceKey key;
  Payload reason;
};
std::optional<Command> CommandOf(HttpCall& call) {
  std::optional<InstanceKey> key = KeyOf(call);
  if (!key.has_value()) return std::nullopt;
  QueryReader query(call.request().query);
  Payload reason = query.Text("reason");
  if (!query.status().ok()) {
    call.Fail(query.status());
    return std::nullopt;
  }
  return Command{*std::move(key), std::move(reason)};
}

// As the reference answers for an instance that has ended.
constexpr int kGone = 410;
// And for one that has not failed.
constexpr int kPreconditionFailed = 412;

}  // namespace

void DurableFunctionsInstances::Terminate(const HttpCallPtr& call) {
  std::optional<Command> command = CommandOf(*call);
  if (!command.has_value()) return;
  // It becomes the output, which is JSON.
  Payload output;
  if (command->reason.has_value()) output = JsonString(*command->reason);
  orchestrations_.Terminate(command->key, std::move(output),
                            /*recursive=*/false,
                            Told(call, command->key, kGone));
}

void DurableFunctionsInstances::Suspend(const HttpCallPtr& call) {
  std::optional<Command> command = CommandOf(*call);
  if (!command.has_value()) return;
  orchestrations_.Suspend(command->key, std::move(command->reason),
                          Told(call, command->key, kGone));
}

void DurableFunctionsInstances::Resume(const HttpCallPtr& call) {
  std::optional<Command> command = CommandOf(*call);
  if (!command.has_value()) return;
  orchestrations_.Resume(command->key, std::move(command->reason),
                         Told(call, command->key, kGone));
}

void DurableFunctionsInstances::Rewind(const HttpCallPtr& call) {
  std::optional<Command> command = CommandOf(*call);
  if (!command.has_value()) return;
  orchestrations_.Rewind(command->key, std::move(command->reason),
                         Told(call, command->key, kPreconditionFailed));
}

void DurableFunctionsInstances::RaiseEvent(const HttpCallPtr& call) {
  const std::optional<InstanceKey> key = KeyOf(*call);
  if (!key.has_value()) return;
  const HttpRequest& request = call->request();
  const std::string event(request.params.Get("eventName"));
  absl::Status status = CheckSegment("eventName", event);
  if (!request.body.empty() && !IsJson(request)) {
    status.Update(absl::InvalidArgumentError(
        absl::StrCat("Content-Type: an event's input is application/json, not ",
                     QuoteForMessage(request.headers.Get("Content-Type")))));
  }
  absl::StatusOr<Payload> input = JsonBodyOf(request);
  status.Update(input.status());
  if (!status.ok()) return call->Fail(status, {.instance_id = key->id});
  orchestrations_.RaiseEvent(*key, event, *std::move(input),
                             Told(call, *key, kGone));
}

}  // namespace leasehold
