#include "service/http/dashboard_contexts.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lease/base/quote.h"
#include "leasehold/v1/instances.pb.h"
#include "service/http/dashboard_json.h"

namespace leasehold {
namespace {

using nlohmann::json;

const std::vector<std::string>& StateNames() {
  static const std::vector<std::string> names = {"OPENING", "BUSY", "IDLE",
                                                 "CLOSING"};
  return names;
}

absl::Status NoSuchContext(const InstanceKey& key) {
  return absl::NotFoundError(
      absl::StrCat("there is no instance ", QuoteForMessage(key.id)));
}

absl::StatusOr<InstanceQuery> InstanceQueryIn(const HttpRequest& request) {
  InstanceQuery query;
  const absl::StatusOr<size_t> limit = LimitIn(request);
  if (!limit.ok()) return limit.status();
  query.page_size = *limit;
  query.page_token = request.query.Get("cursor");
  query.id_prefix = request.query.Get("prefix");
  const auto states = WordsIn(request, "state", StateNames());
  if (!states.ok()) return states.status();
  if (states->size() > 1) {
    return absl::InvalidArgumentError(
        "state: one at a time; leave it out for all");
  }
  if (!states->empty()) {
    query.state = static_cast<InstanceState>(states->front());
  }
  return query;
}

}  // namespace

std::vector<HttpRoute> DashboardContexts::Routes() {
  const std::string service = "leasehold.v1.Instances/";
  std::vector<HttpRoute> routes;
  routes.push_back(
      DashboardRoute("GET", "/contexts", service + "List",
                     [this](const HttpCallPtr& call) { return List(call); }));
  routes.push_back(
      DashboardRoute("GET", "/contexts/{id}", service + "Get",
                     [this](const HttpCallPtr& call) { return Get(call); }));
  routes.push_back(DashboardRoute(
      "POST", "/contexts/{id}:release", service + "Release",
      [this](const HttpCallPtr& call) { return Release(call); }));
  return routes;
}

absl::Status DashboardContexts::List(const HttpCallPtr& call) {
  absl::StatusOr<InstanceQuery> query = InstanceQueryIn(call->request());
  if (!query.ok()) return query.status();
  executor_.Post([this, call, query = *std::move(query)] {
    const absl::StatusOr<InstancePage> page =
        registry_.List(call->request().caller->tenant, query);
    if (!page.ok()) return call->Fail(page.status());
    const Instant now = clock_.Now();
    json answer = {{"contexts", json::array()},
                   {"server_now_ms", MillisecondsOf(now)}};
    for (const InstanceInfo& info : page->instances) {
      answer["contexts"].push_back(ToJson(info, now));
    }
    if (!page->next_page_token.empty()) {
      answer["next_cursor"] = page->next_page_token;
    }
    call->Finish(Answer(200, answer));
  });
  return absl::OkStatus();
}

absl::Status DashboardContexts::Get(const HttpCallPtr& call) {
  const absl::StatusOr<InstanceKey> key = KeyIn(call->request());
  if (!key.ok()) return key.status();
  const std::optional<InstanceInfo> info = registry_.Describe(*key);
  if (!info.has_value()) return NoSuchContext(*key);
  const Instant now = clock_.Now();
  call->Finish(Answer(200, {{"context", ToJson(*info, now)},
                            {"server_now_ms", MillisecondsOf(now)}}));
  return absl::OkStatus();
}

absl::Status DashboardContexts::Release(const HttpCallPtr& call) {
  const absl::StatusOr<InstanceKey> key = KeyIn(call->request());
  if (!key.ok()) return key.status();
  v1::ReleaseRequest asked;
  const absl::Status read = FromBody(call->request(), asked);
  if (!read.ok()) return read;
  if (asked.force() && !call->request().caller->roles.Allow(Role::kOperator)) {
    return absl::PermissionDeniedError(
        "force: a release by force cuts the calls of others and needs the role "
        "operator; without force it waits for them");
  }
  return registry_.Release(*key, asked.force(), [call] {
    call->Finish(Answer(200, json::object()));
  });
}

}  // namespace leasehold
