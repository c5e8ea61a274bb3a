// The problem: millions of entries, each due at some tick. The cost of filing
// and cancelling must not grow with their number (a heap costs log n, and cache
// misses), turning the wheel over an hour in which nothing is due must not take
// a step per tick, and no single step may be long.
//
// The idea: treat ticks as numbers with digits. Level 0 has one slot per tick,
// level 1 one slot per ten ticks, level 2 one per hundred. A level has two
// pages of ten slots, the page that contains now and the next one, and an entry
// goes to the lowest level whose pages contain its tick. In decimal, for
// illustration:
//
//   now = 042      Insert 047    level 0: its pages are 040..049 and 050..059
//                  Insert 053    level 0, the second page
//                  Insert 083    level 1, slot 8_: its pages are 0__ and 1__
//                  Insert 085    level 1, slot 8_
//                  Insert 310    level 2, slot 3__
//
//   The next work is in the slot that begins first; if a coarse and a fine slot
//   begin together, the coarse one comes first. Advance to 084:
//
//   level 0, slot 047 fires, then 053.
//   level 1, slot 8_ begins at 080. The wheel now stands at 080, and the slot's
//     entries are refiled: 083 and 085 are now on level 0's pages.
//   level 0, slot 083 fires.
//   level 0, slot 085 is beyond 084, so the wheel stops, at 084.
//
// An entry is refiled at most once per level. In the code a digit has 6 bits,
// so the nonempty slots of a page are the bits of one word, and finding the
// lowest takes one instruction. Eleven digits represent any uint64_t: every
// tick has a slot, and an entry filed for the very last tick, which stands for
// "never", rests on the highest level and costs nothing.
//
// Why two pages: a coarse slot may hold a million entries, and refiling them
// all takes longer than a tick. If that had to wait until the wheel reaches the
// slot, all of them would be late. With a second page they can be refiled bit
// by bit while the wheel is still in the slot before (RefileAhead): when now is
// 074, slot 8_ is the next of its level, and all its entries are on level 0's
// pages.
//
// Bounded steps: when the wheel reaches a slot, the slot's list is spliced, in
// constant time, onto `firing_` (level 0) or `refiling_` (other levels). These
// lists are worked off one entry at a time, and the limit may fall between any
// two. An entry that is already due when it is filed goes to `late_`; only the
// start of a turn moves `late_` to `firing_`.
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
  if (list < kLevels * kSlots) SetOccupied(list, false);
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
    if (!slot.has_value() || slot->start() > target_) break;
    now_ = slot->start();
    SetOccupied(slot->list(), false);
    Splice(lists_[slot->list()], slot->level == 0 ? firing_ : refiling_);
  }
  // No slot begins at or before target_: all filed entries are ahead of it, on
  // the same two pages or, if a page has been passed, on the first of them.
  now_ = target_;
  turning_ = false;
  return false;
}

std::optional<uint64_t> TimingWheel::NextTick() const {
  if (size_ == 0) return std::nullopt;
  // No filed entry is due before now_, whichever list it is on.
  if (turning_ || !Empty(late_)) return now_;
  const std::optional<Slot> slot = FirstSlot();
  assert(slot.has_value());
  return slot->start();
}

bool TimingWheel::RefileAhead(size_t limit) {
  if (turning_) return false;
  size_t work = 0;
  for (size_t level = 1; level < kLevels; ++level) {
    Slot next = SlotOf(now_, level);
    ++next.number;
    if (!Occupied(next)) continue;
    Entry& head = lists_[next.list()];
    while (!Empty(head)) {
      if (work++ == limit) return true;
      File(PopFront(head));
    }
    SetOccupied(next.list(), false);
  }
  return false;
}

std::optional<uint64_t> TimingWheel::NextAhead() const {
  std::optional<uint64_t> earliest;
  for (size_t level = 1; level < kLevels; ++level) {
    std::optional<Slot> slot = FirstSlot(level);
    if (!slot.has_value()) continue;
    --slot->number;  // The time during which it is the next.
    const uint64_t tick = std::max(slot->start(), now_);
    earliest = std::min(earliest.value_or(tick), tick);
  }
  return earliest;
}

void TimingWheel::File(Entry& entry) {
  const uint64_t differs = entry.tick_ ^ now_;
  size_t level = differs == 0 ? 0 : (std::bit_width(differs) - 1) / kDigitBits;
  // Is it on the next page of the level below?
  while (level > 0 &&
         SlotOf(entry.tick_, level).number - SlotOf(now_, level).number <= 1) {
    --level;
  }
  const size_t list = SlotOf(entry.tick_, level).list();
  Append(lists_[list], entry);
  SetOccupied(list, true);
}

std::optional<TimingWheel::Slot> TimingWheel::FirstSlot(size_t level) const {
  const uint64_t here = SlotOf(now_, level).number / kPage;  // Page number.
  for (const uint64_t page : {here, here + 1}) {
    const uint64_t word = occupied_[2 * level + page % 2];
    if (word != 0) return Slot{level, page * kPage + std::countr_zero(word)};
  }
  return std::nullopt;
}

std::optional<TimingWheel::Slot> TimingWheel::FirstSlot() const {
  std::optional<Slot> first;
  for (size_t level = 0; level < kLevels; ++level) {
    const std::optional<Slot> slot = FirstSlot(level);
    if (!slot.has_value()) continue;
    if (!first.has_value() || slot->start() <= first->start()) first = slot;
  }
  return first;
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
