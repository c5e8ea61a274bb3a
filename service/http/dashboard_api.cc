#include "service/http/dashboard_api.h"

#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lease/base/quote.h"
#include "lease/base/view.h"
#include "service/http/dashboard_history.h"
#include "service/http/dashboard_json.h"
#include "service/http/dashboard_orchestrations.h"
#include "service/http/dashboard_strip.h"
#include "service/http/dashboard_topics.h"

namespace leasehold {
namespace {

using nlohmann::json;

// A topic's name, with its tenant: names of two tenants never meet.
std::string NameOf(std::string_view kind, const std::string& tenant,
                   std::string_view what) {
  return absl::StrCat(View(kind), "\n", tenant, "\n", View(what));
}

}  // namespace

DashboardApi::DashboardApi(Parts parts)
    : parts_(std::move(parts)),
      contexts_(parts_.registry, parts_.clock, parts_.executor),
      stats_(parts_.clock, parts_.registry, parts_.executor, parts_.figures),
      batch_(parts_.clock, parts_.orchestrations, parts_.executor,
             parts_.run_for),
      live_(parts_.clock) {}

std::vector<HttpRoute> DashboardApi::Routes() {
  std::vector<HttpRoute> routes = contexts_.Routes();
  for (HttpRoute& route : DashboardOrchestrationRoutes(parts_.orchestrations)) {
    routes.push_back(std::move(route));
  }
  for (HttpRoute& route : DashboardHistoryRoutes(parts_.orchestrations)) {
    routes.push_back(std::move(route));
  }
  for (HttpRoute& route : DashboardStripRoutes(
           {parts_.registry, parts_.orchestrations, parts_.strips})) {
    routes.push_back(std::move(route));
  }
  for (HttpRoute& route : DashboardWorkRoutes(parts_.work)) {
    routes.push_back(std::move(route));
  }
  routes.push_back(stats_.Route());
  routes.push_back(batch_.Route());
  HttpRoute events =
      DashboardRoute("GET", "/events", "leasehold.v1.Instances/Watch",
                     [this](const HttpCallPtr& call) { return Events(call); });
  events.lasting = Lasting::kWatch;
  routes.push_back(std::move(events));
  HttpRoute who =
      DashboardRoute("GET", "/whoami", "",
                     [this](const HttpCallPtr& call) { return WhoAmI(call); });
  // Whoever is known may ask that, workers too.
  who.own = MethodInfo{.service = "leasehold.http.Dashboard",
                       .name = "WhoAmI",
                       .role = Role::kAnyRole,
                       .call_class = CallClass::kRead};
  routes.push_back(std::move(who));
  return routes;
}

absl::Status DashboardApi::WhoAmI(const HttpCallPtr& call) const {
  const Caller& caller = *call->request().caller;
  json roles = json::array();
  for (const Role role :
       {Role::kViewer, Role::kUser, Role::kWorker, Role::kOperator}) {
    if (caller.roles.Has(role)) roles.push_back(std::string(NameOf(role)));
  }
  call->Finish(Answer(
      200, {{"tenant", caller.tenant},
            {"name", caller.name},
            {"roles", std::move(roles)},
            {"session", !call->request().session.empty()},
            {"authenticated", caller.known_by != Caller::KnownBy::kNothing},
            {"version", parts_.version}}));
  return absl::OkStatus();
}

absl::StatusOr<LiveHub::Followed> DashboardApi::TopicOf(std::string_view text,
                                                        const Caller& caller) {
  const size_t colon = text.find(':');
  const std::string_view kind = text.substr(0, colon);
  const std::string_view what =
      colon == std::string_view::npos ? "" : text.substr(colon + 1);
  const std::string& tenant = caller.tenant;
  if (kind == "contexts") {
    return LiveHub::Followed{
        .name = NameOf(kind, tenant, what),
        .make = [this, tenant, prefix = std::string(what)] {
          return ContextsTopic(parts_.clock, parts_.registry, parts_.contexts,
                               tenant, prefix);
        }};
  }
  if (kind == "orchestration" || kind == "strip") {
    absl::StatusOr<InstanceKey> key =
        MakeInstanceKey(tenant, what, absl::StrCat("topics: ", View(kind)));
    if (!key.ok()) return key.status();
    return LiveHub::Followed{
        .name = NameOf(kind, tenant, key->id),
        .make = [this, key = *key, runs = kind == "orchestration"] {
          return runs ? OrchestrationTopic(parts_.orchestrations, key)
                      : StripTopic(parts_.strips, key);
        }};
  }
  if (kind == "stats") {
    absl::StatusOr<StatsScope> scope = DashboardStats::ScopeIn(what, caller);
    if (!scope.ok()) return scope.status();
    return LiveHub::Followed{
        .name = NameOf(kind, scope->tenant, ""),
        .make = [this, scope = *scope] { return stats_.Topic(scope); }};
  }
  return absl::InvalidArgumentError(
      absl::StrCat("topics: there is no topic ", QuoteForMessage(text),
                   "; there are contexts:PREFIX, orchestration:ID, strip:ID, "
                   "stats and stats:server"));
}

absl::Status DashboardApi::Events(const HttpCallPtr& call) {
  std::vector<LiveHub::Followed> topics;
  for (const std::string_view text : call->request().query.All("topics")) {
    absl::StatusOr<LiveHub::Followed> topic =
        TopicOf(text, *call->request().caller);
    if (!topic.ok()) return topic.status();
    topics.push_back(*std::move(topic));
  }
  if (topics.empty() || topics.size() > kTopicsMax) {
    return absl::InvalidArgumentError(absl::StrCat(
        "topics: a stream follows 1 to ", kTopicsMax, " topics, and this one ",
        topics.size(), "; write topics=contexts:&topics=stats"));
  }
  HttpResponse response;
  response.headers.Add("Content-Type", "text/event-stream");
  const bool known =
      call->request().caller->known_by != Caller::KnownBy::kNothing;
  response.source =
      live_.Follow(std::move(topics),
                   {.tenant = call->request().caller->tenant,
                    .lifetime = known ? kStreamMax : absl::InfiniteDuration(),
                    .may_still = call->request().may_still});
  call->Finish(std::move(response));
  return absl::OkStatus();
}

}  // namespace leasehold
