#include "service/orchestration/timers.h"

#include <optional>
#include <set>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/seed.h"

namespace leasehold {
namespace {

using testing::ElementsAre;
using testing::Eq;

using Entry = Timers::Entry;
using Kind = Timers::Kind;

std::vector<Entry> TakeAllDue(Timers& timers, StoredTime now) {
  std::vector<Entry> entries;
  while (const std::optional<Entry> entry = timers.TakeDue(now)) {
    entries.push_back(*entry);
  }
  return entries;
}

TEST(Timers, NothingIsDueOfNone) {
  Timers timers;
  EXPECT_EQ(timers.TakeDue(1'000), std::nullopt);
  EXPECT_EQ(timers.next_due(), std::nullopt);
}

TEST(Timers, DueAtItsTimeAndNotBefore) {
  Timers timers;
  timers.Add({100, 1, Kind::kTimer, 0});
  EXPECT_EQ(timers.TakeDue(99), std::nullopt);
  EXPECT_THAT(timers.next_due(), Eq(100));
  EXPECT_EQ(timers.TakeDue(100), (Entry{100, 1, Kind::kTimer, 0}));
  EXPECT_EQ(timers.size(), 0u);
}

TEST(Timers, ThoseThatAreDueComeInOrderOfTimeThenNumberThenId) {
  const Entry first{-5, 9, Kind::kTimer, 0};
  const Entry second{100, 1, Kind::kTimer, 2};
  const Entry third{100, 1, Kind::kTimer, 10};
  const Entry fourth{100, 2, Kind::kTimer, 1};
  Timers timers;
  for (const Entry& entry : {fourth, third, first, second}) timers.Add(entry);
  timers.Add({101, 1, Kind::kTimer, 0});
  EXPECT_THAT(TakeAllDue(timers, 100),
              ElementsAre(first, second, third, fourth));
  EXPECT_EQ(timers.size(), 1u);
}

TEST(Timers, KindsOfOneNumberDoNotTakeEachOthersPlace) {
  Timers timers;
  timers.Add({100, 1, Kind::kRetryTurn, 0});
  timers.Add({100, 1, Kind::kStart, 0});
  timers.Add({100, 1, Kind::kTimer, 0});
  EXPECT_EQ(timers.size(), 3u);
  timers.Cancel({100, 1, Kind::kStart, 0});
  EXPECT_THAT(TakeAllDue(timers, 100),
              ElementsAre(Entry{100, 1, Kind::kTimer, 0},
                          Entry{100, 1, Kind::kRetryTurn, 0}));
}

TEST(Timers, CancelledNeverComesAndOthersDo) {
  Timers timers;
  timers.Add({100, 1, Kind::kTimer, 0});
  timers.Add({200, 1, Kind::kTimer, 1});
  timers.Cancel({100, 1, Kind::kTimer, 0});
  timers.Cancel({100, 1, Kind::kTimer, 7});  // Does not exist.
  EXPECT_THAT(timers.next_due(), Eq(200));
  EXPECT_THAT(TakeAllDue(timers, 1'000),
              ElementsAre(Entry{200, 1, Kind::kTimer, 1}));
}

TEST(Timers, OneAddedTwiceComesOnce) {
  Timers timers;
  timers.Add({100, 1, Kind::kTimer, 0});
  timers.Add({100, 1, Kind::kTimer, 0});
  EXPECT_EQ(TakeAllDue(timers, 100).size(), 1u);
}

TEST(Timers, ClearLeavesNone) {
  Timers timers;
  timers.Add({100, 1, Kind::kTimer, 0});
  timers.Clear();
  EXPECT_EQ(timers.size(), 0u);
  EXPECT_EQ(timers.TakeDue(1'000), std::nullopt);
}

TEST(Timers, DoAsASortedSetDoes) {
  ForEachSeed(50, [](Random& random) {
    Timers timers;
    std::set<Entry> model;
    StoredTime now = 0;
    for (int i = 0; i < 500; ++i) {
      const Entry entry{static_cast<StoredTime>(now + Uniform(random, 0, 20)),
                        static_cast<RunNumber>(Uniform(random, 1, 3)),
                        static_cast<Kind>(Uniform(random, 0, 2)),
                        static_cast<int32_t>(Uniform(random, 0, 2))};
      switch (Uniform(random, 0, 3)) {
        case 0:
          timers.Cancel(entry);
          model.erase(entry);
          break;
        case 1:
          now += static_cast<StoredTime>(Uniform(random, 0, 5));
          for (const Entry& due : TakeAllDue(timers, now)) {
            ASSERT_EQ(due, *model.begin());
            model.erase(model.begin());
          }
          ASSERT_TRUE(model.empty() || model.begin()->due > now);
          break;
        default:
          timers.Add(entry);
          model.insert(entry);
          break;
      }
      ASSERT_EQ(timers.size(), model.size());
    }
  });
}

TEST(Timers, MovedBackOnesAreDueEarlierAndCancelledByTheirOwnTime) {
  Timers timers;
  timers.Add({100, 1, Kind::kTimer, 1});
  timers.Add({200, 1, Kind::kTimer, 2}, /*early=*/50);
  timers.Add({120, 1, Kind::kStart, 0});
  timers.MoveBack(60);
  EXPECT_EQ(timers.TakeDue(39), std::nullopt);
  EXPECT_EQ(timers.TakeDue(40), (Entry{40, 1, Kind::kTimer, 1}));
  timers.Cancel({200, 1, Kind::kTimer, 2});
  EXPECT_EQ(timers.TakeDue(119), std::nullopt);
  EXPECT_EQ(timers.TakeDue(120), (Entry{120, 1, Kind::kStart, 0}));
  EXPECT_EQ(timers.size(), 0u);
}

TEST(Timers, AllOfSomeNumbersAreCancelledMovedOrNot) {
  Timers timers;
  timers.Add({100, 1, Kind::kTimer, 1});
  timers.Add({100, 1, Kind::kRetryActivity, 2});
  timers.Add({100, 2, Kind::kLock, 0});
  timers.Add({100, 3, Kind::kTimer, 1});
  timers.Add({100, 0, Kind::kRetention, 0});
  timers.MoveBack(50);
  timers.CancelAll({1, 2, 7});
  EXPECT_EQ(timers.size(), 2u);
  // One of the same name is not taken for the one that was moved.
  timers.Add({100, 1, Kind::kTimer, 1});
  timers.Cancel({100, 1, Kind::kTimer, 1});
  EXPECT_THAT(TakeAllDue(timers, 1'000),
              ElementsAre(Entry{50, 3, Kind::kTimer, 1},
                          Entry{100, 0, Kind::kRetention, 0}));
}

}  // namespace
}  // namespace leasehold
