#include "service/storage/memory_store.h"

#include <algorithm>
#include <limits>

#include "service/storage/row_match.h"

namespace leasehold {
namespace {

absl::Status NotOpen() {
  return absl::UnavailableError("the store in memory is not open");
}

// The values, in order.
template <typename Row>
std::vector<Row> Values(const CountedRows<Row>& rows) {
  std::vector<Row> values;
  for (const auto& [sequence, row] : rows.rows()) values.push_back(row);
  return values;
}

}  // namespace

absl::Status MemoryStore::Open() {
  MutexLock lock(mu_);
  open_ = true;
  return absl::OkStatus();
}

absl::StatusOr<OpenedPartition> MemoryStore::OpenPartition(
    PartitionId partition, int64_t generation_min) {
  MutexLock lock(mu_);
  if (!open_) return NotOpen();
  if (absl::Status status = CheckPartition(partition); !status.ok()) {
    return status;
  }
  generation_ =
      epoch_ == 0 ? generation_min
                  : std::max(generation_min, generation_ + kGenerationsPerOpen);
  return OpenedPartition{{partition, ++epoch_}, generation_};
}

absl::Status MemoryStore::ReadOpen(
    PartitionId partition, absl::FunctionRef<void(OpenRun instance)> each) {
  std::vector<OpenRun> open;
  {
    MutexLock lock(mu_);
    if (!open_) return NotOpen();
    if (partition != kOnlyPartition) return absl::OkStatus();
    for (const auto& [number, instance] : instances_) {
      if (instance.row.finished) continue;
      OpenRun& one = open.emplace_back(
          OpenRun{instance.row, {}, Values(instance.timers), {}});
      for (const auto& [sequence, row] : instance.tasks.rows()) {
        if (row.task.size() <= kLargeTaskBytes) {
          one.tasks.push_back(row);
        } else {
          one.large_tasks.push_back(MakeLarge(sequence, row.task));
        }
      }
      for (const auto& [sequence, row] : instance.messages.rows()) {
        if (row.event.size() <= kLargeMessageBytes) {
          one.messages.push_back(row);
        } else {
          one.large_messages.push_back(
              MakeLarge(sequence, row.execution, row.event));
        }
      }
    }
  }
  for (OpenRun& instance : open) each(std::move(instance));
  return absl::OkStatus();
}

absl::StatusOr<RunNumber> MemoryStore::ReadLastNumber(PartitionId partition) {
  MutexLock lock(mu_);
  if (!open_) return NotOpen();
  if (partition != kOnlyPartition) return 0;
  const auto last = [](const auto& runs) {
    return runs.empty() ? 0 : runs.rbegin()->first;
  };
  return std::max({last(instances_), last(replaced_), last(awake_)});
}

absl::StatusOr<std::vector<OutboxRow>> MemoryStore::ReadOutbox(
    PartitionId source) {
  MutexLock lock(mu_);
  if (!open_) return NotOpen();
  std::vector<OutboxRow> rows;
  for (const auto& [key, row] : outbox_) {
    if (key.source == source) rows.push_back(row);
  }
  return rows;
}

CommitResult MemoryStore::Commit(absl::Span<const Fence> fences,
                                 absl::Span<const Change> changes) {
  MutexLock lock(mu_);
  if (!open_) return CommitResult::Refused(NotOpen());
  if (auto refused = CheckFences(fences, epoch_)) return *std::move(refused);
  std::vector<OutboxKey> gone;
  for (size_t i = 0; i < changes.size(); ++i) {
    const auto* take = std::get_if<TakeOutbox>(&changes[i]);
    if (take != nullptr && !outbox_.contains(take->key)) {
      gone.push_back(take->key);
      i += take->effects;
      continue;
    }
    // The lock is held, but the analysis does not see that inside a lambda.
    std::visit(
        [this](const auto& c) {
          mu_.AssertHeld();
          Apply(c);
        },
        changes[i]);
  }
  return CommitResult::Done(std::move(gone));
}

absl::StatusOr<std::optional<RunRow>> MemoryStore::Find(std::string_view tenant,
                                                        std::string_view id) {
  MutexLock lock(mu_);
  if (!open_) return NotOpen();
  const auto found = by_key_.find({std::string(tenant), std::string(id)});
  if (found == by_key_.end()) return std::nullopt;
  return instances_.at(found->second).row;
}

absl::StatusOr<std::vector<RunRow>> MemoryStore::ReadReplaced(
    std::string_view tenant, std::string_view id) {
  MutexLock lock(mu_);
  if (!open_) return NotOpen();
  std::vector<RunRow> rows;
  const auto runs = replaced_of_.find({std::string(tenant), std::string(id)});
  if (runs == replaced_of_.end()) return rows;
  for (const RunNumber run : runs->second) {
    rows.insert(rows.begin(), replaced_.at(run).row);
  }
  return rows;
}

absl::StatusOr<std::vector<std::string>> MemoryStore::ReadHistory(
    RunNumber number) {
  MutexLock lock(mu_);
  if (!open_) return NotOpen();
  const Instance* run = RunAt(number);
  if (run == nullptr) return std::vector<std::string>();
  return Values(run->history);
}

absl::StatusOr<HistoryPart> MemoryStore::ReadHistoryPart(RunNumber number,
                                                         int64_t first,
                                                         size_t bytes_max) {
  MutexLock lock(mu_);
  if (!open_) return NotOpen();
  HistoryPart part;
  const Instance* run = RunAt(number);
  if (run == nullptr) return part;
  size_t bytes = 0;
  const auto& history = run->history.rows();
  for (auto i = history.lower_bound(first); i != history.end(); ++i) {
    bytes += i->second.size();
    if (bytes > bytes_max && !part.chunks.empty()) {
      part.next = i->first;
      break;
    }
    part.chunks.push_back(i->second);
  }
  return part;
}

absl::StatusOr<HistoryEnds> MemoryStore::ReadHistoryEnds(RunNumber number) {
  MutexLock lock(mu_);
  if (!open_) return NotOpen();
  const Instance* run = RunAt(number);
  if (run == nullptr || run->history.rows().empty()) return HistoryEnds{};
  const auto& history = run->history.rows();
  return HistoryEnds{history.begin()->second, history.rbegin()->second};
}

absl::StatusOr<std::vector<MessageRow>> MemoryStore::ReadMessages(
    RunNumber number, const MessageRange& range) {
  MutexLock lock(mu_);
  if (!open_) return NotOpen();
  std::vector<MessageRow> rows;
  const Instance* instance = At(number);
  if (instance == nullptr) return rows;
  const auto& messages = instance->messages.rows();
  for (auto i = messages.lower_bound(range.first);
       i != messages.end() && i->first <= range.last &&
       rows.size() < range.count_max;
       ++i) {
    rows.push_back(i->second);
  }
  return rows;
}

absl::StatusOr<std::optional<TaskRow>> MemoryStore::ReadTask(RunNumber number,
                                                             int64_t sequence) {
  MutexLock lock(mu_);
  if (!open_) return NotOpen();
  const Instance* instance = At(number);
  if (instance == nullptr) return std::nullopt;
  const auto found = instance->tasks.rows().find(sequence);
  if (found == instance->tasks.rows().end()) return std::nullopt;
  return found->second;
}

void MemoryStore::ForEachMatch(
    const RowQuery& query, absl::FunctionRef<bool(const RunRow& row)> each) {
  const auto offer = [&](const RunRow& row) {
    return !Matches(query, View(row)) || !MatchesSummary(query, row.summary) ||
           each(row);
  };
  if (query.order == RowOrder::kOldestFirst) {
    auto i = query.after ? instances_.upper_bound(query.after->number)
                         : instances_.begin();
    while (i != instances_.end() && offer(i->second.row)) ++i;
    return;
  }
  auto i =
      query.after
          ? created_.lower_bound({query.after->created, query.after->number})
          : created_.end();
  while (i != created_.begin()) {
    --i;
    if (!offer(instances_.at(i->second).row)) return;
  }
}

absl::StatusOr<RowPage> MemoryStore::Query(const RowQuery& query) {
  MutexLock lock(mu_);
  if (!open_) return NotOpen();
  RowPage page;
  ForEachMatch(query, [&](const RunRow& row) {
    page.rows.push_back(row);
    if (page.rows.size() < query.count_max) return true;
    page.next = PositionOf(row);
    return false;
  });
  return page;
}

absl::StatusOr<RowCounts> MemoryStore::Count(const RowQuery& query) {
  MutexLock lock(mu_);
  if (!open_) return NotOpen();
  RowCounts counts;
  ForEachMatch(query, [&](const RunRow& row) {
    ++counts.by_status[row.status];
    return true;
  });
  return counts;
}

absl::StatusOr<FinishedPage> MemoryStore::ListFinished(
    const FinishedQuery& query) {
  MutexLock lock(mu_);
  if (!open_) return NotOpen();
  FinishedPage page;
  auto i = finished_.begin();
  if (query.finished_from) {
    i = finished_.lower_bound(
        {*query.finished_from, std::numeric_limits<RunNumber>::min()});
  }
  if (query.after) {
    const auto after =
        finished_.upper_bound({query.after->finished, query.after->number});
    if (i != finished_.end() && (after == finished_.end() || *i < *after)) {
      i = after;
    }
  }
  for (; i != finished_.end(); ++i) {
    const RunRow& row = instances_.at(i->second).row;
    if (query.finished_to && i->first >= *query.finished_to) break;
    if (!Matches(query, View(row))) continue;
    page.rows.push_back(row);
    if (page.rows.size() < query.count_max) continue;
    page.next = {i->first, i->second};
    break;
  }
  return page;
}

absl::StatusOr<std::optional<RequestRow>> MemoryStore::FindRequest(
    std::string_view tenant, std::string_view request) {
  MutexLock lock(mu_);
  if (!open_) return NotOpen();
  const auto found =
      requests_.find({std::string(tenant), std::string(request)});
  if (found == requests_.end()) return std::nullopt;
  return found->second;
}

absl::Status MemoryStore::ReadCalls(
    PartitionId partition, absl::FunctionRef<void(CallMark call)> each) {
  std::vector<CallMark> marks;
  {
    MutexLock lock(mu_);
    if (!open_) return NotOpen();
    if (partition != kOnlyPartition) return absl::OkStatus();
    for (const auto& [order, row] : calls_) {
      marks.push_back({row.tenant, row.request, row.ended, row.outcome.size()});
    }
  }
  for (CallMark& mark : marks) each(std::move(mark));
  return absl::OkStatus();
}

absl::StatusOr<std::optional<CallRow>> MemoryStore::FindCall(
    std::string_view tenant, std::string_view request) {
  MutexLock lock(mu_);
  if (!open_) return NotOpen();
  const auto found =
      call_orders_.find({std::string(tenant), std::string(request)});
  if (found == call_orders_.end()) return std::nullopt;
  return calls_.at(found->second);
}

absl::Status MemoryStore::ReadAwake(
    PartitionId partition, absl::FunctionRef<void(AwakeEntity entity)> each) {
  std::vector<AwakeEntity> awake;
  {
    MutexLock lock(mu_);
    if (!open_) return NotOpen();
    if (partition != kOnlyPartition) return absl::OkStatus();
    for (const auto& [number, key] : awake_) {
      const Entity& entity = entities_.at(key);
      awake.push_back({entity.row, Values(entity.operations)});
      awake.back().row.state.reset();
    }
  }
  for (AwakeEntity& entity : awake) each(std::move(entity));
  return absl::OkStatus();
}

absl::StatusOr<std::optional<EntityRow>> MemoryStore::FindEntity(
    std::string_view tenant, std::string_view id) {
  MutexLock lock(mu_);
  if (!open_) return NotOpen();
  const auto found = entities_.find({std::string(tenant), std::string(id)});
  if (found == entities_.end()) return std::nullopt;
  return found->second.row;
}

absl::StatusOr<EntityPage> MemoryStore::QueryEntities(
    const EntityQuery& query) {
  MutexLock lock(mu_);
  if (!open_) return NotOpen();
  EntityPage page;
  for (auto i = entities_.upper_bound({query.tenant, query.after});
       i != entities_.end() && i->first.first == query.tenant; ++i) {
    const EntityRow& row = i->second.row;
    if (!Matches(query,
                 {row.tenant, row.id, row.modified, row.state.has_value()})) {
      continue;
    }
    page.rows.push_back(row);
    if (!query.with_state) page.rows.back().state.reset();
    if (page.rows.size() < query.count_max) continue;
    page.next = row.id;
    break;
  }
  return page;
}

absl::StatusOr<std::optional<std::string>> MemoryStore::ReadSetting(
    std::string_view name) {
  MutexLock lock(mu_);
  if (!open_) return NotOpen();
  const auto found = settings_.find(name);
  if (found == settings_.end()) return std::nullopt;
  return found->second;
}

}  // namespace leasehold
