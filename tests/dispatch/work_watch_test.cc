#include "service/dispatch/work_watch.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/seed.h"

namespace leasehold {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Optional;

std::vector<Watched*> TakeAllLate(WorkWatch& watch, WatchTime now) {
  std::vector<Watched*> late;
  while (Watched* one = watch.TakeLate(now)) late.push_back(one);
  return late;
}

TEST(WorkWatch, WhatIsOutForTheLimitIsLateAndNotBefore) {
  WorkWatch watch(100);
  Watched a;
  Watched b;
  EXPECT_FALSE(watch.next_look().has_value());
  EXPECT_TRUE(watch.Watch(a, 10));
  EXPECT_THAT(watch.next_look(), Optional(110));
  EXPECT_FALSE(watch.Watch(b, 11));
  EXPECT_THAT(watch.next_look(), Optional(110));
  EXPECT_THAT(TakeAllLate(watch, 109), IsEmpty());
  EXPECT_THAT(TakeAllLate(watch, 110), ElementsAre(&a));
  EXPECT_FALSE(a.is_watched());
  EXPECT_TRUE(b.is_watched());
  EXPECT_THAT(watch.next_look(), Optional(111));
  EXPECT_THAT(TakeAllLate(watch, 200), ElementsAre(&b));
  EXPECT_FALSE(watch.next_look().has_value());
}

TEST(WorkWatch, WhatComesBackInTimeIsNotLateAndWakesNobody) {
  WorkWatch watch(100);
  Watched work;
  EXPECT_TRUE(watch.Watch(work, 0));
  for (WatchTime now = 1; now < 100; ++now) {
    work.Unwatch();
    EXPECT_FALSE(watch.Watch(work, now));
  }
  EXPECT_THAT(TakeAllLate(watch, 100), IsEmpty());
  EXPECT_THAT(watch.next_look(), Optional(199));
  work.Unwatch();
  work.Unwatch();
  EXPECT_THAT(TakeAllLate(watch, 199), IsEmpty());
  EXPECT_FALSE(watch.next_look().has_value());
  EXPECT_TRUE(watch.Watch(work, 200));
}

TEST(WorkWatch, WatchedAgainItsTimeStartsOver) {
  WorkWatch watch(100);
  Watched a;
  Watched b;
  watch.Watch(a, 0);
  watch.Watch(b, 1);
  watch.Watch(a, 50);
  EXPECT_THAT(TakeAllLate(watch, 149), ElementsAre(&b));
  EXPECT_THAT(TakeAllLate(watch, 150), ElementsAre(&a));
}

TEST(WorkWatch, WithoutALimitNothingIsLate) {
  WorkWatch watch(0);
  Watched work;
  EXPECT_FALSE(watch.Watch(work, 7));
  EXPECT_FALSE(work.is_watched());
  EXPECT_FALSE(watch.next_look().has_value());
  EXPECT_THAT(TakeAllLate(watch, 1'000'000), IsEmpty());
}

TEST(WorkWatch, EitherMayEndBeforeTheOther) {
  Watched stays;
  {
    WorkWatch watch(100);
    {
      Watched goes;
      watch.Watch(goes, 0);
      watch.Watch(stays, 1);
    }
    EXPECT_THAT(TakeAllLate(watch, 100), IsEmpty());
    EXPECT_THAT(watch.next_look(), Optional(101));
  }
  EXPECT_FALSE(stays.is_watched());
}

TEST(WorkWatch, DoesAsASortedListDoes) {
  ForEachSeed(100, [](Random& random) {
    WorkWatch watch(static_cast<WatchTime>(Uniform(random, 1, 20)));
    std::vector<std::unique_ptr<Watched>> all;
    for (int i = 0; i < 8; ++i) all.push_back(std::make_unique<Watched>());
    std::vector<std::pair<WatchTime, Watched*>> model;  // By time.
    WatchTime now = 0;
    for (int step = 0; step < 300; ++step) {
      Watched* one = all[Uniform(random, 0, all.size() - 1)].get();
      const auto forget = [&] {
        std::erase_if(model, [one](const auto& e) { return e.second == one; });
      };
      switch (Uniform(random, 0, 3)) {
        case 0:
          forget();
          model.emplace_back(now, one);
          watch.Watch(*one, now);
          break;
        case 1:
          forget();
          one->Unwatch();
          break;
        default:
          now += static_cast<WatchTime>(Uniform(random, 0, 5));
          while (!model.empty() && model[0].first + watch.limit() <= now) {
            ASSERT_EQ(watch.TakeLate(now), model[0].second);
            model.erase(model.begin());
          }
          ASSERT_EQ(watch.TakeLate(now), nullptr);
      }
      for (const auto& [since, watched] : model) {
        ASSERT_TRUE(watched->is_watched());
        // No check comes too late.
        ASSERT_TRUE(watch.next_look().has_value());
        ASSERT_LE(*watch.next_look(), since + watch.limit());
      }
    }
  });
}

}  // namespace
}  // namespace leasehold
