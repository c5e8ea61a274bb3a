#include "service/orchestration/orchestration.h"

#include <algorithm>
#include <utility>

namespace leasehold {

void NoteSuspension(const HistoryEvent& event, Orchestration& orchestration) {
  if (event.As<ExecutionSuspended>() != nullptr) orchestration.suspended = true;
  if (event.As<ExecutionResumed>() != nullptr) orchestration.suspended = false;
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
  for (const Message& message : orchestration.inbox) {
    if (message.timer.has_value()) continue;
    std::optional<HistoryEvent> event = DecodeEvent(message.event);
    if (!event.has_value()) continue;
    if (auto* started = std::get_if<ExecutionStarted>(&event->body)) {
      return std::move(*started);
    }
  }
  return std::nullopt;
}

}  // namespace leasehold
