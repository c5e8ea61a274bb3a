#include "client/cli/history_view.h"

#include <cstddef>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/cli/instance_view.h"
#include "client/cli/orchestration_view.h"
#include "client/cli/paragraph.h"
#include "client/cli/printable.h"

namespace leasehold::client::cli {
namespace {

using Kind = OrchestrationEvent::Kind;

// Payloads are cut to this length; JSON output has all of them.
constexpr size_t kPayloadBytes = 100;

bool HasStatus(const OrchestrationEvent& event) {
  return event.kind == Kind::kExecutionCompleted;
}

}  // namespace

std::string HistoryView::Lines(const OrchestrationEvent& event) {
  if (!first_.has_value()) first_ = event.time;
  if (event.kind == Kind::kActivityScheduled ||
      event.kind == Kind::kSubOrchestrationStarted) {
    begun_[event.id] = Brief(event.name, kPayloadBytes);
  }
  return table_.Lines({{TimeText(event.time),
                        absl::StrCat("+", BriefDuration(event.time - *first_)),
                        event.id < 0 ? "" : absl::StrCat(event.id),
                        OrchestrationEventName(event.kind), Detail(event)}});
}

std::string HistoryView::Detail(const OrchestrationEvent& event) const {
  std::vector<std::string> parts;
  const auto add = [&parts](const char* before, std::string_view text) {
    if (text.empty()) return;
    parts.push_back(absl::StrCat(before, Brief(text, kPayloadBytes)));
  };
  const auto payload = [&parts](const char* before,
                                const std::optional<std::string>& text) {
    if (!text.has_value()) return;
    parts.push_back(absl::StrCat(before, Brief(*text, kPayloadBytes)));
  };
  if (event.scheduled_id.has_value()) {
    const auto found = begun_.find(*event.scheduled_id);
    parts.push_back(absl::StrCat(
        "#", *event.scheduled_id,
        found == begun_.end() ? "" : absl::StrCat(" ", found->second)));
  }
  add("", event.name);
  add("version ", event.version);
  add(event.kind == Kind::kEventSent ? "to " : "as ", event.instance_id);
  if (HasStatus(event)) add("", OrchestrationStatusName(event.status));
  if (event.kind == Kind::kTimerCreated && event.fire_time.has_value()) {
    add("until ", TimeText(*event.fire_time));
  }
  payload("input ", event.input);
  payload("output ", event.output);
  if (event.failure.has_value()) {
    add("failure ", FailureText(*event.failure));
  }
  add("", event.reason);
  if (event.recursive) parts.push_back("with sub-orchestrations");
  if (event.scheduled_start_time.has_value()) {
    add("not before ", TimeText(*event.scheduled_start_time));
  }
  add("child of ", event.parent_instance_id);
  add("tags ", absl::StrJoin(event.tags, " ", absl::PairFormatter("=")));
  if (event.number != 0) {
    parts.push_back(
        absl::StrCat("number ", event.number, " in the Durable Task contract"));
  }
  return absl::StrJoin(parts, ", ");
}

JsonObject EventJson(const OrchestrationEvent& event) {
  JsonObject object;
  object.Number("id", event.id)
      .Time("time", event.time)
      .Text("event", OrchestrationEventName(event.kind));
  if (event.scheduled_id.has_value()) {
    object.Number("scheduled_id", *event.scheduled_id);
  }
  object.TextIfAny("name", event.name)
      .TextIfAny("version", event.version)
      .TextIfAny("instance_id", event.instance_id)
      .TextIfAny("execution_id", event.execution_id)
      .TextIfAny("parent_instance_id", event.parent_instance_id)
      .TimeIfAny("scheduled_start_time", event.scheduled_start_time)
      .MapIfAny("tags", event.tags);
  if (HasStatus(event)) {
    object.Text("status", OrchestrationStatusName(event.status));
  }
  object.TextIfAny("input", event.input).TextIfAny("output", event.output);
  if (event.failure.has_value()) {
    object.Object("failure", FailureJson(*event.failure));
  }
  object.TextIfAny("reason", event.reason)
      .TimeIfAny("fire_time", event.fire_time);
  if (event.recursive) object.Flag("recursive", true);
  if (event.number != 0) object.Number("number", event.number);
  return object;
}

}  // namespace leasehold::client::cli
