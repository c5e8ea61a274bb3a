// TimingWheel: entries filed by the tick at which they are due.
//
// A hierarchical wheel: level 0 has one slot a tick, each slot of the next
// level spans a page of the level below it. An entry goes to the finest level
// that still holds its tick; when the wheel turns into a coarser slot, or
// before, the slot's entries are filed again, finer (the algorithm file
// explains with an example). Insert and Cancel are O(1); Advance skips empty
// stretches by a bitmap a level. Entries are intrusive: the wheel allocates
// nothing.
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
    // The tick at which it is due; if that had passed at its Insert, the tick
    // at which the wheel then stood. Meaningful while filed.
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

  // Files `entry` to fire at `tick`, never earlier. A tick that has passed
  // fires at the next Advance; while a turn is under way (see Advance), at the
  // turn after it. REQUIRES: not filed.
  void Insert(Entry& entry, uint64_t tick);

  // Takes `entry` out; it does not fire. REQUIRES: filed here.
  void Cancel(Entry& entry);

  // Turns the wheel to `now` and appends what is due, in order of ticks, to
  // `due`, at most `limit` entries. Returns true if it stopped at the limit
  // with more to do: the turn is then under way, and the next Advance goes on
  // with it. Filing anew what stood in a coarse slot counts towards the limit
  // too, so that a call's work is bounded; it may thus stop with fewer entries,
  // or none.
  //
  // A turn hands out what was filed when it began: an entry that is filed while
  // it is under way and due at once waits for the next turn, so that whoever
  // files anew what he is handed does not keep the turn from ending.
  //
  // What was appended is no longer filed. A `now` in the past changes nothing
  // but may still hand out what is due. REQUIRES: limit > 0.
  [[nodiscard]] bool Advance(uint64_t now, size_t limit,
                             std::vector<Entry*>& due);

  // The earliest tick at which Advance may have something to do: never later
  // than the first due tick (or than now(), if that has passed); earlier only
  // where a coarse slot has to be filed anew. nullopt if nothing is filed.
  std::optional<uint64_t> NextTick() const;

  // Does early what a later Advance would have to do all at once: files anew up
  // to `limit` entries of coarse slots that are next to be reached. Returns
  // true if it stopped at the limit. Changes nothing that callers see, but for
  // NextTick, which comes closer to the truth. While a turn is under way it
  // does nothing.
  [[nodiscard]] bool RefileAhead(size_t limit);

  // The earliest tick at which RefileAhead may have something to do; nullopt:
  // as things are, never. Not before now().
  std::optional<uint64_t> NextAhead() const;

  // The latest tick that it was told to turn to. What is handed out was filed
  // for this tick or an earlier one.
  uint64_t now() const { return target_; }

  // True between an Advance that stopped at its limit and the one that ends the
  // turn.
  bool turning() const { return turning_; }

  size_t size() const { return size_; }

 private:
  // A level has two pages: the one where the wheel stands and the one after it.
  // The slots of a page are one bit each of a word; a tick has eleven such
  // digits, and so any tick has a slot.
  static constexpr int kDigitBits = 6;
  static constexpr size_t kPage = size_t{1} << kDigitBits;
  static constexpr size_t kSlots = 2 * kPage;
  static constexpr size_t kLevels = (64 + kDigitBits - 1) / kDigitBits;

  // The `number`-th of all slots of its level, as if there were no end to them:
  // it begins at tick `number << (level * kDigitBits)`.
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
  // The first slot of a level that is not empty.
  std::optional<Slot> FirstSlot(size_t level) const;
  // The first of all; of those that begin together the coarsest.
  std::optional<Slot> FirstSlot() const;

  static bool Empty(const Entry& head) { return head.next_ == &head; }
  static void Append(Entry& head, Entry& entry);
  static void Unlink(Entry& entry);
  static Entry& PopFront(Entry& head);
  // Appends all of `from` to `to`, in constant time.
  static void Splice(Entry& from, Entry& to);

  // Circular lists, each with a head of its own: first the slots, then three
  // that stand outside of the levels (one array, so that Cancel can tell a
  // slot's head from these by its index).
  std::array<Entry, kLevels * kSlots + 3> lists_;
  Entry& firing_ = lists_[kLevels * kSlots];        // Due; next to go out.
  Entry& refiling_ = lists_[kLevels * kSlots + 1];  // From a coarse slot.
  Entry& late_ = lists_[kLevels * kSlots + 2];      // Due; for the next turn.
  // Bit i of word p: list i of the p-th page is not empty.
  std::array<uint64_t, 2 * kLevels> occupied_{};

  uint64_t now_;     // How far the wheel has turned. Slots are relative to it.
  uint64_t target_;  // How far it is to turn. Equal to now_ between turns.
  bool turning_ = false;
  size_t size_ = 0;
};

}  // namespace leasehold

#endif  // LEASEHOLD_LEASE_TIMING_WHEEL_H_
