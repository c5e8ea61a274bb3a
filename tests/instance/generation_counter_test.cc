#include "service/instance/generation_counter.h"

#include <set>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace leasehold {
namespace {

// A clock whose time of day the test sets, also backwards.
class WallClock final : public Clock {
 public:
  Instant Now() const override { return {}; }
  absl::Time WallNow() const override { return wall; }
  void WaitUntil(CondVar&, Mutex&, Instant) override {}

  absl::Time wall = absl::FromUnixSeconds(1'600'000'000);
};

TEST(GenerationCounter, NumbersBeginAtMicrosecondsSince1970) {
  WallClock clock;
  GenerationCounter counter(clock);
  EXPECT_EQ(counter.Next(), 1'600'000'000'000'000u);
}

TEST(GenerationCounter, NumbersCountUpWhateverTheWallClockSays) {
  WallClock clock;
  GenerationCounter counter(clock);
  uint64_t last = counter.Next();
  for (const absl::Duration jump :
       {absl::ZeroDuration(), -absl::Hours(1), absl::Hours(2),
        -absl::Hours(24 * 365 * 60)}) {
    clock.wall += jump;
    EXPECT_EQ(counter.Next(), ++last);
  }
}

TEST(GenerationCounter, RaisedItGoesOnFromThereAndNeverBack) {
  WallClock clock;
  GenerationCounter counter(clock);
  const uint64_t first = counter.Next();
  counter.RaiseTo(first + 100);
  EXPECT_EQ(counter.Next(), first + 100);
  counter.RaiseTo(first + 50);
  EXPECT_EQ(counter.Next(), first + 101);
}

TEST(GenerationCounter, GrowsOverARestart) {
  WallClock clock;
  uint64_t last = 0;
  for (int i = 0; i < 3; ++i) {
    GenerationCounter counter(clock);
    EXPECT_GT(counter.Next(), last);
    last = counter.Next();
    clock.wall += absl::Seconds(1);
  }
}

TEST(GenerationCounter, ClockBefore1970GivesSmallNumbers) {
  WallClock clock;
  clock.wall = absl::FromUnixSeconds(-1'000);
  GenerationCounter counter(clock);
  EXPECT_EQ(counter.Next(), 1u);
  EXPECT_EQ(counter.Next(), 2u);
}

TEST(GenerationCounter, NumbersFitIntoAJsonNumberForTwoCenturies) {
  WallClock clock;
  clock.wall = absl::FromCivil(absl::CivilYear(2250), absl::UTCTimeZone());
  GenerationCounter counter(clock);
  EXPECT_LT(counter.Next(), uint64_t{1} << 53);
}

TEST(GenerationCounter, ThreadsNeverGetTheSameNumber) {
  WallClock clock;
  GenerationCounter counter(clock);
  constexpr int kThreads = 4;
  std::vector<uint64_t> numbers[kThreads];
  std::vector<std::thread> threads;
  for (auto& mine : numbers) {
    threads.emplace_back([&counter, &mine] {
      for (int i = 0; i < 5'000; ++i) mine.push_back(counter.Next());
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::set<uint64_t> all;
  for (const auto& mine : numbers) all.insert(mine.begin(), mine.end());
  EXPECT_EQ(all.size(), 20'000u);
}

}  // namespace
}  // namespace leasehold
