// What may be claimed, who waits, and who is cut.
#include "service/rpc/byte_budget.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "service/base/retry_after.h"
#include "tests/support/simulated_clock.h"

namespace leasehold {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using Claim = ByteBudget::Claim;

constexpr size_t kMiB = 1 << 20;

class ByteBudgetTest : public testing::Test {
 protected:
  ByteBudget::Holder Who(std::string connection) {
    ByteBudget::Holder holder;
    holder.connection = connection;
    holder.cut = [this, connection] { cut_.push_back(connection); };
    return holder;
  }
  absl::Status Take(const std::string& connection, size_t bytes, Claim& claim) {
    return budget_.Take(
        bytes, [&] { return Who(connection); }, claim);
  }
  bool TakeOrWait(const std::string& connection, size_t bytes, Claim& claim) {
    return budget_.TakeOrWait(
        bytes, [&] { return Who(connection); },
        [this, connection] { granted_.push_back(connection); }, claim);
  }

  SimulatedClock clock_;
  // 70 MiB for what is large.
  ByteBudget budget_{clock_,
                     {.connection_bytes_max = 32 * kMiB,
                      .total_bytes_max = 80 * kMiB,
                      .patience = absl::Seconds(10)}};
  std::vector<std::string> cut_;
  std::vector<std::string> granted_;
};

TEST_F(ByteBudgetTest, BoundsOneConnection) {
  Claim first;
  Claim second;
  Claim third;
  ASSERT_TRUE(Take("a", 20 * kMiB, first).ok());
  const absl::Status refused = Take("a", 20 * kMiB, second);
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(refused.message()),
              AllOf(HasSubstr("this connection"), HasSubstr("33554432"),
                    HasSubstr("--max-connection-bytes")));
  EXPECT_TRUE(Take("b", 20 * kMiB, third).ok()) << "another is not concerned";
  first.Release();
  EXPECT_TRUE(Take("a", 20 * kMiB, second).ok());
  EXPECT_EQ(budget_.total(), 40 * kMiB);
}

TEST_F(ByteBudgetTest, BoundsAllTogetherButNotWhatIsSmall) {
  Claim a;
  Claim b;
  Claim c;
  Claim small;
  ASSERT_TRUE(Take("a", 30 * kMiB, a).ok());
  ASSERT_TRUE(Take("b", 30 * kMiB, b).ok());
  const absl::Status refused = Take("c", 30 * kMiB, c);
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(
      std::string(refused.message()),
      AllOf(HasSubstr("all callers together"), HasSubstr("--max-total-bytes")));
  EXPECT_EQ(budget_.total(), 60 * kMiB);
  EXPECT_TRUE(Take("c", 100, small).ok());
}

TEST_F(ByteBudgetTest, RefusalsAreCountedByLimit) {
  Claim a;
  Claim b;
  Claim refused;
  ASSERT_TRUE(Take("a", 30 * kMiB, a).ok());
  EXPECT_FALSE(Take("a", 3 * kMiB, refused).ok());
  EXPECT_EQ(budget_.refusals().connection, 1u);
  EXPECT_EQ(budget_.refusals().total, 0u);
  ASSERT_TRUE(Take("b", 30 * kMiB, b).ok());
  EXPECT_FALSE(Take("c", 30 * kMiB, refused).ok());
  EXPECT_EQ(budget_.refusals().connection, 1u);
  EXPECT_EQ(budget_.refusals().total, 1u);
  EXPECT_TRUE(budget_.refusals().tenants.empty());
}

TEST_F(ByteBudgetTest, BoundsWhatIsSmallToo) {
  std::vector<std::unique_ptr<Claim>> claims;
  size_t taken = 0;
  for (;; ++taken) {
    claims.push_back(std::make_unique<Claim>());
    if (!Take("a", 16 << 10, *claims.back()).ok()) break;
  }
  EXPECT_EQ(taken, 10 * kMiB / (16 << 10)) << "an eighth of the whole";
  claims.clear();
  EXPECT_EQ(budget_.total(), 0u);
}

TEST_F(ByteBudgetTest, OneThatIsLargerThanTheBoundGoesAlone) {
  Claim huge;
  Claim next;
  ASSERT_TRUE(Take("a", 100 * kMiB, huge).ok());
  EXPECT_FALSE(Take("a", kMiB, next).ok());
  huge.Release();
  EXPECT_TRUE(Take("a", kMiB, next).ok());
}

TEST_F(ByteBudgetTest, WhatWaitsIsGrantedInItsTurn) {
  Claim held;
  Claim first;
  Claim second;
  Claim gone;
  ASSERT_TRUE(Take("a", 30 * kMiB, held).ok());
  EXPECT_FALSE(TakeOrWait("a", 20 * kMiB, first));
  EXPECT_FALSE(TakeOrWait("a", 20 * kMiB, gone));
  EXPECT_FALSE(TakeOrWait("a", 10 * kMiB, second));
  EXPECT_EQ(first.bytes(), 0u);
  gone.Release();  // It waits no longer.
  held.Release();
  EXPECT_THAT(granted_, testing::ElementsAre("a", "a"));
  EXPECT_EQ(first.bytes(), 20 * kMiB);
  EXPECT_EQ(second.bytes(), 10 * kMiB);
  EXPECT_EQ(gone.bytes(), 0u);
  EXPECT_EQ(budget_.total(), 30 * kMiB);
}

TEST_F(ByteBudgetTest, WhatIsLeftUnreadIsCutWhenOthersNeedItsRoom) {
  Claim a;
  Claim b;
  Claim c;
  ASSERT_TRUE(Take("a", 30 * kMiB, a).ok());
  clock_.Advance(absl::Seconds(5));
  ASSERT_TRUE(Take("b", 30 * kMiB, b).ok());
  EXPECT_FALSE(Take("c", 20 * kMiB, c).ok());
  EXPECT_TRUE(cut_.empty()) << "nobody has had it for long";
  clock_.Advance(absl::Seconds(5));
  EXPECT_FALSE(Take("c", 20 * kMiB, c).ok());
  EXPECT_FALSE(Take("c", 20 * kMiB, c).ok());
  EXPECT_THAT(cut_, testing::ElementsAre("a")) << "the oldest, and once";
  a.Release();
  EXPECT_TRUE(Take("c", 20 * kMiB, c).ok());
}

TEST_F(ByteBudgetTest, ConnectionsThatWaitTakeTurns) {
  Claim a, b;
  ASSERT_TRUE(Take("a", 32 * kMiB, a).ok());
  ASSERT_TRUE(Take("b", 32 * kMiB, b).ok());
  // Those of `c` have waited for longer, and are many.
  Claim c1, c2, c3, d1, d2;
  EXPECT_FALSE(TakeOrWait("c", 16 * kMiB, c1));
  EXPECT_FALSE(TakeOrWait("c", 16 * kMiB, c2));
  EXPECT_FALSE(TakeOrWait("c", 16 * kMiB, c3));
  EXPECT_FALSE(TakeOrWait("d", 16 * kMiB, d1));
  EXPECT_FALSE(TakeOrWait("d", 16 * kMiB, d2));
  a.Release();
  EXPECT_THAT(granted_, ElementsAre("c", "d"));
  b.Release();
  EXPECT_THAT(granted_, ElementsAre("c", "d", "c", "d"));
  EXPECT_EQ(c3.bytes(), 0u);
  d1.Release();
  EXPECT_THAT(granted_, ElementsAre("c", "d", "c", "d")) << "`c` has its part";
  c1.Release();
  EXPECT_EQ(c3.bytes(), 16 * kMiB);
}

TEST_F(ByteBudgetTest, OneThatReadsNothingComesBehindThoseThatDo) {
  Claim rude1, rude2, rude3, rude4, polite;
  ASSERT_TRUE(Take("rude1", 32 * kMiB, rude1).ok());
  ASSERT_TRUE(Take("rude2", 32 * kMiB, rude2).ok());
  EXPECT_FALSE(TakeOrWait("rude1", 32 * kMiB, rude3));
  EXPECT_FALSE(TakeOrWait("rude2", 32 * kMiB, rude4));
  clock_.Advance(absl::Seconds(11));
  EXPECT_FALSE(TakeOrWait("polite", 32 * kMiB, polite));
  ASSERT_THAT(cut_, ElementsAre("rude1"));
  rude1.Release();  // As it was cut.
  EXPECT_THAT(granted_, ElementsAre("polite"));
  EXPECT_EQ(cut_, (std::vector<std::string>{"rude1", "rude2"}))
      << "for one that waits too";
  // A call that gives back by itself has been read.
  polite.Release();
  EXPECT_THAT(granted_, ElementsAre("polite", "rude1"));
}

TEST_F(ByteBudgetTest, WhatOthersWaitForIsCutWithoutAnotherAsking) {
  Claim a, b, own, waits;
  ASSERT_TRUE(Take("a", 32 * kMiB, a).ok());
  ASSERT_TRUE(Take("b", 32 * kMiB, b).ok());
  EXPECT_FALSE(budget_.has_waiting());
  // Nobody can make room for this one but its own connection.
  EXPECT_FALSE(TakeOrWait("b", 20 * kMiB, own));
  EXPECT_TRUE(budget_.has_waiting());
  clock_.Advance(absl::Seconds(11));
  budget_.Review();
  EXPECT_TRUE(cut_.empty());
  EXPECT_FALSE(TakeOrWait("c", 1 * kMiB + 6 * kMiB, waits));
  EXPECT_THAT(cut_, ElementsAre("a"));
  cut_.clear();
  a.Release();
  EXPECT_THAT(granted_, ElementsAre("c"));
  Claim again, later;
  ASSERT_TRUE(Take("d", 25 * kMiB, again).ok());
  clock_.Advance(absl::Seconds(5));
  EXPECT_FALSE(TakeOrWait("e", 20 * kMiB, later));
  EXPECT_THAT(cut_, ElementsAre("b"));
  cut_.clear();
  later.Release();
  EXPECT_FALSE(TakeOrWait("e", 40 * kMiB, later));
  EXPECT_TRUE(cut_.empty()) << "the others have not had it for long";
  clock_.Advance(absl::Seconds(6));
  budget_.Review();
  EXPECT_THAT(cut_, ElementsAre("c")) << "no more than is needed";
  later.Release();
  own.Release();
  EXPECT_FALSE(budget_.has_waiting());
}

TEST_F(ByteBudgetTest, OneThatWaitsNoLongerIsForgotten) {
  Claim a, b, gone, last;
  ASSERT_TRUE(Take("a", 32 * kMiB, a).ok());
  ASSERT_TRUE(Take("b", 32 * kMiB, b).ok());
  EXPECT_FALSE(TakeOrWait("c", 10 * kMiB, gone));
  EXPECT_FALSE(TakeOrWait("d", 10 * kMiB, last));
  gone.Release();
  a.Release();
  EXPECT_THAT(granted_, ElementsAre("d"));
  EXPECT_EQ(budget_.total(), 42 * kMiB);
}

TEST_F(ByteBudgetTest, WhatMayNotBeRefusedIsCountedAllTheSame) {
  Claim a;
  Claim b;
  Claim answer;
  ASSERT_TRUE(Take("a", 32 * kMiB, a).ok());
  budget_.TakeAnyway(
      20 * kMiB, [&] { return Who("a"); }, answer);
  EXPECT_EQ(answer.bytes(), 20 * kMiB);
  EXPECT_FALSE(Take("b", 30 * kMiB, b).ok());
}

TEST_F(ByteBudgetTest, ThoseThatShareANameHaveNoBoundOfTheirOwn) {
  Claim first;
  Claim second;
  Claim third;
  EXPECT_TRUE(Take("", 30 * kMiB, first).ok());
  EXPECT_TRUE(Take("", 30 * kMiB, second).ok());
  EXPECT_FALSE(Take("", 30 * kMiB, third).ok());
}

// ---- Tenants ----------------------------------------------------------------

// Calls of two tenants with a limit of their own.
class ByteBudgetOfTenantsTest : public ByteBudgetTest {
 protected:
  ByteBudget::Holder Of(const std::string& tenant,
                        const std::string& connection) {
    ByteBudget::Holder holder = Who(connection);
    holder.tenant = tenant;
    holder.tenant_bytes_max = tenant_bytes_max_;
    return holder;
  }
  absl::Status TakeOf(const std::string& tenant, const std::string& connection,
                      size_t bytes, Claim& claim) {
    return budget_.Take(
        bytes, [&] { return Of(tenant, connection); }, claim);
  }
  bool WaitOf(const std::string& tenant, const std::string& connection,
              size_t bytes, Claim& claim) {
    return budget_.TakeOrWait(
        bytes, [&] { return Of(tenant, connection); },
        [this, connection] { granted_.push_back(connection); }, claim);
  }

  size_t tenant_bytes_max_ = 30 * kMiB;
};

TEST_F(ByteBudgetOfTenantsTest, ATenantIsBoundedOverAllItsConnections) {
  Claim first;
  Claim second;
  Claim third;
  ASSERT_TRUE(TakeOf("acme", "a", 20 * kMiB, first).ok());
  const absl::Status refused = TakeOf("acme", "b", 20 * kMiB, second);
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(refused.message()),
              HasSubstr("the limit kept_bytes of this tenant is reached, "
                        "which is 31457280"));
  EXPECT_EQ(budget_.refusals().tenants, (TenantTally::Counts{{"acme", 1}}));
  EXPECT_EQ(RetryAfter(refused), absl::Seconds(1));
  EXPECT_TRUE(TakeOf("globex", "c", 20 * kMiB, third).ok())
      << "another is not concerned";
  first.Release();
  EXPECT_TRUE(TakeOf("acme", "b", 20 * kMiB, second).ok());
}

TEST_F(ByteBudgetOfTenantsTest, WhatIsSmallOrHasNoLimitIsNotBounded) {
  Claim first;
  Claim second;
  Claim small;
  ASSERT_TRUE(TakeOf("acme", "a", 30 * kMiB, first).ok());
  EXPECT_TRUE(TakeOf("acme", "a", 100, small).ok());
  tenant_bytes_max_ = 0;
  EXPECT_TRUE(TakeOf("acme", "b", 30 * kMiB, second).ok());
}

TEST_F(ByteBudgetOfTenantsTest, AMessageThatIsLargerThanTheLimitGoesAlone) {
  tenant_bytes_max_ = kMiB;
  Claim huge;
  Claim next;
  ASSERT_TRUE(TakeOf("acme", "a", 2 * kMiB, huge).ok());
  EXPECT_FALSE(TakeOf("acme", "b", kMiB, next).ok());
  huge.Release();
  EXPECT_TRUE(TakeOf("acme", "b", kMiB, next).ok());
}

TEST_F(ByteBudgetOfTenantsTest, WhatMustNotBeRefusedIsCounted) {
  Claim first;
  Claim second;
  Claim third;
  ASSERT_TRUE(TakeOf("acme", "a", 20 * kMiB, first).ok());
  budget_.TakeAnyway(
      20 * kMiB, [&] { return Of("acme", "b"); }, second);
  EXPECT_EQ(budget_.total(), 40 * kMiB);
  first.Release();
  EXPECT_FALSE(TakeOf("acme", "a", 20 * kMiB, third).ok());
  second.Release();
  EXPECT_TRUE(TakeOf("acme", "a", 20 * kMiB, third).ok());
}

TEST_F(ByteBudgetOfTenantsTest, WhoWaitsForItsOwnTenantHoldsUpNobody) {
  Claim held;
  Claim waiting;
  Claim others;
  ASSERT_TRUE(TakeOf("acme", "a", 30 * kMiB, held).ok());
  EXPECT_FALSE(WaitOf("acme", "b", 10 * kMiB, waiting));
  EXPECT_TRUE(WaitOf("globex", "c", 10 * kMiB, others));
  others.Release();
  EXPECT_THAT(granted_, testing::IsEmpty());
  held.Release();
  EXPECT_THAT(granted_, ElementsAre("b"));
  EXPECT_EQ(waiting.bytes(), 10 * kMiB);
}

TEST_F(ByteBudgetOfTenantsTest, ATenantWithTooMuchIsCutAndNobodyElse) {
  Claim others;
  Claim held;
  Claim waiting;
  ASSERT_TRUE(TakeOf("globex", "c", 20 * kMiB, others).ok());
  ASSERT_TRUE(TakeOf("acme", "a", 30 * kMiB, held).ok());
  EXPECT_FALSE(WaitOf("acme", "b", 10 * kMiB, waiting));
  EXPECT_THAT(cut_, testing::IsEmpty());
  clock_.Advance(absl::Seconds(11));
  budget_.Review();
  EXPECT_THAT(cut_, ElementsAre("a"));
  held.Release();
  EXPECT_THAT(granted_, ElementsAre("b"));
}

TEST_F(ByteBudgetOfTenantsTest, BothAreCutForIfBothWait) {
  Claim acme;
  Claim globex;
  Claim acme_waits;
  Claim globex_waits;
  tenant_bytes_max_ = 32 * kMiB;
  ASSERT_TRUE(TakeOf("acme", "a", 32 * kMiB, acme).ok());
  ASSERT_TRUE(TakeOf("globex", "c", 30 * kMiB, globex).ok());
  EXPECT_FALSE(WaitOf("acme", "b", kMiB, acme_waits));
  EXPECT_FALSE(WaitOf("globex", "d", 3 * kMiB, globex_waits));
  clock_.Advance(absl::Seconds(11));
  budget_.Review();
  EXPECT_THAT(cut_, testing::UnorderedElementsAre("a", "c"));
}

}  // namespace
}  // namespace leasehold
