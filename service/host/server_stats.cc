#include "service/host/server_stats.h"

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "service/host/build_info.h"
#include "service/host/call_stats.h"
#include "service/host/work_stats.h"
#include "service/http/http_call.h"
#include "service/metrics/process_stats.h"
#include "service/metrics/prometheus_stats.h"
#include "service/security/policy.h"

namespace leasehold {
namespace {

constexpr std::array kClassesWithRates = {CallClass::kCall, CallClass::kEvent,
                                          CallClass::kStart, CallClass::kRead};
constexpr std::array kLastingsWithLimits = {Lasting::kStream, Lasting::kWait,
                                            Lasting::kWatch, Lasting::kWorker};

// By Refusal.
constexpr std::array<const char*, kRefusals> kRefusalNames = {
    "max_connections", "max_connections_per_address",
    "no_descriptor",   "silent",
    "not_http2",       "not_tls",
    "proxy_header",    "no_proxy_header",
    "bad_proxy_header"};

// `lost ownership` is `lost_ownership`, as labels are written.
std::string AsLabel(std::string_view name) {
  std::string label(name);
  for (char& c : label) {
    if (c == ' ' || c == '-') c = '_';
  }
  return label;
}

}  // namespace

std::vector<StatFamily> ServerStats::Collect(const StatsScope& scope) {
  StatList list;
  if (!parts_.has_value()) return list.Take();
  if (scope.whole_server) {
    AddCallStats(parts_->host.instances(), list);
    AddContexts(list);
    AddWorkStats(parts_->orchestrations.stats(), list);
    AddLimits(list);
    AddConnections(list);
    AddCertificates(list);
    AddHttp(list);
  }
  AddTenants(scope, list);
  if (scope.whole_server) AddProgram(list);
  return list.Take();
}

void ServerStats::AddContexts(StatList& list) {
  const InstanceRegistry::Counts now =
      parts_->host.instances().registry().counts();
  const ContextTally::Counts ever = contexts_.counts();
  list.Gauge("leasehold_contexts",
             "Instance contexts: open, with those that are opening; and those "
             "that are closing.")
      .Add(now.live, {{"state", "open"}})
      .Add(now.closing, {{"state", "closing"}});
  list.Counter("leasehold_contexts_created_total",
               "Instance contexts that have opened.")
      .Add(ever.created);
  StatList::Family closed =
      list.Counter("leasehold_contexts_closed_total",
                   "Instance contexts that have closed, by reason. `idle`: the "
                   "lease was over; `evicted`: another one needed the room.");
  for (size_t reason = 0; reason < kDetachReasons; ++reason) {
    const auto named = static_cast<DetachReason>(reason);
    if (named == DetachReason::kRemoved) continue;  // The context lives on.
    closed.Add(ever.closed[reason],
               {{"reason", AsLabel(DetachReasonName(named))}});
  }
  list.Counter("leasehold_context_open_failures_total",
               "Instance contexts that could not open: an initializer failed "
               "or took too long.")
      .Add(ever.open_failed);
  list.Counter("leasehold_context_detach_failures_total",
               "Detach hooks of instance contexts that failed.")
      .Add(ever.detach_failed);
  list.Counter("leasehold_user_code_threw_total",
               "Exceptions that embedders' code threw.")
      .Add(ever.threw);
  StatList::Family pins =
      list.Gauge("leasehold_pins",
                 "What keeps instance contexts busy for long, by kind. Calls "
                 "are counted as leasehold_calls_open.");
  for (size_t kind = 0; kind < kPinKinds; ++kind) {
    const auto named = static_cast<PinKind>(kind);
    if (named == PinKind::kCall) continue;
    pins.Add(now.held[kind], {{"kind", AsLabel(PinKindName(named))}});
  }
  list.Gauge("leasehold_leases",
             "Leases that run, with those of contexts that are busy now.")
      .Add(now.leases);
  list.Counter("leasehold_leases_expired_total",
               "Leases that were over, and whose contexts closed.")
      .Add(ever.expired);
  list.Times("leasehold_lease_lateness_seconds",
             "How long after its deadline a lease was looked at.")
      .Add(now.lateness);
}

void ServerStats::AddConnections(StatList& list) const {
  const Listener::Counts grpc = parts_->host.connections();
  const auto http = parts_->http.connections();
  StatList::Family open =
      list.Gauge("leasehold_connections", "Open connections, by listener.");
  open.Add(grpc.open, {{"listener", "grpc"}});
  if (http.has_value()) open.Add(http->open, {{"listener", "http"}});
  StatList::Family accepted =
      list.Counter("leasehold_connections_accepted_total",
                   "Connections that were accepted, by listener.");
  accepted.Add(grpc.accepted, {{"listener", "grpc"}});
  if (http.has_value()) accepted.Add(http->accepted, {{"listener", "http"}});
  StatList::Family refused =
      list.Counter("leasehold_connections_refused_total",
                   "Connections that were closed by the server before they "
                   "were served, by listener and reason.");
  for (size_t refusal = 0; refusal < kRefusals; ++refusal) {
    refused.Add(grpc.refused[refusal],
                {{"listener", "grpc"}, {"reason", kRefusalNames[refusal]}});
  }
  if (http.has_value()) {
    constexpr const char* kNames[kRefusedConnections] = {"too_many", "tls",
                                                         "proxy_header"};
    for (size_t refusal = 0; refusal < kRefusedConnections; ++refusal) {
      refused.Add(http->refused[refusal],
                  {{"listener", "http"}, {"reason", kNames[refusal]}});
    }
  }
}

void ServerStats::AddHttp(StatList& list) const {
  const auto requests = parts_->http.requests();
  if (!requests.has_value()) return;
  StatList::Family answers =
      list.Counter("leasehold_http_requests_total",
                   "Requests over HTTP that were answered, by what they asked "
                   "for and status. `none`: for nothing that is there.");
  for (size_t group = 0; group < kHttpGroups; ++group) {
    const std::string name(NameOf(static_cast<HttpGroup>(group)));
    for (size_t code = 0; code < kHttpCodes; ++code) {
      const int status = kHttpStatuses[code];
      if (requests->answers[group][code] == 0 && status != 200) continue;
      answers.Add(requests->answers[group][code],
                  {{"group", name},
                   {"code", status == 0 ? "other" : absl::StrCat(status)}});
    }
  }
  StatList::Family times =
      list.Times("leasehold_http_request_seconds",
                 "Time from when a request over HTTP was read until its answer "
                 "was there, by what it asked for. Without requests that stay "
                 "open.");
  for (size_t group = 1; group < kHttpGroups; ++group) {
    times.Add(requests->times[group],
              {{"group", std::string(NameOf(static_cast<HttpGroup>(group)))}});
  }
}

std::map<std::string, TenantTally::Counts> ServerStats::LimitsHit() const {
  const EngineCounts work = parts_->orchestrations.stats().engine;
  std::map<std::string, TenantTally::Counts> hit = {
      {"contexts", parts_->host.contexts_refused()},
      {"open_orchestrations", work.open_refused},
      {"stored_bytes", work.stored_refused},
      {"kept_bytes", parts_->host.instances().budget().refusals().tenants}};
  if (const auto http = parts_->http.connections(); http.has_value()) {
    for (const auto& [tenant, count] : http->bodies_refused_of_tenants) {
      hit["kept_bytes"][tenant] += count;
    }
  }
  for (const auto& [tenant, counts] : access()->Uses()) {
    for (auto& [limit, tenants] : hit) tenants.try_emplace(tenant, 0);
    for (const CallClass each : kClassesWithRates) {
      hit[RateName(each)][tenant] = counts.too_often[static_cast<size_t>(each)];
    }
    for (const Lasting each : kLastingsWithLimits) {
      hit[OpenName(each)][tenant] = counts.too_many[static_cast<size_t>(each)];
    }
  }
  return hit;
}

void ServerStats::AddLimits(StatList& list) const {
  const ByteBudget::Refusals bytes =
      parts_->host.instances().budget().refusals();
  const auto http = parts_->http.connections();
  std::map<std::string, uint64_t> hit = {
      {"max_contexts", parts_->host.instances().registry().counts().refused},
      {"max_connection_bytes", bytes.connection},
      {"max_total_bytes",
       bytes.total + (http.has_value() ? http->bodies_refused : 0)},
      {"header_block", floods_.header_blocks.value()},
      {"max_resets", floods_.resets.value()},
      {"unfinished_requests", floods_.unfinished_requests.value()}};
  if (access() != nullptr) {
    for (const auto& [limit, tenants] : LimitsHit()) {
      for (const auto& [tenant, count] : tenants) hit[limit] += count;
    }
  }
  StatList::Family family = list.Counter(
      "leasehold_limits_hit_total",
      "How often something was refused because of a limit, by limit. Those of "
      "tenants are called as in the policy, and are sums of all tenants.");
  for (const auto& [limit, count] : hit) family.Add(count, {{"limit", limit}});
  if (access() == nullptr) return;
  list.Counter("leasehold_auth_failures_total",
               "Calls that were refused by the policy: nobody whom it knows "
               "made them, or somebody without the role for them.")
      .Add(access()->unauthenticated(), {{"reason", "unauthenticated"}})
      .Add(access()->denied(), {{"reason", "permission_denied"}});
}

void ServerStats::AddCertificates(StatList& list) const {
  StatList::Family expiry = list.Gauge(
      "leasehold_tls_certificate_expiry_timestamp_seconds",
      "When the certificate that serves now, or the first of its chain, is "
      "valid no longer, in seconds since 1970, by listener. Without TLS there "
      "is none.");
  const auto add = [&expiry](const char* listener,
                             std::optional<absl::Time> expires) {
    if (!expires.has_value()) return;
    expiry.Add(static_cast<double>(absl::ToUnixSeconds(*expires)),
               {{"listener", listener}});
  };
  add("grpc", parts_->guard.certificate_expires());
  add("http", parts_->http.certificate_expires());
}

void ServerStats::AddTenants(const StatsScope& scope, StatList& list) {
  std::map<std::string, uint64_t> open;
  std::map<std::string, uint64_t> created;
  for (const auto& [tenant, counts] : contexts_.counts().tenants) {
    // One may open between the two looks.
    open[tenant] =
        counts.created > counts.closed ? counts.created - counts.closed : 0;
    created[tenant] = counts.created;
  }
  const auto add = [&](StatList::Family family,
                       const std::map<std::string, uint64_t>& tenants) {
    for (const auto& [label, count] : tenant_labels_.Fold(tenants, scope)) {
      family.Add(count, {{"tenant", label}});
    }
  };
  add(list.Gauge("leasehold_tenant_contexts",
                 "Instance contexts, with those that are closing, by tenant."),
      open);
  add(list.Counter("leasehold_tenant_contexts_created_total",
                   "Instance contexts that have opened, by tenant."),
      created);
  const OrchestrationHost::Stats work = parts_->orchestrations.stats();
  add(list.Gauge("leasehold_tenant_orchestrations",
                 "Orchestrations that callers began and that have not ended, "
                 "by tenant."),
      {work.engine.begun_by_callers.begin(),
       work.engine.begun_by_callers.end()});
  std::map<std::string, uint64_t> workers;
  for (const auto& [tenant, of] : work.dispatch.workers) {
    workers[tenant] = of.workers;
  }
  add(list.Gauge("leasehold_tenant_workers", "Connected workers, by tenant."),
      workers);
  if (access() == nullptr) return;
  AddTenantsOfPolicy(scope, list);
}

void ServerStats::AddTenantsOfPolicy(const StatsScope& scope, StatList& list) {
  std::map<std::string, uint64_t> bytes;
  std::map<std::string, std::map<std::string, uint64_t>> calls;
  for (const auto& [tenant, counts] : access()->Uses()) {
    bytes[tenant] = parts_->orchestrations.StoredBytes(tenant);
    for (size_t each = 0; each < kCallClasses; ++each) {
      calls[std::string(NameOf(static_cast<CallClass>(each)))][tenant] =
          counts.calls[each];
    }
  }
  const auto add_each =
      [&](StatList::Family family, const char* label,
          const std::map<std::string, std::map<std::string, uint64_t>>& all) {
        for (const auto& [value, tenants] : all) {
          for (const auto& [tenant, count] :
               tenant_labels_.Fold(tenants, scope)) {
            family.Add(count, {{"tenant", tenant}, {label, value}});
          }
        }
      };
  StatList::Family stored =
      list.Gauge("leasehold_tenant_stored_bytes",
                 "What orchestrations and entities take in the store, by "
                 "tenant: what the limit stored_bytes counts.");
  for (const auto& [label, size] : tenant_labels_.Fold(bytes, scope)) {
    stored.Add(size, {{"tenant", label}});
  }
  add_each(list.Counter("leasehold_tenant_calls_total",
                        "Calls that the policy knew the caller of, over gRPC "
                        "and HTTP, by tenant and class."),
           "class", calls);
  add_each(list.Counter("leasehold_tenant_limits_hit_total",
                        "What a limit of the tenant has refused, by tenant "
                        "and limit."),
           "limit", LimitsHit());
}

void ServerStats::AddProgram(StatList& list) const {
  list.Counter("leasehold_log_lines_dropped_total",
               "Lines of the log that were dropped because their reader was "
               "too slow.")
      .Add(parts_->log.dropped());
  const BuildInfo build = ThisBuild();
  list.Gauge("leasehold_build_info", "Always 1; the labels say what was built.")
      .Add(1, {{"version", build.version},
               {"commit", build.commit},
               {"compiler", build.compiler},
               {"grpc", build.grpc}});
  AddProcessStats(list);
}

void ServerStats::Serve(const Parts& parts) {
  parts_.emplace(parts);
  parts.http.Add({Route()});
}

HttpRoute ServerStats::Route() {
  return {.method = "GET",
          .pattern = "/metrics",
          .row = "leasehold.v1.Admin/Stats",
          .handler = [this](const HttpCallPtr& call) {
            const Caller& caller = *call->request().caller;
            HttpResponse response;
            response.headers.Add("Content-Type", PrometheusStats::kContentType);
            response.body =
                PrometheusStats(*this, {.whole_server = caller.sees_server,
                                        .tenant = caller.tenant})
                    .Text();
            call->Finish(std::move(response));
          }};
}

}  // namespace leasehold
