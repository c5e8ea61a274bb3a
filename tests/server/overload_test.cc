// Overload: when it begins and ends, and which calls it refuses meanwhile.
#include "service/rpc/overload.h"

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "service/base/retry_after.h"
#include "tests/support/simulated_clock.h"

namespace leasehold {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr absl::Duration kTick = absl::Milliseconds(50);
constexpr absl::Duration kLong = absl::Seconds(1);  // Grows at full speed.
constexpr absl::Duration kShort = absl::Milliseconds(50);

// All classes, in the order in which they are refused.
const std::vector<CallClass> kClasses = {CallClass::kRead, CallClass::kStart,
                                         CallClass::kEvent, CallClass::kCall,
                                         CallClass::kEssential};

class OverloadTest : public ::testing::Test {
 protected:
  static MethodInfo Of(CallClass call_class) {
    return {.name = "Any", .call_class = call_class};
  }
  absl::Status Call(CallClass call_class) {
    return overload_.Admit(Of(call_class));
  }
  // How many of a hundred calls are refused.
  int Refused(CallClass call_class) {
    int refused = 0;
    for (int i = 0; i < 100; ++i) refused += Call(call_class).ok() ? 0 : 1;
    return refused;
  }
  std::vector<int> RefusedOfEach() {
    std::vector<int> refused;
    for (const CallClass each : kClasses) refused.push_back(Refused(each));
    return refused;
  }
  // What arrives waits for `delay`, for `time` from the last sample on.
  void Queue(absl::Duration delay, absl::Duration time) {
    for (absl::Duration t; t < time; t += kTick) {
      Pass();
      overload_.OnQueueDelay(delay);
    }
  }
  void Commits(absl::Duration delay, absl::Duration time) {
    for (absl::Duration t; t < time; t += kTick) {
      Pass();
      overload_.OnCommitDelay(delay);
    }
  }
  // A tick passes, in which `called_` are called.
  void Pass() {
    clock_.Advance(kTick);
    for (const CallClass each : called_) (void)Call(each);
  }
  // The pressure grows by that many whole steps.
  void Grow(int steps) {
    Queue(kLong, steps / Overload::kGrowth * Overload::kInterval);
  }

  SimulatedClock clock_;
  std::vector<CallClass> called_ = kClasses;
  std::vector<Overload::Change> changes_;
  Overload overload_{clock_, {}, [this](const Overload::Change& change) {
                       changes_.push_back(change);
                     }};
};

TEST_F(OverloadTest, NothingIsRefusedWhileDelaysAreShort) {
  Queue(kShort, absl::Seconds(10));
  Commits(absl::Milliseconds(250), absl::Seconds(10));
  EXPECT_EQ(RefusedOfEach(), std::vector<int>({0, 0, 0, 0, 0}));
  EXPECT_TRUE(changes_.empty());
}

TEST_F(OverloadTest, EachStepRefusesOneMoreClassTheCheapestLossFirst) {
  Queue(kLong, kTick);  // An interval begins.
  Grow(1);
  EXPECT_EQ(RefusedOfEach(), std::vector<int>({100, 0, 0, 0, 0}));
  Grow(1);
  EXPECT_EQ(RefusedOfEach(), std::vector<int>({100, 100, 0, 0, 0}));
  Grow(1);
  EXPECT_EQ(RefusedOfEach(), std::vector<int>({100, 100, 100, 0, 0}));
  Grow(1);
  EXPECT_EQ(RefusedOfEach(), std::vector<int>({100, 100, 100, 100, 0}));
  Grow(10);  // There is no more to refuse.
  EXPECT_EQ(overload_.pressure(), Overload::kPressureMax);
  EXPECT_EQ(RefusedOfEach(), std::vector<int>({100, 100, 100, 100, 0}));
}

TEST_F(OverloadTest, ALittleTooLongGrowsSlowly) {
  const absl::Duration little = absl::Milliseconds(51);
  Queue(little, kTick + Overload::kInterval);
  EXPECT_GT(overload_.pressure(), 0.01);
  EXPECT_LT(overload_.pressure(), 0.05);
  Queue(2 * little, Overload::kInterval);
  EXPECT_GT(overload_.pressure(), 0.05);
  EXPECT_LT(overload_.pressure(), 0.1);
  Queue(little, absl::Minutes(1));
  EXPECT_EQ(overload_.pressure(), Overload::kPressureMax);
}

TEST_F(OverloadTest, APartOfAStepRefusesThatPartOfTheClassEvenly) {
  Queue(kLong, kTick);
  Grow(1);
  Queue(kLong, Overload::kInterval);
  EXPECT_EQ(overload_.pressure(), 1.25);
  EXPECT_NEAR(Refused(CallClass::kStart), 25, 3);
  EXPECT_NEAR(Refused(CallClass::kStart), 25, 3);
  int in_a_row = 0;
  for (int i = 0; i < 1000; ++i) {
    in_a_row = Call(CallClass::kStart).ok() ? 0 : in_a_row + 1;
    EXPECT_LE(in_a_row, 1);
  }
  EXPECT_EQ(Refused(CallClass::kEvent), 0);
}

TEST_F(OverloadTest, WhatNobodyCallsIsPassedOver) {
  called_ = {CallClass::kStart, CallClass::kEssential};
  Queue(kLong, kTick + 2 * Overload::kInterval);
  EXPECT_EQ(overload_.pressure(), 1.25);
  Queue(kLong, absl::Seconds(10));
  EXPECT_EQ(overload_.pressure(), 2);
  EXPECT_EQ(Refused(CallClass::kStart), 100);
  // Who calls something else was not the cause.
  EXPECT_EQ(Refused(CallClass::kEvent), 0);
  EXPECT_EQ(Refused(CallClass::kCall), 0);
  // He is, from now on.
  called_ = {CallClass::kStart, CallClass::kCall};
  Queue(kLong, absl::Seconds(10));
  EXPECT_EQ(RefusedOfEach(), std::vector<int>({100, 100, 100, 100, 0}));
}

TEST_F(OverloadTest, CallsOfWhichNoneIsLeftToRefuseDoNotHideOthers) {
  called_ = {CallClass::kEssential};
  Queue(kLong, absl::Seconds(10));
  EXPECT_EQ(RefusedOfEach(), std::vector<int>({100, 100, 100, 100, 0}));
}

TEST_F(OverloadTest, LeasesThatAreKeptAreNeverRefused) {
  Queue(kLong, absl::Seconds(10));
  MethodInfo hold = Of(CallClass::kCall);
  hold.keeps_lease = true;
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(overload_.Admit(hold).ok());
}

TEST_F(OverloadTest, ABurstIsNoOverload) {
  for (int i = 0; i < 100; ++i) {
    // Over before an interval is.
    Queue(absl::Seconds(5), Overload::kInterval);
    Queue(kShort, kTick);
  }
  EXPECT_EQ(overload_.pressure(), 0);
  EXPECT_EQ(Refused(CallClass::kRead), 0);
  EXPECT_TRUE(changes_.empty());
}

TEST_F(OverloadTest, OneShortDelayInAnIntervalEndsIt) {
  Queue(kLong, kTick + Overload::kInterval);
  const double before = overload_.pressure();
  EXPECT_GT(before, 0);
  for (int i = 0; i < 10; ++i) {
    Queue(kShort, kTick);
    Queue(kLong, Overload::kInterval);
  }
  EXPECT_EQ(overload_.pressure(), before);
}

TEST_F(OverloadTest, AnIdleGapIsNoOverload) {
  for (int i = 0; i < 100; ++i) {
    clock_.Advance(absl::Seconds(1));
    overload_.OnQueueDelay(absl::Seconds(5));
    overload_.OnCommitDelay(absl::Minutes(1));
  }
  EXPECT_EQ(overload_.pressure(), 0);
  EXPECT_TRUE(changes_.empty());
}

TEST_F(OverloadTest, AnIdleGapEndsAnOverload) {
  Queue(kLong, absl::Seconds(10));
  EXPECT_EQ(Refused(CallClass::kCall), 100);
  clock_.Advance(absl::Minutes(1));
  overload_.OnQueueDelay(kLong);
  EXPECT_EQ(RefusedOfEach(), std::vector<int>({0, 0, 0, 0, 0}));
}

TEST_F(OverloadTest, PressureFallsStepByStepAndTheDearestClassIsServedFirst) {
  Queue(kLong, absl::Seconds(10));
  std::map<CallClass, absl::Duration> served;  // When all its calls are again.
  const Instant end = clock_.Now();
  while (overload_.overloaded()) {
    Queue(kShort, kTick);
    for (const CallClass each : kClasses) {
      if (!served.contains(each) && Refused(each) == 0) {
        served[each] = clock_.Now() - end;
      }
    }
    ASSERT_LT(clock_.Now() - end, absl::Seconds(5)) << "it does not end";
  }
  EXPECT_EQ(served[CallClass::kEssential], kTick);
  EXPECT_LT(served[CallClass::kCall], served[CallClass::kEvent]);
  EXPECT_LT(served[CallClass::kEvent], served[CallClass::kStart]);
  EXPECT_LT(served[CallClass::kStart], served[CallClass::kRead]);
  EXPECT_EQ(RefusedOfEach(), std::vector<int>({0, 0, 0, 0, 0}));
}

TEST_F(OverloadTest, OneOfManyRefusalsIsToldLater) {
  Queue(kLong, kTick);
  Grow(2);
  const auto told_after = [&] { return TellAfter(Call(CallClass::kStart)); };
  clock_.Advance(absl::Seconds(1));
  for (int i = 0; i < 100; ++i) EXPECT_EQ(told_after(), absl::ZeroDuration());
  const absl::Duration first = told_after();
  EXPECT_GT(first, absl::ZeroDuration());
  EXPECT_LE(first, absl::Milliseconds(10));
  for (int i = 0; i < 100; ++i) told_after();
  const absl::Duration late = told_after();
  EXPECT_GE(late, Overload::kTellAfterMax / 2);
  EXPECT_LE(late, Overload::kTellAfterMax);
}

TEST_F(OverloadTest, CommitsThatWaitLeaveReadsAlone) {
  const absl::Duration slow = absl::Minutes(1);
  Commits(slow, kTick);
  const absl::Duration step = 1 / Overload::kGrowth * Overload::kInterval;
  Commits(slow, step);
  EXPECT_EQ(RefusedOfEach(), std::vector<int>({0, 100, 0, 0, 0}));
  Commits(slow, step);
  EXPECT_EQ(RefusedOfEach(), std::vector<int>({0, 100, 100, 0, 0}));
  Commits(slow, step);
  EXPECT_EQ(RefusedOfEach(), std::vector<int>({0, 100, 100, 100, 0}));
  Commits(slow, absl::Seconds(10));
  EXPECT_EQ(RefusedOfEach(), std::vector<int>({0, 100, 100, 100, 0}));
  EXPECT_THAT(std::string(Call(CallClass::kStart).message()),
              AllOf(HasSubstr("store"), HasSubstr("250ms"),
                    Not(HasSubstr("--overload-delay"))));
}

TEST_F(OverloadTest, TheDelayOfCommitsIsAskedFor) {
  absl::Duration delay = absl::Seconds(3);
  overload_.LookAtCommits();  // Nobody knows it.
  overload_.WatchCommits([&delay] { return delay; });
  const auto look = [this](absl::Duration time) {
    for (absl::Duration t; t < time; t += kTick) {
      clock_.Advance(kTick);
      overload_.OnQueueDelay(kShort);
      overload_.LookAtCommits();
    }
  };
  look(absl::Seconds(5));
  EXPECT_EQ(Refused(CallClass::kStart), 100);
  delay = absl::ZeroDuration();
  look(absl::Seconds(5));
  EXPECT_EQ(Refused(CallClass::kStart), 0);
}

TEST_F(OverloadTest, ARefusalNamesTheLimitAndWhenToTryAgain) {
  Queue(kLong, absl::Seconds(10));
  absl::Duration first;
  absl::Duration last;
  for (int i = 0; i < 100; ++i) {
    const absl::Status status = Call(CallClass::kStart);
    EXPECT_TRUE(absl::IsResourceExhausted(status));
    EXPECT_THAT(std::string(status.message()),
                AllOf(HasSubstr("longer than 50ms"),
                      HasSubstr("--overload-delay"), HasSubstr("start")));
    const auto retry = RetryAfter(status);
    ASSERT_TRUE(retry.has_value());
    if (i == 0) first = last = *retry;
    first = std::min(first, *retry);
    last = std::max(last, *retry);
  }
  // They do not all come back at the same time.
  EXPECT_GE(first, absl::Milliseconds(500));
  EXPECT_LT(first, absl::Milliseconds(520));
  EXPECT_GT(last, absl::Milliseconds(1480));
  EXPECT_LE(last, absl::Milliseconds(1500));
}

TEST_F(OverloadTest, BeginningAndEndAreToldOnceWithTheirCause) {
  called_ = {};
  Queue(absl::Seconds(1), kTick);
  Queue(absl::Milliseconds(80), kTick);
  Queue(absl::Milliseconds(90), absl::Seconds(10));
  ASSERT_EQ(changes_.size(), 1u);
  EXPECT_TRUE(changes_[0].begins);
  EXPECT_EQ(changes_[0].cause, Overload::Cause::kQueue);
  EXPECT_EQ(changes_[0].delay, absl::Milliseconds(80));
  EXPECT_EQ(changes_[0].limit, absl::Milliseconds(50));
  EXPECT_EQ(Refused(CallClass::kRead), 100);
  const Instant then = clock_.Now();
  Queue(kShort, absl::Seconds(10));
  ASSERT_EQ(changes_.size(), 2u);
  EXPECT_FALSE(changes_[1].begins);
  EXPECT_EQ(changes_[1].refused_calls, 100u);
  EXPECT_GT(changes_[1].lasted, absl::Seconds(9));
  EXPECT_LT(changes_[1].lasted, clock_.Now() - then + absl::Seconds(10));
  Commits(absl::Seconds(3), absl::Seconds(1));
  ASSERT_EQ(changes_.size(), 3u);
  EXPECT_EQ(changes_[2].cause, Overload::Cause::kCommits);
  EXPECT_EQ(changes_[2].limit, absl::Milliseconds(250));
}

TEST_F(OverloadTest, RefusedCallsAreCountedByClass) {
  Queue(kLong, kTick);
  Grow(1);
  const uint64_t before = overload_.refused_calls();
  const uint64_t reads = overload_.refused_calls(CallClass::kRead);
  EXPECT_EQ(Refused(CallClass::kRead), 100);
  EXPECT_EQ(Refused(CallClass::kCall), 0);
  EXPECT_EQ(overload_.refused_calls(CallClass::kRead), reads + 100);
  EXPECT_EQ(overload_.refused_calls(CallClass::kCall), 0);
  EXPECT_EQ(overload_.refused_calls(), before + 100);
}

TEST_F(OverloadTest, TheLastDelayIsKnownUntilNobodyCalls) {
  overload_.OnQueueDelay(absl::Milliseconds(7));
  EXPECT_EQ(overload_.queue_delay(), absl::Milliseconds(7));
  overload_.OnCommitDelay(absl::Seconds(1));
  EXPECT_EQ(overload_.queue_delay(), absl::Milliseconds(7));
  clock_.Advance(Overload::kSilence + absl::Milliseconds(1));
  EXPECT_EQ(overload_.queue_delay(), absl::ZeroDuration());
}

}  // namespace
}  // namespace leasehold
