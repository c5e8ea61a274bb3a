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
#include "lease/mutex.h"
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

TEST_F(SerialQueueTest, ACancelledWaitGetsNoAccessAndHoldsNobodyUp) {
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

// Goal: the queue agrees with a model of a dozen lines. Method: random messages
// come, end, cancel and time out on one thread; the model is a list.
TEST(SerialQueueModel, AgreesWithANaiveModel) {
  ForEachSeed(300, [](Random& random) {
    SimulatedClock clock;
    ManualExecutor executor;
    AccessTimer timer(clock, executor, kTimeout);
    SerialQueue queue;
    std::vector<std::unique_ptr<Message>> messages;
    // The model: who waits, since when; who has access, or is about to get
    // it.
    struct Waiting {
      Message* message;
      Instant since;
    };
    std::deque<Waiting> waiting;
    Message* holder = nullptr;
    std::vector<Message*> failed;

    const auto pass_on = [&] {
      holder = nullptr;
      if (waiting.empty()) return;
      holder = waiting.front().message;
      waiting.pop_front();
    };
    for (int step = 0; step < 200; ++step) {
      switch (Uniform(random, 0, 5)) {
        case 0:
        case 1: {  // A message comes.
          messages.push_back(std::make_unique<Message>(executor));
          Message* message = messages.back().get();
          const bool free = holder == nullptr;
          ASSERT_EQ(message->Acquire(queue, timer, "Add"), free);
          if (free) {
            holder = message;
          } else {
            waiting.push_back({message, clock.Now()});
          }
          break;
        }
        case 2:  // The access ends.
          if (holder != nullptr && holder->has_access()) {
            holder->End();
            pass_on();
          }
          break;
        case 3: {  // A message cancels.
          if (messages.empty()) break;
          Message* message =
              messages[Uniform(random, 0, messages.size() - 1)].get();
          const auto found = std::find_if(
              waiting.begin(), waiting.end(),
              [message](const Waiting& w) { return w.message == message; });
          ASSERT_EQ(queue.CancelWait(*message), found != waiting.end());
          if (found != waiting.end()) waiting.erase(found);
          break;
        }
        case 4: {  // Time passes.
          clock.Advance(absl::Milliseconds(Uniform(random, 0, 12'000)));
          timer.RunDue();
          while (!waiting.empty() && clock.Now() - waiting.front().since >=
                                         kTimeout + absl::Milliseconds(1)) {
            failed.push_back(waiting.front().message);
            waiting.pop_front();
          }
          // Within the wheel's resolution of the timeout, both results are
          // right.
          if (!waiting.empty() &&
              clock.Now() - waiting.front().since >= kTimeout) {
            executor.RunAll();
            while (!waiting.empty() && waiting.front().message->told()) {
              failed.push_back(waiting.front().message);
              waiting.pop_front();
            }
          }
          break;
        }
        case 5:
          executor.RunAny(random);
          break;
      }
    }
    executor.RunAll();
    for (const Message* message : failed) {
      ASSERT_TRUE(absl::IsUnavailable(message->status()));
    }
    while (holder != nullptr) {
      ASSERT_TRUE(holder->has_access());
      for (const Waiting& w : waiting) ASSERT_FALSE(w.message->told());
      holder->End();
      pass_on();
      executor.RunAll();
    }
    for (const auto& message : messages) ASSERT_FALSE(message->has_access());
  });
}

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

  class Worker final : public AccessWaiter {
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
  const auto work = [&](uint64_t seed) {
    Random random(seed);
    Worker waiter;
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
