// The registry under real threads, while leases end all the time.
//
// Goal: one context per key, consistent answers, and nothing left at the end,
// whatever the threads do, under ThreadSanitizer and AddressSanitizer. Method:
// workers acquire, hold, cancel and release random keys a fixed number of
// times; another thread moves a simulated clock and checks the leases;
// extensions count themselves per key.

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "service/instance/instance_registry.h"
#include "service/instance/shared_provider.h"
#include "tests/support/blocking_call.h"
#include "tests/support/seed.h"
#include "tests/support/simulated_clock.h"
#include "tests/support/test_key.h"

namespace leasehold {
namespace {

constexpr int kKeys = 6;
constexpr int kWorkers = 3;
constexpr int kOperations = 20'000;  // Per worker.

// A ThreadExecutor that knows when it is idle.
class CountingExecutor final : public Executor {
 public:
  void Post(std::function<void()> task) override {
    {
      MutexLock lock(mu_);
      ++tasks_;
    }
    threads_.Post([this, task = std::move(task)]() mutable {
      task();
      task = nullptr;
      MutexLock lock(mu_);
      if (--tasks_ == 0) idle_.NotifyAll();
    });
  }
  void AwaitIdle() {
    MutexLock lock(mu_);
    while (tasks_ > 0) idle_.Wait(mu_);
  }

 private:
  Mutex mu_;
  CondVar idle_;
  int tasks_ ABSL_GUARDED_BY(mu_) = 0;
  ThreadExecutor threads_{2};  // Last: its threads use the others.
};

// What all threads report of each key and generation.
class Ledger {
 public:
  uint64_t NewIdentity() { return ++identities_; }
  // An extension of `key` lives in its context; there must be no other.
  void Attached(int key) {
    EXPECT_EQ(live_[key].fetch_add(1), 0) << "two contexts of key " << key;
  }
  void Died(int key) { live_[key].fetch_sub(1); }

  // A call of `key` found that extension in the context of that generation, and
  // was its `sequence`-th use. `created`: the call was told that it created it.
  void Note(int key, uint64_t generation, uint64_t identity, uint64_t sequence,
            bool created) {
    MutexLock lock(mu_);
    Entry& entry = entries_[{key, generation}];
    if (entry.identity == 0) entry.identity = identity;
    EXPECT_EQ(entry.identity, identity) << "two extensions in one context";
    EXPECT_TRUE(entry.sequences.insert(sequence).second);
    entry.created += created;
  }

  void Check() {
    MutexLock lock(mu_);
    std::set<uint64_t> identities;
    for (const auto& [name, entry] : entries_) {
      EXPECT_TRUE(identities.insert(entry.identity).second)
          << "an extension in two contexts";
      // 1 to n without a gap: no use was lost, or counted elsewhere.
      EXPECT_EQ(*entry.sequences.rbegin(), entry.sequences.size());
      EXPECT_LE(entry.created, 1);
    }
    for (const std::atomic<int>& live : live_) EXPECT_EQ(live, 0);
  }
  size_t contexts() {
    MutexLock lock(mu_);
    return entries_.size();
  }

 private:
  struct Entry {
    uint64_t identity = 0;
    std::set<uint64_t> sequences;
    int created = 0;
  };
  std::atomic<uint64_t> identities_{0};
  std::atomic<int> live_[kKeys] = {};
  Mutex mu_;
  std::map<std::pair<int, uint64_t>, Entry> entries_ ABSL_GUARDED_BY(mu_);
};

class Counter final : public Extension {
 public:
  Counter(Ledger& ledger, int key)
      : ledger_(ledger), key_(key), identity_(ledger.NewIdentity()) {}
  // Callers that race for it each make one, but only one is attached.
  ~Counter() override {
    if (attached_) ledger_.Died(key_);
  }
  void OnAttach(InstanceContext&) override {
    attached_ = true;
    ledger_.Attached(key_);
  }
  uint64_t identity() const { return identity_; }
  uint64_t Count() { return ++uses_; }

 private:
  Ledger& ledger_;
  const int key_;
  const uint64_t identity_;
  std::atomic<uint64_t> uses_{0};
  bool attached_ = false;
};

// Attached and detached within a context's life, and read by the provider.
class Passing final : public Extension {
 public:
  int value() const { return value_; }

 private:
  int value_ = 7;
};

// Vetoes every other time, and calls back some time later: when it is asked
// about another context.
class MoodyProvider final : public InstanceContextProvider {
 public:
  explicit MoodyProvider(bool leased) : leased_(leased) {}
  bool Leased() const override { return leased_; }
  void NotifyIdle(IdleCallback callback, InstanceContext&) override {
    IdleCallback last;
    {
      MutexLock lock(mu_);
      last = std::exchange(callback_, std::move(callback));
    }
    if (last) last();
  }
  bool IsIdle(InstanceContext& context) override {
    if (const Passing* passing = context.Get<Passing>()) {
      EXPECT_EQ(passing->value(), 7);
    }
    MutexLock lock(mu_);
    return calm_ || ++asked_ % 2 == 0;
  }
  void CalmDown() {
    IdleCallback last;
    {
      MutexLock lock(mu_);
      calm_ = true;
      last = std::exchange(callback_, nullptr);
    }
    if (last) last();
  }

 private:
  const bool leased_;
  Mutex mu_;
  IdleCallback callback_ ABSL_GUARDED_BY(mu_);
  uint64_t asked_ ABSL_GUARDED_BY(mu_) = 0;
  bool calm_ ABSL_GUARDED_BY(mu_) = false;
};

class StressTest : public testing::Test {
 protected:
  static InstanceKey KeyOf(int key) {
    return {.tenant = std::string(kTestTenant), .id = absl::StrCat("k", key)};
  }

  void Work(InstanceRegistry& registry, uint64_t seed) {
    Random random(seed);
    std::vector<Pin> held;
    for (int i = 0; i < kOperations; ++i) {
      const int key = static_cast<int>(Uniform(random, 0, kKeys - 1));
      if (OneIn(random, 8)) {
        const absl::Status status = registry.Release(KeyOf(key));
        EXPECT_TRUE(status.ok() || absl::IsNotFound(status) ||
                    absl::IsFailedPrecondition(status))
            << status;
      }
      InstanceRequest request;
      request.key = KeyOf(key);
      if (OneIn(random, 3)) request.idle_timeout = absl::Milliseconds(11);
      BlockingCall call(request);
      std::optional<absl::StatusOr<PinGrant>> answer =
          call.Ask(registry, /*cancel=*/OneIn(random, 4));
      if (!answer.has_value()) continue;
      ASSERT_TRUE(answer->ok()) << answer->status();
      InstanceContext& context = *(*answer)->pin;
      Counter& counter = *context.GetOrAttach<Counter>(ledger_, key);
      ledger_.Note(key, context.generation(), counter.identity(),
                   counter.Count(), (*answer)->created);
      if (OneIn(random, 6)) {
        context.GetOrAttach<Passing>();
      } else if (OneIn(random, 6)) {
        context.Detach<Passing>();
      }
      if (OneIn(random, 8)) {
        held.push_back((*answer)->pin.Clone());
        if (held.size() > 2) held.erase(held.begin());
      }
    }
  }

  // Lets the workers run while time passes; then expects everything to end.
  void Run(InstanceContextProvider& provider,
           std::function<void()> before_the_end = {}) {
    CountingExecutor executor;
    auto registry = std::make_unique<InstanceRegistry>(
        clock_, executor, provider, std::vector<ContextInitializer*>{},
        std::vector<InstanceObserver*>{},
        InstanceRegistryOptions{.idle_timeout = absl::Milliseconds(10),
                                // Time moves fast here, hooks do not.
                                .detach_timeout = absl::Hours(10'000)});
    std::atomic<int> working{kWorkers};
    std::vector<std::thread> threads;
    for (int i = 0; i < kWorkers; ++i) {
      threads.emplace_back([&, seed = BaseSeed() + i] {
        Work(*registry, seed);
        --working;
      });
    }
    while (working > 0) {
      clock_.Advance(absl::Milliseconds(3));
      registry->RunDueLeases();
      std::this_thread::yield();
    }
    for (std::thread& thread : threads) thread.join();
    // A forgotten context would stay forever.
    if (before_the_end) before_the_end();
    executor.AwaitIdle();
    for (int i = 0; i < 2; ++i) {
      clock_.Advance(absl::Seconds(1));
      registry->RunDueLeases();
      executor.AwaitIdle();
    }
    EXPECT_EQ(registry->size(), 0u);
    bool done = false;
    registry->Shutdown([&done] { done = true; });
    EXPECT_TRUE(done);
    registry.reset();
    ledger_.Check();
    EXPECT_GT(ledger_.contexts(), 50u);
  }

  SimulatedClock clock_;
  Ledger ledger_;
};

TEST_F(StressTest, SharedContextsStayConsistentWhileLeasesEnd) {
  SharedProvider provider;
  Run(provider);
}

TEST_F(StressTest, NoContextIsForgottenIfItsLeasedProviderIsMoody) {
  MoodyProvider provider(/*leased=*/true);
  Run(provider, [&provider] { provider.CalmDown(); });
}

TEST_F(StressTest, NoContextIsForgottenIfItsUnleasedProviderIsMoody) {
  MoodyProvider provider(/*leased=*/false);
  Run(provider, [&provider] { provider.CalmDown(); });
}

// Goal: two calls that end at the same time leave a running lease, even if both
// found the context without one. Method: a provider that always vetoes, so that
// each round begins with a lease that is over; many rounds, because the moment
// between an unpin and its follow-up is short.
TEST_F(StressTest, CallsThatEndTogetherAfterAVetoHaveTheLeaseRunAgain) {
  class Refusing final : public InstanceContextProvider {
   public:
    bool Leased() const override { return true; }
    void NotifyIdle(IdleCallback, InstanceContext&) override {}
    bool IsIdle(InstanceContext&) override { return false; }
  };
  constexpr int kRounds = 10'000;
  Refusing provider;
  CountingExecutor executor;
  InstanceRegistry registry(clock_, executor, provider, {}, {},
                            {.idle_timeout = absl::Milliseconds(10)});
  const auto pin = [&registry] {
    InstanceRequest request;
    request.key = KeyOf(0);
    BlockingCall call(request);
    return std::move((*call.Ask(registry, /*cancel=*/false))->pin);
  };
  std::atomic<int> begun{0};
  std::atomic<int> ended{0};
  std::thread other([&] {
    Random random(BaseSeed());
    for (int round = 1; round <= kRounds; ++round) {
      while (begun < round) std::this_thread::yield();
      // Varies the point at which it meets the other's unpin.
      for (uint64_t i = Uniform(random, 0, 200); i > 0; --i) begun.load();
      pin().Reset();
      ended = round;
    }
  });
  for (int round = 1; round <= kRounds; ++round) {
    Pin mine = pin();
    begun = round;
    mine.Reset();
    while (ended < round) std::this_thread::yield();
    executor.AwaitIdle();
    EXPECT_NE(registry.NextLeaseDue(), Instant::Infinite()) << round;
    clock_.Advance(absl::Seconds(1));
    registry.RunDueLeases();
    executor.AwaitIdle();
    EXPECT_EQ(registry.NextLeaseDue(), Instant::Infinite()) << round;
  }
  other.join();
  registry.Shutdown([] {});
  executor.AwaitIdle();
}

// Goal: after `done` nothing touches the registry any more. Method: many
// short-lived registries whose lease threads are busy ending leases, and calls
// that end during the shutdown; each is destroyed as soon as it is done.
TEST_F(StressTest, RegistryMayBeDestroyedAsSoonAsItsShutdownIsDone) {
  SharedProvider provider;
  CountingExecutor executor;
  std::atomic<bool> stop{false};
  std::thread time([&] {
    while (!stop) {
      clock_.Advance(absl::Milliseconds(5));
      std::this_thread::yield();
    }
  });
  for (int round = 0; round < 300; ++round) {
    auto registry = std::make_unique<InstanceRegistry>(
        clock_, executor, provider, std::vector<ContextInitializer*>{},
        std::vector<InstanceObserver*>{},
        InstanceRegistryOptions{.idle_timeout = absl::Milliseconds(10),
                                // Time moves fast here, hooks do not.
                                .detach_timeout = absl::Hours(10'000)});
    registry->Start();
    std::vector<Pin> pins;
    for (int key = 0; key < kKeys; ++key) {
      InstanceRequest request;
      request.key = KeyOf(key);
      BlockingCall call(request);
      auto answer = call.Ask(*registry, /*cancel=*/false);
      if (key % 2 == 0) pins.push_back(std::move((*answer)->pin));
    }
    std::thread last_call([&pins] { pins.clear(); });
    Mutex mu;
    CondVar is_done;
    bool done = false;
    registry->Shutdown([&] {
      MutexLock lock(mu);
      done = true;
      is_done.NotifyAll();
    });
    {
      MutexLock lock(mu);
      while (!done) is_done.Wait(mu);
    }
    registry.reset();
    last_call.join();
  }
  stop = true;
  time.join();
}

}  // namespace
}  // namespace leasehold
