#include "tests/support/simulated_clock.h"

#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace leasehold {
namespace {

TEST(SimulatedClock, MovesOnlyWhenAdvancedAndNeverBack) {
  SimulatedClock clock(Instant{100});
  EXPECT_EQ(clock.Now(), Instant{100});
  clock.Advance(absl::Nanoseconds(5));
  EXPECT_EQ(clock.Now(), Instant{105});
  clock.AdvanceTo(Instant{50});
  EXPECT_EQ(clock.Now(), Instant{105});
  clock.Advance(-absl::Nanoseconds(1));
  EXPECT_EQ(clock.Now(), Instant{105});
}

TEST(SimulatedClock, WallClockRunsBesideIt) {
  SimulatedClock clock;
  const absl::Time before = clock.WallNow();
  clock.Advance(absl::Hours(3));
  EXPECT_EQ(clock.WallNow() - before, absl::Hours(3));
}

TEST(SimulatedClock, WaitForATimeThatHasComeReturnsAtOnce) {
  SimulatedClock clock(Instant{100});
  Mutex mu;
  CondVar cv;
  MutexLock lock(mu);
  clock.WaitUntil(cv, mu, Instant{100});
  EXPECT_EQ(clock.waiters(), 0u);
}

// Three threads wait for 10, 20 and 30. The clock moves to just before each of
// these, which wakes nobody, and then to it, which wakes that thread.
TEST(SimulatedClock, AdvanceWakesThoseWhoseTimeHasComeAndNoOthers) {
  SimulatedClock clock(Instant{0});
  Mutex mu;
  CondVar cv[3];
  std::vector<int64_t> woken;
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&, i] {
      const Instant deadline{10 * (3 - i)};
      MutexLock lock(mu);
      while (clock.Now() < deadline) clock.WaitUntil(cv[i], mu, deadline);
      woken.push_back(deadline.ns);
    });
  }
  for (int i = 2; i >= 0; --i) {
    const Instant deadline{10 * (3 - i)};
    clock.AwaitWaiter(deadline);
    clock.AdvanceTo({deadline.ns - 1});
    {
      MutexLock lock(mu);
      EXPECT_EQ(woken.size(), static_cast<size_t>(2 - i));
    }
    clock.AdvanceTo(deadline);
    threads[i].join();
  }
  EXPECT_EQ(woken, (std::vector<int64_t>{10, 20, 30}));
}

TEST(SimulatedClock, NotificationEndsAWaitBeforeItsTime) {
  SimulatedClock clock;
  Mutex mu;
  CondVar cv;
  bool done = false;
  std::thread waiter([&] {
    MutexLock lock(mu);
    while (!done) clock.WaitUntil(cv, mu, Instant::Infinite());
  });
  clock.AwaitWaiter(Instant::Infinite());
  {
    MutexLock lock(mu);
    done = true;
    cv.NotifyOne();
  }
  waiter.join();
  EXPECT_EQ(clock.waiters(), 0u);
}

// A waiter's mutex and condition variable are destroyed with it while the clock
// advances: under a sanitizer, this fails if Advance touches a waiter that is
// gone.
TEST(SimulatedClock, AdvanceDoesNotTouchAWaiterThatHasLeft) {
  SimulatedClock clock(Instant{0});
  std::thread waiter([&clock] {
    for (int64_t i = 1; i <= 2000; ++i) {
      Mutex mu;
      CondVar cv;
      MutexLock lock(mu);
      while (clock.Now() < Instant{i}) clock.WaitUntil(cv, mu, Instant{i});
    }
  });
  for (int64_t i = 1; i <= 2000; ++i) clock.AdvanceTo(Instant{i});
  waiter.join();
  EXPECT_EQ(clock.waiters(), 0u);
}

}  // namespace
}  // namespace leasehold
