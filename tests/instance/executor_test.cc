#include "service/instance/executor.h"

#include <atomic>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "lease/base/mutex.h"

namespace leasehold {
namespace {

TEST(ThreadExecutor, RunsTasksOnAThreadOfItsOwn) {
  std::thread::id ran_on;
  {
    ThreadExecutor executor(1);
    executor.Post([&ran_on] { ran_on = std::this_thread::get_id(); });
  }
  EXPECT_NE(ran_on, std::thread::id());
  EXPECT_NE(ran_on, std::this_thread::get_id());
}

TEST(ThreadExecutor, OneThreadKeepsTheOrder) {
  std::vector<int> order;
  {
    ThreadExecutor executor(1);
    for (int i = 0; i < 100; ++i) {
      executor.Post([&order, i] { order.push_back(i); });
    }
  }
  ASSERT_EQ(order.size(), 100u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(order[i], i);
}

TEST(ThreadExecutor, DestructorRunsWhatIsQueuedAndWhatThatPosts) {
  std::atomic<int> ran{0};
  {
    ThreadExecutor executor(2);
    for (int i = 0; i < 50; ++i) {
      executor.Post([&] {
        ++ran;
        executor.Post([&ran] { ++ran; });
      });
    }
  }
  EXPECT_EQ(ran, 100);
}

// Each of two tasks waits for the other: they end only if both run
// concurrently.
TEST(ThreadExecutor, BlockingTasksDoNotDelayOtherThreads) {
  Mutex mu;
  CondVar met;
  int here = 0;
  {
    ThreadExecutor executor(2);
    for (int i = 0; i < 2; ++i) {
      executor.Post([&] {
        MutexLock lock(mu);
        ++here;
        met.NotifyAll();
        while (here < 2) met.Wait(mu);
      });
    }
  }
  MutexLock lock(mu);
  EXPECT_EQ(here, 2);
}

}  // namespace
}  // namespace leasehold
