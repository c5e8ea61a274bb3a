#include "service/http/dashboard_work.h"

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "lease/base/quote.h"
#include "leasehold/v1/admin.pb.h"
#include "leasehold/v1/entities.pb.h"
#include "service/doors/entity_messages.h"
#include "service/http/dashboard_call.h"
#include "service/http/dashboard_json.h"
#include "service/orchestration/bounds.h"

namespace leasehold {
namespace {

using nlohmann::json;

// A list's answer, with the word that all lists of this API have for the next
// page.
json PageOf(json list) {
  const auto next = list.find("next_page_token");
  if (next == list.end()) return list;
  list["next_cursor"] = std::move(*next);
  list.erase("next_page_token");
  return list;
}

absl::Status Workers(const DashboardWorkPorts& ports, const HttpCallPtr& call) {
  const absl::StatusOr<size_t> limit = LimitIn(call->request());
  if (!limit.ok()) return limit.status();
  v1::WorkersRequest request;
  request.set_page_size(static_cast<int32_t>(*limit));
  request.set_page_token(std::string(call->request().query.Get("cursor")));
  const absl::StatusOr<WorkersQuery> query =
      FromMessage(request, *call->request().caller);
  if (!query.ok()) return query.status();
  const absl::StatusOr<WorkersPage> page = ports.workers.ListWorkers(*query);
  if (!page.ok()) return page.status();
  v1::WorkersResponse response;
  ToMessage(*page, ports.address_of, response);
  json answer = PageOf(ToJson(response));
  if (!answer.contains("workers")) answer["workers"] = json::array();
  call->Finish(Answer(200, answer));
  return absl::OkStatus();
}

absl::Status Explain(const DashboardWorkPorts& ports, const HttpCallPtr& call) {
  const absl::StatusOr<InstanceKey> key = KeyIn(call->request());
  if (!key.ok()) return key.status();
  ports.explanations.Explain(
      *key, [call, address_of = ports.address_of](
                absl::StatusOr<Explanation> explanation) {
        if (!explanation.ok()) return call->Fail(explanation.status());
        v1::Explanation message;
        ToMessage(*std::move(explanation), address_of, message);
        call->Finish(Answer(200, ToJson(message)));
      });
  return absl::OkStatus();
}

absl::Status ListEntities(const DashboardWorkPorts& ports,
                          const HttpCallPtr& call) {
  const absl::StatusOr<size_t> limit = LimitIn(call->request());
  if (!limit.ok()) return limit.status();
  EntityListQuery query{
      .tenant = call->request().caller->tenant,
      .id_prefix = std::string(call->request().query.Get("prefix")),
      .with_stateless = true,
      .page_token = {.text = std::string(call->request().query.Get("cursor")),
                     .field = "cursor"},
      .count_max = *limit};
  ports.entities.QueryEntities(std::move(query),
                               [call](const absl::StatusOr<EntityList>& list) {
                                 if (!list.ok())
                                   return call->Fail(list.status());
                                 v1::ListEntitiesResponse response;
                                 ToMessage(*list, response);
                                 json answer = PageOf(ToJson(response));
                                 if (!answer.contains("entities"))
                                   answer["entities"] = json::array();
                                 call->Finish(Answer(200, answer));
                               });
  return absl::OkStatus();
}

absl::Status GetEntity(const DashboardWorkPorts& ports,
                       const HttpCallPtr& call) {
  const absl::StatusOr<InstanceKey> key = KeyIn(call->request());
  if (!key.ok()) return key.status();
  const absl::Status is_entity =
      CheckEntityId("the instance ID in the path", key->id);
  if (!is_entity.ok()) return is_entity;
  ports.entities.GetEntity(
      *key, /*state=*/true,
      [call,
       id = key->id](const absl::StatusOr<std::optional<EntityInfo>>& info) {
        if (!info.ok()) return call->Fail(info.status());
        if (!info->has_value()) {
          return call->Fail(absl::NotFoundError(
              absl::StrCat("there is no entity ", QuoteForMessage(id))));
        }
        v1::EntityInfo message;
        ToMessage(**info, message);
        call->Finish(Answer(200, {{"entity", ToJson(message)}}));
      });
  return absl::OkStatus();
}

}  // namespace

std::vector<HttpRoute> DashboardWorkRoutes(DashboardWorkPorts ports) {
  std::vector<HttpRoute> routes;
  const auto add = [&](std::string_view path, std::string row, auto handler) {
    routes.push_back(DashboardRoute("GET", path, std::move(row),
                                    [ports, handler](const HttpCallPtr& call) {
                                      return handler(ports, call);
                                    }));
  };
  add("/workers", "leasehold.v1.Admin/Workers", &Workers);
  add("/contexts/{id}/explain", "leasehold.v1.Admin/Explain", &Explain);
  add("/orchestrations/{id}/explain", "leasehold.v1.Admin/Explain", &Explain);
  add("/entities", "leasehold.v1.Entities/List", &ListEntities);
  add("/entities/{id}", "leasehold.v1.Entities/Get", &GetEntity);
  return routes;
}

}  // namespace leasehold
