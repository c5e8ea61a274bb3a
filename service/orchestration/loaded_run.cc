#include "service/orchestration/loaded_run.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "service/orchestration/orchestration_info.h"
#include "service/orchestration/wire.h"

namespace leasehold {
namespace {

// The name and version at the beginning of an activity; nullopt: missing.
std::optional<TaskScheduled> NameIn(std::string_view beginning) {
  TaskScheduled task;
  WireReader reader(beginning);
  while (reader.Next()) {
    if (reader.field() == 1) reader.Read(task.name);
    if (reader.field() == 2 && !reader.Read(task.version)) return std::nullopt;
  }
  if (task.name.empty() || (!reader.ok() && reader.field() <= 2)) {
    return std::nullopt;
  }
  return task;
}

OrchestrationPtr MakeOrchestration(const OpenRun& stored, InstanceKey key,
                                   const OrchestrationInfo& info) {
  const Summary& summary = info.summary;
  auto made = std::make_shared<Orchestration>(stored.row.number, std::move(key),
                                              summary.name, summary.version,
                                              summary.execution_id);
  made->durable = true;
  made->status = info.status;
  made->suspended = info.status == OrchestrationStatus::kSuspended;
  made->turn_time = summary.turn_time;
  made->former_executions = summary.former_executions;
  made->begun_by_work = summary.begun_by_work();
  const auto note = [&made](const auto& rows) {
    if (rows.empty()) return;
    made->first_sequence =
        std::min(made->first_sequence, rows.front().sequence);
    made->last_sequence = std::max(made->last_sequence, rows.back().sequence);
  };
  note(stored.messages);
  note(stored.large_messages);
  return made;
}

// Fills the inbox. Returns what cannot be read; empty: nothing.
std::string LoadInbox(OpenRun& stored, Orchestration& orchestration) {
  const auto add = [&orchestration](int number, Message message) {
    if (!IsForPresent(message, orchestration)) return;
    NoteSuspension(number, orchestration);
    orchestration.terminating |= message.terminates;
    orchestration.inbox.Add(std::move(message));
  };
  auto large = stored.large_messages.begin();
  const auto add_large_before = [&](int64_t sequence) {
    for (; large != stored.large_messages.end() && large->sequence < sequence;
         ++large) {
      const int number = NumberOf(large->beginning);
      add(number, MakeMessageAway(number, std::move(*large)));
    }
  };
  for (MessageRow& row : stored.messages) {
    add_large_before(row.sequence);
    const std::optional<HistoryEvent> event = DecodeEvent(row.event);
    const int number = event.has_value() ? NumberOf(*event) : 0;
    Message message =
        MakeMessage(std::move(row.execution), number, std::move(row.event));
    message.sequence = row.sequence;
    if (!event.has_value() && IsForPresent(message, orchestration)) {
      return absl::StrCat("its message ", row.sequence, " is not an event");
    }
    add(number, std::move(message));
  }
  add_large_before(std::numeric_limits<int64_t>::max());
  return "";
}

std::string LoadActivities(const OpenRun& stored,
                           std::vector<LoadedRun::Activity>& activities) {
  const auto add = [&](int64_t id, std::optional<TaskScheduled> task,
                       bool away) {
    if (!task.has_value()) return false;
    activities.push_back({static_cast<int32_t>(id), *std::move(task), away});
    return true;
  };
  const auto unreadable = [](int64_t id) {
    return absl::StrCat("the stored row of its activity ", id,
                        " is not an activity");
  };
  for (const TaskRow& row : stored.tasks) {
    if (!add(row.sequence, DecodeMessage<TaskScheduled>(row.task), false)) {
      return unreadable(row.sequence);
    }
  }
  for (const LargeTask& row : stored.large_tasks) {
    if (!add(row.sequence, NameIn(row.beginning), true)) {
      return unreadable(row.sequence);
    }
  }
  return "";
}

}  // namespace

LoadedRun LoadRun(OpenRun stored, bool id_is_taken, absl::Time now) {
  LoadedRun loaded;
  absl::StatusOr<OrchestrationInfo> info = InfoOf(stored.row);
  loaded.damage = std::move(stored.damage);
  if (!info.ok()) {
    if (loaded.damage.empty()) {
      loaded.damage = std::string(info.status().message());
    }
    info = DamagedInfoOf(stored.row, loaded.damage);
  }
  InstanceKey key{stored.row.tenant, stored.row.id};
  if (id_is_taken) {
    absl::StrAppend(&key.id, " (damaged, number ", stored.row.number, ")");
    if (loaded.damage.empty()) {
      loaded.damage = "two open orchestrations have its ID";
    }
  }
  loaded.orchestration = MakeOrchestration(stored, std::move(key), *info);
  loaded.row_is_intact = loaded.damage.empty();
  if (!loaded.row_is_intact) return loaded;

  Orchestration& orchestration = *loaded.orchestration;
  loaded.damage = LoadInbox(stored, orchestration);
  if (loaded.damage.empty()) {
    loaded.damage = LoadActivities(stored, loaded.activities);
  }
  if (!loaded.damage.empty()) return loaded;
  if (info->status == OrchestrationStatus::kPending &&
      info->summary.scheduled_start.has_value()) {
    const absl::Time at = ToTime(*info->summary.scheduled_start);
    if (at > now) {
      orchestration.start_at = ToStored(at);
      loaded.timers.push_back({orchestration.start_at, orchestration.number,
                               Timers::Kind::kStart, 0});
    }
  }
  for (const TimerRow& row : stored.timers) {
    loaded.timers.push_back({row.due, row.number, Timers::Kind::kTimer,
                             static_cast<int32_t>(row.sequence)});
  }
  return loaded;
}

}  // namespace leasehold
