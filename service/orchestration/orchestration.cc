#include "service/orchestration/orchestration.h"

#include <algorithm>
#include <utility>

namespace leasehold {

void NoteSuspension(int event_number, Orchestration& orchestration) {
  if (event_number == ExecutionSuspended::kNumber) {
    orchestration.suspended = true;
  }
  if (event_number == ExecutionResumed::kNumber) {
    orchestration.suspended = false;
  }
}

bool IsForPresent(const Message& message, const Orchestration& orchestration) {
  const std::vector<std::string>& former = orchestration.former_executions;
  return message.execution_id.empty() ||
         message.execution_id == orchestration.execution_id ||
         std::find(former.begin(), former.end(), message.execution_id) !=
             former.end();
}

std::optional<ExecutionStarted> PendingStartOf(
    const Orchestration& orchestration) {
  const Message* start = orchestration.inbox.start();
  if (start == nullptr || start->away) return std::nullopt;
  std::optional<HistoryEvent> event = DecodeEvent(start->event);
  auto* started =
      event.has_value() ? std::get_if<ExecutionStarted>(&event->body) : nullptr;
  if (started == nullptr) return std::nullopt;
  return std::move(*started);
}

bool StartIsAway(const Orchestration& orchestration) {
  const Message* start = orchestration.inbox.start();
  return start != nullptr && start->away;
}

void KeepStart(std::vector<MessageRow> rows, Orchestration& orchestration) {
  if (!StartIsAway(orchestration) || rows.empty()) return;
  orchestration.inbox.Keep(rows.front().sequence,
                           std::move(rows.front().event));
}

std::optional<ExecutionStarted> StartIn(const std::vector<MessageRow>& rows) {
  for (const MessageRow& row : rows) {
    std::optional<HistoryEvent> event = DecodeEvent(row.event);
    if (!event.has_value()) continue;
    if (auto* started = std::get_if<ExecutionStarted>(&event->body)) {
      return std::move(*started);
    }
  }
  return std::nullopt;
}

}  // namespace leasehold
