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

// What is asked of entities: `add of @counter@a`, or those to lock.
std::string AskedText(const OrchestrationEvent& event) {
  if (event.kind == Kind::kEntityLockRequested) {
    return Brief(absl::StrJoin(event.instance_ids, " "), kPayloadBytes);
  }
  return absl::StrCat(Brief(event.operation, kPayloadBytes), " of ",
                      Brief(event.instance_id, kPayloadBytes));
}

// What says the same in an event that asks entities for something, and in what
// answers it.
const std::string& AskedKey(const OrchestrationEvent& event) {
  return event.request_id.empty() ? event.section_id : event.request_id;
}

// Before the ID of another orchestration or entity.
const char* Preposition(Kind kind) {
  switch (kind) {
    case Kind::kEventSent:
      return "to ";
    case Kind::kEntityUnlocked:
      return "";
    default:
      return "as ";
  }
}

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
  if (event.kind == Kind::kEntityCalled ||
      event.kind == Kind::kEntityLockRequested) {
    asked_[AskedKey(event)] =
        absl::StrCat("#", event.id, " ", AskedText(event));
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
  switch (event.kind) {
    case Kind::kEntityCalled:
    case Kind::kEntitySignaled:
    case Kind::kEntityLockRequested:
      parts.push_back(AskedText(event));
      break;
    case Kind::kEntityCallCompleted:
    case Kind::kEntityCallFailed:
    case Kind::kEntityLockGranted: {
      const auto found = asked_.find(AskedKey(event));
      if (found != asked_.end()) parts.push_back(found->second);
      break;
    }
    default:
      add(Preposition(event.kind), event.instance_id);
  }
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
  for (const auto& time : {event.scheduled_start_time, event.scheduled_time}) {
    if (time.has_value()) add("not before ", TimeText(*time));
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
      .TextIfAny("operation", event.operation)
      .TextIfAny("request_id", event.request_id)
      .TextIfAny("section_id", event.section_id)
      .TimeIfAny("scheduled_time", event.scheduled_time)
      .TextIfAny("execution_id", event.execution_id)
      .TextIfAny("parent_instance_id", event.parent_instance_id)
      .TimeIfAny("scheduled_start_time", event.scheduled_start_time)
      .MapIfAny("tags", event.tags);
  if (event.kind == Kind::kEntityLockRequested) {
    object.Texts("instance_ids", event.instance_ids);
  }
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
