#include "service/http/dashboard_batch.h"

#include <algorithm>
#include <array>
#include <set>
#include <string_view>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "lease/base/json.h"
#include "lease/base/quote.h"
#include "lease/base/view.h"
#include "service/http/dashboard_call.h"
#include "service/http/dashboard_json.h"
#include "service/http/dashboard_orchestrations.h"
#include "service/instance/instance_headers.h"
#include "service/tracing/span_context.h"

namespace leasehold {
namespace {

using nlohmann::json;

// IDs that the answer shows.
constexpr size_t kFirst = 10;

struct Verb {
  const char* name;
  // The statuses in which it can be done, as the filter has them.
  const char* fits;
};
constexpr std::array<Verb, 7> kVerbs = {{
    {"suspend", "PENDING,RUNNING"},
    {"resume", "SUSPENDED"},
    {"terminate", "PENDING,RUNNING,SUSPENDED"},
    {"raise-event", "PENDING,RUNNING,SUSPENDED"},
    {"purge", "COMPLETED,FAILED,TERMINATED"},
    {"restart", "COMPLETED,FAILED,TERMINATED"},
    {"rewind", "FAILED"},
}};

absl::StatusOr<const Verb*> VerbNamed(const std::string& name) {
  std::vector<std::string> names;
  for (const Verb& verb : kVerbs) {
    if (verb.name == name) return &verb;
    names.emplace_back(verb.name);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("verb: there is no ", QuoteForMessage(name),
                   "; there are: ", absl::StrJoin(names, ", ")));
}

// Of the statuses of a filter (none: any) those that the verb fits, as a
// filter has them; empty: none.
std::string Fitting(const Verb& verb, const std::string& asked) {
  if (asked.empty()) return verb.fits;
  std::vector<std::string> both;
  for (const absl::string_view fit : absl::StrSplit(verb.fits, ',')) {
    for (const absl::string_view word : absl::StrSplit(asked, ',')) {
      if (absl::EqualsIgnoreCase(fit, word)) both.emplace_back(fit);
    }
  }
  return absl::StrJoin(both, ",");
}

absl::StatusOr<json> ObjectIn(const HttpRequest& request) {
  try {
    json body = ParseJson(request.body);
    if (body.is_object()) return body;
  } catch (const std::exception&) {
  }
  return absl::InvalidArgumentError(
      "the body must be a JSON object with verb and filter or instance_ids, or "
      "with a token");
}

// Every member of `object` is one of `names`.
absl::Status CheckMembers(const json& object, std::string_view where,
                          const std::vector<std::string>& names) {
  for (const auto& [name, value] : object.items()) {
    if (std::find(names.begin(), names.end(), name) != names.end()) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        View(where), ": there is no member ", QuoteForMessage(name),
        "; there are: ", absl::StrJoin(names, ", ")));
  }
  return absl::OkStatus();
}

// A text among the members; empty: it is not there.
absl::StatusOr<std::string> TextIn(const json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || found->is_null()) return std::string();
  if (found->is_string()) return found->get<std::string>();
  return absl::InvalidArgumentError(absl::StrCat(name, ": must be a text"));
}

// `tag`: a text, or a list of texts of which an orchestration has all.
absl::Status AddTags(const json& filter, HttpFields& query) {
  json tags = filter.value("tag", json::array());
  if (!tags.is_array()) tags = json::array({std::move(tags)});
  for (const json& tag : tags) {
    if (!tag.is_string()) {
      return absl::InvalidArgumentError(
          "tag: must be a text, or a list of texts");
    }
    query.Add("tag", tag.get<std::string>());
  }
  return absl::OkStatus();
}

bool IsSame(const Caller& one, const Caller& other) {
  return one.tenant == other.tenant && one.name == other.name &&
         one.known_by == other.known_by;
}

}  // namespace

// A look at all that match, page by page.
struct DashboardBatch::Matching {
  HttpCallPtr call;
  Ticket ticket;
  OrchestrationQuery query;
  size_t bytes = 0;
};

DashboardBatch::DashboardBatch(Clock& clock, Orchestrations& orchestrations,
                               Executor& executor, RunRequestFor run)
    : clock_(clock),
      orchestrations_(orchestrations),
      executor_(executor),
      run_(std::move(run)),
      alarms_(clock) {}

HttpRoute DashboardBatch::Route() {
  // What it does asks for more, one by one.
  return DashboardRoute(
      "POST", "/orchestrations:batch", "leasehold.v1.Orchestration/List",
      [this](const HttpCallPtr& call) { return Serve(call); });
}

void DashboardBatch::Stop() {
  std::vector<std::shared_ptr<BatchRun>> runs;
  {
    MutexLock lock(mu_);
    stopped_ = true;
    tickets_.clear();
    for (const auto& [token, running] : running_) {
      if (auto run = running.run.lock()) runs.push_back(std::move(run));
    }
    running_.clear();
  }
  for (const std::shared_ptr<BatchRun>& run : runs) run->Abandon();
  alarms_.Stop();
}

absl::Status DashboardBatch::Serve(const HttpCallPtr& call) {
  const absl::StatusOr<json> body = ObjectIn(call->request());
  if (!body.ok()) return body.status();
  return body->contains("token") ? Do(call, *body) : Look(call, *body);
}

// ---- Looking ----------------------------------------------------------------

absl::Status DashboardBatch::Look(const HttpCallPtr& call, const json& body) {
  const absl::Status known =
      CheckMembers(body, "the body", {"verb", "filter", "instance_ids"});
  if (!known.ok()) return known;
  const auto name = TextIn(body, "verb");
  if (!name.ok()) return name.status();
  const auto verb = VerbNamed(*name);
  if (!verb.ok()) return verb.status();
  Ticket ticket{.caller = call->request().caller, .verb = *name};
  const auto ids = body.find("instance_ids");
  if (ids != body.end()) {
    if (!body.contains("filter")) return LookAtGiven(call, ticket, *ids);
    return absl::InvalidArgumentError(
        "filter, instance_ids: one of them says which, not both");
  }
  ticket.filter = body.value("filter", json::object());
  if (!ticket.filter.is_object()) {
    return absl::InvalidArgumentError("filter: must be a JSON object");
  }
  const absl::Status members =
      CheckMembers(ticket.filter, "filter",
                   {"status", "prefix", "name", "tag", "from", "to"});
  if (!members.ok()) return members;
  const auto matching = std::make_shared<Matching>();
  HttpRequest request;  // As a list asks for them.
  request.caller = ticket.caller;
  for (const char* member : {"status", "prefix", "name", "from", "to"}) {
    auto text = TextIn(ticket.filter, member);
    if (!text.ok()) return text.status();
    request.query.Add(member, *std::move(text));
  }
  const absl::Status tags = AddTags(ticket.filter, request.query);
  if (!tags.ok()) return tags;
  auto filter = OrchestrationFilterIn(request);
  if (!filter.ok()) return filter.status();
  const std::string status =
      Fitting(**verb, std::string(request.query.Get("status")));
  if (status.empty()) {
    AnswerLook(call, std::move(ticket));
    return absl::OkStatus();
  }
  HttpRequest fitting;
  fitting.caller = ticket.caller;
  fitting.query.Add("status", status);
  const auto statuses = OrchestrationFilterIn(fitting);
  if (!statuses.ok()) return statuses.status();
  matching->call = call;
  matching->ticket = std::move(ticket);
  matching->query.filter = *std::move(filter);
  matching->query.filter.statuses = statuses->statuses;
  matching->query.filter.count_max = kLimitMax;
  ReadPage(matching);
  return absl::OkStatus();
}

absl::Status DashboardBatch::LookAtGiven(const HttpCallPtr& call, Ticket ticket,
                                         const json& ids) {
  if (!ids.is_array() || ids.empty() || ids.size() > kIdsGivenMax) {
    return absl::InvalidArgumentError(absl::StrCat(
        "instance_ids: must be a list of 1 to ", kIdsGivenMax, " IDs"));
  }
  std::set<std::string> seen;
  for (const json& id : ids) {
    if (!id.is_string()) {
      return absl::InvalidArgumentError("instance_ids: each must be a text");
    }
    const auto key = MakeInstanceKey(ticket.caller->tenant,
                                     id.get<std::string>(), "instance_ids");
    if (!key.ok()) return key.status();
    if (seen.insert(key->id).second) ticket.ids.push_back(key->id);
  }
  AnswerLook(call, std::move(ticket));
  return absl::OkStatus();
}

void DashboardBatch::ReadPage(const std::shared_ptr<Matching>& matching) {
  orchestrations_.Query(
      matching->query,
      [this, matching](const absl::StatusOr<OrchestrationPage>& page) {
        const HttpCallPtr& call = matching->call;
        if (!page.ok()) return call->Fail(page.status());
        Ids& ids = matching->ticket.ids;
        for (const OrchestrationInfo& info : page->orchestrations) {
          matching->bytes += info.id.size();
          ids.push_back(info.id);
        }
        if (ids.size() > kMatchesMax || matching->bytes > kIdBytesMax) {
          return call->Fail(absl::InvalidArgumentError(
              absl::StrCat("filter: more than ", kMatchesMax,
                           " orchestrations match, or more than can be kept; "
                           "ask for fewer at a time")));
        }
        if (page->next_page_token.empty()) {
          return AnswerLook(call, std::move(matching->ticket));
        }
        matching->query.page_token.text = page->next_page_token;
        ReadPage(matching);
      });
}

void DashboardBatch::AnswerLook(const HttpCallPtr& call, Ticket ticket) {
  json first = json::array();
  for (size_t i = 0; i < std::min(kFirst, ticket.ids.size()); ++i) {
    first.push_back(ticket.ids[i]);
  }
  json answer = {{"matched", ticket.ids.size()},
                 {"first", std::move(first)},
                 {"expires_in_ms", absl::ToInt64Milliseconds(kTokenLifetime)}};
  answer["token"] = Keep(std::move(ticket));
  call->Finish(Answer(200, answer));
}

std::string DashboardBatch::Keep(Ticket ticket) {
  const Instant now = clock_.Now();
  ticket.expires = now + kTokenLifetime;
  std::string token = NewInstanceId();
  MutexLock lock(mu_);
  if (stopped_) return token;
  std::erase_if(tickets_,
                [&](const auto& one) { return one.second.expires <= now; });
  size_t kept = 0;
  auto oldest = tickets_.end();
  for (auto one = tickets_.begin(); one != tickets_.end(); ++one) {
    if (one->second.caller->tenant != ticket.caller->tenant) continue;
    ++kept;
    if (oldest == tickets_.end() ||
        one->second.expires < oldest->second.expires) {
      oldest = one;
    }
  }
  if (kept >= kTokensMax) tickets_.erase(oldest);
  tickets_.emplace(token, std::move(ticket));
  return token;
}

// ---- Doing ------------------------------------------------------------------

absl::StatusOr<DashboardBatch::Ticket> DashboardBatch::Take(
    const std::string& token, const Caller& caller, const json& body) {
  MutexLock lock(mu_);
  const auto found = tickets_.find(token);
  if (found == tickets_.end() || found->second.expires <= clock_.Now() ||
      !IsSame(*found->second.caller, caller)) {
    return absl::NotFoundError(
        "token: it is not known here, was used before, or is too old; ask "
        "again what matches");
  }
  const Ticket& ticket = found->second;
  if ((body.contains("verb") && body["verb"] != ticket.verb) ||
      (body.contains("filter") && body["filter"] != ticket.filter)) {
    return absl::InvalidArgumentError(
        "token: it was given for another verb or filter");
  }
  Ticket taken = std::move(found->second);
  tickets_.erase(found);
  return taken;
}

absl::Status DashboardBatch::Do(const HttpCallPtr& call, const json& body) {
  absl::Status known = CheckMembers(
      body, "the body", {"token", "request", "stop", "verb", "filter"});
  if (!known.ok()) return known;
  const auto token = TextIn(body, "token");
  if (!token.ok()) return token.status();
  if (body.value("stop", json(false)) == json(true)) {
    return StopOne(call, *token);
  }
  const json request = body.value("request", json::object());
  if (!request.is_object()) {
    return absl::InvalidArgumentError("request: must be a JSON object");
  }
  const Caller& caller = *call->request().caller;
  {
    MutexLock lock(mu_);
    std::erase_if(running_,
                  [](const auto& one) { return one.second.run.expired(); });
    const auto runs = std::count_if(
        running_.begin(), running_.end(),
        [&](const auto& one) { return one.second.tenant == caller.tenant; });
    if (static_cast<size_t>(runs) >= kRunsMax) {
      return absl::ResourceExhaustedError(
          absl::StrCat(kRunsMax, " batches run already; wait for one of them"));
    }
  }
  absl::StatusOr<Ticket> ticket = Take(*token, caller, body);
  if (!ticket.ok()) return ticket.status();
  const std::shared_ptr<BatchRun> run =
      MakeRun(call, *std::move(ticket), WriteJson(request));
  {
    MutexLock lock(mu_);
    if (stopped_) return absl::UnavailableError("the server is shutting down");
    running_[*token] = {.tenant = caller.tenant, .run = run};
  }
  HttpResponse response;
  response.headers.Add("Content-Type", "application/x-ndjson");
  response.source = run->Begin();
  call->Finish(std::move(response));
  return absl::OkStatus();
}

std::shared_ptr<BatchRun> DashboardBatch::MakeRun(const HttpCallPtr& call,
                                                  Ticket ticket,
                                                  std::string body) {
  // What each request has, but for its path.
  const HttpRequest& asked = call->request();
  HttpRequest like;
  like.method = "POST";
  like.peer = asked.peer;
  like.base_url = asked.base_url;
  like.headers.Add("Content-Type", "application/json");
  for (const char* name : {kTraceParentHeader, kTraceStateHeader}) {
    for (const std::string_view value : asked.headers.All(name)) {
      like.headers.Add(name, std::string(value));
    }
  }
  like.body = std::move(body);
  const auto run = [this, like = std::move(like), caller = asked.caller,
                    verb = ticket.verb](const std::string& id,
                                        HttpCall::Answer answer) {
    HttpRequest request = like;
    request.segments = {"api", "v1", "orchestrations",
                        absl::StrCat(id, ":", verb)};
    request.path = absl::StrJoin(request.segments, "/");
    request.target = request.path;
    run_(caller, std::move(request), std::move(answer));
  };
  Ids ids = std::move(ticket.ids);
  ticket.ids.clear();
  const auto keep = [this, ticket = std::move(ticket)](Ids rest) {
    Ticket again = ticket;
    again.ids = std::move(rest);
    const size_t matched = again.ids.size();
    return json{{"matched", matched}, {"token", Keep(std::move(again))}};
  };
  return std::make_shared<BatchRun>(BatchRun::Parts{.clock = clock_,
                                                    .executor = executor_,
                                                    .alarms = alarms_,
                                                    .run = run,
                                                    .keep = keep},
                                    std::move(ids));
}

absl::Status DashboardBatch::StopOne(const HttpCallPtr& call,
                                     const std::string& token) {
  std::shared_ptr<BatchRun> run;
  {
    MutexLock lock(mu_);
    const auto found = running_.find(token);
    if (found != running_.end() &&
        found->second.tenant == call->request().caller->tenant) {
      run = found->second.run.lock();
    }
  }
  if (run == nullptr) {
    return absl::NotFoundError("token: nothing runs that was begun with it");
  }
  run->Stop("it was stopped");
  call->Finish(Answer(200, json::object()));
  return absl::OkStatus();
}

}  // namespace leasehold
