#include "lease/lease_manager.h"

#include <functional>
#include <memory>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/simulated_clock.h"

namespace leasehold {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// Records what is over, batch by batch; may run an action.
class Recorder : public LeaseListener {
 public:
  void OnLeasesOver(absl::Span<Lease* const> leases) override {
    batches.emplace_back(leases.begin(), leases.end());
    if (then) {
      for (Lease* lease : leases) then(*lease);
    }
  }
  std::vector<Lease*> Take() {
    std::vector<Lease*> all;
    for (const auto& batch : batches) {
      all.insert(all.end(), batch.begin(), batch.end());
    }
    batches.clear();
    return all;
  }

  std::vector<std::vector<Lease*>> batches;
  std::function<void(Lease&)> then;
};

class LeaseManagerTest : public testing::Test {
 protected:
  // Calls RunDue; returns what it handed out.
  std::vector<Lease*> Over() {
    const size_t count = manager_.RunDue();
    std::vector<Lease*> over = recorder_.Take();
    EXPECT_EQ(count, over.size());
    return over;
  }

  SimulatedClock clock_;
  Recorder recorder_;
  LeaseManager manager_{clock_, recorder_};
  Lease lease_;
};

constexpr absl::Duration kNanosecond = absl::Nanoseconds(1);

TEST_F(LeaseManagerTest, LeaseIsOverAtItsDeadlineAndNotBefore) {
  manager_.Grant(lease_, absl::Seconds(20));
  clock_.Advance(absl::Seconds(20) - kNanosecond);
  EXPECT_THAT(Over(), IsEmpty());
  clock_.Advance(kNanosecond);
  EXPECT_THAT(Over(), ElementsAre(&lease_));
  EXPECT_EQ(manager_.size(), 0u);
}

TEST_F(LeaseManagerTest, LeaseIsHandedOutOnce) {
  manager_.Grant(lease_, absl::Seconds(1));
  clock_.Advance(absl::Seconds(1));
  EXPECT_THAT(Over(), ElementsAre(&lease_));
  clock_.Advance(absl::Hours(1));
  EXPECT_THAT(Over(), IsEmpty());
}

TEST_F(LeaseManagerTest, DeadlineBetweenTwoTicksIsRoundedUp) {
  clock_.Advance(absl::Microseconds(300));
  manager_.Grant(lease_, absl::Milliseconds(5));  // Ends 0.3 ms into a tick.
  clock_.Advance(absl::Microseconds(4'999));
  EXPECT_THAT(Over(), IsEmpty());
  clock_.Advance(absl::Microseconds(1));  // The deadline itself.
  EXPECT_THAT(Over(), IsEmpty());
  clock_.Advance(absl::Microseconds(700));  // The tick after it.
  EXPECT_THAT(Over(), ElementsAre(&lease_));
}

TEST_F(LeaseManagerTest, FractionOfANanosecondIsRoundedUp) {
  LeaseManager fine(clock_, recorder_, {.tick = kNanosecond});
  fine.Grant(lease_, kNanosecond / 4);
  EXPECT_EQ(lease_.timeout(), kNanosecond);
  EXPECT_EQ(fine.RunDue(), 0u);
  clock_.Advance(kNanosecond);
  EXPECT_EQ(fine.RunDue(), 1u);
}

TEST_F(LeaseManagerTest, ZeroTimeoutIsOverAtTheNextLook) {
  manager_.Grant(lease_, absl::ZeroDuration());
  EXPECT_EQ(manager_.NextDue(), clock_.Now());
  EXPECT_THAT(Over(), ElementsAre(&lease_));
}

TEST_F(LeaseManagerTest, NegativeTimeoutCountsAsZero) {
  manager_.Grant(lease_, -absl::InfiniteDuration());
  EXPECT_EQ(lease_.timeout(), absl::ZeroDuration());
  EXPECT_THAT(Over(), ElementsAre(&lease_));
  manager_.Grant(lease_, -absl::Seconds(1));
  EXPECT_EQ(lease_.deadline(), clock_.Now());
  EXPECT_THAT(Over(), ElementsAre(&lease_));
}

TEST_F(LeaseManagerTest, InfiniteTimeoutIsNeverOver) {
  manager_.Grant(lease_, absl::InfiniteDuration());
  EXPECT_EQ(manager_.NextDue(), Instant::Infinite());
  EXPECT_EQ(manager_.Lookup(lease_).remaining, absl::InfiniteDuration());
  EXPECT_EQ(lease_.timeout(), absl::InfiniteDuration());
  for (Instant t : {clock_.Now() + absl::Hours(24 * 365 * 100),
                    Instant{Instant::Infinite().ns - 1}, Instant::Infinite()}) {
    clock_.AdvanceTo(t);
    EXPECT_THAT(Over(), IsEmpty());
  }
  EXPECT_EQ(manager_.size(), 1u);
  EXPECT_TRUE(manager_.Revoke(lease_));
}

TEST_F(LeaseManagerTest, TimeoutBeyondTheEndOfTimeIsNeverOver) {
  manager_.Grant(lease_, absl::Hours(24 * 365 * 10'000));
  EXPECT_EQ(lease_.deadline(), Instant::Infinite());
  clock_.AdvanceTo(Instant::Infinite());
  EXPECT_THAT(Over(), IsEmpty());
}

TEST_F(LeaseManagerTest, DeadlineThatSaturatesThroughRenewalIsNeverOver) {
  manager_.Grant(lease_, absl::Nanoseconds(Instant::Infinite().ns - 1) -
                             absl::Seconds(10));
  clock_.Advance(absl::Seconds(100));
  manager_.Renew(lease_);
  clock_.AdvanceTo(Instant::Infinite());
  EXPECT_THAT(Over(), IsEmpty());
  EXPECT_EQ(manager_.NextDue(), Instant::Infinite());
}

TEST_F(LeaseManagerTest, RenewedLeaseRunsForItsTimeoutFromThen) {
  manager_.Grant(lease_, absl::Seconds(20));
  clock_.Advance(absl::Seconds(15));
  manager_.Renew(lease_);
  clock_.Advance(absl::Seconds(20) - kNanosecond);
  EXPECT_THAT(Over(), IsEmpty());
  clock_.Advance(kNanosecond);
  EXPECT_THAT(Over(), ElementsAre(&lease_));
}

TEST_F(LeaseManagerTest, RenewalIsSeenEvenIfTheFiledDeadlineHasPassed) {
  manager_.Grant(lease_, absl::Seconds(20));
  clock_.Advance(absl::Seconds(25));
  manager_.Renew(lease_);  // No RunDue in between: it never ended.
  EXPECT_THAT(Over(), IsEmpty());
  EXPECT_LE(manager_.NextDue(), clock_.Now() + absl::Seconds(20));
  clock_.Advance(absl::Seconds(20));
  EXPECT_THAT(Over(), ElementsAre(&lease_));
}

TEST_F(LeaseManagerTest, RenewalWithAnOlderTimeIsDropped) {
  manager_.Grant(lease_, absl::Seconds(20));
  const Instant granted = clock_.Now();
  lease_.Renew(granted + -absl::Seconds(1));
  EXPECT_EQ(lease_.last_use(), granted);
}

TEST_F(LeaseManagerTest, RevokedLeaseIsNeverHandedOut) {
  manager_.Grant(lease_, absl::Seconds(1));
  EXPECT_TRUE(manager_.Revoke(lease_));
  EXPECT_EQ(manager_.size(), 0u);
  clock_.Advance(absl::Hours(1));
  EXPECT_THAT(Over(), IsEmpty());
}

TEST_F(LeaseManagerTest, LeaseThatIsOverButNotHandedOutCanBeRevoked) {
  manager_.Grant(lease_, absl::Seconds(1));
  clock_.Advance(absl::Seconds(2));
  EXPECT_TRUE(manager_.Revoke(lease_));
  EXPECT_THAT(Over(), IsEmpty());
}

TEST_F(LeaseManagerTest, RevokeOfWhatDoesNotRunIsFalse) {
  EXPECT_FALSE(manager_.Revoke(lease_));  // Never granted.
  manager_.Grant(lease_, absl::Seconds(1));
  EXPECT_TRUE(manager_.Revoke(lease_));
  EXPECT_FALSE(manager_.Revoke(lease_));  // Revoked before.
}

TEST_F(LeaseManagerTest, RevokeWhileHandedOutIsFalse) {
  manager_.Grant(lease_, absl::Seconds(1));
  clock_.Advance(absl::Seconds(1));
  std::vector<bool> revoked;
  recorder_.then = [&](Lease& lease) {
    revoked.push_back(manager_.Revoke(lease));
  };
  EXPECT_THAT(Over(), ElementsAre(&lease_));
  EXPECT_THAT(revoked, ElementsAre(false));
  EXPECT_FALSE(manager_.Revoke(lease_));
}

TEST_F(LeaseManagerTest, ARevokedLeaseCanBeGrantedAgain) {
  manager_.Grant(lease_, absl::Seconds(1));
  ASSERT_TRUE(manager_.Revoke(lease_));
  clock_.Advance(absl::Seconds(5));
  manager_.Grant(lease_, absl::Seconds(2));
  clock_.Advance(absl::Seconds(2) - kNanosecond);
  EXPECT_THAT(Over(), IsEmpty());
  clock_.Advance(kNanosecond);
  EXPECT_THAT(Over(), ElementsAre(&lease_));
}

TEST_F(LeaseManagerTest, ShorterTimeoutHoldsFromNowOn) {
  manager_.Grant(lease_, absl::Seconds(20));
  clock_.Advance(absl::Seconds(1));
  manager_.SetTimeout(lease_, absl::Seconds(5));
  EXPECT_LE(manager_.NextDue(), clock_.Now() + absl::Seconds(4));
  clock_.Advance(absl::Seconds(4) - kNanosecond);
  EXPECT_THAT(Over(), IsEmpty());
  clock_.Advance(kNanosecond);
  EXPECT_THAT(Over(), ElementsAre(&lease_));
}

TEST_F(LeaseManagerTest, TimeoutShorterThanTheLeaseHasIdledIsOverAtOnce) {
  manager_.Grant(lease_, absl::Seconds(20));
  clock_.Advance(absl::Seconds(10));
  EXPECT_THAT(Over(), IsEmpty());
  manager_.SetTimeout(lease_, absl::Seconds(5));
  EXPECT_EQ(manager_.Lookup(lease_).remaining, absl::ZeroDuration());
  EXPECT_THAT(Over(), ElementsAre(&lease_));
}

TEST_F(LeaseManagerTest, InfiniteTimeoutCanBeShortened) {
  manager_.Grant(lease_, absl::InfiniteDuration());
  clock_.Advance(absl::Seconds(1));
  manager_.SetTimeout(lease_, absl::Seconds(5));
  clock_.Advance(absl::Seconds(4));
  EXPECT_THAT(Over(), ElementsAre(&lease_));
}

TEST_F(LeaseManagerTest, LongerTimeoutMovesTheDeadlineOut) {
  manager_.Grant(lease_, absl::Seconds(5));
  manager_.SetTimeout(lease_, absl::Seconds(20));
  clock_.Advance(absl::Seconds(20) - kNanosecond);
  EXPECT_THAT(Over(), IsEmpty());
  clock_.Advance(kNanosecond);
  EXPECT_THAT(Over(), ElementsAre(&lease_));
}

TEST_F(LeaseManagerTest, SetTimeoutOfAFreeLeaseIsKeptAndFilesNothing) {
  manager_.SetTimeout(lease_, absl::Seconds(5));
  EXPECT_EQ(lease_.timeout(), absl::Seconds(5));
  EXPECT_EQ(manager_.size(), 0u);
  EXPECT_EQ(manager_.NextDue(), Instant::Infinite());
  clock_.Advance(absl::Hours(1));
  EXPECT_THAT(Over(), IsEmpty());
}

TEST_F(LeaseManagerTest, GrantAgainDoesNotMoveTheDeadline) {
  manager_.Grant(lease_, absl::Seconds(20));
  const Instant deadline = lease_.deadline();
  ASSERT_TRUE(manager_.Revoke(lease_));
  clock_.Advance(absl::Seconds(15));
  manager_.GrantAgain(lease_);
  EXPECT_EQ(lease_.deadline(), deadline);
  clock_.Advance(absl::Seconds(5) - kNanosecond);
  EXPECT_THAT(Over(), IsEmpty());
  clock_.Advance(kNanosecond);
  EXPECT_THAT(Over(), ElementsAre(&lease_));
}

TEST_F(LeaseManagerTest, LookupTellsWhatRemains) {
  LeaseState state = manager_.Lookup(lease_);
  EXPECT_FALSE(state.running);
  EXPECT_EQ(state.remaining, absl::ZeroDuration());

  manager_.Grant(lease_, absl::Seconds(20));
  const Instant granted = clock_.Now();
  clock_.Advance(absl::Seconds(5));
  state = manager_.Lookup(lease_);
  EXPECT_TRUE(state.running);
  EXPECT_EQ(state.timeout, absl::Seconds(20));
  EXPECT_EQ(state.remaining, absl::Seconds(15));
  EXPECT_EQ(state.last_use, granted);

  clock_.Advance(absl::Seconds(30));  // Over, and not handed out.
  EXPECT_EQ(manager_.Lookup(lease_).remaining, absl::ZeroDuration());
  EXPECT_THAT(Over(), ElementsAre(&lease_));
  EXPECT_FALSE(manager_.Lookup(lease_).running);
}

TEST_F(LeaseManagerTest, NothingEndsWhileTheClockStandsStill) {
  std::vector<std::unique_ptr<Lease>> leases;
  for (int i = 0; i < 100; ++i) {
    leases.push_back(std::make_unique<Lease>());
    manager_.Grant(*leases.back(), absl::Milliseconds(1 + i));
  }
  for (int i = 0; i < 100; ++i) EXPECT_THAT(Over(), IsEmpty());
  EXPECT_EQ(manager_.size(), 100u);
}

TEST_F(LeaseManagerTest, ManyEndingsAtOneInstantComeInBoundedBatches) {
  std::vector<std::unique_ptr<Lease>> leases;
  for (int i = 0; i < 1000; ++i) {
    leases.push_back(std::make_unique<Lease>());
    manager_.Grant(*leases.back(), absl::Seconds(20));
  }
  clock_.Advance(absl::Seconds(20));
  EXPECT_EQ(manager_.RunDue(), 1000u);
  for (const auto& batch : recorder_.batches) {
    EXPECT_GT(batch.size(), 0u);
    EXPECT_LE(batch.size(), 256u);
  }
  EXPECT_EQ(recorder_.Take().size(), 1000u);
}

// The listener calls the manager: that would hang if it were called with the
// lock held.
TEST_F(LeaseManagerTest, ListenerIsCalledWithoutTheLock) {
  std::vector<std::unique_ptr<Lease>> leases;
  for (int i = 0; i < 300; ++i) {
    leases.push_back(std::make_unique<Lease>());
    manager_.Grant(*leases.back(), absl::Seconds(1));
  }
  size_t seen = 0;
  recorder_.then = [&](Lease& lease) {
    EXPECT_FALSE(manager_.Lookup(lease).running);
    seen += manager_.size() > 0;
  };
  clock_.Advance(absl::Seconds(1));
  EXPECT_EQ(manager_.RunDue(), 300u);
  // While the first batch was out, others were still running.
  EXPECT_GT(seen, 0u);
}

// A listener that grants again for no time at all: each RunDue ends, and the
// next hands it out again.
TEST_F(LeaseManagerTest, GrantForNoTimeInTheListenerWaitsForTheNextRunDue) {
  std::vector<std::unique_ptr<Lease>> leases;
  for (int i = 0; i < 600; ++i) {
    leases.push_back(std::make_unique<Lease>());
    manager_.Grant(*leases.back(), absl::Seconds(1));
  }
  recorder_.then = [&](Lease& lease) {
    manager_.Grant(lease, absl::ZeroDuration());
  };
  clock_.Advance(absl::Seconds(1));
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(manager_.RunDue(), 600u);
    EXPECT_EQ(manager_.NextDue(), clock_.Now());
  }
  recorder_.then = nullptr;
  EXPECT_EQ(manager_.RunDue(), 600u);
  EXPECT_EQ(manager_.RunDue(), 0u);
}

TEST_F(LeaseManagerTest, GrantAgainInTheListenerWaitsForTheNextRunDue) {
  manager_.Grant(lease_, absl::Seconds(1));
  recorder_.then = [&](Lease& lease) { manager_.GrantAgain(lease); };
  clock_.Advance(absl::Seconds(3));
  EXPECT_THAT(Over(), ElementsAre(&lease_));
  EXPECT_THAT(Over(), ElementsAre(&lease_));
}

TEST_F(LeaseManagerTest, RenewedAfterItWasHandedOutItRunsOnWhenGrantedAgain) {
  manager_.Grant(lease_, absl::Seconds(1));
  clock_.Advance(absl::Seconds(1));
  recorder_.then = [&](Lease& lease) {
    manager_.Renew(lease);  // A use that came just too late for the manager.
    manager_.GrantAgain(lease);
  };
  EXPECT_THAT(Over(), ElementsAre(&lease_));
  clock_.Advance(absl::Seconds(1) - kNanosecond);
  EXPECT_THAT(Over(), IsEmpty());
  clock_.Advance(kNanosecond);
  EXPECT_THAT(Over(), ElementsAre(&lease_));
}

// RunDue inside the listener acts as a second caller that comes while the first
// is in mid-turn: it must finish that turn, and then hand out what became due
// since, before it returns.
TEST_F(LeaseManagerTest, RunDueThatJoinsAnotherLeavesNothingThatWasDue) {
  LeaseManager manager(clock_, recorder_, {.batch_max = 1});
  Lease a, b, late;
  manager.Grant(a, absl::Seconds(1));
  manager.Grant(b, absl::Seconds(1));
  clock_.Advance(absl::Seconds(1));
  size_t joined = 0;
  recorder_.then = [&](Lease& lease) {
    if (&lease != &a) return;
    manager.Grant(late, absl::ZeroDuration());
    joined = manager.RunDue();
  };
  EXPECT_EQ(manager.RunDue(), 1u);
  EXPECT_EQ(joined, 2u);
  EXPECT_EQ(manager.size(), 0u);
}

TEST_F(LeaseManagerTest, NextDueIsInfiniteWhenNothingIsFiled) {
  EXPECT_EQ(manager_.NextDue(), Instant::Infinite());
  manager_.Grant(lease_, absl::Seconds(1));
  EXPECT_LE(manager_.NextDue(), clock_.Now() + absl::Seconds(1));
  ASSERT_TRUE(manager_.Revoke(lease_));
  EXPECT_EQ(manager_.NextDue(), Instant::Infinite());
}

TEST_F(LeaseManagerTest, RunDueAtNextDueFindsTheEndingWithinATick) {
  clock_.Advance(absl::Nanoseconds(123'456));
  manager_.Grant(lease_, absl::Seconds(100));
  const Instant deadline = lease_.deadline();
  int wakes = 0;
  while (manager_.size() > 0) {
    ASSERT_LE(++wakes, 12);
    clock_.AdvanceTo(manager_.NextDue());
    manager_.RunDue();
  }
  EXPECT_GE(clock_.Now(), deadline);
  EXPECT_LT(clock_.Now() - deadline, absl::Milliseconds(1));
}

TEST_F(LeaseManagerTest, LeasesStillHeldAreForgottenWithTheManager) {
  auto held = std::make_unique<Lease>();
  {
    LeaseManager manager(clock_, recorder_);
    manager.Grant(*held, absl::Seconds(1));
    held.reset();  // Destroyed before the manager, which must not touch it.
  }
  EXPECT_THAT(recorder_.Take(), IsEmpty());
}

TEST_F(LeaseManagerTest, LatenessIsHowLongAfterItsDeadlineALeaseIsHandedOut) {
  Lease other;
  manager_.Grant(lease_, absl::Seconds(20));
  manager_.Grant(other, absl::Seconds(25));
  clock_.Advance(absl::Seconds(20) + absl::Milliseconds(3));
  EXPECT_THAT(Over(), ElementsAre(&lease_));
  HistogramReading lateness = manager_.lateness();
  EXPECT_EQ(lateness.sum, 3'000'000u);
  clock_.Advance(absl::Seconds(20));
  EXPECT_THAT(Over(), ElementsAre(&other));
  lateness = manager_.lateness();
  EXPECT_EQ(lateness.sum, 3'000'000u + 15'003'000'000u);
  EXPECT_EQ(lateness.counts.back(), 1u);  // Above 10 s.
}

TEST_F(LeaseManagerTest, ALeaseThatWasRenewedIsNotLate) {
  manager_.Grant(lease_, absl::Seconds(20));
  clock_.Advance(absl::Seconds(19));
  manager_.Renew(lease_);
  clock_.Advance(absl::Seconds(5));
  EXPECT_THAT(Over(), IsEmpty());
  for (const uint64_t count : manager_.lateness().counts) EXPECT_EQ(count, 0u);
  ASSERT_TRUE(manager_.Revoke(lease_));
}

}  // namespace
}  // namespace leasehold
