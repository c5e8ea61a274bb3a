#include "lease/timing_wheel.h"

#include <array>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace leasehold {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr uint64_t kLastTick = std::numeric_limits<uint64_t>::max();
constexpr size_t kNoLimit = 1'000'000;

struct Item : TimingWheel::Entry {
  explicit Item(int id) : id(id) {}
  int id;
};

std::vector<int> Ids(const std::vector<TimingWheel::Entry*>& due) {
  std::vector<int> ids;
  for (TimingWheel::Entry* entry : due) {
    ids.push_back(static_cast<Item*>(entry)->id);
  }
  return ids;
}

// What fires when the wheel turns to `now`.
std::vector<int> Fire(TimingWheel& wheel, uint64_t now) {
  std::vector<TimingWheel::Entry*> due;
  EXPECT_FALSE(wheel.Advance(now, kNoLimit, due));
  return Ids(due);
}

TEST(TimingWheel, EntryFiresAtItsTickAndNotBefore) {
  TimingWheel wheel(100);
  Item item(1);
  wheel.Insert(item, 105);
  EXPECT_THAT(Fire(wheel, 104), IsEmpty());
  EXPECT_TRUE(item.filed());
  EXPECT_THAT(Fire(wheel, 105), ElementsAre(1));
  EXPECT_FALSE(item.filed());
  EXPECT_EQ(wheel.size(), 0u);
}

TEST(TimingWheel, EntryFiresOnce) {
  TimingWheel wheel(0);
  Item item(1);
  wheel.Insert(item, 5);
  EXPECT_THAT(Fire(wheel, 10), ElementsAre(1));
  EXPECT_THAT(Fire(wheel, 10), IsEmpty());
  EXPECT_THAT(Fire(wheel, 1'000'000), IsEmpty());
}

TEST(TimingWheel, PassedTickFiresAtTheNextAdvance) {
  TimingWheel wheel(100);
  Item past(1), present(2);
  wheel.Insert(past, 3);
  wheel.Insert(present, 100);
  EXPECT_EQ(wheel.NextTick(), 100u);
  EXPECT_THAT(Fire(wheel, 100), ElementsAre(1, 2));
}

TEST(TimingWheel, AdvanceIntoThePastMovesNothingButHandsOutWhatIsDue) {
  TimingWheel wheel(100);
  Item due(1), later(2);
  wheel.Insert(due, 100);
  wheel.Insert(later, 101);
  EXPECT_THAT(Fire(wheel, 50), ElementsAre(1));
  EXPECT_EQ(wheel.now(), 100u);
  EXPECT_THAT(Fire(wheel, 101), ElementsAre(2));
}

TEST(TimingWheel, CancelledEntryNeverFires) {
  TimingWheel wheel(0);
  Item item(1), other(2);
  wheel.Insert(item, 70);
  wheel.Insert(other, 70);
  wheel.Cancel(item);
  EXPECT_FALSE(item.filed());
  EXPECT_EQ(wheel.size(), 1u);
  EXPECT_THAT(Fire(wheel, 1000), ElementsAre(2));
}

TEST(TimingWheel, CancelOfTheLastEntryLeavesNothingToWakeFor) {
  TimingWheel wheel(0);
  Item near(1), far(2), late(3);
  wheel.Insert(near, 5);
  wheel.Insert(far, 5000);
  wheel.Insert(late, 0);
  wheel.Cancel(late);
  EXPECT_EQ(wheel.NextTick(), 5u);
  wheel.Cancel(near);
  EXPECT_EQ(wheel.NextTick(), 5000u / 64 * 64);
  wheel.Cancel(far);
  EXPECT_EQ(wheel.NextTick(), std::nullopt);
}

TEST(TimingWheel, CancelledEntryCanBeFiledAgain) {
  TimingWheel wheel(0);
  Item item(1);
  wheel.Insert(item, 70);
  wheel.Cancel(item);
  wheel.Insert(item, 5);
  EXPECT_THAT(Fire(wheel, 5), ElementsAre(1));
}

TEST(TimingWheel, FiresInOrderOfTicksWhateverTheOrderOfInsertion) {
  TimingWheel wheel(0);
  const std::array<uint64_t, 7> ticks = {5000, 3, 64, 4096, 63, 300'000, 65};
  std::vector<std::unique_ptr<Item>> items;
  for (uint64_t tick : ticks) {
    items.push_back(std::make_unique<Item>(static_cast<int>(tick)));
    wheel.Insert(*items.back(), tick);
  }
  EXPECT_THAT(Fire(wheel, 1'000'000),
              ElementsAre(3, 63, 64, 65, 4096, 5000, 300'000));
}

// Each boundary of a level, from both sides, with the wheel at several places.
TEST(TimingWheel, FiresExactlyAtTheBoundariesOfItsLevels) {
  std::vector<uint64_t> distances = {1};
  for (int bits = 6; bits < 64; bits += 6) {
    const uint64_t boundary = uint64_t{1} << bits;
    distances.insert(distances.end(), {boundary - 1, boundary, boundary + 1});
  }
  for (uint64_t now : {uint64_t{0}, uint64_t{1}, uint64_t{63}, uint64_t{64},
                       uint64_t{4095}, uint64_t{4096}, uint64_t{1} << 36}) {
    for (uint64_t distance : distances) {
      SCOPED_TRACE(testing::Message() << now << " + " << distance);
      TimingWheel wheel(now);
      Item item(1);
      wheel.Insert(item, now + distance);
      EXPECT_THAT(Fire(wheel, now + distance - 1), IsEmpty());
      EXPECT_EQ(wheel.NextTick(), now + distance);
      EXPECT_THAT(Fire(wheel, now + distance), ElementsAre(1));
    }
  }
}

TEST(TimingWheel, TheLastTickOfAllFiresThereAndNotBefore) {
  TimingWheel wheel(12345);
  Item item(1);
  wheel.Insert(item, kLastTick);
  EXPECT_THAT(Fire(wheel, kLastTick - 1), IsEmpty());
  EXPECT_THAT(Fire(wheel, kLastTick), ElementsAre(1));
}

TEST(TimingWheel, WheelAtTheLastTickStillFires) {
  TimingWheel wheel(kLastTick);
  Item item(1);
  wheel.Insert(item, kLastTick);
  EXPECT_THAT(Fire(wheel, kLastTick), ElementsAre(1));
}

// Follows NextTick as a sleeper would. Each wake-up before the entry is due
// must be for a slot to refile, of which there is at most one per level.
TEST(TimingWheel, NextTickLeadsToAFarEntryInFewSteps) {
  TimingWheel wheel(1);
  Item item(1);
  const uint64_t tick = (uint64_t{1} << 40) + 12345;
  wheel.Insert(item, tick);
  int steps = 0;
  while (item.filed()) {
    ASSERT_LE(++steps, 11);
    const uint64_t next = wheel.NextTick().value();
    ASSERT_LE(next, tick);
    const std::vector<int> fired = Fire(wheel, next);
    ASSERT_EQ(fired.empty(), next < tick);
  }
  EXPECT_EQ(wheel.now(), tick);
}

TEST(TimingWheel, AdvanceStopsAtTheLimitAndGoesOnThere) {
  TimingWheel wheel(0);
  Item a(1), b(2), c(3);
  wheel.Insert(a, 10);
  wheel.Insert(b, 10);
  wheel.Insert(c, 11);
  std::vector<TimingWheel::Entry*> due;
  EXPECT_TRUE(wheel.Advance(20, 2, due));
  EXPECT_TRUE(wheel.turning());
  EXPECT_THAT(Ids(due), ElementsAre(1, 2));
  EXPECT_EQ(wheel.size(), 1u);
  EXPECT_FALSE(wheel.Advance(20, 2, due));
  EXPECT_FALSE(wheel.turning());
  EXPECT_THAT(Ids(due), ElementsAre(1, 2, 3));
}

TEST(TimingWheel, AdvanceThatEndsExactlyAtTheLimitHasEnded) {
  TimingWheel wheel(0);
  Item a(1), b(2);
  wheel.Insert(a, 10);
  wheel.Insert(b, 10);
  std::vector<TimingWheel::Entry*> due;
  EXPECT_FALSE(wheel.Advance(20, 2, due));
  EXPECT_THAT(Ids(due), ElementsAre(1, 2));
}

// A thousand entries in one coarse slot: no call may handle more than its limit
// of them, whether it fires or refiles them.
TEST(TimingWheel, RefilingACoarseSlotIsBoundedByTheLimit) {
  TimingWheel wheel(0);
  std::vector<std::unique_ptr<Item>> items;
  for (int i = 0; i < 1000; ++i) {
    items.push_back(std::make_unique<Item>(i));
    wheel.Insert(*items.back(), 4096 + 1);
  }
  std::vector<TimingWheel::Entry*> due;
  int calls = 1;
  while (wheel.Advance(4096, 10, due)) {
    // Until the turn is over, the wheel must report that it has more to do.
    ASSERT_LE(wheel.NextTick(), 4096u);
    ++calls;
  }
  EXPECT_EQ(calls, 100);
  EXPECT_TRUE(due.empty());
  EXPECT_THAT(Fire(wheel, 4097), testing::SizeIs(1000));
}

// The same thousand, refiled while the wheel is in the slot before.
TEST(TimingWheel, ARefiledEntryCostsNothingWhenItsOldSlotIsReached) {
  TimingWheel wheel(0);
  std::vector<std::unique_ptr<Item>> items;
  for (int i = 0; i < 1000; ++i) {
    items.push_back(std::make_unique<Item>(i));
    wheel.Insert(*items.back(), 4096 + 1);
  }
  ASSERT_EQ(wheel.NextAhead(), 4096u - 64);
  EXPECT_FALSE(wheel.RefileAhead(10)) << "the slot is not yet the next";
  EXPECT_THAT(Fire(wheel, 4096 - 64), IsEmpty());
  int calls = 1;
  while (wheel.RefileAhead(10)) {
    ASSERT_EQ(wheel.NextAhead(), 4096u - 64);
    ++calls;
  }
  EXPECT_EQ(calls, 100);
  EXPECT_EQ(wheel.NextAhead(), std::nullopt);
  EXPECT_EQ(wheel.NextTick(), 4097u);
  std::vector<TimingWheel::Entry*> due;
  EXPECT_FALSE(wheel.Advance(4096, 10, due));
  EXPECT_THAT(Fire(wheel, 4097), testing::SizeIs(1000));
}

TEST(TimingWheel, RefileAheadLeavesATurnAlone) {
  TimingWheel wheel(0);
  Item a(1), b(2), later(3);
  wheel.Insert(a, 64);
  wheel.Insert(b, 64);
  wheel.Insert(later, 200);
  std::vector<TimingWheel::Entry*> due;
  ASSERT_TRUE(wheel.Advance(130, 1, due));
  EXPECT_FALSE(wheel.RefileAhead(kNoLimit));
  EXPECT_FALSE(wheel.Advance(130, kNoLimit, due));
  EXPECT_THAT(Ids(due), ElementsAre(1, 2));
  EXPECT_EQ(wheel.NextTick(), 192u);
  EXPECT_FALSE(wheel.RefileAhead(kNoLimit));
  EXPECT_EQ(wheel.NextTick(), 200u);
  EXPECT_THAT(Fire(wheel, 200), ElementsAre(3));
}

TEST(TimingWheel, EntryCanBeCancelledWhileItsSlotIsBeingRefiled) {
  TimingWheel wheel(0);
  Item a(1), b(2), c(3);
  for (Item* item : {&a, &b, &c}) wheel.Insert(*item, 200);
  std::vector<TimingWheel::Entry*> due;
  ASSERT_TRUE(wheel.Advance(200, 1, due));  // a is refiled; b and c are not.
  wheel.Cancel(a);
  wheel.Cancel(c);
  EXPECT_FALSE(wheel.Advance(200, kNoLimit, due));
  EXPECT_THAT(Ids(due), ElementsAre(2));
}

TEST(TimingWheel, EntryCanBeCancelledWhileItWaitsBehindTheLimit) {
  TimingWheel wheel(0);
  Item a(1), b(2), c(3);
  for (Item* item : {&a, &b, &c}) wheel.Insert(*item, 10);
  std::vector<TimingWheel::Entry*> due;
  ASSERT_TRUE(wheel.Advance(10, 1, due));
  wheel.Cancel(b);
  EXPECT_FALSE(wheel.Advance(10, 1, due));
  EXPECT_THAT(Ids(due), ElementsAre(1, 3));
}

// An entry that is filed in mid-turn and due at once must neither prolong the
// turn nor be forgotten.
TEST(TimingWheel, EntryFiledInMidTurnForThePastFiresInTheNextTurn) {
  TimingWheel wheel(0);
  Item a(1), b(2), refiled(3);
  wheel.Insert(a, 10);
  wheel.Insert(b, 15);
  std::vector<TimingWheel::Entry*> due;
  ASSERT_TRUE(wheel.Advance(20, 1, due));
  wheel.Insert(refiled, 12);  // Before b, and before the turn's end.
  EXPECT_FALSE(wheel.Advance(20, kNoLimit, due));
  EXPECT_THAT(Ids(due), ElementsAre(1, 2));
  EXPECT_EQ(wheel.NextTick(), 20u);
  EXPECT_THAT(Fire(wheel, 20), ElementsAre(3));
}

TEST(TimingWheel, EntryFiledInMidTurnForTheFutureFiresInTime) {
  TimingWheel wheel(0);
  Item a(1), b(2), later(3);
  wheel.Insert(a, 10);
  wheel.Insert(b, 10);
  std::vector<TimingWheel::Entry*> due;
  ASSERT_TRUE(wheel.Advance(5000, 1, due));
  wheel.Insert(later, 5001);
  EXPECT_FALSE(wheel.Advance(5000, kNoLimit, due));
  EXPECT_THAT(Ids(due), ElementsAre(1, 2));
  EXPECT_THAT(Fire(wheel, 5001), ElementsAre(3));
}

TEST(TimingWheel, TurnUnderWayCanBeExtended) {
  TimingWheel wheel(0);
  Item a(1), b(2), c(3);
  wheel.Insert(a, 10);
  wheel.Insert(b, 10);
  wheel.Insert(c, 30);
  std::vector<TimingWheel::Entry*> due;
  ASSERT_TRUE(wheel.Advance(20, 1, due));
  EXPECT_FALSE(wheel.Advance(30, kNoLimit, due));
  EXPECT_THAT(Ids(due), ElementsAre(1, 2, 3));
}

TEST(TimingWheel, NothingFiledHasNoNextTick) {
  TimingWheel wheel(7);
  EXPECT_EQ(wheel.NextAhead(), std::nullopt);
  EXPECT_EQ(wheel.NextTick(), std::nullopt);
  EXPECT_THAT(Fire(wheel, kLastTick), IsEmpty());
  EXPECT_EQ(wheel.NextTick(), std::nullopt);
}

}  // namespace
}  // namespace leasehold
