// The problem: millions of entries, each due at some tick. Filing and
// cancelling must not cost more with more of them (a heap would: log n, all
// over memory), turning the wheel over an hour in which nothing is due must not
// cost a step a tick, and no single step may be long.
//
// The idea: look at ticks as numbers with digits, and file an entry by the
// highest digit in which its tick differs from now. Level 0 holds what differs
// in the last digit only, level 1 what differs in the one before, and so on;
// the slot within the level is that digit's value. In decimal, for reading:
//
//   now = 042      Insert 047    level 0, slot 7   (04_: only the units differ)
//                  Insert 083    level 1, slot 8   (0__: the tens differ)
//                  Insert 085    level 1, slot 8
//                  Insert 310    level 2, slot 3
//
//   Everything on level 0 is due before anything on level 1, and that before
//   level 2: so the first thing to do is always in the lowest slot of the
//   lowest level that is not empty. Advance to 084:
//
//   level 0, slot 7 is tick 047: fires.
//   level 1, slot 8 begins at 080. The wheel now stands at 080, and the slot is
//     filed anew: 083 and 085 differ from 080 in their units only, and go to
//     level 0, slots 3 and 5.
//   level 0, slot 3 is tick 083: fires.
//   level 0, slot 5 is tick 085: beyond 084, so the wheel stops, at 084.
//
// An entry is filed anew at most once a level. Here a digit has 6 bits, so that
// the slots of a level that are not empty are the bits of one word, and the
// lowest is one instruction away. Eleven digits write any uint64_t: no tick is
// too far away for a slot, and what is filed for the last tick of all, as
// "never" is, rests on the highest level and costs nothing.
//
// Bounded steps: a slot that is reached is spliced, in constant time, onto the
// list `firing_` (level 0) or `refiling_` (others), and these are worked off
// one entry at a time; the limit may fall between any two. What is already due
// when it is filed goes to `late_`, and only the start of a turn moves that to
// `firing_`.
#include "lease/timing_wheel.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace leasehold {

TimingWheel::TimingWheel(uint64_t now) : now_(now), target_(now) {
  for (Entry& head : lists_) head.prev_ = head.next_ = &head;
}

void TimingWheel::Insert(Entry& entry, uint64_t tick) {
  assert(!entry.filed());
  ++size_;
  if (tick <= target_) {
    entry.tick_ = target_;
    Append(late_, entry);
  } else {
    entry.tick_ = tick;
    File(entry);
  }
}

void TimingWheel::Cancel(Entry& entry) {
  assert(entry.filed());
  Entry& next = *entry.next_;
  Unlink(entry);
  --size_;
  if (!Empty(next)) return;
  // `next` points at itself: it is the head of a list that is now empty.
  const size_t list = static_cast<size_t>(&next - lists_.data());
  if (list < kLevels * kSlots) {
    occupied_[list / kSlots] &= ~(uint64_t{1} << (list % kSlots));
  }
}

bool TimingWheel::Advance(uint64_t now, size_t limit,
                          std::vector<Entry*>& due) {
  assert(limit > 0);
  target_ = std::max(target_, now);
  if (!turning_) {
    turning_ = true;
    Splice(late_, firing_);
  }
  size_t work = 0;
  for (;;) {
    while (!Empty(firing_)) {
      if (work++ == limit) return true;
      due.push_back(&PopFront(firing_));
      --size_;
    }
    while (!Empty(refiling_)) {
      if (work++ == limit) return true;
      File(PopFront(refiling_));
    }
    const std::optional<Slot> slot = FirstSlot();
    if (!slot.has_value() || slot->start > target_) break;
    now_ = slot->start;
    occupied_[slot->level] &= ~(uint64_t{1} << slot->index);
    Splice(Head(slot->level, slot->index),
           slot->level == 0 ? firing_ : refiling_);
  }
  // No slot begins at or before target_: each entry still differs from it in
  // the digit by which it is filed, and stands where it should.
  now_ = target_;
  turning_ = false;
  return false;
}

std::optional<uint64_t> TimingWheel::NextTick() const {
  if (size_ == 0) return std::nullopt;
  // Nothing that is filed is due before now_, whatever list it is on.
  if (turning_ || !Empty(late_)) return now_;
  const std::optional<Slot> slot = FirstSlot();
  assert(slot.has_value());
  return slot->start;
}

void TimingWheel::File(Entry& entry) {
  const uint64_t differs = entry.tick_ ^ now_;
  const size_t level =
      differs == 0 ? 0 : (std::bit_width(differs) - 1) / kDigitBits;
  const size_t index = (entry.tick_ >> (level * kDigitBits)) % kSlots;
  Append(Head(level, index), entry);
  occupied_[level] |= uint64_t{1} << index;
}

std::optional<TimingWheel::Slot> TimingWheel::FirstSlot() const {
  for (size_t level = 0; level < kLevels; ++level) {
    if (occupied_[level] == 0) continue;
    const size_t index = std::countr_zero(occupied_[level]);
    const size_t shift = level * kDigitBits;
    // now's digits above this level, the slot's own, and zeros below.
    const uint64_t above = (now_ >> shift) / kSlots * kSlots;
    return Slot{level, index, (above | index) << shift};
  }
  return std::nullopt;
}

void TimingWheel::Append(Entry& head, Entry& entry) {
  entry.prev_ = head.prev_;
  entry.next_ = &head;
  head.prev_->next_ = &entry;
  head.prev_ = &entry;
}

void TimingWheel::Unlink(Entry& entry) {
  entry.prev_->next_ = entry.next_;
  entry.next_->prev_ = entry.prev_;
  entry.prev_ = entry.next_ = nullptr;
}

TimingWheel::Entry& TimingWheel::PopFront(Entry& head) {
  Entry& entry = *head.next_;
  Unlink(entry);
  return entry;
}

void TimingWheel::Splice(Entry& from, Entry& to) {
  if (Empty(from)) return;
  from.next_->prev_ = to.prev_;
  to.prev_->next_ = from.next_;
  from.prev_->next_ = &to;
  to.prev_ = from.prev_;
  from.prev_ = from.next_ = &from;
}

}  // namespace leasehold
