#include "client/cli/worker_view.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/cli/instance_view.h"
#include "client/cli/printable.h"

namespace leasehold::client::cli {
namespace {

using Work = ConnectedWorker::Work;
using Name = ConnectedWorker::Name;

// What it says of its SDK; else, of the libraries that it names, the first.
std::string SdkText(const ConnectedWorker& worker) {
  if (!worker.sdk.empty()) return worker.sdk;
  return worker.user_agent.substr(0, worker.user_agent.find(' '));
}

// `orchestrator 1/100, activity 0/4`: slots in use, and all, of what it takes.
std::string SlotsText(const ConnectedWorker& worker) {
  std::vector<std::string> parts;
  for (const Work& work : worker.work) {
    if (!work.all && work.name_count == 0) continue;
    parts.push_back(
        absl::StrCat(work.kind, " ", work.slots_used, "/", work.slots));
  }
  return absl::StrJoin(parts, ", ");
}

std::string NameText(const Name& name) {
  if (name.versions.empty()) return name.name;
  return absl::StrCat(name.name, "@", absl::StrJoin(name.versions, "|"));
}

std::string TakesText(const ConnectedWorker& worker) {
  std::vector<std::string> names;
  size_t more = 0;
  bool all = !worker.work.empty();
  for (const Work& work : worker.work) {
    all = all && work.all;
    if (work.all) names.push_back(absl::StrCat("all of kind ", work.kind));
    for (const Name& name : work.names) names.push_back(NameText(name));
    more += work.name_count - static_cast<int64_t>(work.names.size());
  }
  if (all) return "all";
  if (more > 0) names.push_back(absl::StrCat("and ", more, " more"));
  return names.empty() ? "nothing" : absl::StrJoin(names, ", ");
}

JsonObject WorkJson(const Work& work) {
  std::vector<std::string> names;
  for (const Name& name : work.names) names.push_back(NameText(name));
  JsonObject object;
  object.Flag("all", work.all)
      .Texts("names", names)
      .Number("name_count", work.name_count)
      .Number("slots_used", work.slots_used)
      .Number("slots", work.slots);
  return object;
}

}  // namespace

Table::Heading WorkerHeading() {
  return {"WORKER",
          {"ADDRESS", Column::Kind::kText},
          {"SDK", Column::Kind::kText},
          {"SLOTS IN USE", Column::Kind::kText},
          "CONNECTED",
          {"SEEN", Column::Kind::kExtra},
          {"STATE", Column::Kind::kState},
          {"TAKES", Column::Kind::kText}};
}

Table::Row WorkerRow(const ConnectedWorker& worker, absl::Time now) {
  return {absl::StrCat(worker.worker_id),
          Printable(worker.address),
          Printable(SdkText(worker)),
          Printable(SlotsText(worker)),
          BriefDuration(now - worker.connect_time),
          BriefDuration(now - worker.last_seen_time),
          worker.silent ? "silent" : "answers",
          Printable(TakesText(worker))};
}

JsonObject WorkerJson(const ConnectedWorker& worker) {
  JsonObject work;
  for (const Work& one : worker.work) work.Object(one.kind, WorkJson(one));
  JsonObject object;
  object.Number("worker_id", worker.worker_id)
      .Text("address", worker.address)
      .TextIfAny("identity", worker.identity)
      .TextIfAny("sdk", worker.sdk)
      .TextIfAny("user_agent", worker.user_agent)
      .Flag("built_in", worker.built_in)
      .Object("work", work)
      .Time("connect_time", worker.connect_time)
      .Time("last_seen_time", worker.last_seen_time)
      .Flag("silent", worker.silent)
      .Number("unknown_name_count", worker.unknown_name_count)
      .Number("unread_bytes", worker.unread_bytes);
  return object;
}

}  // namespace leasehold::client::cli
