#include "lease/base/cells.h"

#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace leasehold {
namespace {

using testing::ElementsAre;

constexpr std::array<int64_t, 3> kBounds = {1, 10, 100};

TEST(Histogram, ABucketContainsItsBoundAndNoMore) {
  Histogram<kBounds> histogram;
  for (const int64_t value : {0, 1, 2, 10, 11, 100, 101, 5000}) {
    histogram.Add(value);
  }
  const HistogramReading reading = histogram.Read();
  EXPECT_THAT(reading.counts, ElementsAre(2, 2, 2, 2));
  EXPECT_EQ(reading.sum, 5225);
}

TEST(Histogram, AValueBelowZeroCountsAsZero) {
  Histogram<kBounds> histogram;
  histogram.Add(-7);
  EXPECT_THAT(histogram.Read().counts, ElementsAre(1, 0, 0, 0));
  EXPECT_EQ(histogram.Read().sum, 0);
}

TEST(Histogram, ReadingsOfSeveralAddUp) {
  Histogram<kBounds> one;
  Histogram<kBounds> other;
  one.Add(5);
  other.Add(5);
  other.Add(50);
  HistogramReading sum;
  sum.Add(one.Read());
  sum.Add(other.Read());
  EXPECT_THAT(sum.counts, ElementsAre(0, 2, 1, 0));
  EXPECT_EQ(sum.sum, 60);
}

TEST(SharedCell, NothingIsLostThatSeveralThreadsCount) {
  constexpr int kThreads = 4;
  constexpr int kEach = 20'000;
  SharedCell cell;
  Histogram<kBounds, SharedCell> histogram;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < kEach; ++n) {
        cell.Add(2);
        cell.Subtract();
        histogram.Add(10);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(cell.value(), kThreads * kEach);
  EXPECT_THAT(histogram.Read().counts, ElementsAre(0, kThreads * kEach, 0, 0));
  EXPECT_EQ(histogram.Read().sum, 10 * kThreads * kEach);
}

TEST(Cell, IsReadWhileItsThreadCounts) {
  constexpr uint64_t kEach = 200'000;
  Cell cell;
  std::thread writer([&cell] {
    for (uint64_t n = 0; n < kEach; ++n) cell.Add();
  });
  uint64_t last = 0;
  while (last < kEach) {
    const uint64_t now = cell.value();
    ASSERT_GE(now, last);  // It never goes back.
    last = now;
  }
  writer.join();
  EXPECT_EQ(cell.value(), kEach);
}

}  // namespace
}  // namespace leasehold
