#include "client/cli/history_view.h"

#include <algorithm>
#include <cstddef>
#include <utility>
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

// Exactly enough to tell turns of some milliseconds apart.
std::string ElapsedText(absl::Duration elapsed) {
  if (elapsed >= absl::Seconds(1)) return BriefDuration(elapsed);
  return absl::FormatDuration(absl::Trunc(elapsed, absl::Microseconds(10)));
}

JsonObject& AddEvent(const OrchestrationEvent& event, Payloads payloads,
                     JsonObject& object) {
  object.Time("time", event.time)
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
  object.PayloadIfAny("input", event.input, payloads)
      .PayloadIfAny("output", event.output, payloads);
  if (event.failure.has_value()) {
    object.Object("failure", FailureJson(*event.failure));
  }
  object.TextIfAny("reason", event.reason)
      .TimeIfAny("fire_time", event.fire_time);
  if (event.recursive) object.Flag("recursive", true);
  if (event.number != 0) object.Number("number", event.number);
  return object;
}

}  // namespace

int TurnCounter::TurnOf(const OrchestrationEvent& event) {
  if (event.kind == Kind::kTurnStarted) {
    ++turns_;
    in_turn_ = true;
  }
  const int turn = in_turn_ ? turns_ : 0;
  if (event.kind == Kind::kTurnCompleted) in_turn_ = false;
  return turn;
}

void HistoryView::Add(const OrchestrationEvent& event) {
  if (event.kind == Kind::kActivityScheduled ||
      event.kind == Kind::kSubOrchestrationStarted) {
    begun_[event.id] = Brief(event.name, kPayloadBytes);
  }
  if (event.kind == Kind::kEntityCalled ||
      event.kind == Kind::kEntityLockRequested) {
    asked_[AskedKey(event)] = {event.id, AskedText(event)};
  }
  lines_.push_back({.time = event.time,
                    .turn = turns_.TurnOf(event),
                    .id = IdOf(event),
                    .event = OrchestrationEventName(event.kind),
                    .detail = Detail(event)});
}

std::string HistoryView::Text() const {
  std::vector<const Line*> in_order;
  for (const Line& line : lines_) in_order.push_back(&line);
  // What happened at the same time stays as it was recorded.
  std::stable_sort(
      in_order.begin(), in_order.end(),
      [](const Line* a, const Line* b) { return a->time < b->time; });
  std::vector<Table::Row> rows;
  for (const Line* line : in_order) {
    rows.push_back({TimeText(line->time, look_),
                    "+" + ElapsedText(line->time - in_order.front()->time),
                    line->turn == 0 ? "" : absl::StrCat(line->turn), line->id,
                    line->event, line->detail});
  }
  return Table({{"TIME", Column::Kind::kExtra},
                "ELAPSED",
                "TURN",
                "ID",
                "EVENT",
                {"DETAIL", Column::Kind::kText}},
               look_)
      .Lines(std::move(rows));
}

std::string HistoryView::IdOf(const OrchestrationEvent& event) const {
  if (event.id >= 0) return absl::StrCat(event.id);
  if (event.scheduled_id.has_value()) return absl::StrCat(*event.scheduled_id);
  const std::string& key = AskedKey(event);
  const auto found = key.empty() ? asked_.end() : asked_.find(key);
  return found == asked_.end() ? "" : absl::StrCat(found->second.id);
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
    if (found != begun_.end()) parts.push_back(found->second);
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
      if (found != asked_.end()) parts.push_back(found->second.text);
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
  object.Number("id", event.id);
  return AddEvent(event, Payloads::kStrings, object);
}

JsonObject TimelineJson(const OrchestrationEvent& event, int turn,
                        Payloads payloads) {
  JsonObject object;
  if (event.id >= 0) object.Number("id", event.id);
  if (turn > 0) object.Number("turn", turn);
  return AddEvent(event, payloads, object);
}

}  // namespace leasehold::client::cli
