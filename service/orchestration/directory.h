// Directory: the orchestrations in the engine's memory, by key and by number:
// those that are open, and those whose end is not durable yet.
//
// While an orchestration's end is being committed, another may begin under the
// same key: the key then finds the new one, and only its number finds the old
// one.
//
// Those that are parked are kept packed (packed_orchestration.h), and become
// whole when they are looked for. Pointers and references to one that may be
// packed are good until PackSome; a shared pointer keeps it whole.
//
// Thread-safety: none; callers synchronise.   Lifetime: it shares the
// orchestrations with the operations in progress for them.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_DIRECTORY_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_DIRECTORY_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/hash/hash.h"
#include "service/instance/instance_key.h"
#include "service/orchestration/history.h"
#include "service/orchestration/orchestration.h"
#include "service/orchestration/packed_orchestration.h"
#include "service/storage/records.h"

namespace leasehold {

using OrchestrationPtr = std::shared_ptr<Orchestration>;

class Directory {
 public:
  Directory() = default;
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  ~Directory();

  // A key as a single string.
  static std::string NameOf(const InstanceKey& key);
  // Whether that is the name of a key of the tenant.
  static bool IsOf(std::string_view name, std::string_view tenant);

  // nullptr: no orchestration has this key.
  OrchestrationPtr Find(const InstanceKey& key) const {
    return FindKey({key.tenant, key.id});
  }
  OrchestrationPtr FindByName(std::string_view name) const;
  // As Find, but also nullptr if the orchestration is being ended.
  OrchestrationPtr FindOpen(const InstanceKey& key) const;
  // As FindOpen, or one of which it is undecided whether it ends.
  OrchestrationPtr FindNotEnded(const InstanceKey& key) const;
  Orchestration* FindByNumber(RunNumber number) const;
  bool Contains(const InstanceKey& key) const {
    return by_key_.contains(Key{key.tenant, key.id});
  }
  // Any orchestration; nullptr: the directory is empty.
  Orchestration* first() const;
  size_t size() const { return by_key_.size(); }
  // How many of the tenant's were begun by callers (not by other work), and are
  // not set aside. One whose end is being committed counts.
  size_t BegunByCallers(std::string_view tenant) const;
  // The same for each tenant that has any.
  const absl::flat_hash_map<std::string, size_t>& begun_by_callers() const {
    return begun_by_callers_;
  }
  // How many have each status; those that are set aside have the one that they
  // had before.
  const std::map<OrchestrationStatus, size_t>& by_status() const {
    return by_status_;
  }

  // The orchestrations of a tenant, in order.
  std::vector<RunNumber> NumbersOf(std::string_view tenant) const;

  // From now on its key finds this orchestration.
  void Add(OrchestrationPtr orchestration);
  // It has this status now. REQUIRES: the directory has it.
  void SetStatus(Orchestration& orchestration, OrchestrationStatus status);
  // Removes an ended orchestration. Returns the directory's pointer to it;
  // nullptr: another orchestration has its key.
  OrchestrationPtr Remove(const Orchestration& orchestration);
  // Sets aside an orchestration that it has.
  void SetAside(Orchestration& orchestration, std::string why);

  // It may be parked now, if it is an orchestration: it is packed once nobody
  // uses it any more.
  void NoteParked(RunNumber number) const;
  // Packs some of those that are parked, whole and not in use.
  void PackSome() const {
    if (!whole_.empty()) PackFirst();
  }
  size_t packed() const { return packed_; }

  // Whether the counts of tenants are right. It looks only if there are few.
  bool CountsRightly() const;

  // Calls `look` with `count` orchestrations, except those that are packed.
  // Later calls continue where this one stopped, so that each orchestration is
  // looked at in time.
  template <typename Look>
  void LookAtSome(size_t count, Look look) {
    auto it = by_number_.lower_bound(next_look_);
    for (size_t i = 0; i < count && i < by_number_.size(); ++i) {
      if (it == by_number_.end()) it = by_number_.begin();
      if (!it->second.is_packed()) look(*it->second.whole());
      ++it;
    }
    next_look_ = it == by_number_.end() ? 0 : it->first;
  }

 private:
  using Key = std::pair<std::string_view, std::string_view>;  // Tenant, ID.

  // One orchestration, whole or packed, in the size of a pointer: the lowest
  // bit of its address says which.
  class Entry {
   public:
    explicit Entry(Orchestration& whole)
        : place_(reinterpret_cast<char*>(&whole)) {}
    explicit Entry(const char* packed)
        : place_(const_cast<char*>(packed) + 1) {}

    bool is_packed() const {
      return (reinterpret_cast<uintptr_t>(place_) & 1) != 0;
    }
    Orchestration* whole() const {
      return reinterpret_cast<Orchestration*>(place_);
    }
    const char* packed() const { return place_ - 1; }
    Key key() const {
      if (is_packed()) return {TenantOf(packed()), IdOf(packed())};
      return {whole()->key.tenant, whole()->key.id};
    }
    RunNumber number() const {
      return is_packed() ? NumberOf(packed()) : whole()->number;
    }
    // The other form of the same orchestration, so its hash does not change.
    void Become(Entry other) const { place_ = other.place_; }

   private:
    mutable char* place_;
  };

  struct KeyHash {
    using is_transparent = void;
    size_t operator()(const Key& key) const { return absl::HashOf(key); }
    size_t operator()(const Entry& entry) const { return (*this)(entry.key()); }
  };
  struct SameKey {
    using is_transparent = void;
    static const Key& KeyOf(const Key& key) { return key; }
    static Key KeyOf(const Entry& entry) { return entry.key(); }
    template <typename A, typename B>
    bool operator()(const A& a, const B& b) const {
      return KeyOf(a) == KeyOf(b);
    }
  };
  using ByKey = absl::flat_hash_set<Entry, KeyHash, SameKey>;

  OrchestrationPtr FindKey(const Key& key) const;
  Orchestration& Unpacked(Entry entry) const;
  void Note(Orchestration& whole) const;
  void PackFirst() const;
  void Replace(const Entry& before, Entry after) const;
  void Uncount(const Orchestration& orchestration);

  ByKey by_key_;
  absl::btree_map<RunNumber, Entry> by_number_;
  mutable std::deque<RunNumber> whole_;  // That may be packed.
  mutable size_t packed_ = 0;
  RunNumber next_look_ = 0;
  // By tenant, those above 0.
  absl::flat_hash_map<std::string, size_t> begun_by_callers_;
  std::map<OrchestrationStatus, size_t> by_status_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_DIRECTORY_H_
