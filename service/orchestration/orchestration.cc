#include "service/orchestration/orchestration.h"

#include <utility>

namespace leasehold {

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
