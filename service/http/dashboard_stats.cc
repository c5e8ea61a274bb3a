#include "service/http/dashboard_stats.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lease/base/json.h"
#include "lease/base/quote.h"
#include "lease/base/view.h"
#include "service/http/dashboard_call.h"
#include "service/http/dashboard_json.h"

namespace leasehold {
namespace {

using nlohmann::json;

// The status as the proto calls it.
std::string WordOf(OrchestrationStatus status) {
  OrchestrationInfo info;
  info.status = status;
  return ToJson(info).value("status", "");
}

json CallsJson(const CallOutcomes::Counts& calls) {
  json object = json::object();
  for (size_t i = 0; i < kCallOutcomes; ++i) {
    object[kCallOutcomeNames[i]] = absl::StrCat(calls[i]);
  }
  return object;
}

// Tenants have names.
std::string NameOf(const StatsScope& scope) {
  return scope.whole_server ? "" : scope.tenant;
}

// `window`: how much of the past is wanted.
absl::StatusOr<absl::Duration> WindowIn(const HttpRequest& request) {
  const std::optional<std::string_view> text = request.query.Find("window");
  if (!text.has_value()) return DashboardStats::kWindow;
  absl::Duration window;
  if (!absl::ParseDuration(View(*text), &window) ||
      window < absl::ZeroDuration() || window > DashboardStats::kWindow) {
    return absl::InvalidArgumentError(
        absl::StrCat("window: must be a duration from 0 to ",
                     absl::FormatDuration(DashboardStats::kWindow),
                     " such as 90s, and is ", QuoteForMessage(*text)));
  }
  return window;
}

// How many contexts a tenant has, and how many of them are busy.
void CountContexts(InstanceRegistry& registry, const std::string& tenant,
                   uint64_t& open, uint64_t& busy) {
  InstanceQuery query;
  query.page_size = 1000;
  do {
    absl::StatusOr<InstancePage> page = registry.List(tenant, query);
    if (!page.ok()) return;
    open += page->instances.size();
    for (const InstanceInfo& info : page->instances) {
      if (info.state != InstanceState::kIdle) ++busy;
    }
    query.page_token = std::move(page->next_page_token);
  } while (!query.page_token.empty());
}

}  // namespace

class DashboardStats::Followed final : public LiveTopic {
 public:
  Followed(DashboardStats& stats, StatsScope scope)
      : stats_(stats), scope_(std::move(scope)) {}

  News Look(Instant now, bool /*snapshot*/, Instant& next) override {
    const std::string message =
        ServerSentEvent("stats", WriteJson(stats_.Look(scope_)));
    const Instant end = stats_.clock_.Now();
    next = end + PauseAfter(end - now, kStep);
    return {.snapshot = message, .change = message};
  }

 private:
  DashboardStats& stats_;
  const StatsScope scope_;
};

DashboardStats::DashboardStats(const Clock& clock, InstanceRegistry& registry,
                               Executor& executor, DashboardFiguresOf figures)
    : clock_(clock),
      registry_(registry),
      executor_(executor),
      figures_(std::move(figures)),
      begun_(clock.Now()) {}

HttpRoute DashboardStats::Route() {
  return DashboardRoute("GET", "/stats", "leasehold.v1.Admin/Stats",
                        [this](const HttpCallPtr& call) { return Get(call); });
}

std::unique_ptr<LiveTopic> DashboardStats::Topic(StatsScope scope) {
  return std::make_unique<Followed>(*this, std::move(scope));
}

absl::StatusOr<StatsScope> DashboardStats::ScopeIn(std::string_view scope,
                                                   const Caller& caller) {
  if (scope.empty()) return StatsScope{.tenant = caller.tenant};
  if (scope != "server") {
    return absl::InvalidArgumentError(
        absl::StrCat("scope: there is no ", QuoteForMessage(scope),
                     "; leave it out for your tenant, or write server"));
  }
  if (!caller.sees_server) {
    return absl::PermissionDeniedError(
        "scope: the numbers of the whole server are for those whom the policy "
        "lets see them (server_stats)");
  }
  return StatsScope{.whole_server = true};
}

absl::Status DashboardStats::Get(const HttpCallPtr& call) {
  const HttpRequest& request = call->request();
  absl::StatusOr<StatsScope> scope =
      ScopeIn(request.query.Get("scope"), *request.caller);
  if (!scope.ok()) return scope.status();
  const absl::StatusOr<absl::Duration> window = WindowIn(request);
  if (!window.ok()) return window.status();
  executor_.Post([this, call, scope = *std::move(scope), window = *window] {
    json answer = {{"stats", Latest(scope)},
                   {"window_ms", absl::ToInt64Milliseconds(window)}};
    answer["points"] = PointsOf(scope, window);
    call->Finish(Answer(200, answer));
  });
  return absl::OkStatus();
}

json DashboardStats::Look(const StatsScope& scope) {
  const DashboardFigures figures = figures_(scope);
  Point point{.calls = figures.calls};
  json contexts;
  if (scope.whole_server) {
    point.open = figures.contexts;
    contexts = {{"open", point.open}};
  } else {
    CountContexts(registry_, scope.tenant, point.open, point.busy);
    contexts = {{"open", point.open},
                {"busy", point.busy},
                {"idle", point.open - point.busy}};
  }
  json orchestrations = json::object();
  for (const auto& [status, count] : figures.orchestrations) {
    orchestrations[WordOf(status)] = count;
  }
  point.at = clock_.Now();
  json now = {{"server_now_ms", MillisecondsOf(point.at)},
              {"uptime_ms", absl::ToInt64Milliseconds(point.at - begun_)},
              {"contexts", std::move(contexts)},
              {"orchestrations", std::move(orchestrations)},
              {"workers", figures.workers},
              {"calls", CallsJson(figures.calls)}};
  Keep(scope, point, now);
  return now;
}

json DashboardStats::Latest(const StatsScope& scope) {
  {
    MutexLock lock(mu_);
    const auto found = series_.find(NameOf(scope));
    if (found != series_.end() && clock_.Now() < found->second.looked + kStep) {
      return found->second.latest;
    }
  }
  return Look(scope);
}

void DashboardStats::Keep(const StatsScope& scope, const Point& point,
                          const json& figures) {
  const Instant oldest = point.at + -kWindow;
  MutexLock lock(mu_);
  std::erase_if(series_,
                [&](const auto& each) { return each.second.looked < oldest; });
  Series& series = series_[NameOf(scope)];
  series.latest = figures;
  series.looked = point.at;
  std::deque<Point>& points = series.points;
  while (!points.empty() && points.front().at < oldest) points.pop_front();
  if (points.empty() || point.at >= points.back().at + kStep) {
    points.push_back(point);
  }
}

json DashboardStats::PointsOf(const StatsScope& scope,
                              absl::Duration window) const {
  const Instant oldest = clock_.Now() + -window;
  json points = json::array();
  MutexLock lock(mu_);
  const auto found = series_.find(NameOf(scope));
  if (found == series_.end()) return points;
  for (const Point& point : found->second.points) {
    if (point.at < oldest) continue;
    points.push_back({{"at_ms", MillisecondsOf(point.at)},
                      {"open", point.open},
                      {"calls", CallsJson(point.calls)}});
  }
  return points;
}

}  // namespace leasehold
