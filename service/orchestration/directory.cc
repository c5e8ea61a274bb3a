#include "service/orchestration/directory.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "service/base/invariant.h"

namespace leasehold {
namespace {

bool Counts(const Orchestration& one) {
  return !one.begun_by_work && one.damage == nullptr;
}

}  // namespace

Directory::~Directory() {
  for (const Entry& entry : by_key_) {
    if (entry.is_packed()) {
      const PackedOrchestration freed(entry.packed());
    } else {
      const OrchestrationPtr freed = std::move(entry.whole()->listed);
    }
  }
}

std::string Directory::NameOf(const InstanceKey& key) {
  std::string name;
  name.reserve(key.tenant.size() + key.id.size() + 1);
  name.append(key.tenant).push_back('\0');
  name.append(key.id);
  return name;
}

bool Directory::IsOf(std::string_view name, std::string_view tenant) {
  return name.size() > tenant.size() && name[tenant.size()] == '\0' &&
         name.starts_with(tenant);
}

OrchestrationPtr Directory::FindByName(std::string_view name) const {
  const size_t end = name.find('\0');
  if (end == std::string_view::npos) return nullptr;
  return FindKey({name.substr(0, end), name.substr(end + 1)});
}

OrchestrationPtr Directory::FindKey(const Key& key) const {
  const auto it = by_key_.find(key);
  return it == by_key_.end() ? nullptr : Unpacked(*it).listed;
}

OrchestrationPtr Directory::FindOpen(const InstanceKey& key) const {
  OrchestrationPtr found = Find(key);
  if (found != nullptr && found->ending) return nullptr;
  return found;
}

OrchestrationPtr Directory::FindNotEnded(const InstanceKey& key) const {
  OrchestrationPtr found = Find(key);
  if (found != nullptr && found->ending && !found->undecided) return nullptr;
  return found;
}

Orchestration* Directory::FindByNumber(RunNumber number) const {
  const auto it = by_number_.find(number);
  return it == by_number_.end() ? nullptr : &Unpacked(it->second);
}

Orchestration* Directory::first() const {
  return by_number_.empty() ? nullptr : &Unpacked(by_number_.begin()->second);
}

std::vector<RunNumber> Directory::NumbersOf(std::string_view tenant) const {
  std::vector<RunNumber> numbers;
  for (const auto& [number, entry] : by_number_) {
    if (entry.key().first == tenant) numbers.push_back(number);
  }
  return numbers;
}

void Directory::Add(OrchestrationPtr orchestration) {
  Orchestration& added = *orchestration;
  CheckInvariant(by_number_.emplace(added.number, Entry(added)).second,
                 "no two orchestrations have one number");
  if (Counts(added)) ++begun_by_callers_[added.key.tenant];
  ++by_status_[added.status];
  OrchestrationPtr before;
  if (const auto had = by_key_.find(Key{added.key.tenant, added.key.id});
      had != by_key_.end()) {
    CheckInvariant(!had->is_packed(), "what gives up its key is not parked");
    before = std::move(had->whole()->listed);
    by_key_.erase(had);
  }
  by_key_.insert(Entry(added));
  added.listed = std::move(orchestration);
}

OrchestrationPtr Directory::Remove(const Orchestration& orchestration) {
  if (by_number_.erase(orchestration.number) > 0) {
    --by_status_[orchestration.status];
    if (Counts(orchestration)) Uncount(orchestration);
  }
  if (orchestration.listed == nullptr) return nullptr;
  const auto place =
      by_key_.find(Key{orchestration.key.tenant, orchestration.key.id});
  OrchestrationPtr had = std::move(place->whole()->listed);
  by_key_.erase(place);
  return had;
}

// ---- Counting ---------------------------------------------------------------

size_t Directory::BegunByCallers(std::string_view tenant) const {
  const auto it = begun_by_callers_.find(std::string(tenant));
  return it == begun_by_callers_.end() ? 0 : it->second;
}

void Directory::SetStatus(Orchestration& orchestration,
                          OrchestrationStatus status) {
  --by_status_[std::exchange(orchestration.status, status)];
  ++by_status_[status];
}

void Directory::SetAside(Orchestration& orchestration, std::string why) {
  if (Counts(orchestration)) Uncount(orchestration);
  orchestration.damage = std::make_unique<const std::string>(std::move(why));
}

void Directory::Uncount(const Orchestration& orchestration) {
  const auto it = begun_by_callers_.find(orchestration.key.tenant);
  CheckInvariant(it != begun_by_callers_.end(), "what leaves was counted");
  if (--it->second == 0) begun_by_callers_.erase(it);
}

bool Directory::CountsRightly() const {
  constexpr size_t kFew = 32;
  if (by_number_.size() > kFew) return true;
  absl::flat_hash_map<std::string, size_t> found;
  size_t with_status = 0;
  for (const auto& [status, count] : by_status_) with_status += count;
  if (with_status != by_number_.size()) return false;
  for (const auto& [number, entry] : by_number_) {
    if (entry.is_packed() ? !IsBegunByWork(entry.packed())
                          : Counts(*entry.whole())) {
      ++found[std::string(entry.key().first)];
    }
  }
  return found == begun_by_callers_;
}

// ---- Packing ----------------------------------------------------------------

void Directory::Replace(const Entry& before, Entry after) const {
  by_number_.find(before.number())->second.Become(after);
  by_key_.find(before.key())->Become(after);
}

Orchestration& Directory::Unpacked(Entry entry) const {
  if (!entry.is_packed()) return *entry.whole();
  const PackedOrchestration packed(entry.packed());
  OrchestrationPtr made = Unpack(packed.get());
  Orchestration& whole = *made;
  Replace(entry, Entry(whole));
  whole.listed = std::move(made);
  --packed_;
  Note(whole);
  return whole;
}

void Directory::NoteParked(RunNumber number) const {
  const auto it = by_number_.find(number);
  if (it != by_number_.end() && !it->second.is_packed()) {
    Note(*it->second.whole());
  }
}

void Directory::Note(Orchestration& whole) const {
  if (whole.noted_parked || whole.listed == nullptr) return;
  whole.noted_parked = true;
  whole_.push_back(whole.number);
}

void Directory::PackFirst() const {
  // As many as one section can have made whole, in most cases.
  constexpr size_t kAtOnce = 4;
  for (size_t left = std::min(whole_.size(), kAtOnce); left > 0; --left) {
    const RunNumber number = whole_.front();
    whole_.pop_front();
    const auto it = by_number_.find(number);
    if (it == by_number_.end() || it->second.is_packed()) continue;
    Orchestration& one = *it->second.whole();
    if (MayPack(one) && one.listed.use_count() == 1) {
      PackedOrchestration packed = Pack(one);
      const OrchestrationPtr freed = std::move(one.listed);
      Replace(Entry(one), Entry(packed.release()));
      ++packed_;
    } else if (MayPackSoon(one) && one.listed != nullptr) {
      whole_.push_back(number);
    } else {
      one.noted_parked = false;  // It will be noted anew.
    }
  }
}

}  // namespace leasehold
