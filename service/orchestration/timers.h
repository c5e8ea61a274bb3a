// Timers: what is due at which time of day, in order.
//
// A plain data structure, which the engine queries. It stores times of day, as
// orchestrators specify them. If the clock is set forward, timers that are then
// due fire. If it is set back, orchestrators' timers and the ends of locks come
// after the same remaining time as before (MoveBack): nearly all of them were
// computed as a span from a moment that now lies ahead again. A scheduled start
// names a time of day, and waits for it.
//
// Thread-safety: none; callers synchronise.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_TIMERS_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_TIMERS_H_

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <tuple>
#include <utility>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/container/flat_hash_set.h"
#include "service/storage/records.h"

namespace leasehold {

class Timers {
 public:
  enum class Kind : uint8_t {
    kTimer,          // Set by an orchestrator; `id` is its number.
    kStart,          // A scheduled start.
    kRetryTurn,      // A turn or batch that was given back is queued again.
    kRetryActivity,  // Same for an activity; `id` is its number, of any value.
    kEntity,         // A message for later of an entity is due.
    kCallWaits,      // Callers of entities have waited for too long.
    kLock,           // The lock of an entity ends by itself.
    kRetention,      // The next look at what ended long ago.
  };

  // Sorted in this order: timers of one orchestration that are due together
  // fire in the order of their IDs.
  struct Entry {
    StoredTime due = 0;
    RunNumber number = 0;
    Kind kind = Kind::kTimer;
    int32_t id = 0;
    friend auto operator<=>(const Entry&, const Entry&) = default;
  };

  // `early`: how much before its own time the entry is due. Cancel it by its
  // own time.
  void Add(Entry entry, StoredTime early = 0) {
    if (early != 0) {
      entry.due -= early;
      moved_.insert_or_assign(KeyOf(entry), entry.due);
    }
    entries_.insert(entry);
  }
  // No effect if the entry does not exist.
  void Cancel(Entry entry) {
    if (const auto moved = moved_.find(KeyOf(entry)); moved != moved_.end()) {
      entry.due = moved->second;
      moved_.erase(moved);
    }
    entries_.erase(entry);
  }
  // All of these orchestrations and entities.
  void CancelAll(const absl::flat_hash_set<RunNumber>& numbers) {
    absl::erase_if(entries_, [&numbers](const Entry& entry) {
      return numbers.contains(entry.number);
    });
    absl::erase_if(moved_, [&numbers](const auto& moved) {
      return numbers.contains(std::get<RunNumber>(moved.first));
    });
  }
  // The clock was set back by this much; see above.
  void MoveBack(StoredTime by) {
    absl::btree_set<Entry> moved;
    for (Entry entry : entries_) {
      if (entry.kind == Kind::kTimer || entry.kind == Kind::kLock) {
        entry.due -= by;
        moved_.insert_or_assign(KeyOf(entry), entry.due);
      }
      moved.insert(entry);
    }
    entries_ = std::move(moved);
  }

  // Takes the first entry that is due at `now`; nullopt: none is.
  std::optional<Entry> TakeDue(StoredTime now) {
    if (entries_.empty() || entries_.begin()->due > now) return std::nullopt;
    const Entry entry = *entries_.begin();
    entries_.erase(entries_.begin());
    moved_.erase(KeyOf(entry));
    return entry;
  }
  // When the first entry is due; nullopt: there is none.
  std::optional<StoredTime> next_due() const {
    if (entries_.empty()) return std::nullopt;
    return entries_.begin()->due;
  }

  void Clear() {
    entries_.clear();
    moved_.clear();
  }
  size_t size() const { return entries_.size(); }

 private:
  using Key = std::tuple<RunNumber, Kind, int32_t>;
  static Key KeyOf(const Entry& entry) {
    return {entry.number, entry.kind, entry.id};
  }

  absl::btree_set<Entry> entries_;
  // Due times of the entries that were moved.
  absl::btree_map<Key, StoredTime> moved_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_TIMERS_H_
