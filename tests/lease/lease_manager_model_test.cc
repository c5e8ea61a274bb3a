// The lease manager against a model: a plain record per lease, and their
// rounded-up deadlines in a sorted map. Random operations, also from within the
// listener; a failure prints its seed.
//
// The test checks that no lease is handed out before its deadline, rounded up
// to the tick; that the first RunDue at or after that hands it out; that
// nothing else is handed out; and that a sleeper that relies on NextDue misses
// none.
#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <map>
#include <set>

#include "gtest/gtest.h"
#include "lease/lease_manager.h"
#include "tests/support/seed.h"
#include "tests/support/simulated_clock.h"

namespace leasehold {
namespace {

constexpr size_t kLeases = 40;
constexpr int kOperations = 120;
constexpr int64_t kForever = std::numeric_limits<int64_t>::max();

// The specification of the manager, in plain numbers.
struct LeaseModel {
  bool running = false;
  bool granted = false;  // At least once.
  int64_t last_use = 0;
  int64_t timeout = 0;  // kForever: infinite.

  int64_t Deadline() const {
    return timeout > kForever - last_use ? kForever : last_use + timeout;
  }
};

class ManagerAndModel : public LeaseListener {
 public:
  explicit ManagerAndModel(Random& random)
      : random_(random),
        tick_(std::array<int64_t, 3>{1, 7'000, 1'000'000}[random() % 3]),
        batch_max_(std::array<size_t, 4>{1, 2, 3, 256}[random() % 4]),
        clock_(Instant{static_cast<int64_t>(random() % 5'000'000)}),
        manager_(clock_, *this,
                 {.tick = absl::Nanoseconds(tick_), .batch_max = batch_max_}) {}

  void Run() {
    for (int i = 0; i < kOperations; ++i) {
      SCOPED_TRACE(testing::Message() << "operation " << i);
      Step();
      CheckState();
      if (testing::Test::HasFailure()) return;
    }
  }

  void OnLeasesOver(absl::Span<Lease* const> leases) override {
    ASSERT_LE(leases.size(), batch_max_);
    for (Lease* lease : leases) {
      const size_t i = lease - leases_.data();
      ASSERT_TRUE(models_[i].running) << "handed out, but does not run";
      ASSERT_LE(Due(i), now()) << "handed out early";
      ASSERT_EQ(fresh_.count(i), 0u) << "granted by this listener just now";
      models_[i].running = false;
      ++handed_out_;
    }
    // During the RunDue, other operations happen.
    const size_t i = leases[random_() % leases.size()] - leases_.data();
    const uint64_t deed = Uniform(random_, 0, 11);
    listener_acted_ = listener_acted_ || deed <= 5;
    switch (deed) {
      case 0:
        return GrantFresh(i, /*again=*/true);
      case 1:
      case 2:
        return GrantFresh(i, /*again=*/false);
      case 3:
        return Revoke();
      case 4:
        return Renew(Uniform(random_, 0, kLeases - 1));
      case 5:
        return SetTimeout();
      default:
        return;
    }
  }

 private:
  int64_t now() const { return clock_.Now().ns; }

  // The deadline of lease `i`, rounded up to the tick; kForever if it has none.
  int64_t Due(size_t i) const {
    const int64_t deadline = models_[i].Deadline();
    if (deadline > kForever - tick_) return kForever;
    const int64_t rest = deadline % tick_;
    return rest == 0 ? deadline : deadline - rest + tick_;
  }

  // Running leases that have an end, by rounded-up deadline.
  std::multimap<int64_t, size_t> ByDeadline() const {
    std::multimap<int64_t, size_t> by_deadline;
    for (size_t i = 0; i < kLeases; ++i) {
      if (models_[i].running && Due(i) != kForever) {
        by_deadline.emplace(Due(i), i);
      }
    }
    return by_deadline;
  }

  // A duration: zero, less than a tick, at or near the boundary of a level of
  // the wheel, or huge.
  int64_t Length() {
    switch (Uniform(random_, 0, 5)) {
      case 0:
        return 0;
      case 1:
        return Uniform(random_, 1, 3);
      case 2:
        return Uniform(random_, 0, 3 * tick_);
      case 3: {
        constexpr std::array<int64_t, 5> kBoundaries = {63, 64, 65, 4095, 4096};
        return kBoundaries[random_() % kBoundaries.size()] * tick_ +
               static_cast<int64_t>(Uniform(random_, 0, 2)) - 1;
      }
      case 4:
        return Uniform(random_, 0, 200) * tick_;
      default:  // Up to 146 years: never enough to saturate the clock.
        return random_() >> Uniform(random_, 2, 63);
    }
  }

  void Step() {
    switch (Uniform(random_, 0, 11)) {
      case 0:
      case 1:
      case 2:
        return Grant();
      case 3:
        return GrantAgain();
      case 4:
      case 5:
        return Renew(Uniform(random_, 0, kLeases - 1));
      case 6:
        return Revoke();
      case 7:
        return SetTimeout();
      case 8:
        return SleepAndRun();
      case 9: {  // Just before the first ending, and at it.
        const auto by_deadline = ByDeadline();
        if (by_deadline.empty()) return;
        const int64_t first = by_deadline.begin()->first;
        if (first <= now() || first > kForever / 2) return;
        clock_.AdvanceTo({first - 1});
        RunDue();
        clock_.AdvanceTo({first});
        return RunDue();
      }
      case 10:
        // Time passes without a RunDue.
        return Advance(Uniform(random_, 0, 100 * tick_));
      default:
        Advance(Length());
        return RunDue();
    }
  }

  void Advance(int64_t ns) {
    // Leaves a century for leases granted at the very end.
    if (ns < kForever / 2 - now()) clock_.Advance(absl::Nanoseconds(ns));
  }

  void Grant() {
    const size_t i = Uniform(random_, 0, kLeases - 1);
    if (!models_[i].running) GrantNow(i, /*again=*/false);
  }

  void GrantAgain() {
    const size_t i = Uniform(random_, 0, kLeases - 1);
    if (!models_[i].running && models_[i].granted) GrantNow(i, /*again=*/true);
  }

  // From the listener: may be due again at once, but not in this RunDue.
  void GrantFresh(size_t i, bool again) {
    GrantNow(i, again);
    if (Due(i) <= now()) fresh_.insert(i);
  }

  void GrantNow(size_t i, bool again) {
    LeaseModel& model = models_[i];
    if (again) {
      manager_.GrantAgain(leases_[i]);
    } else {
      const absl::Duration timeout = Timeout(model);
      manager_.Grant(leases_[i], timeout);
      model.last_use = now();
    }
    model.running = model.granted = true;
  }

  void Renew(size_t i) {
    manager_.Renew(leases_[i]);
    models_[i].last_use = now();
    if (Due(i) > now()) fresh_.erase(i);
  }

  void Revoke() {
    const size_t i = Uniform(random_, 0, kLeases - 1);
    ASSERT_EQ(manager_.Revoke(leases_[i]), models_[i].running);
    models_[i].running = false;
    fresh_.erase(i);
  }

  void SetTimeout() {
    const size_t i = Uniform(random_, 0, kLeases - 1);
    const bool was_over = models_[i].running && Due(i) <= now();
    manager_.SetTimeout(leases_[i], Timeout(models_[i]));
    // Became over during a RunDue: may wait for the next.
    const bool is_over = models_[i].running && Due(i) <= now();
    if (is_over && !was_over) maybe_.insert(i);
  }

  // A random timeout, also set in `model`.
  absl::Duration Timeout(LeaseModel& model) {
    if (OneIn(random_, 20)) {
      model.timeout = kForever;
      return absl::InfiniteDuration();
    }
    if (OneIn(random_, 20)) {
      model.timeout = 0;
      return -absl::Nanoseconds(Length());
    }
    model.timeout = Length();
    return absl::Nanoseconds(model.timeout);
  }

  void RunDue() {
    fresh_.clear();
    maybe_.clear();
    handed_out_ = 0;
    listener_acted_ = false;
    const size_t returned = manager_.RunDue();
    ASSERT_EQ(returned, handed_out_);
    for (const auto& [due, i] : ByDeadline()) {
      if (due > now()) break;
      ASSERT_TRUE(fresh_.count(i) > 0 || maybe_.count(i) > 0)
          << "lease " << i << " was due at " << due << ", not handed out";
    }
    fresh_.clear();
    // Nothing is left to do now: the next check is in the future. (A lease that
    // a listener granted for no time, and then renewed, is checked once in
    // vain.)
    if (!listener_acted_) {
      ASSERT_GT(manager_.NextDue(), clock_.Now());
    }
  }

  // Acts as the manager's thread for a while.
  void SleepAndRun() {
    for (int wakes = Uniform(random_, 1, 20); wakes > 0; --wakes) {
      const Instant next = manager_.NextDue();
      if (next == Instant::Infinite() || next.ns > kForever / 2) return;
      CheckState();  // Above all: no deadline is slept through.
      clock_.AdvanceTo(next);
      RunDue();
      if (testing::Test::HasFailure()) return;
    }
  }

  void CheckState() {
    size_t running = 0;
    for (size_t i = 0; i < kLeases; ++i) {
      const LeaseModel& model = models_[i];
      running += model.running;
      const LeaseState state = manager_.Lookup(leases_[i]);
      ASSERT_EQ(state.running, model.running);
      ASSERT_EQ(state.last_use.ns, model.last_use);
      ASSERT_EQ(state.timeout, model.timeout == kForever
                                   ? absl::InfiniteDuration()
                                   : absl::Nanoseconds(model.timeout));
      const int64_t remaining =
          model.running ? std::max<int64_t>(model.Deadline() - now(), 0) : 0;
      ASSERT_EQ(state.remaining, model.running && model.Deadline() == kForever
                                     ? absl::InfiniteDuration()
                                     : absl::Nanoseconds(remaining));
    }
    ASSERT_EQ(manager_.size(), running);
    const auto by_deadline = ByDeadline();
    if (!by_deadline.empty()) {
      // If the first is over already, NextDue is now or before: never later.
      ASSERT_LE(manager_.NextDue().ns,
                std::max(by_deadline.begin()->first, now()));
    } else if (running == 0) {
      ASSERT_EQ(manager_.NextDue(), Instant::Infinite());
    }
  }

  Random& random_;
  const int64_t tick_;
  const size_t batch_max_;
  SimulatedClock clock_;
  LeaseManager manager_;
  std::array<Lease, kLeases> leases_;
  std::array<LeaseModel, kLeases> models_;

  // Of the current RunDue:
  size_t handed_out_ = 0;
  bool listener_acted_ = false;
  std::set<size_t> fresh_;  // Granted by the listener; for the next RunDue.
  std::set<size_t> maybe_;  // Shortened by the listener; for this or the next.
};

TEST(LeaseManagerModel, BehavesAsASortedMapUnderRandomOperations) {
  ForEachSeed(3000, [](Random& random) { ManagerAndModel(random).Run(); });
}

}  // namespace
}  // namespace leasehold
