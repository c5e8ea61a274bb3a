// The engine's memory: made from the store, and thrown away when a commit
// fails.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "service/orchestration/engine.h"
#include "service/orchestration/engine_section.h"

namespace leasehold {
namespace {

// How long after a failure the store is tried again; twice as long each time.
constexpr absl::Duration kRecoverDelayMin = absl::Milliseconds(100);
constexpr absl::Duration kRecoverDelayMax = absl::Seconds(2);

}  // namespace

absl::Status Engine::Open() {
  if (absl::Status status = store_.Open(); !status.ok()) return status;
  return Load();
}

absl::Status Engine::Load() {
  const absl::StatusOr<InstanceNumber> last = store_.ReadLastNumber();
  if (!last.ok()) return last.status();
  std::vector<OpenInstance> open;
  absl::Status status = store_.ReadOpen(
      [&open](OpenInstance one) { open.push_back(std::move(one)); });
  if (!status.ok()) return status;

  Section section(*this);
  ForgetAllLocked();
  last_number_ = std::max(last_number_, *last);
  for (OpenInstance& one : open) {
    status = LoadOneLocked(one);
    if (status.ok()) continue;
    ForgetAllLocked();
    return status;
  }
  commits_.Resume();
  recover_delay_ = kRecoverDelayMin;
  if (!stopping_) not_serving_ = absl::OkStatus();
  ReviewWaitersLocked();
  timers_changed_.NotifyAll();
  return absl::OkStatus();
}

absl::Status Engine::LoadOneLocked(OpenInstance& stored) {
  const absl::StatusOr<OrchestrationInfo> info = InfoOf(stored.row);
  if (!info.ok()) return info.status();
  const InstanceKey key{stored.row.tenant, stored.row.id};
  const Summary& summary = info->summary;
  auto orchestration =
      std::make_shared<Orchestration>(stored.row.number, key, summary.name,
                                      summary.version, summary.execution_id);
  orchestration->durable = true;
  orchestration->revision = ++last_revision_;
  orchestration->status = info->status;
  orchestration->suspended = info->status == OrchestrationStatus::kSuspended;
  orchestration->turn_time = summary.turn_time;
  orchestration->former_executions = summary.former_executions;
  if (info->status == OrchestrationStatus::kPending &&
      summary.scheduled_start.has_value()) {
    const absl::Time at = ToTime(*summary.scheduled_start);
    if (at > clock_.WallNow()) {
      orchestration->start_at = ToStored(at);
      timers_.Add({orchestration->start_at, orchestration->number,
                   Timers::Kind::kStart, 0});
    }
  }
  directory_.emplace(DirectoryKey(key), orchestration);
  by_number_.emplace(orchestration->number, orchestration.get());

  for (MessageRow& row : stored.messages) {
    orchestration->first_sequence =
        std::min(orchestration->first_sequence, row.sequence);
    orchestration->last_sequence =
        std::max(orchestration->last_sequence, row.sequence);
    Message message{.sequence = row.sequence,
                    .execution_id = std::move(row.execution),
                    .event = std::move(row.event)};
    if (!IsForPresent(message, *orchestration)) continue;
    const std::optional<HistoryEvent> event = DecodeEvent(message.event);
    if (!event.has_value()) {
      return absl::DataLossError(
          absl::StrCat("a stored message of orchestration ",
                       QuoteForMessage(key.id), " cannot be read"));
    }
    NoteSuspension(*event, *orchestration);
    message.urgent = IsUrgent(*event);
    message.rewinds = event->As<ExecutionRewound>() != nullptr;
    orchestration->inbox.push_back(std::move(message));
  }
  for (const TimerRow& row : stored.timers) {
    timers_.Add({row.due, row.number, Timers::Kind::kTimer,
                 static_cast<int32_t>(row.sequence)});
  }
  for (TaskRow& row : stored.tasks) {
    std::optional<TaskScheduled> task = DecodeMessage<TaskScheduled>(row.task);
    if (!task.has_value()) {
      return absl::DataLossError(
          absl::StrCat("a stored activity of orchestration ",
                       QuoteForMessage(key.id), " cannot be read"));
    }
    AddActivityLocked(*orchestration, static_cast<int32_t>(row.sequence),
                      *std::move(task));
  }
  LineUpLocked(*orchestration);
  return absl::OkStatus();
}

void Engine::ForgetAllLocked() {
  const uint64_t before = epoch_++;
  while (!by_number_.empty()) EndLocked(*by_number_.begin()->second);
  dispatcher_.Clear();
  timers_.Clear();
  for (auto& [key, lookups] : lookups_) {
    for (Lookup& lookup : lookups.queue) {
      if (!lookup) continue;  // It runs, and will find out by itself.
      deferred_.calls.push_back([lookup = std::move(lookup), before] {
        lookup(absl::UnavailableError(
                   "what the store held was being read anew; try again"),
               before);
      });
    }
  }
  lookups_.clear();
}

void Engine::FailLocked(const absl::Status& status) {
  if (!not_serving_.ok()) return;  // Known already, or the end.
  not_serving_ = absl::UnavailableError(absl::StrCat(
      "nothing can be stored now; nothing was done: ", status.message()));
  ForgetAllLocked();
  recover_at_ = ToStored(clock_.WallNow() + recover_delay_);
  timers_changed_.NotifyAll();
  deferred_.calls.push_back(
      [this, status] { observer_.OnStoreFailed(status); });
}

void Engine::Recover() {
  const absl::Status status = Open();
  size_t open = 0;
  {
    Section section(*this);
    if (!status.ok()) {
      recover_delay_ = std::min(recover_delay_ * 2, kRecoverDelayMax);
      if (!stopping_) {
        recover_at_ = ToStored(clock_.WallNow() + recover_delay_);
      }
      timers_changed_.NotifyAll();
      return;
    }
    open = directory_.size();
  }
  observer_.OnStoreRecovered(open);
}

}  // namespace leasehold
