#include "service/orchestration/rewound.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"

namespace leasehold {
namespace {

constexpr size_t kFormerExecutionsMax = 100;

}  // namespace

absl::StatusOr<RewoundHistory> ReadRewoundHistory(
    const std::vector<std::string>& events) {
  RewoundHistory history;
  for (const std::string& bytes : events) {
    const std::optional<HistoryEvent> event = DecodeEvent(bytes);
    if (!event.has_value()) {
      return absl::InvalidArgumentError("one of its events cannot be read");
    }
    history.state.Apply(*event);
    AppendFrame(history.frames, kStoredFrame, bytes);
    if (const auto* task = event->As<TaskScheduled>()) {
      history.tasks.emplace(event->id, *task);
    } else if (const auto* child = event->As<SubOrchestrationCreated>()) {
      history.children.emplace(event->id, *child);
    }
  }
  const RuntimeState& state = history.state;
  std::erase_if(history.tasks, [&state](const auto& task) {
    return !state.tasks.contains(task.first);
  });
  std::erase_if(history.children, [&state](const auto& child) {
    return !state.children.contains(child.first);
  });
  if (history.execution_id().value_or("").empty()) {
    return absl::InvalidArgumentError("it does not begin with a new execution");
  }
  if (IsFinished(state.status)) {
    return absl::InvalidArgumentError("it has an end");
  }
  return history;
}

std::vector<Change> GoOnWith(RewoundHistory& history, RunNumber number,
                             std::string former, const SentTurn& sent,
                             Timestamp now, HotState& hot) {
  std::vector<std::string>& formers = hot.summary.former_executions;
  formers.push_back(std::move(former));
  if (formers.size() > kFormerExecutionsMax) formers.erase(formers.begin());
  hot.summary.execution_id = *history.execution_id();
  hot.summary.updated = std::max(now, sent.time);
  hot.summary.turn_time = sent.time;
  hot.state = history.state;
  hot.past = std::move(history.frames);
  hot.chunks = 1;
  hot.summary.chunks = 1;

  std::vector<Change> rows;
  rows.push_back(ClearExecution{number});
  rows.push_back(AppendHistory{number, 0, hot.past});
  rows.push_back(TakeMessages{number, sent.last_sequence});
  for (const auto& [id, task] : history.tasks) {
    rows.push_back(PutTask{{number, id, EncodeMessage(task)}});
  }
  for (const auto& [id, fire_at] : hot.state.timers) {
    rows.push_back(PutTimer{{number, id, ToStored(ToTime(fire_at))}});
  }
  rows.push_back(UpdateRun{number, static_cast<int32_t>(hot.state.status),
                           std::nullopt, EncodeMessage(hot.summary)});
  return rows;
}

ChildStep StepOfChild(const std::string& parent_id,
                      std::optional<RunNumber> open, const FoundChild* found) {
  const bool ours =
      found != nullptr && found->info.summary.parent_id == parent_id;
  if (ours && open == found->row.number) return ChildStep::kNone;
  if (!ours || open.has_value()) return ChildStep::kStart;
  return found->info.status == OrchestrationStatus::kFailed
             ? ChildStep::kReopen
             : ChildStep::kTellEnd;
}

}  // namespace leasehold
