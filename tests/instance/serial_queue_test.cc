#include "service/instance/serial_queue.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lease/base/mutex.h"
#include "tests/support/manual_executor.h"
#include "tests/support/seed.h"
#include "tests/support/simulated_clock.h"

namespace leasehold {
namespace {

using ::testing::HasSubstr;

constexpr absl::Duration kTimeout = absl::Seconds(30);

// A message that keeps its answer.
class Message final : public AccessWaiter {
 public:
  explicit Message(ManualExecutor& executor) : executor_(executor) {}

  // True if it has access.
  bool Acquire(SerialQueue& queue, AccessTimer& timer, std::string method) {
    access_ = queue.Acquire(timer, *this, std::move(method));
    return access_.has_value();
  }
  void OnAccess(absl::StatusOr<SerialAccess> access) override {
    EXPECT_TRUE(executor_.running() || !access.ok())
        << "gets access outside the executor";
    EXPECT_FALSE(told_) << "told twice";
    told_ = true;
    status_ = access.status();
    if (access.ok()) access_ = *std::move(access);
  }

  bool told() const { return told_; }
  bool has_access() const { return access_.has_value(); }
  const absl::Status& status() const { return status_; }
  void End() { access_.reset(); }

 private:
  ManualExecutor& executor_;
  bool told_ = false;
  absl::Status status_;
  std::optional<SerialAccess> access_;
};

class SerialQueueTest : public ::testing::Test {
 protected:
  SimulatedClock clock_;
  ManualExecutor executor_;
  AccessTimer timer_{clock_, executor_, kTimeout};
  SerialQueue queue_;
  Message first_{executor_};
  Message second_{executor_};
  Message third_{executor_};
};

TEST_F(SerialQueueTest, FreeAccessIsGivenAtOnce) {
  EXPECT_TRUE(first_.Acquire(queue_, timer_, "Add"));
  first_.End();
  EXPECT_TRUE(second_.Acquire(queue_, timer_, "Add"));
  EXPECT_EQ(executor_.size(), 0);
}

TEST_F(SerialQueueTest, AccessIsGivenInOrderOfArrival) {
  EXPECT_TRUE(first_.Acquire(queue_, timer_, "Add"));
  EXPECT_FALSE(second_.Acquire(queue_, timer_, "Add"));
  EXPECT_FALSE(third_.Acquire(queue_, timer_, "Add"));
  executor_.RunAll();
  EXPECT_FALSE(second_.told());
  first_.End();
  executor_.RunAll();
  EXPECT_TRUE(second_.has_access());
  EXPECT_FALSE(third_.told());
  second_.End();
  executor_.RunAll();
  EXPECT_TRUE(third_.has_access());
}

TEST_F(SerialQueueTest, AnAccessThatIsOnItsWayIsNotTakenByALaterMessage) {
  EXPECT_TRUE(first_.Acquire(queue_, timer_, "Add"));
  EXPECT_FALSE(second_.Acquire(queue_, timer_, "Add"));
  first_.End();  // The executor has not told the second one yet.
  EXPECT_FALSE(third_.Acquire(queue_, timer_, "Add"));
  executor_.RunAll();
  EXPECT_TRUE(second_.has_access());
  EXPECT_FALSE(third_.told());
  second_.End();
  executor_.RunAll();
  EXPECT_TRUE(third_.has_access());
}

TEST_F(SerialQueueTest, NobodyIsToldInsideThatWhichEndsTheAccess) {
  EXPECT_TRUE(first_.Acquire(queue_, timer_, "Add"));
  EXPECT_FALSE(second_.Acquire(queue_, timer_, "Add"));
  first_.End();
  EXPECT_FALSE(second_.told());
  EXPECT_EQ(executor_.size(), 1);
  executor_.RunAll();
  EXPECT_TRUE(second_.has_access());
}

TEST_F(SerialQueueTest, ACancelledWaitGetsNoAccessAndDelaysNoOther) {
  EXPECT_TRUE(first_.Acquire(queue_, timer_, "Add"));
  EXPECT_FALSE(second_.Acquire(queue_, timer_, "Add"));
  EXPECT_FALSE(third_.Acquire(queue_, timer_, "Add"));
  EXPECT_TRUE(queue_.CancelWait(second_));
  EXPECT_FALSE(queue_.CancelWait(second_));
  first_.End();
  executor_.RunAll();
  EXPECT_FALSE(second_.told());
  EXPECT_TRUE(third_.has_access());
}

TEST_F(SerialQueueTest, AWaitThatIsOverCannotBeCancelled) {
  EXPECT_FALSE(queue_.CancelWait(first_));  // It never waited.
  EXPECT_TRUE(first_.Acquire(queue_, timer_, "Add"));
  EXPECT_FALSE(second_.Acquire(queue_, timer_, "Add"));
  first_.End();
  EXPECT_FALSE(queue_.CancelWait(second_));  // Its access is on its way.
  executor_.RunAll();
  EXPECT_TRUE(second_.has_access());
  EXPECT_FALSE(queue_.CancelWait(second_));
}

TEST_F(SerialQueueTest,
       AWaitPastTheAccessTimeoutFailsNamingTheHolderAndItsAge) {
  EXPECT_TRUE(first_.Acquire(queue_, timer_, "Rebuild"));
  clock_.Advance(absl::Seconds(7));
  EXPECT_FALSE(second_.Acquire(queue_, timer_, "Add"));
  clock_.Advance(kTimeout - absl::Milliseconds(1));
  timer_.RunDue();
  executor_.RunAll();
  EXPECT_FALSE(second_.told());
  clock_.Advance(absl::Milliseconds(2));
  timer_.RunDue();  // All threads of the executor may be occupied.
  ASSERT_TRUE(second_.told());
  EXPECT_TRUE(absl::IsUnavailable(second_.status())) << second_.status();
  EXPECT_EQ(second_.status().message(),
            "the message waited 30s for access (access timeout); Rebuild has "
            "had it for 37.001s");
  // Access goes to messages that still wait.
  EXPECT_FALSE(third_.Acquire(queue_, timer_, "Add"));
  first_.End();
  executor_.RunAll();
  EXPECT_TRUE(third_.has_access());
}

TEST_F(SerialQueueTest, TheHolderThatIsNamedIsThePresentOne) {
  EXPECT_TRUE(first_.Acquire(queue_, timer_, "First"));
  EXPECT_FALSE(second_.Acquire(queue_, timer_, "Second"));
  EXPECT_FALSE(third_.Acquire(queue_, timer_, "Third"));
  clock_.Advance(absl::Seconds(20));
  first_.End();
  executor_.RunAll();
  clock_.Advance(absl::Seconds(11));
  timer_.RunDue();
  executor_.RunAll();
  EXPECT_TRUE(second_.has_access());
  EXPECT_THAT(std::string(third_.status().message()),
              HasSubstr("Second has had it for 11s"));
}

TEST_F(SerialQueueTest, AnAccessThatCameInTimeIsNotTakenBackByTheTimeout) {
  EXPECT_TRUE(first_.Acquire(queue_, timer_, "Add"));
  EXPECT_FALSE(second_.Acquire(queue_, timer_, "Add"));
  first_.End();
  clock_.Advance(2 * kTimeout);
  EXPECT_EQ(timer_.RunDue(), 0);
  executor_.RunAll();
  EXPECT_TRUE(second_.has_access());
}

TEST_F(SerialQueueTest, AnAccessMayOutliveItsQueue) {
  auto queue = std::make_unique<SerialQueue>();
  EXPECT_TRUE(first_.Acquire(*queue, timer_, "Add"));
  queue = nullptr;
  first_.End();
}

// Goal: a long queue causes no deep recursion. Method: each message ends its
// access in the call that gives it, under AddressSanitizer and the stack's
// limit.
TEST_F(SerialQueueTest, AHundredThousandWaitersAreServedWithoutRecursion) {
  class EndsAtOnce final : public AccessWaiter {
   public:
    void OnAccess(absl::StatusOr<SerialAccess> access) override {
      served_ = access.ok();
    }
    bool served_ = false;
  };
  ASSERT_TRUE(first_.Acquire(queue_, timer_, "Add"));
  std::deque<EndsAtOnce> waiters(100'000);
  for (EndsAtOnce& waiter : waiters) {
    ASSERT_FALSE(queue_.Acquire(timer_, waiter, "Add").has_value());
  }
  first_.End();
  executor_.RunAll();
  for (const EndsAtOnce& waiter : waiters) ASSERT_TRUE(waiter.served_);
}

// Messages that come, end, cancel and time out on one thread, and a model of a
// dozen lines, which is a list.
class Walk {
 public:
  explicit Walk(Random& random) : random_(random) {}

  void Step() {
    switch (Uniform(random_, 0, 5)) {
      case 0:
      case 1:
        return Come();
      case 2:  // The access ends.
        if (holder_ != nullptr && holder_->has_access()) EndAccess();
        return;
      case 3:
        if (!messages_.empty()) Cancel();
        return;
      case 4:
        return PassTime();
      case 5:
        executor_.RunAny(random_);
        return;
    }
  }

  // Everything ends, one after the other.
  void End() {
    executor_.RunAll();
    for (const Message* message : failed_) {
      ASSERT_TRUE(absl::IsUnavailable(message->status()));
    }
    while (holder_ != nullptr) {
      ASSERT_TRUE(holder_->has_access());
      for (const Waiting& w : waiting_) ASSERT_FALSE(w.message->told());
      EndAccess();
      executor_.RunAll();
    }
    for (const auto& message : messages_) ASSERT_FALSE(message->has_access());
  }

 private:
  struct Waiting {
    Message* message;
    Instant since;
  };

  void Come() {
    messages_.push_back(std::make_unique<Message>(executor_));
    Message* message = messages_.back().get();
    const bool free = holder_ == nullptr;
    ASSERT_EQ(message->Acquire(queue_, timer_, "Add"), free);
    if (free) {
      holder_ = message;
    } else {
      waiting_.push_back({message, clock_.Now()});
    }
  }

  void EndAccess() {
    holder_->End();
    holder_ = nullptr;
    if (waiting_.empty()) return;
    holder_ = waiting_.front().message;
    waiting_.pop_front();
  }

  void Cancel() {
    Message* message =
        messages_[Uniform(random_, 0, messages_.size() - 1)].get();
    const auto found = std::find_if(
        waiting_.begin(), waiting_.end(),
        [message](const Waiting& w) { return w.message == message; });
    ASSERT_EQ(queue_.CancelWait(*message), found != waiting_.end());
    if (found != waiting_.end()) waiting_.erase(found);
  }

  void PassTime() {
    clock_.Advance(absl::Milliseconds(Uniform(random_, 0, 12'000)));
    timer_.RunDue();
    while (!waiting_.empty() && clock_.Now() - waiting_.front().since >=
                                    kTimeout + absl::Milliseconds(1)) {
      Fail();
    }
    // Within the wheel's resolution of the timeout, both results are right.
    if (!waiting_.empty() &&
        clock_.Now() - waiting_.front().since >= kTimeout) {
      executor_.RunAll();
      while (!waiting_.empty() && waiting_.front().message->told()) Fail();
    }
  }

  void Fail() {
    failed_.push_back(waiting_.front().message);
    waiting_.pop_front();
  }

  Random& random_;
  SimulatedClock clock_;
  ManualExecutor executor_;
  AccessTimer timer_{clock_, executor_, kTimeout};
  SerialQueue queue_;
  std::vector<std::unique_ptr<Message>> messages_;
  // The model: who waits, since when; who has access, or is about to get it.
  std::deque<Waiting> waiting_;
  Message* holder_ = nullptr;
  std::vector<Message*> failed_;
};

// Goal: the queue agrees with a naive model. Method: 200 random steps.
TEST(SerialQueueModel, AgreesWithANaiveModel) {
  ForEachSeed(300, [](Random& random) {
    Walk walk(random);
    for (int step = 0; step < 200; ++step) {
      walk.Step();
      if (testing::Test::HasFatalFailure()) return;
    }
    walk.End();
  });
}

// A message that waits for its answer on its own thread.
class BlockingMessage final : public AccessWaiter {
 public:
  void OnAccess(absl::StatusOr<SerialAccess> access) override {
    MutexLock lock(mu_);
    answer_ = std::move(access);
    told_.NotifyOne();
  }
  absl::StatusOr<SerialAccess> Await() {
    MutexLock lock(mu_);
    while (!answer_.has_value()) told_.Wait(mu_);
    absl::StatusOr<SerialAccess> answer = *std::move(answer_);
    answer_.reset();
    return answer;
  }

 private:
  Mutex mu_;
  CondVar told_;
  std::optional<absl::StatusOr<SerialAccess>> answer_ ABSL_GUARDED_BY(mu_);
};

// Goal: under real threads at most one message runs, and each is answered once.
// Method: workers send messages and cancel some while a thread moves the clock;
// access guards a plain number, which ThreadSanitizer watches.
TEST(SerialQueueStress, OneMessageAtATimeAndEachIsAnsweredOnce) {
  constexpr int kWorkers = 3;
  constexpr int kMessages = 3'000;  // Per worker.
  SimulatedClock clock;
  ThreadExecutor executor(2);
  AccessTimer timer(clock, executor, absl::Milliseconds(2));
  SerialQueue queue;
  uint64_t guarded = 0;
  std::atomic<int> running{0};
  std::atomic<int> served{0}, refused{0}, cancelled{0};

  const auto work = [&](uint64_t seed) {
    Random random(seed);
    BlockingMessage waiter;
    for (int i = 0; i < kMessages; ++i) {
      std::optional<SerialAccess> access = queue.Acquire(timer, waiter, "Add");
      if (!access.has_value()) {
        if (OneIn(random, 4) && queue.CancelWait(waiter)) {
          ++cancelled;
          continue;
        }
        absl::StatusOr<SerialAccess> answer = waiter.Await();
        if (!answer.ok()) {
          EXPECT_TRUE(absl::IsUnavailable(answer.status()));
          ++refused;
          continue;
        }
        access = *std::move(answer);
      }
      EXPECT_EQ(running.fetch_add(1), 0);
      ++guarded;
      if (OneIn(random, 8)) std::this_thread::yield();
      running.fetch_sub(1);
      ++served;
    }
  };
  std::atomic<bool> done{false};
  std::thread time([&] {
    while (!done) {
      clock.Advance(absl::Microseconds(100));
      timer.RunDue();
    }
  });
  std::vector<std::thread> workers;
  for (int i = 0; i < kWorkers; ++i) workers.emplace_back(work, BaseSeed() + i);
  for (std::thread& worker : workers) worker.join();
  done = true;
  time.join();
  EXPECT_EQ(served + refused + cancelled, kWorkers * kMessages);
  EXPECT_EQ(guarded, static_cast<uint64_t>(served));
}

}  // namespace
}  // namespace leasehold
