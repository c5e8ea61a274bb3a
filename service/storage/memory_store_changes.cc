// The changes of a MemoryStore, one function each.
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "service/storage/memory_store.h"

namespace leasehold {

template <typename Counted>
class MemoryStore::Recounted {
 public:
  Recounted(TenantBytes& bytes, const Counted& counted)
      : bytes_(bytes), counted_(counted), before_(counted.bytes()) {}
  ~Recounted() { bytes_.Add(counted_.row.tenant, counted_.bytes() - before_); }
  Recounted(const Recounted&) = delete;
  Recounted& operator=(const Recounted&) = delete;

 private:
  TenantBytes& bytes_;
  const Counted& counted_;
  const int64_t before_;
};

void MemoryStore::AddToIndexes(const RunRow& row) {
  by_key_[{row.tenant, row.id}] = row.number;
  created_.insert({row.created, row.number});
  if (row.finished) finished_.insert({*row.finished, row.number});
}

void MemoryStore::TakeFromIndexes(const RunRow& row) {
  by_key_.erase({row.tenant, row.id});
  created_.erase({row.created, row.number});
  if (row.finished) finished_.erase({*row.finished, row.number});
}

void MemoryStore::Apply(const PutRun& change) {
  const RunRow& row = change.row;
  EraseRows(row.number);
  const auto same_key = by_key_.find({row.tenant, row.id});
  if (same_key != by_key_.end()) Replace(same_key->second);
  AddToIndexes(row);
  instances_[row.number].row = row;
  run_counts_.Add(row.tenant, row.status, 1);
  tenant_bytes_.Add(row.tenant, BytesOf(row));
}

void MemoryStore::Apply(const UpdateRun& change) {
  Instance* instance = At(change.number);
  if (instance == nullptr) return;
  const Recounted counted(tenant_bytes_, *instance);
  RunRow& row = instance->row;
  if (row.finished) finished_.erase({*row.finished, row.number});
  run_counts_.Add(row.tenant, row.status, -1);
  row.status = change.status;
  run_counts_.Add(row.tenant, row.status, 1);
  row.finished = change.finished;
  row.summary = change.summary;
  if (!row.finished) return;
  finished_.insert({*row.finished, row.number});
  instance->messages.Clear();
  instance->timers.Clear();
  instance->tasks.Clear();
}

void MemoryStore::Apply(const FinishRun& change) {
  Instance* instance = OpenAt(change.number);
  if (instance == nullptr) return;
  const auto& history = instance->history.rows();
  const int64_t chunk = history.empty() ? 0 : history.rbegin()->first + 1;
  Apply(AppendHistory{change.number, chunk, change.events});
  Apply(UpdateRun{change.number, change.status, change.finished,
                  instance->row.summary});
}

void MemoryStore::Apply(const AppendHistory& change) {
  Instance* instance = At(change.number);
  if (instance == nullptr) return;
  const Recounted counted(tenant_bytes_, *instance);
  instance->history.Put(change.chunk, change.events);
}

void MemoryStore::Apply(const ClearExecution& change) {
  Instance* instance = At(change.number);
  if (instance == nullptr) return;
  const Recounted counted(tenant_bytes_, *instance);
  instance->history.Clear();
  instance->timers.Clear();
  instance->tasks.Clear();
}

void MemoryStore::Apply(const PutMessage& change) {
  Instance* instance = OpenAt(change.row.number);
  if (instance == nullptr) return;
  const Recounted counted(tenant_bytes_, *instance);
  instance->messages.Put(change.row.sequence, change.row);
}

void MemoryStore::Apply(const TakeMessages& change) {
  Instance* instance = At(change.number);
  if (instance == nullptr) return;
  const Recounted counted(tenant_bytes_, *instance);
  instance->messages.EraseTo(change.last_sequence);
}

void MemoryStore::Apply(const PutTimer& change) {
  Instance* instance = OpenAt(change.row.number);
  if (instance == nullptr) return;
  const Recounted counted(tenant_bytes_, *instance);
  instance->timers.Put(change.row.sequence, change.row);
}

void MemoryStore::Apply(const DropTimer& change) {
  Instance* instance = At(change.number);
  if (instance == nullptr) return;
  const Recounted counted(tenant_bytes_, *instance);
  instance->timers.Erase(change.sequence);
}

void MemoryStore::Apply(const PutTask& change) {
  Instance* instance = OpenAt(change.row.number);
  if (instance == nullptr) return;
  const Recounted counted(tenant_bytes_, *instance);
  instance->tasks.Put(change.row.sequence, change.row);
}

void MemoryStore::Apply(const DropTask& change) {
  Instance* instance = At(change.number);
  if (instance == nullptr) return;
  const Recounted counted(tenant_bytes_, *instance);
  instance->tasks.Erase(change.sequence);
}

void MemoryStore::Apply(const EraseRun& change) {
  const Instance* instance = At(change.number);
  if (instance == nullptr) return;
  const Key key = {instance->row.tenant, instance->row.id};
  EraseRows(change.number);
  const std::set<RunNumber> replaced = replaced_of_[key];
  for (const RunNumber run : replaced) EraseRows(run);
  for (const std::string& request : requests_of_[key]) {
    EraseRequest({key.first, request});
  }
  replaced_of_.erase(key);
  requests_of_.erase(key);
}

void MemoryStore::Apply(const EraseTenant& change) {
  std::vector<RunNumber> numbers;
  for (const auto* runs : {&instances_, &replaced_}) {
    for (const auto& [number, run] : *runs) {
      if (run.row.tenant == change.tenant) numbers.push_back(number);
    }
  }
  for (const RunNumber number : numbers) EraseRows(number);
  std::erase_if(awake_, [&](const auto& entity) {
    return entity.second.first == change.tenant;
  });
  std::erase_if(calls_, [&](const auto& call) {
    return call.second.tenant == change.tenant;
  });
  const auto forget = [&](auto& by_key) {
    std::erase_if(by_key, [&](const auto& one) {
      return one.first.first == change.tenant;
    });
  };
  forget(requests_);
  forget(replaced_of_);
  forget(requests_of_);
  forget(entities_);
  forget(call_orders_);
  tenant_bytes_.Set(change.tenant, 0);
}

void MemoryStore::EraseRequest(const Key& key) {
  const auto found = requests_.find(key);
  if (found == requests_.end()) return;
  tenant_bytes_.Add(key.first, -BytesOf(found->second));
  requests_.erase(found);
}

void MemoryStore::Apply(const PutRequest& change) {
  const RequestRow& row = change.row;
  const Key key = {row.tenant, row.request};
  if (const auto before = requests_.find(key); before != requests_.end()) {
    requests_of_[{row.tenant, before->second.id}].erase(row.request);
  }
  EraseRequest(key);
  requests_of_[{row.tenant, row.id}].insert(row.request);
  requests_[key] = row;
  tenant_bytes_.Add(row.tenant, BytesOf(row));
}

void MemoryStore::Apply(const PutCall& change) {
  const CallRow& row = change.row;
  Apply(DropCall{row.tenant, row.request});
  const int64_t order = calls_.empty() ? 1 : calls_.rbegin()->first + 1;
  calls_[order] = row;
  call_orders_[{row.tenant, row.request}] = order;
}

void MemoryStore::Apply(const DropCall& change) {
  const auto found = call_orders_.find({change.tenant, change.request});
  if (found == call_orders_.end()) return;
  calls_.erase(found->second);
  call_orders_.erase(found);
}

void MemoryStore::Apply(const PutSetting& change) {
  settings_[change.name] = change.value;
}

void MemoryStore::Apply(const PutOutbox& change) {
  outbox_[{change.row.source, change.row.ordinal}] = change.row;
}

void MemoryStore::Apply(const TakeOutbox& change) { outbox_.erase(change.key); }

void MemoryStore::SetEntity(EntityRow row) {
  const Key key = {row.tenant, row.id};
  const auto [place, added] = entities_.try_emplace(key);
  Entity& entity = place->second;
  if (!added) tenant_bytes_.Add(row.tenant, -entity.bytes());
  if (entity.row.number != row.number) {
    awake_.erase(entity.row.number);
    entity.operations.Clear();
  }
  if (row.number != 0) {
    awake_[row.number] = key;
  } else if (!row.state.has_value()) {
    entities_.erase(place);
    return;
  }
  entity.row = std::move(row);
  tenant_bytes_.Add(entity.row.tenant, entity.bytes());
}

void MemoryStore::Apply(const PutEntity& change) { SetEntity(change.row); }

void MemoryStore::Apply(const TouchEntity& change) {
  EntityRow row = change.row;
  row.state.reset();
  const auto found = entities_.find({row.tenant, row.id});
  if (found != entities_.end()) {
    row.modified = found->second.row.modified;
    row.state = found->second.row.state;
  }
  SetEntity(std::move(row));
}

void MemoryStore::Apply(const EraseEntity& change) {
  const auto found = entities_.find({change.tenant, change.id});
  if (found == entities_.end()) return;
  tenant_bytes_.Add(change.tenant, -found->second.bytes());
  awake_.erase(found->second.row.number);
  entities_.erase(found);
}

void MemoryStore::Apply(const PutOperation& change) {
  const auto key = awake_.find(change.row.number);
  if (key == awake_.end()) return;
  Entity& entity = entities_.at(key->second);
  const Recounted counted(tenant_bytes_, entity);
  entity.operations.Put(change.row.sequence, change.row);
}

void MemoryStore::Apply(const DropOperation& change) {
  const auto key = awake_.find(change.number);
  if (key == awake_.end()) return;
  Entity& entity = entities_.at(key->second);
  const Recounted counted(tenant_bytes_, entity);
  entity.operations.Erase(change.sequence);
}

void MemoryStore::Replace(RunNumber number) {
  Instance& instance = instances_.at(number);
  const RunRow& row = instance.row;
  {
    const Recounted counted(tenant_bytes_, instance);
    instance.messages.Clear();
    instance.timers.Clear();
    instance.tasks.Clear();
  }
  TakeFromIndexes(row);
  run_counts_.Add(row.tenant, row.status, -1);
  std::set<RunNumber>& runs = replaced_of_[{row.tenant, row.id}];
  runs.insert(number);
  replaced_.insert(instances_.extract(number));
  if (runs.size() > kReplacedRunsMax) EraseRows(*runs.begin());
}

void MemoryStore::EraseRows(RunNumber number) {
  const Instance* run = RunAt(number);
  if (run == nullptr) return;
  const RunRow& row = run->row;
  tenant_bytes_.Add(row.tenant, -run->bytes());
  if (instances_.contains(number)) {
    TakeFromIndexes(row);
    run_counts_.Add(row.tenant, row.status, -1);
    instances_.erase(number);
  } else {
    replaced_of_[{row.tenant, row.id}].erase(number);
    replaced_.erase(number);
  }
}

MemoryStore::Instance* MemoryStore::At(RunNumber number) {
  const auto found = instances_.find(number);
  return found == instances_.end() ? nullptr : &found->second;
}

MemoryStore::Instance* MemoryStore::OpenAt(RunNumber number) {
  Instance* instance = At(number);
  return instance == nullptr || instance->row.finished ? nullptr : instance;
}

const MemoryStore::Instance* MemoryStore::RunAt(RunNumber number) {
  const auto replaced = replaced_.find(number);
  return replaced == replaced_.end() ? At(number) : &replaced->second;
}

}  // namespace leasehold
