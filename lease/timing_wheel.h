// TimingWheel: entries filed by the tick at which they are due.
//
// A hierarchical wheel: level 0 has one slot a tick, each slot of the next
// level spans all of the level below it. An entry goes to the finest level that
// still holds its tick; when the wheel turns into a coarser slot, the slot's
// entries are filed again, finer (the algorithm file explains with an example).
// Insert and Cancel are O(1); Advance skips empty stretches by a bitmap a level.
// Entries are intrusive: the wheel allocates nothing.
//
// Thread-safety: callers synchronise.   Lifetime: an entry outlives its stay.
#ifndef LEASEHOLD_LEASE_TIMING_WHEEL_H_
#define LEASEHOLD_LEASE_TIMING_WHEEL_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace leasehold {

class TimingWheel {
 public:
  // What is filed. Its owner derives from it.
  class Entry {
   public:
    Entry() = default;
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;

    bool filed() const { return next_ != nullptr; }
    // The tick at which it is due. Meaningful while filed.
    uint64_t tick() const { return tick_; }

   private:
    friend class TimingWheel;
    Entry* prev_ = nullptr;
    Entry* next_ = nullptr;
    uint64_t tick_ = 0;
  };

  // The wheel stands at `now`: entries due then or before fire at the next
  // Advance.
  explicit TimingWheel(uint64_t now);
  TimingWheel(const TimingWheel&) = delete;
  TimingWheel& operator=(const TimingWheel&) = delete;

  // Files `entry` to fire at `tick`, never earlier. A tick that has passed fires
  // at the next Advance. REQUIRES: not filed.
  void Insert(Entry& entry, uint64_t tick);

  // Takes `entry` out; it does not fire. REQUIRES: filed here.
  void Cancel(Entry& entry);

  // Turns the wheel to `now` and appends what is due, in order of ticks, to
  // `due`, at most `limit` entries. Returns true if it stopped at the limit: the
  // wheel then stands where it stopped, and the next Advance goes on there.
  // What was appended is no longer filed. A `now` in the past changes nothing
  // but may still hand out what is due.
  [[nodiscard]] bool Advance(uint64_t now, size_t limit,
                             std::vector<Entry*>& due);

  // The earliest tick at which Advance may have something to do: never later
  // than the first due tick; earlier only where a coarse slot has to be filed
  // anew. nullopt if nothing is filed.
  std::optional<uint64_t> NextTick() const;

  size_t size() const { return size_; }

 private:
  // (Filled in with the implementation.)
};

}  // namespace leasehold

#endif  // LEASEHOLD_LEASE_TIMING_WHEEL_H_
