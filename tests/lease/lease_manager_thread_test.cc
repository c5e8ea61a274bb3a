// The lease manager with its thread, and with many callers. Time is simulated:
// a test only ever waits for another thread, and a lost wake-up makes it hang
// until ctest's timeout fails it.
#include <algorithm>
#include <array>
#include <atomic>
#include <barrier>
#include <memory>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "lease/lease_manager.h"
#include "tests/support/seed.h"
#include "tests/support/simulated_clock.h"

namespace leasehold {
namespace {

// Counts, and lets the test wait for a count. Can be held inside a call.
class Gate : public LeaseListener {
 public:
  void OnLeasesOver(absl::Span<Lease* const> leases) override {
    MutexLock lock(mu_);
    over_ += leases.size();
    ++calls_;
    changed_.NotifyAll();
    while (held_) changed_.Wait(mu_);
    ++returns_;
  }

  void Hold(bool held) {
    MutexLock lock(mu_);
    held_ = held;
    changed_.NotifyAll();
  }
  // Blocks until `count` leases in total have been over.
  void AwaitOver(size_t count) {
    MutexLock lock(mu_);
    while (over_ < count) changed_.Wait(mu_);
  }
  size_t over() const {
    MutexLock lock(mu_);
    return over_;
  }
  size_t calls() const {
    MutexLock lock(mu_);
    return calls_;
  }
  size_t returns() const {
    MutexLock lock(mu_);
    return returns_;
  }

 private:
  mutable Mutex mu_;
  CondVar changed_;
  size_t over_ ABSL_GUARDED_BY(mu_) = 0;
  size_t calls_ ABSL_GUARDED_BY(mu_) = 0;
  size_t returns_ ABSL_GUARDED_BY(mu_) = 0;
  bool held_ ABSL_GUARDED_BY(mu_) = false;
};

class LeaseManagerThreadTest : public testing::Test {
 protected:
  SimulatedClock clock_;
  Gate gate_;
  LeaseManager manager_{clock_, gate_};
  Lease lease_;
};

TEST_F(LeaseManagerThreadTest, ThreadHandsOutWhatIsOver) {
  manager_.Start();
  manager_.Grant(lease_, absl::Seconds(20));
  clock_.AwaitWaiter(clock_.Now() + absl::Seconds(20));
  EXPECT_EQ(gate_.over(), 0u);
  clock_.Advance(absl::Seconds(20));
  gate_.AwaitOver(1);
  manager_.Stop();
  EXPECT_EQ(gate_.over(), 1u);
}

TEST_F(LeaseManagerThreadTest, LeaseGrantedBeforeStartIsHandedOutToo) {
  manager_.Grant(lease_, absl::Seconds(1));
  clock_.Advance(absl::Seconds(1));
  manager_.Start();
  gate_.AwaitOver(1);
  manager_.Stop();
}

// The thread sleeps for the first lease when the second, earlier one comes. If
// it is not woken, it never waits for the earlier time, and this hangs.
TEST_F(LeaseManagerThreadTest, EarlierGrantWakesTheThread) {
  manager_.Grant(lease_, absl::Hours(1));
  manager_.Start();
  clock_.AwaitWaiter(clock_.Now() + absl::Hours(1));
  Lease earlier;
  manager_.Grant(earlier, absl::Milliseconds(5));
  clock_.AwaitWaiter(clock_.Now() + absl::Milliseconds(5));
  clock_.Advance(absl::Milliseconds(5));
  gate_.AwaitOver(1);
  manager_.Stop();
  EXPECT_FALSE(manager_.Revoke(earlier));
  EXPECT_TRUE(manager_.Revoke(lease_));
}

TEST_F(LeaseManagerThreadTest, ShorterTimeoutWakesTheThread) {
  manager_.Grant(lease_, absl::InfiniteDuration());
  manager_.Start();
  clock_.AwaitWaiter(Instant::Infinite());
  manager_.SetTimeout(lease_, absl::ZeroDuration());
  gate_.AwaitOver(1);
  manager_.Stop();
}

TEST_F(LeaseManagerThreadTest, RenewedLeaseIsNotHandedOutWhenTheThreadWakes) {
  manager_.Start();
  manager_.Grant(lease_, absl::Seconds(20));
  clock_.Advance(absl::Seconds(10));
  manager_.Renew(lease_);
  clock_.Advance(absl::Seconds(10));
  // The thread has checked once it waits for the later deadline.
  clock_.AwaitWaiter(clock_.Now() + absl::Seconds(10));
  EXPECT_EQ(gate_.over(), 0u);
  clock_.Advance(absl::Seconds(10));
  gate_.AwaitOver(1);
  manager_.Stop();
  EXPECT_EQ(lease_.deadline(), clock_.Now());
}

TEST_F(LeaseManagerThreadTest, StartAndStopAreIdempotentAndCanBeRepeated) {
  manager_.Stop();
  for (size_t i = 1; i <= 3; ++i) {
    manager_.Start();
    manager_.Start();
    manager_.Grant(lease_, absl::ZeroDuration());
    gate_.AwaitOver(i);
    manager_.Stop();
    manager_.Stop();
    EXPECT_EQ(clock_.waiters(), 0u);
  }
}

TEST_F(LeaseManagerThreadTest, NothingIsHandedOutAfterStop) {
  manager_.Start();
  manager_.Grant(lease_, absl::Seconds(1));
  manager_.Stop();
  clock_.Advance(absl::Seconds(5));
  EXPECT_EQ(gate_.over(), 0u);
  EXPECT_TRUE(manager_.Lookup(lease_).running);
  EXPECT_EQ(manager_.RunDue(), 1u);
}

// A thousand leases are over, and the listener is held in its first call. How
// many batches Stop lets through depends on timing: but no call is running when
// it returns, and no lease is lost.
TEST_F(LeaseManagerThreadTest, StopWhileBusyWaitsForTheListenerLosesNothing) {
  std::vector<std::unique_ptr<Lease>> leases;
  for (int i = 0; i < 1000; ++i) {
    leases.push_back(std::make_unique<Lease>());
    manager_.Grant(*leases.back(), absl::ZeroDuration());
  }
  gate_.Hold(true);
  manager_.Start();
  gate_.AwaitOver(1);
  std::atomic<bool> stopped = false;
  size_t returns_at_stop = 0;
  std::thread stopper([&] {
    manager_.Stop();
    returns_at_stop = gate_.returns();
    stopped = true;
  });
  // The manager is not locked while its listener runs.
  EXPECT_EQ(manager_.size() + gate_.over(), 1000u);
  EXPECT_FALSE(stopped);
  gate_.Hold(false);
  stopper.join();
  EXPECT_EQ(returns_at_stop, gate_.calls());
  EXPECT_EQ(manager_.size() + gate_.over(), 1000u);
  manager_.RunDue();
  EXPECT_EQ(gate_.over(), 1000u);
}

TEST_F(LeaseManagerThreadTest, ConcurrentRunDueShareTheWork) {
  constexpr int kCount = 20'000;
  const auto leases = std::make_unique<std::array<Lease, kCount>>();
  for (int i = 0; i < kCount; ++i) {
    manager_.Grant((*leases)[i], absl::Milliseconds(i % 5000));
  }
  clock_.Advance(absl::Seconds(5));
  std::atomic<size_t> handed_out = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] { handed_out += manager_.RunDue(); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(handed_out, size_t{kCount});
  EXPECT_EQ(gate_.over(), size_t{kCount});
  EXPECT_EQ(manager_.size(), 0u);
}

// Two threads renew one lease, each with increasing times. A renewal must not
// undo a later one that was there before it returned. (With a plain store
// instead of the exchange, thousands are undone on two cores.)
TEST(LeaseThreads, RacingRenewalsKeepTheLatest) {
  constexpr int kRenewals = 1'000'000;
  Lease lease;
  std::atomic<int64_t> now = 0;
  std::array<std::atomic<int64_t>, 2> renewed_to{};  // By each of the threads.
  std::atomic<int> undone = 0;
  std::barrier start(2);  // So that they overlap.
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([&, t] {
      start.arrive_and_wait();
      for (int i = 0; i < kRenewals; ++i) {
        const Instant mine{++now};
        lease.Renew(mine);
        renewed_to[t] = mine.ns;
        const Instant others{renewed_to[1 - t]};
        if (lease.last_use() < std::max(mine, others)) ++undone;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(undone, 0);
  EXPECT_EQ(lease.last_use(), Instant{now});
}

// Contains a lease, for the stress test below. Only its owner grants and
// revokes; anyone renews, looks up and sets the timeout; the listener marks it.
struct Slot {
  Lease lease;
  std::atomic<bool> over = false;  // Set by the listener, cleared by the owner.
  std::atomic<int64_t> grants{0}, revokes{0}, endings{0};
  bool renewable = false;
};

class SlotListener : public LeaseListener {
 public:
  SlotListener(const Clock& clock, std::vector<std::unique_ptr<Slot>>& slots)
      : clock_(clock), slots_(slots) {}

  void OnLeasesOver(absl::Span<Lease* const> leases) override {
    for (Lease* lease : leases) {
      for (auto& slot : slots_) {
        if (&slot->lease != lease) continue;
        if (slot->over) twice = true;
        // Nobody else touches these: the deadline is what the manager saw.
        if (!slot->renewable && lease->deadline() > clock_.Now()) early = true;
        ++slot->endings;
        ++endings;
        slot->over = true;
      }
    }
  }

  std::atomic<int> endings = 0;
  std::atomic<bool> twice = false;
  std::atomic<bool> early = false;

 private:
  const Clock& clock_;
  std::vector<std::unique_ptr<Slot>>& slots_;
};

// Owners that grant and revoke, a clock that moves, a third party that renews
// and sets timeouts, and callers of RunDue beside the manager's thread.
class Race {
 public:
  static constexpr int kOwners = 2;
  static constexpr size_t kSlotsEach = 16;
  static constexpr int kOperations = 10'000;

  Race() {
    for (size_t i = 0; i < kOwners * kSlotsEach; ++i) {
      slots_.push_back(std::make_unique<Slot>());
      slots_.back()->renewable = i % 2 == 0;
    }
  }

  void Run(Random& random) {
    manager_.Start();
    std::vector<std::thread> threads;
    for (int owner = 0; owner < kOwners; ++owner) {
      threads.emplace_back([this, owner, random = Random(random())]() mutable {
        Own(owner, random);
      });
    }
    threads.emplace_back(
        [this, random = Random(random())]() mutable { Meddle(random); });
    threads.emplace_back([this] {
      while (owners_left_ > 0) {
        manager_.RunDue();
        (void)manager_.NextDue();
        std::this_thread::yield();
      }
    });
    for (std::thread& thread : threads) thread.join();
    manager_.Stop();
  }

  void ExpectThatEachGrantEndedOnce() {
    EXPECT_FALSE(listener_.twice) << "told twice of one ending";
    EXPECT_FALSE(listener_.early) << "ended early";
    size_t running = 0;
    for (const auto& slot : slots_) {
      const bool runs = manager_.Lookup(slot->lease).running;
      running += runs;
      EXPECT_EQ(slot->grants, slot->revokes + slot->endings + runs);
    }
    EXPECT_EQ(manager_.size(), running);
    EXPECT_GT(listener_.endings, 100) << "too few to have met a race";

    // Leases still running end when their time has come, and nothing else does.
    clock_.Advance(absl::Seconds(1));
    EXPECT_EQ(manager_.RunDue(), running);
  }

 private:
  void Own(int owner, Random& random) {
    std::array<bool, kSlotsEach> granted{};
    for (int i = 0; i < kOperations; ++i) {
      const size_t n = Uniform(random, 0, kSlotsEach - 1);
      Slot& slot = *slots_[owner * kSlotsEach + n];
      if (!granted[n]) {
        ++slot.grants;
        manager_.Grant(slot.lease,
                       absl::Microseconds(Uniform(random, 0, 20'000)));
      } else if (slot.over) {
        slot.over = false;
      } else if (manager_.Revoke(slot.lease)) {
        ++slot.revokes;
      } else {
        // It is over: the listener has been told, or is about to be.
        while (!slot.over) std::this_thread::yield();
        slot.over = false;
      }
      granted[n] = !granted[n];
      // Owners move the clock and call RunDue: so leases end at a steady rate,
      // however the machine schedules the other threads.
      if (OneIn(random, 8)) clock_.Advance(absl::Milliseconds(1));
      if (OneIn(random, 8)) manager_.RunDue();
    }
    --owners_left_;
  }

  void Meddle(Random& random) {
    while (owners_left_ > 0) {
      Slot& slot = *slots_[Uniform(random, 0, slots_.size() - 1)];
      if (slot.renewable) manager_.Renew(slot.lease);
      if (slot.renewable && OneIn(random, 3)) {
        manager_.SetTimeout(slot.lease,
                            absl::Microseconds(Uniform(random, 0, 20'000)));
      }
      (void)manager_.Lookup(slot.lease);
    }
  }

  SimulatedClock clock_;
  std::vector<std::unique_ptr<Slot>> slots_;
  SlotListener listener_{clock_, slots_};
  LeaseManager manager_{clock_, listener_, {.batch_max = 4}};
  std::atomic<int> owners_left_ = kOwners;
};

// Everything at once, mainly for ThreadSanitizer. Each grant must end exactly
// once: revoked, over, or still running at the end.
TEST(LeaseThreads, EachGrantEndsOnceUnderGrantRenewRevokeAndRunDueAtOnce) {
  ForEachSeed(3, [](Random& random) {
    Race race;
    race.Run(random);
    race.ExpectThatEachGrantEndedOnce();
  });
}

}  // namespace
}  // namespace leasehold
