// TimingWheel: entries filed by the tick at which they are due.
//
// A hierarchical wheel: level 0 has one slot per tick, and each slot of a
// higher level spans a page of the level below. An entry goes to the finest
// level whose pages contain its tick; when the wheel reaches a coarse slot, or
// before, the slot's entries are refiled on finer levels (the .cc file explains
// this with an example). Insert and Cancel are O(1); Advance skips empty
// stretches with one bitmap per level. Entries are intrusive: the wheel
// allocates nothing.
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
  // An element of the wheel. Its owner derives from it.
  class Entry {
   public:
    Entry() = default;
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;

    bool filed() const { return next_ != nullptr; }
    // The tick at which the entry is due; if that had passed when it was
    // inserted, the wheel's tick at that time. Meaningful while filed.
    uint64_t tick() const { return tick_; }

   private:
    friend class TimingWheel;
    Entry* prev_ = nullptr;
    Entry* next_ = nullptr;
    uint64_t tick_ = 0;
  };

  // The wheel starts at `now`: entries due then or before fire at the next
  // Advance.
  explicit TimingWheel(uint64_t now);
  TimingWheel(const TimingWheel&) = delete;
  TimingWheel& operator=(const TimingWheel&) = delete;

  // Files `entry` to fire at `tick`, never earlier. If `tick` has passed, the
  // entry fires at the next Advance, or, while a turn is under way (see
  // Advance), in the turn after it. REQUIRES: not filed.
  void Insert(Entry& entry, uint64_t tick);

  // Removes `entry`, which then does not fire. REQUIRES: filed in this wheel.
  void Cancel(Entry& entry);

  // Turns the wheel to `now` and appends what is due, in order of ticks, to
  // `due`, at most `limit` entries. Returns true if it stopped at the limit
  // with more to do: the turn is then under way, and the next Advance continues
  // it. Refiling the entries of a coarse slot counts towards the limit too, so
  // that a call's work is bounded; a call may thus append fewer entries, or
  // none.
  //
  // A turn hands out the entries that were filed when it began. An entry that
  // is filed during a turn and is due at once waits for the next turn, so that
  // a caller who refiles what it receives does not keep the turn from ending.
  //
  // Appended entries are no longer filed. A `now` in the past does not move the
  // wheel but may still hand out due entries. REQUIRES: limit > 0.
  [[nodiscard]] bool Advance(uint64_t now, size_t limit,
                             std::vector<Entry*>& due);

  // The earliest tick at which Advance may have something to do: never later
  // than the first due tick (or than now(), if that has passed); earlier only
  // where a coarse slot has to be refiled. nullopt if nothing is filed.
  std::optional<uint64_t> NextTick() const;

  // Does early what a later Advance would have to do all at once: refiles up to
  // `limit` entries of coarse slots that the wheel reaches next. Returns true
  // if it stopped at the limit. Callers see no change except that NextTick
  // becomes more accurate. Does nothing while a turn is under way.
  [[nodiscard]] bool RefileAhead(size_t limit);

  // The earliest tick at which RefileAhead may have something to do, not before
  // now(); nullopt if there is none as things stand.
  std::optional<uint64_t> NextAhead() const;

  // The latest tick passed to Advance. Entries that are handed out were filed
  // for this tick or an earlier one.
  uint64_t now() const { return target_; }

  // True between an Advance that stopped at its limit and the one that ends the
  // turn.
  bool turning() const { return turning_; }

  size_t size() const { return size_; }

 private:
  // A level has two pages: the one that contains now, and the next. Each slot
  // of a page is one bit of a word. A tick has eleven such digits, so every
  // tick has a slot.
  static constexpr int kDigitBits = 6;
  static constexpr size_t kPage = size_t{1} << kDigitBits;
  static constexpr size_t kSlots = 2 * kPage;
  static constexpr size_t kLevels = (64 + kDigitBits - 1) / kDigitBits;

  // The `number`-th slot of its level, counting as if levels were endless: it
  // begins at tick `number << (level * kDigitBits)`.
  struct Slot {
    size_t level;
    uint64_t number;

    uint64_t start() const { return number << (level * kDigitBits); }
    size_t list() const { return level * kSlots + number % kSlots; }
  };

  // The slot of `tick` on `level`.
  static Slot SlotOf(uint64_t tick, size_t level) {
    return {level, tick >> (level * kDigitBits)};
  }
  bool Occupied(const Slot& slot) const {
    return (occupied_[slot.list() / kPage] >> (slot.list() % kPage) & 1) != 0;
  }
  void SetOccupied(size_t list, bool occupied) {
    const uint64_t bit = uint64_t{1} << (list % kPage);
    uint64_t& word = occupied_[list / kPage];
    word = occupied ? word | bit : word & ~bit;
  }
  // Puts `entry`, whose tick is set, into the slot of its tick.
  void File(Entry& entry);
  // The first nonempty slot of a level.
  std::optional<Slot> FirstSlot(size_t level) const;
  // The first nonempty slot of all; if several begin together, the coarsest.
  std::optional<Slot> FirstSlot() const;

  static bool Empty(const Entry& head) { return head.next_ == &head; }
  static void Append(Entry& head, Entry& entry);
  static void Unlink(Entry& entry);
  static Entry& PopFront(Entry& head);
  // Appends all of `from` to `to`, in constant time.
  static void Splice(Entry& from, Entry& to);

  // Circular lists, each with its own head: the slots first, then three lists
  // outside the levels (all in one array, so that Cancel can tell a slot's head
  // from those three by its index).
  std::array<Entry, kLevels * kSlots + 3> lists_;
  Entry& firing_ = lists_[kLevels * kSlots];        // Due; handed out next.
  Entry& refiling_ = lists_[kLevels * kSlots + 1];  // From a coarse slot.
  Entry& late_ = lists_[kLevels * kSlots + 2];      // Due; for the next turn.
  // Bit i of word p: list i of the p-th page is nonempty.
  std::array<uint64_t, 2 * kLevels> occupied_{};

  uint64_t now_;     // How far the wheel has turned. Slots are relative to it.
  uint64_t target_;  // Where it turns to. Equal to now_ between turns.
  bool turning_ = false;
  size_t size_ = 0;
};

}  // namespace leasehold

#endif  // LEASEHOLD_LEASE_TIMING_WHEEL_H_
