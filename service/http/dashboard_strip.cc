#include "service/http/dashboard_strip.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "lease/base/quote.h"
#include "lease/base/view.h"
#include "service/http/dashboard_call.h"
#include "service/http/dashboard_json.h"

namespace leasehold {
namespace {

using nlohmann::json;

// The names of leasehold.v1, and one that it has no word for.
std::string NameOf(OrchestrationStatus status) {
  if (status == OrchestrationStatus::kContinuedAsNew) return "CONTINUED_AS_NEW";
  if (status == OrchestrationStatus::kCanceled) {
    status = OrchestrationStatus::kTerminated;
  }
  return absl::AsciiStrToUpper(View(StatusName(status)));
}

std::string_view NameOf(Strip::Result result) {
  switch (result) {
    case Strip::Result::kStarted:
      return "STARTED";
    case Strip::Result::kAttached:
      return "ATTACHED";
    case Strip::Result::kRepeated:
      return "REPEATED";
    case Strip::Result::kRefused:
      return "REFUSED";
    case Strip::Result::kFailed:
      return "FAILED";
  }
  return "";
}

void AddText(json& object, const char* name, std::string_view text) {
  if (!text.empty()) object[name] = std::string(text);
}

void AddTime(json& object, const char* name, std::optional<absl::Time> time) {
  if (time.has_value()) object[name] = TimeText(*time);
}

json StripJson(const Strip::Context& context) {
  json object = {{"generation", absl::StrCat(context.generation)}};
  AddTime(object, "create_time", context.opened);
  AddTime(object, "end_time", context.closed);
  if (context.closed.has_value()) {
    AddText(object, "reason", DetachReasonName(context.reason));
  }
  return object;
}

json StripJson(const Strip::Run& run) {
  json object = {{"execution_id", run.execution_id}};
  AddTime(object, "create_time", run.began);
  AddTime(object, "end_time", run.ended);
  if (run.status.has_value()) object["status"] = NameOf(*run.status);
  AddText(object, "parent_instance_id", run.parent_id);
  if (run.continues) object["continues"] = true;
  return object;
}

json StripJson(const Strip::Start& start) {
  json object = {{"result", std::string(NameOf(start.result))},
                 {"time", TimeText(start.time)}};
  AddText(object, "identity", start.by.identity);
  AddText(object, "peer", start.by.peer);
  AddText(object, "execution_id", start.execution_id);
  if (start.code != absl::StatusCode::kOk) {
    object["code"] = absl::StatusCodeToString(start.code);
  }
  return object;
}

template <typename Entry>
json ListOf(const std::vector<Entry>& entries) {
  json list = json::array();
  for (const Entry& entry : entries) list.push_back(StripJson(entry));
  return list;
}

json StripJson(const Strip& strip, const InstanceKey& key) {
  return {{"instance_id", key.id},
          {"contexts", ListOf(strip.contexts)},
          {"runs", ListOf(strip.runs)},
          {"starts", ListOf(strip.starts)},
          {"contexts_before", absl::StrCat(strip.contexts_before)},
          {"runs_before", absl::StrCat(strip.runs_before)},
          {"starts_before", absl::StrCat(strip.starts_before)},
          {"since_time", TimeText(strip.since)},
          {"server_start_time", TimeText(strip.recording_since)},
          {"server_time", TimeText(strip.now)}};
}

absl::Status Get(const DashboardStripPorts& ports, const HttpCallPtr& call) {
  const absl::StatusOr<InstanceKey> key = KeyIn(call->request());
  if (!key.ok()) return key.status();
  ports.orchestrations.ReadRuns(
      *key, [ports, call,
             key = *key](const absl::StatusOr<std::vector<StoredRun>>& runs) {
        if (!runs.ok()) return call->Fail(runs.status());
        const std::optional<InstanceInfo> context =
            ports.registry.Describe(key);
        // Last, so that it is the newest.
        Strip strip = ports.strips.Read(key);
        AddWhatIsKnown(*runs, context, strip);
        if (strip.contexts.empty() && strip.runs.empty() &&
            strip.starts.empty()) {
          return call->Fail(absl::NotFoundError(absl::StrCat(
              "nothing is known of the ID ", QuoteForMessage(key.id))));
        }
        call->Finish(Answer(200, StripJson(strip, key)));
      });
  return absl::OkStatus();
}

// ---- What is known beside what was recorded ---------------------------------

Strip::Run RunOf(const StoredRun& run) {
  return {.execution_id = run.execution_id,
          .began = run.began,
          .ended = run.ended,
          .status = run.status,
          .parent_id = run.parent_id,
          .continues = run.continues};
}

Strip::Run* Find(Strip& strip, std::string_view execution_id) {
  execution_id = execution_id.substr(0, Strips::kTextMax);
  const auto found = std::find_if(strip.runs.rbegin(), strip.runs.rend(),
                                  [execution_id](const Strip::Run& run) {
                                    return run.execution_id == execution_id;
                                  });
  return found == strip.runs.rend() ? nullptr : &*found;
}

void Complete(const StoredRun& stored, Strip::Run& run) {
  if (!run.began.has_value()) {
    run.began = stored.began;
    run.continues = stored.continues;
    run.parent_id = stored.parent_id;
  }
  if (run.ended.has_value()) return;
  run.ended = stored.ended;
  run.status = stored.status;
}

absl::Time PlaceOf(const Strip::Run& run) {
  return run.began.value_or(run.ended.value_or(absl::InfinitePast()));
}

void AddRuns(const std::vector<StoredRun>& runs, Strip& strip) {
  for (const StoredRun& stored : runs) {
    const bool present = &stored == &runs.front();
    if (Strip::Run* const run = Find(strip, stored.execution_id)) {
      Complete(stored, *run);
    } else if (present || strip.runs_before == 0) {
      strip.runs.push_back(RunOf(stored));
    }
  }
  std::stable_sort(strip.runs.begin(), strip.runs.end(),
                   [](const Strip::Run& a, const Strip::Run& b) {
                     return PlaceOf(a) < PlaceOf(b);
                   });
  if (runs.empty()) return;
  // Those that ended while the store failed, so that nobody was told.
  const Strip::Run* const present = Find(strip, runs.front().execution_id);
  if (present == nullptr) return;
  for (Strip::Run& run : strip.runs) {
    if (&run != present && !run.ended.has_value() &&
        PlaceOf(run) < PlaceOf(*present)) {
      run.ended = PlaceOf(*present);
    }
  }
}

}  // namespace

void AddWhatIsKnown(const std::vector<StoredRun>& runs,
                    const std::optional<InstanceInfo>& context, Strip& strip) {
  AddRuns(runs, strip);
  if (!context.has_value()) return;
  absl::Time opened = context->create_time;
  for (const Strip::Context& one : strip.contexts) {
    if (one.generation >= context->generation) return;
    // The wall clock may have been set since.
    if (one.closed.has_value()) opened = std::max(opened, *one.closed);
  }
  strip.contexts.push_back(
      {.generation = context->generation, .opened = opened});
}

std::vector<HttpRoute> DashboardStripRoutes(DashboardStripPorts ports) {
  std::vector<HttpRoute> routes;
  for (const char* path :
       {"/contexts/{id}/strip", "/orchestrations/{id}/strip"}) {
    routes.push_back(DashboardRoute(
        "GET", path, "leasehold.v1.Orchestration/Get",
        [ports](const HttpCallPtr& call) { return Get(ports, call); }));
  }
  return routes;
}

}  // namespace leasehold
