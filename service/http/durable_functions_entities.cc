#include "service/http/durable_functions_entities.h"

#include <optional>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lease/base/json_text.h"
#include "lease/base/quote.h"
#include "lease/base/utf8.h"
#include "lease/base/view.h"
#include "service/http/durable_functions_json.h"
#include "service/http/durable_functions_query.h"
#include "service/http/durable_functions_status.h"
#include "service/orchestration/bounds.h"

namespace leasehold {
namespace {

// As clients write the empty key, which a path cannot have.
constexpr std::string_view kEmptyKey = "$";

// InvalidArgument: with that name the ID would be that of another entity.
absl::Status CheckEntityName(std::string_view name) {
  if (name.find('@') == std::string_view::npos) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("entityName: ", QuoteForMessage(name),
                   " contains @, which ends the name in an entity's ID"));
}

absl::StatusOr<InstanceKey> EntityKeyOf(const HttpRequest& request) {
  const std::string_view name = request.params.Get("name");
  std::string_view key = request.params.Get("key");
  if (key == kEmptyKey) key = "";
  if (absl::Status status = CheckEntityName(name); !status.ok()) return status;
  const std::string id = absl::StrCat("@", View(name), "@", View(key));
  if (absl::Status status = CheckEntityId("entityId", id); !status.ok()) {
    return status;
  }
  return MakeInstanceKey(request.caller->tenant, id, "entityId");
}

}  // namespace

void DurableFunctionsEntities::List(const HttpCallPtr& call) {
  const HttpRequest& request = call->request();
  QueryReader query(request.query);
  EntityListQuery list{
      .tenant = request.caller->tenant,
      .modified_from = query.Time("lastOperationTimeFrom"),
      .modified_to = query.Time("lastOperationTimeTo"),
      .with_state = query.Flag("fetchState", false),
      .page_token = {.text =
                         std::string(request.headers.Get(kContinuationHeader)),
                     .field = kContinuationHeader},
      .count_max = query.Top()};
  absl::Status status = query.status();
  if (const auto name = request.params.Find("name"); name.has_value()) {
    status.Update(CheckEntityName(*name));
    status.Update(CheckSegment("entityName", *name));
    list.id_prefix = NormalIdPrefix(absl::StrCat("@", View(*name), "@"));
  }
  if (!status.ok()) return call->Fail(status);
  // The port's upper bound is exclusive, the API's is not.
  if (list.modified_to.has_value()) ++*list.modified_to;
  entities_.QueryEntities(
      std::move(list), [call](const absl::StatusOr<EntityList>& page) {
        if (!page.ok()) return call->Fail(page.status());
        std::string json = "[";
        for (const EntityInfo& info : page->entities) {
          if (json.size() > 1) json += ',';
          json += EntityJson(info);
        }
        json += ']';
        HttpResponse response = JsonResponse(200, std::move(json));
        if (!page->next_page_token.empty()) {
          response.headers.Add(kContinuationHeader, page->next_page_token);
        }
        call->Finish(std::move(response));
      });
}

void DurableFunctionsEntities::Get(const HttpCallPtr& call) {
  const absl::StatusOr<InstanceKey> key = EntityKeyOf(call->request());
  if (!key.ok()) return call->Fail(key.status());
  entities_.GetEntity(
      *key, /*state=*/true,
      [call,
       key = *key](const absl::StatusOr<std::optional<EntityInfo>>& info) {
        if (!info.ok()) return call->Fail(info.status());
        if (!info->has_value() || !(*info)->has_state) {
          return call->Fail(
              absl::NotFoundError(absl::StrCat(
                  "entity ", QuoteForMessage(key.id), " has no state")),
              {.instance_id = key.id});
        }
        call->Finish(JsonResponse(200, PayloadJson((*info)->state)));
      });
}

void DurableFunctionsEntities::Signal(const HttpCallPtr& call) {
  const HttpRequest& request = call->request();
  const absl::StatusOr<InstanceKey> key = EntityKeyOf(request);
  if (!key.ok()) return call->Fail(key.status());
  QueryReader query(request.query);
  std::string operation = query.Text("op").value_or("");
  absl::StatusOr<Payload> input;
  if (IsJson(request)) {
    input = JsonBodyOf(request);
  } else if (request.body.empty()) {
    input = std::nullopt;
  } else if (IsUtf8(request.body)) {
    input = JsonString(request.body);
  } else {
    input = absl::InvalidArgumentError(
        "the body is not UTF-8, and its Content-Type is not application/json");
  }
  absl::Status status = query.status();
  status.Update(input.status());
  if (!status.ok()) return call->Fail(status);
  Send(call, *key, std::move(operation), *std::move(input));
}

void DurableFunctionsEntities::Delete(const HttpCallPtr& call) {
  const absl::StatusOr<InstanceKey> key = EntityKeyOf(call->request());
  if (!key.ok()) return call->Fail(key.status());
  Send(call, *key, "delete", std::nullopt);
}

void DurableFunctionsEntities::Send(const HttpCallPtr& call,
                                    const InstanceKey& key,
                                    std::string operation, Payload input) {
  entities_.Signal({.key = key,
                    .operation = std::move(operation),
                    .input = std::move(input)},
                   [call, key](const absl::Status& status) {
                     if (!status.ok())
                       return call->Fail(status, {.instance_id = key.id});
                     call->Finish(EmptyResponse(202));
                   });
}

}  // namespace leasehold
