// What the rows of tenants take, in the suite for every Store. That it is
// counted right after any change is shown by HoldsWhatANaiveModelHolds.
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/storage/store_conformance.h"

namespace leasehold {
namespace {

constexpr uint64_t kRow = 64;                // Of each row, beside its texts.
constexpr uint64_t kRun = kRow + 1 + 1 + 7;  // Tenant, ID and "summary".

class StoreTenantConformance : public StoreConformance {};

TEST_P(StoreTenantConformance, AnEmptyStoreHasNothingOfAnybody) {
  EXPECT_EQ(store_->StoredBytes("t"), 0u);
  Commit({PutSetting{"name", "value"}});
  EXPECT_EQ(store_->StoredBytes("t"), 0u);
  EXPECT_EQ(store_->StoredBytes(""), 0u);
}

TEST_P(StoreTenantConformance, EachRowCountsAsItsTextsAndMore) {
  Commit({PutRun{Row(1, "a")}});
  EXPECT_EQ(store_->StoredBytes("t"), kRun);
  Commit({AppendHistory{1, 0, "events"}, PutMessage{{1, 1, "", "event"}},
          PutTimer{{1, 2, 50}}, PutTask{{1, 3, "task"}}});
  EXPECT_EQ(store_->StoredBytes("t"), kRun + 4 * kRow + 6 + 5 + 4);
  Commit({PutMessage{{1, 1, "e", ""}}, AppendHistory{1, 0, "more events"},
          PutTimer{{1, 2, 60}}});
  EXPECT_EQ(store_->StoredBytes("t"), kRun + 4 * kRow + 11 + 1 + 4);
}

TEST_P(StoreTenantConformance, TenantsAreCountedApart) {
  RunRow other = Row(2, "a");
  other.tenant = "other";
  Commit({PutRun{Row(1, "a")}, PutRun{other}, AppendHistory{2, 0, "12345"}});
  EXPECT_EQ(store_->StoredBytes("t"), kRun);
  EXPECT_EQ(store_->StoredBytes("other"), kRun + 4 + kRow + 5);
  EXPECT_EQ(store_->StoredBytes("nobody"), 0u);
  Commit({EraseRun{2}});
  EXPECT_EQ(store_->StoredBytes("t"), kRun);
  EXPECT_EQ(store_->StoredBytes("other"), 0u);
}

TEST_P(StoreTenantConformance, AnEndLeavesTheHistoryAndTheSummary) {
  Commit(Everything(1, "a"));
  Commit({UpdateRun{1, 5, 70, "short"}});
  EXPECT_EQ(store_->StoredBytes("t"), kRun - 2 + kRow + 6);
}

TEST_P(StoreTenantConformance, WhatWasReplacedCountsUntilItIsErased) {
  Commit(Everything(1, "a"));
  Commit(
      {PutRun{Row(2, "a")},
       PutRequest{{.tenant = "t", .request = "r", .id = "a", .receipt = "x"}}});
  EXPECT_EQ(store_->StoredBytes("t"), 2 * kRun + kRow + 6 + kRow + 4);
  Commit({EraseRun{2}});
  EXPECT_EQ(store_->StoredBytes("t"), 0u);
}

TEST_P(StoreTenantConformance, ANumberMayPassToAnotherTenant) {
  Commit(Everything(1, "a"));
  RunRow other = Row(1, "a");
  other.tenant = "other";
  Commit({PutRun{other}, PutTask{{1, 1, "task"}}});
  EXPECT_EQ(store_->StoredBytes("t"), 0u);
  EXPECT_EQ(store_->StoredBytes("other"), kRun + 4 + kRow + 4);
}

TEST_P(StoreTenantConformance, EntitiesAndTheirOperationsCount) {
  Commit({PutEntity{{.tenant = "t",
                     .id = "@e@1",
                     .number = 3,
                     .modified = 1,
                     .header = "head",
                     .state = "state"}},
          PutOperation{{3, 1, "event"}}});
  EXPECT_EQ(store_->StoredBytes("t"), kRow + 1 + 4 + 4 + 5 + kRow + 5);
  Commit(
      {TouchEntity{{.tenant = "t", .id = "@e@1", .header = "h", .state = {}}}});
  EXPECT_EQ(store_->StoredBytes("t"), kRow + 1 + 4 + 1 + 5);
  Commit({EraseEntity{"t", "@e@1"}});
  EXPECT_EQ(store_->StoredBytes("t"), 0u);
}

TEST_P(StoreTenantConformance, ATenantThatIsErasedHasNothing) {
  Commit(Everything(1, "a"));
  RunRow other = Row(2, "a");
  other.tenant = "other";
  Commit(
      {PutRun{other},
       PutRequest{{.tenant = "t", .request = "r", .id = "a", .receipt = "x"}},
       PutEntity{{.tenant = "t",
                  .id = "@e@1",
                  .number = 3,
                  .modified = 1,
                  .header = "head",
                  .state = "state"}},
       PutOperation{{3, 1, "event"}}, PutRun{Row(4, "a")}});
  Commit({EraseTenant{"t"}});
  EXPECT_EQ(store_->StoredBytes("t"), 0u);
  EXPECT_EQ(store_->StoredBytes("other"), kRun + 4);
  Commit({PutRun{Row(5, "b")}});
  EXPECT_EQ(store_->StoredBytes("t"), kRun);
}

TEST_P(StoreTenantConformance, ItIsKnownWhenTheStoreIsOpenedAgain) {
  Commit(Everything(1, "a"));
  const uint64_t bytes = store_->StoredBytes("t");
  ASSERT_TRUE(writer_.Open(*store_).ok());
  EXPECT_EQ(store_->StoredBytes("t"), bytes);
  Commit({EraseRun{1}});
  EXPECT_EQ(store_->StoredBytes("t"), 0u);
}

// ---- How many instances have each status ------------------------------------

TEST_P(StoreTenantConformance, InstancesAreCountedByTheirStatus) {
  using Counts = RunCounts::ByStatus;
  EXPECT_EQ(store_->run_counts().Of("t"), Counts());
  Commit({PutRun{Row(1, "a")}, PutRun{Row(2, "b")}});
  const int32_t first = Row(1, "a").status;
  EXPECT_EQ(store_->run_counts().Of("t"), (Counts{{first, 2}}));
  Commit({UpdateRun{1, 7, std::nullopt, "open"}});
  EXPECT_EQ(store_->run_counts().Of("t"), (Counts{{first, 1}, {7, 1}}));
  Commit({UpdateRun{1, 5, 70, "ended"}, FinishRun{2, 3, 80, "events"}});
  EXPECT_EQ(store_->run_counts().Of("t"), (Counts{{3, 1}, {5, 1}}));
  // One that has ended has ended.
  Commit({FinishRun{2, 9, 90, "events"}});
  EXPECT_EQ(store_->run_counts().Of("t"), (Counts{{3, 1}, {5, 1}}));
  Commit({UpdateRun{1, 8, std::nullopt, "open again"}, EraseRun{2}});
  EXPECT_EQ(store_->run_counts().Of("t"), (Counts{{8, 1}}));
}

TEST_P(StoreTenantConformance, AReplacedRunIsNotCounted) {
  Commit({PutRun{Row(1, "a")}, UpdateRun{1, 5, 70, "ended"}});
  Commit({PutRun{Row(2, "a")}});
  EXPECT_EQ(store_->run_counts().Of("t"),
            (RunCounts::ByStatus{{Row(2, "a").status, 1}}));
}

TEST_P(StoreTenantConformance, StatusesOfTenantsAreCountedApart) {
  RunRow other = Row(2, "a");
  other.tenant = "other";
  other.status = 4;
  Commit({PutRun{Row(1, "a")}, PutRun{other}});
  const int32_t mine = Row(1, "a").status;
  EXPECT_EQ(store_->run_counts().Of("other"), (RunCounts::ByStatus{{4, 1}}));
  EXPECT_EQ(store_->run_counts().All(),
            (RunCounts::ByStatus{{4, 1}, {mine, 1}}));
  Commit({EraseTenant{"other"}});
  EXPECT_EQ(store_->run_counts().Of("other"), RunCounts::ByStatus());
  EXPECT_EQ(store_->run_counts().All(), (RunCounts::ByStatus{{mine, 1}}));
}

TEST_P(StoreTenantConformance, StatusesAreKnownWhenTheStoreIsOpenedAgain) {
  Commit({PutRun{Row(1, "a")}, UpdateRun{1, 5, 70, "ended"}});
  ASSERT_TRUE(writer_.Open(*store_).ok());
  EXPECT_EQ(store_->run_counts().Of("t"), (RunCounts::ByStatus{{5, 1}}));
}

INSTANTIATE_TEST_SUITE_P(Stores, StoreTenantConformance,
                         testing::ValuesIn(StoreKinds()),
                         [](const auto& param) { return param.param.name; });

}  // namespace
}  // namespace leasehold
