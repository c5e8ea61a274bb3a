// Timers: what is to happen at times of day, in order.
//
// A plain data structure; the engine looks into it. It keeps times of day, as
// orchestrators name them, not spans: a clock that is set moves them along.
//
// Thread-safety: none; callers synchronise.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_TIMERS_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_TIMERS_H_

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/container/btree_set.h"
#include "service/storage/records.h"

namespace leasehold {

class Timers {
 public:
  enum class Kind : uint8_t {
    kTimer,  // An orchestrator's own: `id` is its number.
    kStart,  // A scheduled start.
    kRetry,  // Work that was given back is lined up again; `id`: its task, or
             // kTurn.
  };

  // The ID of a retry that is for the turn.
  static constexpr int32_t kTurn = -1;

  // In this order: of two that are due together the one with the smaller ID is
  // first.
  struct Entry {
    StoredTime due = 0;
    InstanceNumber number = 0;
    Kind kind = Kind::kTimer;
    int32_t id = 0;
    friend auto operator<=>(const Entry&, const Entry&) = default;
  };

  void Add(const Entry& entry) { entries_.insert(entry); }
  // One that is not there stays so.
  void Cancel(const Entry& entry) { entries_.erase(entry); }

  // Takes the first one that is due at `now`; nullopt: none is.
  std::optional<Entry> TakeDue(StoredTime now) {
    if (entries_.empty() || entries_.begin()->due > now) return std::nullopt;
    const Entry entry = *entries_.begin();
    entries_.erase(entries_.begin());
    return entry;
  }
  // When the first one is due; nullopt: there is none.
  std::optional<StoredTime> next_due() const {
    if (entries_.empty()) return std::nullopt;
    return entries_.begin()->due;
  }

  void Clear() { entries_.clear(); }
  size_t size() const { return entries_.size(); }

 private:
  absl::btree_set<Entry> entries_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_TIMERS_H_
