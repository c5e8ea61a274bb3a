#include "service/security/tenant_use.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "service/base/retry_after.h"

namespace leasehold {
namespace {

using testing::HasSubstr;

constexpr MethodInfo kStart{
    .name = "Start", .role = Role::kUser, .call_class = CallClass::kStart};
constexpr MethodInfo kGet{
    .name = "Get", .role = Role::kViewer, .call_class = CallClass::kRead};
constexpr MethodInfo kAnswer{.name = "CompleteActivityTask",
                             .role = Role::kWorker,
                             .call_class = CallClass::kEssential};
constexpr MethodInfo kWatch{.name = "Watch",
                            .role = Role::kViewer,
                            .call_class = CallClass::kRead,
                            .lasting = Lasting::kWatch};

TenantLimits Rate(CallClass call_class, double rate) {
  TenantLimits limits;
  limits.rates[static_cast<size_t>(call_class)] = rate;
  return limits;
}

class TenantUseTest : public testing::Test {
 protected:
  absl::Status Enter(const TenantLimits& limits, const MethodInfo& method) {
    auto open = use_->Enter(limits, method, now_);
    if (!open.ok()) return open.status();
    if (*open != nullptr) open_.push_back(*std::move(open));
    return absl::OkStatus();
  }
  // How many calls come through at this moment.
  int Burst(const TenantLimits& limits, const MethodInfo& method) {
    int passed = 0;
    while (passed < 10'000 && Enter(limits, method).ok()) ++passed;
    return passed;
  }

  std::shared_ptr<TenantUse> use_ = std::make_shared<TenantUse>();
  Instant now_ = Instant() + absl::Hours(1);
  std::vector<std::unique_ptr<TenantUse::Open>> open_;
};

TEST_F(TenantUseTest, WithoutLimitsEverythingPasses) {
  EXPECT_EQ(Burst({}, kStart), 10'000);
  EXPECT_EQ(Burst({}, kWatch), 10'000);
  EXPECT_TRUE(open_.empty());
}

TEST_F(TenantUseTest, AsManyAsInASecondMayComeAtOnceAndNoMore) {
  const TenantLimits limits = Rate(CallClass::kStart, 50);
  EXPECT_EQ(Burst(limits, kStart), 50);
  now_ = now_ + absl::Milliseconds(100);
  EXPECT_EQ(Burst(limits, kStart), 5);
  // What was not used is not saved up.
  now_ = now_ + absl::Hours(1);
  EXPECT_EQ(Burst(limits, kStart), 50);
}

TEST_F(TenantUseTest, WhoIsRefusedOftenHearsOfItLater) {
  const TenantLimits limits = Rate(CallClass::kStart, 1);
  const auto told_after = [&] {
    const absl::Status refused = Enter(limits, kStart);
    EXPECT_TRUE(absl::IsResourceExhausted(refused));
    return TellAfter(refused);
  };
  ASSERT_TRUE(Enter(limits, kStart).ok());
  // A second's refusals are told at once, and then each 10 ms later, or half of
  // that.
  for (int i = 0; i < 100; ++i) EXPECT_EQ(told_after(), absl::ZeroDuration());
  for (int i = 1; i <= 79; ++i) {
    const absl::Duration after = told_after();
    EXPECT_GE(after, i * absl::Milliseconds(5));
    EXPECT_LE(after, i * absl::Milliseconds(10));
  }
  // None is told later than that.
  for (int i = 0; i < 10'000; ++i) {
    EXPECT_LE(told_after(), TenantUse::kTellAfterMax);
  }
  // Who waits hears of it at once again.
  now_ = now_ + absl::Milliseconds(100);
  EXPECT_LE(told_after(), absl::Milliseconds(710));
  now_ = now_ + absl::Hours(1);
  EXPECT_EQ(Burst(limits, kStart), 1);
  EXPECT_EQ(told_after(), absl::ZeroDuration());
}

TEST_F(TenantUseTest, ThoseRefusedTogetherDoNotHearOfItTogether) {
  const TenantLimits limits = Rate(CallClass::kStart, 1);
  for (int i = 0; i < 200; ++i) (void)Enter(limits, kStart);
  const int kPieces = 20;
  std::vector<int> told(kPieces);
  for (int i = 0; i < 1000; ++i) {
    const absl::Duration after = TellAfter(Enter(limits, kStart));
    const double part = absl::FDivDuration(after, TenantUse::kTellAfterMax);
    ASSERT_GE(part, 0.5);
    ASSERT_LE(part, 1);
    ++told[std::min<size_t>((part - 0.5) * 2 * kPieces, kPieces - 1)];
  }
  for (const int piece : told) EXPECT_NEAR(piece, 1000 / kPieces, 3);
}

TEST_F(TenantUseTest, WhoOpensTooManyOftenHearsOfItLater) {
  TenantLimits limits;
  limits.open[static_cast<size_t>(Lasting::kWatch)] = 1;
  ASSERT_TRUE(Enter(limits, kWatch).ok());
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(TellAfter(Enter(limits, kWatch)), absl::ZeroDuration());
  }
  EXPECT_GT(TellAfter(Enter(limits, kWatch)), absl::ZeroDuration());
  // Others of the tenant are served at once.
  EXPECT_TRUE(Enter(limits, kStart).ok());
}

TEST_F(TenantUseTest, ARefusalSaysWhichLimitAndWhenToTryAgain) {
  const TenantLimits limits = Rate(CallClass::kStart, 0.5);
  EXPECT_TRUE(Enter(limits, kStart).ok());
  const absl::Status refused = Enter(limits, kStart);
  EXPECT_TRUE(absl::IsResourceExhausted(refused));
  EXPECT_THAT(std::string(refused.message()),
              HasSubstr("starts_per_second of this tenant is reached, which is "
                        "0.5"));
  ASSERT_TRUE(RetryAfter(refused).has_value());
  EXPECT_EQ(*RetryAfter(refused), absl::Seconds(2));
  now_ = now_ + absl::Milliseconds(1999);
  EXPECT_FALSE(Enter(limits, kStart).ok());
  now_ = now_ + absl::Milliseconds(2);
  EXPECT_TRUE(Enter(limits, kStart).ok());
}

TEST_F(TenantUseTest, EachClassHasItsOwnRateAndWhatIsEssentialHasNone) {
  TenantLimits limits = Rate(CallClass::kStart, 1);
  limits.rates[static_cast<size_t>(CallClass::kRead)] = 3;
  EXPECT_EQ(Burst(limits, kStart), 1);
  EXPECT_EQ(Burst(limits, kGet), 3);
  EXPECT_EQ(Burst(limits, kAnswer), 10'000);
}

TEST_F(TenantUseTest, WhatIsOpenCountsUntilItEnds) {
  TenantLimits limits;
  limits.open[static_cast<size_t>(Lasting::kWatch)] = 2;
  EXPECT_EQ(Burst(limits, kWatch), 2);
  EXPECT_THAT(std::string(Enter(limits, kWatch).message()),
              HasSubstr("watches of this tenant is reached, which is 2"));
  EXPECT_EQ(Burst(limits, kGet), 10'000);
  open_.pop_back();
  EXPECT_EQ(Burst(limits, kWatch), 1);
  open_.clear();
  EXPECT_EQ(Burst(limits, kWatch), 2);
  // Also by a limit that was lowered meanwhile.
  limits.open[static_cast<size_t>(Lasting::kWatch)] = 1;
  open_.pop_back();
  EXPECT_EQ(Burst(limits, kWatch), 0);
  open_.pop_back();
  EXPECT_EQ(Burst(limits, kWatch), 1);
}

TEST_F(TenantUseTest, ACallThatHasNoPlaceUsesUpNoRate) {
  TenantLimits limits = Rate(CallClass::kRead, 3);
  limits.open[static_cast<size_t>(Lasting::kWatch)] = 1;
  EXPECT_EQ(Burst(limits, kWatch), 1);
  EXPECT_FALSE(Enter(limits, kWatch).ok());
  EXPECT_EQ(Burst(limits, kGet), 2);
}

TEST_F(TenantUseTest, CallsAndWhatLimitsRefuseAreCounted) {
  const TenantLimits limits = Rate(CallClass::kStart, 2);
  EXPECT_EQ(Burst(limits, kStart), 2);  // And one that is refused.
  EXPECT_TRUE(Enter(limits, kGet).ok());
  EXPECT_TRUE(Enter({}, kAnswer).ok());
  TenantLimits watches;
  watches.open[static_cast<size_t>(Lasting::kWatch)] = 1;
  EXPECT_TRUE(Enter(watches, kWatch).ok());
  EXPECT_FALSE(Enter(watches, kWatch).ok());

  const TenantUse::Counts counts = use_->counts();
  EXPECT_EQ(counts.calls[static_cast<size_t>(CallClass::kStart)], 3);
  EXPECT_EQ(counts.calls[static_cast<size_t>(CallClass::kRead)], 3);
  EXPECT_EQ(counts.calls[static_cast<size_t>(CallClass::kEssential)], 1);
  EXPECT_EQ(counts.too_often[static_cast<size_t>(CallClass::kStart)], 1);
  EXPECT_EQ(counts.too_often[static_cast<size_t>(CallClass::kRead)], 0);
  EXPECT_EQ(counts.too_many[static_cast<size_t>(Lasting::kWatch)], 1);
}

}  // namespace
}  // namespace leasehold
