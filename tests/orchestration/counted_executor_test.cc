#include "service/orchestration/counted_executor.h"

#include <atomic>
#include <functional>
#include <memory>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/manual_executor.h"

namespace leasehold {
namespace {

TEST(CountedExecutor, RunsTasksOnTheOther) {
  ManualExecutor other;
  CountedExecutor executor(other);
  int runs = 0;
  executor.Post([&] { ++runs; });
  EXPECT_EQ(runs, 0);
  EXPECT_TRUE(other.RunOne());
  EXPECT_EQ(runs, 1);
}

TEST(CountedExecutor, IsIdleWithoutTasks) {
  ManualExecutor other;
  CountedExecutor executor(other);
  executor.WaitUntilIdle();
  executor.Post([] {});
  other.RunAll();
  executor.WaitUntilIdle();
}

TEST(CountedExecutor, WaitEndsWhenTheLastTaskHas) {
  ThreadExecutor other(4);
  CountedExecutor executor(other);
  std::atomic<int> runs = 0;
  for (int i = 0; i < 1'000; ++i) {
    executor.Post([&] { ++runs; });
  }
  executor.WaitUntilIdle();
  EXPECT_EQ(runs, 1'000);
}

TEST(CountedExecutor, WaitIncludesWhatTasksPost) {
  ThreadExecutor other(2);
  CountedExecutor executor(other);
  std::atomic<int> runs = 0;
  std::function<void()> again = [&] {
    if (++runs < 100) executor.Post(again);
  };
  executor.Post(again);
  executor.WaitUntilIdle();
  EXPECT_EQ(runs, 100);
}

// The waiting thread may destroy what the tasks held.
TEST(CountedExecutor, WhatATaskHoldsIsGoneWhenTheWaitEnds) {
  for (int i = 0; i < 200; ++i) {
    ThreadExecutor other(1);
    CountedExecutor executor(other);
    auto held = std::make_shared<int>(1);
    executor.Post([held] {});
    executor.WaitUntilIdle();
    EXPECT_EQ(held.use_count(), 1);
  }
}

}  // namespace
}  // namespace leasehold
