#include "service/http/dashboard_orchestrations.h"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "lease/base/view.h"
#include "leasehold/v1/orchestration.pb.h"
#include "service/doors/orchestration_messages.h"
#include "service/doors/orchestration_methods.h"
#include "service/http/dashboard_call.h"
#include "service/http/dashboard_json.h"
#include "service/instance/instance_headers.h"
#include "service/orchestration/start_trace.h"

namespace leasehold {
namespace {

using nlohmann::json;
using Status = v1::OrchestrationState::Status;

constexpr char kService[] = "leasehold.v1.Orchestration/";

// A method on one orchestration: request and answer live as long as the call.
template <typename Request, typename Response>
struct Asked {
  HttpCallPtr call;
  Request request;
  Response response;
};

template <typename Request>
absl::Status ReadBody(const HttpCallPtr& call, Request& request) {
  const absl::Status status = FromBody(call->request(), request);
  if (!status.ok()) return status;
  if (!request.instance_id().empty()) {
    return absl::InvalidArgumentError(
        "instance_id: the path says which instance; leave it out of the body");
  }
  return absl::OkStatus();
}

template <typename Request, typename Response>
HttpRoute VerbRoute(Orchestrations& orchestrations, std::string_view verb,
                    std::string_view method,
                    void (*run)(Orchestrations&, const InstanceKey&, Request&,
                                Response&, DoneStatus)) {
  const auto handler = [&orchestrations, run](const HttpCallPtr& call) {
    const absl::StatusOr<InstanceKey> key = KeyIn(call->request());
    if (!key.ok()) return key.status();
    const auto asked = std::make_shared<Asked<Request, Response>>();
    asked->call = call;
    absl::Status status = ReadBody(call, asked->request);
    if (!status.ok()) return status;
    run(orchestrations, *key, asked->request, asked->response,
        [asked](const absl::Status& done) {
          if (!done.ok()) return asked->call->Fail(done);
          asked->call->Finish(Answer(202, ToJson(asked->response)));
        });
    return absl::OkStatus();
  };
  return DashboardRoute("POST",
                        absl::StrCat("/orchestrations/{id}:", View(verb)),
                        absl::StrCat(kService, View(method)), handler);
}

Requester RequesterOf(const HttpRequest& request) {
  return {.identity = request.caller->name, .peer = request.peer};
}

// Answers with a receipt.
Done<StartReceipt> ReceiptTo(const HttpCallPtr& call) {
  return [call](const absl::StatusOr<StartReceipt>& receipt) {
    if (!receipt.ok()) return call->Fail(receipt.status());
    v1::StartOrchestrationResponse response;
    ToMessage(*receipt, response);
    HttpResponse answer = Answer(202, ToJson(response));
    answer.instance_id = receipt->instance_id;
    call->Finish(std::move(answer));
  };
}

absl::Status Start(Orchestrations& orchestrations, const HttpCallPtr& call) {
  v1::StartOrchestrationRequest message;
  const absl::Status read = FromBody(call->request(), message);
  if (!read.ok()) return read;
  const bool generated = message.instance_id().empty();
  absl::StatusOr<InstanceKey> key = MakeInstanceKey(
      call->request().caller->tenant,
      generated ? NewInstanceId() : message.instance_id(), "instance_id");
  if (!key.ok()) return key.status();
  absl::StatusOr<StartRequest> request = FromMessage(
      std::move(message),
      InstanceRequest{.key = *std::move(key), .id_generated = generated});
  if (!request.ok()) return request.status();
  request->by = RequesterOf(call->request());
  Done<StartReceipt> done =
      TraceStart(call->request().trace, *request, ReceiptTo(call));
  orchestrations.Start(*std::move(request), std::move(done));
  return absl::OkStatus();
}

absl::Status Restart(Orchestrations& orchestrations, const HttpCallPtr& call) {
  const absl::StatusOr<InstanceKey> key = KeyIn(call->request());
  if (!key.ok()) return key.status();
  v1::RestartOrchestrationRequest request;
  const absl::Status status = ReadBody(call, request);
  if (!status.ok()) return status;
  std::optional<std::string> new_id;
  if (request.new_instance_id()) new_id = NewInstanceId();
  orchestrations.Restart(*key, std::move(new_id), RequesterOf(call->request()),
                         call->request().trace, ReceiptTo(call));
  return absl::OkStatus();
}

absl::Status Get(Orchestrations& orchestrations, const HttpCallPtr& call) {
  const absl::StatusOr<InstanceKey> key = KeyIn(call->request());
  if (!key.ok()) return key.status();
  orchestrations.Get(
      *key, /*payloads=*/true,
      [call, key = *key](
          const absl::StatusOr<std::optional<OrchestrationInfo>>& info) {
        if (!info.ok()) return call->Fail(info.status());
        if (!info->has_value()) return call->Fail(NoSuchOrchestration(key));
        call->Finish(Answer(200, {{"orchestration", ToJson(**info)}}));
      });
  return absl::OkStatus();
}

// The names of all statuses, those of the proto.
const std::vector<std::string>& StatusNames() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> found;
    const auto& type = *v1::OrchestrationState::Status_descriptor();
    for (int i = 1; i < type.value_count(); ++i) {
      found.push_back(type.value(i)->name());
    }
    return found;
  }();
  return names;
}

}  // namespace

absl::StatusOr<OrchestrationFilter> OrchestrationFilterIn(
    const HttpRequest& request) {
  v1::OrchestrationFilter message;
  const auto statuses = WordsIn(request, "status", StatusNames());
  if (!statuses.ok()) return statuses.status();
  for (const size_t status : *statuses) {
    message.add_statuses(static_cast<Status>(status + 1));
  }
  message.set_id_prefix(std::string(request.query.Get("prefix")));
  message.set_name(std::string(request.query.Get("name")));
  for (const std::string_view tag : request.query.All("tag")) {
    if (!tag.empty()) message.add_tags(std::string(tag));
  }
  absl::StatusOr<OrchestrationFilter> filter =
      FromMessage(message, *request.caller);
  if (!filter.ok()) return filter.status();
  const auto from = TimeIn(request, "from");
  if (!from.ok()) return from.status();
  if (from->has_value()) filter->created_from = ToStored(**from);
  const auto to = TimeIn(request, "to");
  if (!to.ok()) return to.status();
  if (to->has_value()) filter->created_to = ToStored(**to);
  return filter;
}

namespace {

// `order`: oldest (the default) or newest.
absl::StatusOr<RowOrder> OrderIn(const HttpRequest& request) {
  const absl::StatusOr<std::vector<size_t>> words =
      WordsIn(request, "order", {"oldest", "newest"});
  if (!words.ok()) return words.status();
  return words->empty() || words->back() == 0 ? RowOrder::kOldestFirst
                                              : RowOrder::kNewestFirst;
}

absl::StatusOr<OrchestrationQuery> QueryIn(const HttpRequest& request) {
  absl::StatusOr<OrchestrationFilter> filter = OrchestrationFilterIn(request);
  if (!filter.ok()) return filter.status();
  const absl::StatusOr<size_t> limit = LimitIn(request);
  if (!limit.ok()) return limit.status();
  filter->count_max = *limit;
  const absl::StatusOr<RowOrder> order = OrderIn(request);
  if (!order.ok()) return order.status();
  return OrchestrationQuery{
      .filter = *std::move(filter),
      .order = *order,
      .page_token = {.text = std::string(request.query.Get("cursor")),
                     .field = "cursor"}};
}

absl::Status List(Orchestrations& orchestrations, const HttpCallPtr& call) {
  absl::StatusOr<OrchestrationQuery> query = QueryIn(call->request());
  if (!query.ok()) return query.status();
  orchestrations.Query(
      *std::move(query), [call](const absl::StatusOr<OrchestrationPage>& page) {
        if (!page.ok()) return call->Fail(page.status());
        json answer = {{"orchestrations", json::array()}};
        for (const OrchestrationInfo& info : page->orchestrations) {
          answer["orchestrations"].push_back(ToJson(info));
        }
        if (!page->next_page_token.empty()) {
          answer["next_cursor"] = page->next_page_token;
        }
        call->Finish(Answer(200, answer));
      });
  return absl::OkStatus();
}

absl::Status Count(Orchestrations& orchestrations, const HttpCallPtr& call) {
  absl::StatusOr<OrchestrationFilter> filter =
      OrchestrationFilterIn(call->request());
  if (!filter.ok()) return filter.status();
  orchestrations.Count(
      *std::move(filter), kCountTimeout,
      [call](const absl::StatusOr<CountedOrchestrations>& counts) {
        if (!counts.ok()) return call->Fail(counts.status());
        v1::CountOrchestrationsResponse response;
        ToMessage(*counts, response);
        call->Finish(Answer(200, ToJson(response)));
      });
  return absl::OkStatus();
}

}  // namespace

std::vector<HttpRoute> DashboardOrchestrationRoutes(
    Orchestrations& orchestrations) {
  using On = OrchestrationMethods;
  std::vector<HttpRoute> routes;
  const auto add = [&](std::string method, std::string_view path,
                       std::string_view row, auto handler) {
    routes.push_back(DashboardRoute(
        std::move(method), path, absl::StrCat(kService, View(row)),
        [&orchestrations, handler](const HttpCallPtr& call) {
          return handler(orchestrations, call);
        }));
  };
  const auto verb = [&](std::string_view name, std::string_view row, auto run) {
    routes.push_back(VerbRoute(orchestrations, name, row, run));
  };
  add("GET", "/orchestrations", "List", &List);
  add("GET", "/orchestrations:count", "Count", &Count);
  add("POST", "/orchestrations", "Start", &Start);
  add("GET", "/orchestrations/{id}", "Get", &Get);
  add("POST", "/orchestrations/{id}:restart", "Restart", &Restart);
  verb("terminate", "Terminate", &On::Terminate);
  verb("suspend", "Suspend", &On::Suspend);
  verb("resume", "Resume", &On::Resume);
  verb("rewind", "Rewind", &On::Rewind);
  verb("purge", "Purge", &On::Purge);
  verb("raise-event", "RaiseEvent", &On::RaiseEvent);
  return routes;
}

}  // namespace leasehold
