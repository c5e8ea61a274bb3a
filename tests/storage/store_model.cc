#include "tests/storage/store_model.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "tests/storage/store_dump.h"

namespace leasehold {
namespace {

std::string RandomBytes(Random& random) {
  std::string bytes(OneIn(random, 50) ? 20'000 : Uniform(random, 0, 100), '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

// Inserts a row in order; replaces a row with the same key.
template <typename Row, typename Key>
void PutRow(std::vector<Row>& rows, const Row& row, Key key) {
  std::erase_if(rows, [&](const Row& r) { return key(r) == key(row); });
  const auto after = std::find_if(rows.begin(), rows.end(), [&](const Row& r) {
    return key(r) > key(row);
  });
  rows.insert(after, row);
}

template <typename Row>
void EraseOf(std::vector<Row>& rows, RunNumber number) {
  std::erase_if(rows, [&](const Row& row) { return row.number == number; });
}

template <typename A, typename B>
bool SameKey(const A& a, const B& b) {
  return a.tenant == b.tenant && a.id == b.id;
}

constexpr auto kByNumber = [](const auto& row) { return row.number; };
constexpr auto kBySequence = [](const auto& row) {
  return std::pair(row.number, row.sequence);
};
constexpr auto kByChunk = [](const auto& row) {
  return std::pair(row.number, row.chunk);
};
constexpr auto kByOutboxKey = [](const OutboxRow& row) {
  return OutboxKey{row.source, row.ordinal};
};
constexpr auto kByKey = [](const EntityRow& row) {
  return std::pair(row.tenant, row.id);
};
constexpr auto kByRequest = [](const RequestRow& row) {
  return std::pair(row.tenant, row.request);
};

}  // namespace

const std::vector<std::string>& StoreModel::Tenants() {
  static const std::vector<std::string> kTenants = {"", "t",
                                                    std::string("t\0u", 3)};
  return kTenants;
}

const std::vector<std::string>& StoreModel::Names() {
  static const std::vector<std::string> kNames = {"a", "b",
                                                  std::string("a\0", 2)};
  return kNames;
}

void StoreModel::Commit(absl::Span<const Change> changes) {
  for (size_t i = 0; i < changes.size(); ++i) {
    const auto* take = std::get_if<TakeOutbox>(&changes[i]);
    if (take != nullptr &&
        std::none_of(outbox_.begin(), outbox_.end(), [&](const OutboxRow& row) {
          return kByOutboxKey(row) == take->key;
        })) {
      i += take->effects;
      continue;
    }
    std::visit([this](const auto& c) { Apply(c); }, changes[i]);
  }
}

bool StoreModel::Exists(RunNumber number) const {
  return std::any_of(instances_.begin(), instances_.end(),
                     [&](const RunRow& row) { return row.number == number; });
}

bool StoreModel::IsOpen(RunNumber number) const {
  return std::any_of(
      instances_.begin(), instances_.end(),
      [&](const RunRow& row) { return row.number == number && !row.finished; });
}

void StoreModel::EraseInbox(RunNumber number) {
  EraseOf(messages_, number);
  EraseOf(timers_, number);
  EraseOf(tasks_, number);
}

void StoreModel::EraseRows(RunNumber number) {
  EraseOf(instances_, number);
  EraseOf(replaced_, number);
  EraseOf(history_, number);
  EraseInbox(number);
}

void StoreModel::Apply(const PutRun& change) {
  const RunRow& put = change.row;
  EraseRows(put.number);
  for (const RunRow& row : instances_) {
    if (!SameKey(row, put)) continue;
    PutRow(replaced_, row, kByNumber);
    EraseInbox(row.number);
  }
  std::erase_if(instances_,
                [&](const RunRow& row) { return SameKey(row, put); });
  PutRow(instances_, put, kByNumber);

  std::vector<RunNumber> runs;
  for (const RunRow& row : replaced_) {
    if (SameKey(row, put)) runs.push_back(row.number);
  }
  for (size_t i = 0; i + kReplacedRunsMax < runs.size(); ++i)
    EraseRows(runs[i]);
}

void StoreModel::Apply(const UpdateRun& change) {
  for (RunRow& row : instances_) {
    if (row.number != change.number) continue;
    row.status = change.status;
    row.finished = change.finished;
    row.summary = change.summary;
    if (row.finished) EraseInbox(row.number);
  }
}

void StoreModel::Apply(const FinishRun& change) {
  if (!IsOpen(change.number)) return;
  int64_t chunk = 0;
  for (const HistoryRow& row : history_) {
    if (row.number == change.number) chunk = std::max(chunk, row.chunk + 1);
  }
  Apply(AppendHistory{change.number, chunk, change.events});
  for (const RunRow& row : instances_) {
    if (row.number != change.number) continue;
    return Apply(UpdateRun{change.number, change.status, change.finished,
                           std::string(row.summary)});
  }
}

void StoreModel::Apply(const AppendHistory& change) {
  if (!Exists(change.number)) return;
  PutRow(history_, {change.number, change.chunk, change.events}, kByChunk);
}

void StoreModel::Apply(const ClearExecution& change) {
  if (!Exists(change.number)) return;
  EraseOf(history_, change.number);
  EraseOf(timers_, change.number);
  EraseOf(tasks_, change.number);
}

void StoreModel::Apply(const PutMessage& change) {
  if (IsOpen(change.row.number)) PutRow(messages_, change.row, kBySequence);
}

void StoreModel::Apply(const TakeMessages& change) {
  std::erase_if(messages_, [&](const MessageRow& row) {
    return row.number == change.number && row.sequence <= change.last_sequence;
  });
}

void StoreModel::Apply(const PutTimer& change) {
  if (IsOpen(change.row.number)) PutRow(timers_, change.row, kBySequence);
}

void StoreModel::Apply(const DropTimer& change) {
  std::erase_if(timers_, [&](const TimerRow& row) {
    return row.number == change.number && row.sequence == change.sequence;
  });
}

void StoreModel::Apply(const PutTask& change) {
  if (IsOpen(change.row.number)) PutRow(tasks_, change.row, kBySequence);
}

void StoreModel::Apply(const DropTask& change) {
  std::erase_if(tasks_, [&](const TaskRow& row) {
    return row.number == change.number && row.sequence == change.sequence;
  });
}

void StoreModel::Apply(const EraseRun& change) {
  const auto found = std::find_if(
      instances_.begin(), instances_.end(),
      [&](const RunRow& row) { return row.number == change.number; });
  if (found == instances_.end()) return;
  const RunRow erased = *found;
  const std::vector<RunRow> before = replaced_;
  for (const RunRow& row : before) {
    if (SameKey(row, erased)) EraseRows(row.number);
  }
  std::erase_if(requests_,
                [&](const RequestRow& row) { return SameKey(row, erased); });
  EraseRows(change.number);
}

void StoreModel::Apply(const EraseTenant& change) {
  const auto is_its = [&](const auto& row) {
    return row.tenant == change.tenant;
  };
  std::vector<RunNumber> numbers;
  for (const auto* runs : {&instances_, &replaced_}) {
    for (const RunRow& row : *runs) {
      if (is_its(row)) numbers.push_back(row.number);
    }
  }
  for (const RunNumber number : numbers) EraseRows(number);
  const std::vector<EntityRow> entities = entities_;
  for (const EntityRow& row : entities) {
    if (is_its(row)) Apply(EraseEntity{row.tenant, row.id});
  }
  std::erase_if(requests_, is_its);
  std::erase_if(calls_, is_its);
}

void StoreModel::Apply(const PutRequest& change) {
  PutRow(requests_, change.row, kByRequest);
}

void StoreModel::Apply(const PutSetting& change) {
  settings_[change.name] = change.value;
}

void StoreModel::Apply(const PutOutbox& change) {
  PutRow(outbox_, change.row, kByOutboxKey);
}

void StoreModel::Apply(const TakeOutbox& change) {
  std::erase_if(outbox_, [&](const OutboxRow& row) {
    return kByOutboxKey(row) == change.key;
  });
}

const EntityRow* StoreModel::Find(const std::string& tenant,
                                  const std::string& id) const {
  for (const EntityRow& row : entities_) {
    if (row.tenant == tenant && row.id == id) return &row;
  }
  return nullptr;
}

void StoreModel::Apply(const PutEntity& change) {
  const EntityRow& put = change.row;
  const EntityRow* before = Find(put.tenant, put.id);
  if (before != nullptr && before->number != put.number) {
    EraseOf(operations_, before->number);
  }
  PutRow(entities_, put, kByKey);
  std::erase_if(entities_, [](const EntityRow& row) {
    return row.number == 0 && !row.state.has_value();
  });
}

void StoreModel::Apply(const TouchEntity& change) {
  EntityRow put = change.row;
  put.state.reset();
  if (const EntityRow* before = Find(put.tenant, put.id)) {
    put.state = before->state;
    put.modified = before->modified;
  }
  Apply(PutEntity{put});
}

void StoreModel::Apply(const EraseEntity& change) {
  const EntityRow* before = Find(change.tenant, change.id);
  if (before == nullptr) return;
  EraseOf(operations_, before->number);
  std::erase_if(entities_, [&](const EntityRow& row) {
    return row.tenant == change.tenant && row.id == change.id;
  });
}

void StoreModel::Apply(const PutOperation& change) {
  for (const EntityRow& row : entities_) {
    if (row.number != 0 && row.number == change.row.number) {
      return PutRow(operations_, change.row, kBySequence);
    }
  }
}

void StoreModel::Apply(const DropOperation& change) {
  std::erase_if(operations_, [&](const OperationRow& row) {
    return row.number == change.number && row.sequence == change.sequence;
  });
}

void StoreModel::Apply(const PutCall& change) {
  Apply(DropCall{change.row.tenant, change.row.request});
  calls_.push_back(change.row);
}

void StoreModel::Apply(const DropCall& change) {
  std::erase_if(calls_, [&](const CallRow& row) {
    return row.tenant == change.tenant && row.request == change.request;
  });
}

void StoreModel::DumpEntities(std::vector<std::string>& lines) const {
  std::vector<EntityRow> awake;
  for (const EntityRow& row : entities_) {
    lines.push_back(Line(row));
    if (row.number != 0) PutRow(awake, row, kByNumber);
  }
  for (EntityRow& row : awake) {
    row.state.reset();
    lines.push_back("awake: " + Line(row));
    for (const OperationRow& operation : operations_) {
      if (operation.number == row.number) lines.push_back(Line(operation));
    }
  }
}

std::vector<std::string> StoreModel::Dump() const {
  std::vector<std::string> lines;
  const auto dump_history = [&](RunNumber number) {
    for (const HistoryRow& chunk : history_) {
      if (chunk.number == number) {
        lines.push_back(HistoryLine(number, chunk.events));
      }
    }
  };
  for (const std::string& tenant : Tenants()) {
    std::vector<RunRow> finished;
    for (const RunRow& row : instances_) {
      if (row.tenant != tenant) continue;
      lines.push_back(Line(row));
      dump_history(row.number);
      for (auto run = replaced_.rbegin(); run != replaced_.rend(); ++run) {
        if (!SameKey(*run, row)) continue;
        lines.push_back("replaced: " + Line(*run));
        dump_history(run->number);
      }
      if (row.finished) finished.push_back(row);
    }
    std::stable_sort(finished.begin(), finished.end(),
                     [](const RunRow& a, const RunRow& b) {
                       return *a.finished < *b.finished;
                     });
    for (const RunRow& row : finished) {
      lines.push_back("finished: " + Line(row));
    }
    for (const std::string& name : Names()) {
      for (const RequestRow& row : requests_) {
        if (row.tenant == tenant && row.request == name) {
          lines.push_back(Line(row));
        }
      }
    }
  }
  for (const RunRow& row : instances_) {
    if (row.finished) continue;
    lines.push_back("open: " + Line(row));
    for (const MessageRow& part : messages_) {
      if (part.number == row.number) lines.push_back(Line(part));
    }
    for (const TimerRow& part : timers_) {
      if (part.number == row.number) lines.push_back(Line(part));
    }
    for (const TaskRow& part : tasks_) {
      if (part.number == row.number) lines.push_back(Line(part));
    }
  }
  for (const std::string& name : Names()) {
    const auto found = settings_.find(name);
    if (found != settings_.end()) {
      lines.push_back(SettingLine(name, found->second));
    }
  }
  for (const OutboxRow& row : outbox_) lines.push_back(Line(row));
  DumpEntities(lines);
  for (const CallRow& row : calls_) lines.push_back(Line(row));
  RunNumber last = 0;
  for (const EntityRow& row : entities_) last = std::max(last, row.number);
  for (const auto* runs : {&instances_, &replaced_}) {
    if (!runs->empty()) last = std::max(last, runs->back().number);
  }
  lines.push_back(absl::StrCat("last number ", last));
  return lines;
}

uint64_t StoreModel::StoredBytes(const std::string& tenant) const {
  constexpr size_t kRow = 64;
  size_t bytes = 0;
  const auto add_parts = [&](RunNumber number) {
    for (const HistoryRow& part : history_) {
      if (part.number == number) bytes += kRow + part.events.size();
    }
    for (const MessageRow& part : messages_) {
      if (part.number != number) continue;
      bytes += kRow + part.execution.size() + part.event.size();
    }
    for (const TimerRow& part : timers_) {
      if (part.number == number) bytes += kRow;
    }
    for (const TaskRow& part : tasks_) {
      if (part.number == number) bytes += kRow + part.task.size();
    }
  };
  for (const auto* runs : {&instances_, &replaced_}) {
    for (const RunRow& row : *runs) {
      if (row.tenant != tenant) continue;
      bytes += kRow + tenant.size() + row.id.size() + row.summary.size();
      add_parts(row.number);
    }
  }
  for (const RequestRow& row : requests_) {
    if (row.tenant != tenant) continue;
    bytes += kRow + tenant.size() + row.request.size() + row.id.size() +
             row.receipt.size();
  }
  for (const EntityRow& row : entities_) {
    if (row.tenant != tenant) continue;
    bytes += kRow + tenant.size() + row.id.size() + row.header.size() +
             row.state.value_or("").size();
    for (const OperationRow& operation : operations_) {
      if (row.number == 0 || operation.number != row.number) continue;
      bytes += kRow + operation.event.size();
    }
  }
  return bytes;
}

std::vector<Change> StoreModel::RandomStep(Random& random,
                                           RunNumber& next_number) const {
  const OutboxKey key = {static_cast<PartitionId>(Uniform(random, 0, 1)),
                         static_cast<int64_t>(Uniform(random, 0, 5))};
  switch (Uniform(random, 0, 19)) {
    case 0:
    case 1:
      return {
          PutOutbox{{.source = key.source,
                     .ordinal = key.ordinal,
                     .target = static_cast<PartitionId>(Uniform(random, 0, 1)),
                     .body = RandomBytes(random)}}};
    case 2: {
      const uint64_t effects = Uniform(random, 0, 3);
      std::vector<Change> step = {TakeOutbox{key, effects}};
      for (uint64_t i = 0; i < effects; ++i) {
        step.push_back(RandomChange(random, next_number));
      }
      return step;
    }
    default:
      return {RandomChange(random, next_number)};
  }
}

namespace {

// What a random change is about.
struct Subject {
  RunNumber number;
  int64_t sequence;
  StoredTime time;
  int32_t status;
  std::optional<StoredTime> finished;
  std::string tenant;
  std::string id;
};

// A change that puts or updates a row.
Change RandomRow(Random& random, const Subject& of, RunNumber& next_number) {
  switch (Uniform(random, 0, 6)) {
    case 0:
      return PutRun{{.number = OneIn(random, 20) ? of.number : next_number++,
                     .tenant = of.tenant,
                     .id = of.id,
                     .status = of.status,
                     .created = of.time,
                     .finished = of.finished,
                     .summary = RandomBytes(random)}};
    case 1:
      return UpdateRun{of.number, of.status, of.finished, RandomBytes(random)};
    case 2:
      return AppendHistory{of.number, of.sequence + 4, RandomBytes(random)};
    case 3:
      return PutMessage{{of.number, of.sequence, OneIn(random, 2) ? "e" : "",
                         RandomBytes(random)}};
    case 4:
      return PutTimer{{of.number, of.sequence, of.time}};
    case 5:
      return FinishRun{of.number, of.status, of.time, RandomBytes(random)};
    default:
      return PutTask{{of.number, of.sequence, RandomBytes(random)}};
  }
}

}  // namespace

Change StoreModel::RandomEntityChange(Random& random,
                                      RunNumber& next_number) const {
  EntityRow row;
  row.tenant = Tenants()[Uniform(random, 0, 2)];
  row.id = std::string(Uniform(random, 1, 4), '\0');
  if (!entities_.empty() && OneIn(random, 2)) {
    row = entities_[Uniform(random, 0, entities_.size() - 1)];
  }
  const int64_t sequence = static_cast<int64_t>(Uniform(random, 0, 3));
  switch (Uniform(random, 0, 9)) {
    case 0:
      return EraseEntity{row.tenant, row.id};
    case 1:
    case 2:
    case 3:
      return PutOperation{{row.number, sequence, RandomBytes(random)}};
    case 4:
      return DropOperation{row.number, sequence};
    default:
      break;
  }
  // No two that are awake have the same number.
  if (row.number == 0 || OneIn(random, 3)) {
    row.number = OneIn(random, 3) ? 0 : next_number++;
  }
  row.modified = static_cast<StoredTime>(Uniform(random, 0, 20));
  row.header = RandomBytes(random);
  row.state.reset();
  if (!OneIn(random, 3))
    row.state = OneIn(random, 4) ? "" : RandomBytes(random);
  if (OneIn(random, 2)) return PutEntity{row};
  return TouchEntity{row};
}

Change StoreModel::RandomChange(Random& random, RunNumber& next_number) const {
  if (OneIn(random, 5)) return RandomEntityChange(random, next_number);
  RunNumber number = Uniform(random, 1, next_number + 1);
  if (!replaced_.empty() && OneIn(random, 5)) {
    number = replaced_[Uniform(random, 0, replaced_.size() - 1)].number;
  } else if (!instances_.empty() && !OneIn(random, 10)) {
    number = instances_[Uniform(random, 0, instances_.size() - 1)].number;
  }
  const int64_t sequence = static_cast<int64_t>(Uniform(random, 0, 8)) - 4;
  const StoredTime time = Uniform(random, 0, 20);
  const int32_t status = Uniform(random, 0, 3);
  const std::optional<StoredTime> finished =
      OneIn(random, 4) ? std::optional(time) : std::nullopt;
  // One key is frequent, so that it has more replaced runs than are kept.
  const bool common = OneIn(random, 2);
  const std::string& tenant = Tenants()[common ? 0 : Uniform(random, 0, 2)];
  const std::string id(common ? 0 : Uniform(random, 0, 6), '\0');
  switch (Uniform(random, 0, 39)) {
    case 0:
      return OneIn(random, 5) ? Change(EraseTenant{tenant})
                              : Change(EraseRun{number});
    case 1:
      return EraseRun{number};
    case 2:
      return ClearExecution{number};
    case 3:
      return PutCall{{.tenant = tenant,
                      .request = Names()[Uniform(random, 0, 2)],
                      .ended = time,
                      .fingerprint = sequence,
                      .id = id,
                      .outcome = RandomBytes(random)}};
    case 4:
      return DropCall{tenant, Names()[Uniform(random, 0, 2)]};
    case 5:
    case 6:
      return PutSetting{Names()[Uniform(random, 0, 2)], RandomBytes(random)};
    case 7:
    case 8:
      return DropTimer{number, sequence};
    case 9:
    case 10:
      return DropTask{number, sequence};
    case 11:
    case 12:
      return TakeMessages{number, sequence};
    case 13:
    case 14:
    case 15:
      return PutRequest{{.tenant = tenant,
                         .request = Names()[Uniform(random, 0, 2)],
                         .id = id,
                         .receipt = RandomBytes(random)}};
    default:
      break;
  }
  return RandomRow(random,
                   {number, sequence, time, status, finished, tenant, id},
                   next_number);
}

}  // namespace leasehold
