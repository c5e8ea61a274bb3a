// Purges: what is erased, what is passed over, and what callers are told.
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "tests/orchestration/engine_fixture.h"

namespace leasehold {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

using Code = absl::StatusCode;

class EnginePurgeTest : public EngineTest {
 protected:
  Asked<PurgeResult> PurgeAll(const std::vector<std::string>& ids) {
    std::vector<InstanceKey> keys;
    for (const std::string& id : ids) keys.push_back(Key(id));
    Asked<PurgeResult> asked;
    engine().Purge(std::move(keys), /*recursive=*/false, asked.done());
    return asked;
  }
  Asked<PurgeResult> PurgeMatching(OrchestrationFilter filter, bool recursive,
                                   absl::Duration timeout) {
    filter.tenant = "default";
    Asked<PurgeResult> asked;
    engine().PurgeMatching(std::move(filter), recursive, timeout, asked.done());
    return asked;
  }
  // `parent` and its `child` have ended.
  void RunTwo(FakeWorker& worker) {
    Run(worker, "parent", {CallChild(1, "child")});
    Answer(worker.TakeTurn(), {Complete("1")});
    Settle();
    Answer(worker.TakeTurn(), {Complete("2")});
    Settle();
  }
};

TEST_F(EnginePurgeTest, CountsWhatItErasesAndPassesOverTheRest) {
  FakeWorker& worker = Connect();
  Run(worker, "a", {Complete()});
  Run(worker, "open");
  Run(worker, "b", {Complete()});
  Start("pending");
  const auto purge = PurgeAll({"a", "none", "open", "b", "pending", "a"});
  Settle();
  ASSERT_TRUE(purge.ok()) << purge.status();
  EXPECT_EQ(purge.value().erased, 2);
  EXPECT_TRUE(purge.value().complete);
  EXPECT_EQ(StatusOf("a"), "none");
  EXPECT_EQ(StatusOf("b"), "none");
  EXPECT_EQ(StatusOf("open"), "Running");
  EXPECT_EQ(StatusOf("pending"), "Pending");
}

TEST_F(EnginePurgeTest, WaitsForAnEndThatIsOnItsWay) {
  FakeWorker& worker = Connect();
  Start("a");
  Settle();
  Answer(worker.TakeTurn(), {Complete()});
  const auto purge = Purge("a");
  Settle();
  EXPECT_EQ(purge.value().erased, 1);
  EXPECT_EQ(StatusOf("a"), "none");
}

TEST_F(EnginePurgeTest, BehindACommitThatFailsNothingIsErased) {
  FakeWorker& worker = Connect();
  Run(worker, "a", {Complete()});
  store_.FailCommit(0, FaultStore::Effect::kNone);
  const auto purge = Purge("a");
  Settle();
  EXPECT_EQ(purge.code(), Code::kUnavailable);
  Pass(absl::Seconds(1));
  EXPECT_EQ(StatusOf("a"), "Completed");
  const auto again = Purge("a");
  Settle();
  EXPECT_EQ(again.value().erased, 1);
}

TEST_F(EnginePurgeTest, WhileNothingCanBeStoredItIsRefused) {
  FakeWorker& worker = Connect();
  Run(worker, "a", {Complete()});
  store_.FailCommit(0, FaultStore::Effect::kNone);
  Start("b");
  Settle();
  const auto purge = Purge("a");
  const auto matching = PurgeMatching({}, false, absl::InfiniteDuration());
  Settle();
  EXPECT_EQ(purge.code(), Code::kUnavailable);
  EXPECT_EQ(matching.code(), Code::kUnavailable);
}

TEST_F(EnginePurgeTest, AHistoryThatCannotBeReadNowStopsARecursiveOne) {
  RunTwo(Connect());
  store_.FailRead(1, absl::UnavailableError("busy"));
  const auto purge = Purge("parent", /*recursive=*/true);
  Settle();
  EXPECT_EQ(purge.code(), Code::kUnavailable);
  EXPECT_EQ(StatusOf("parent"), "Completed");
  EXPECT_EQ(StatusOf("child"), "Completed");
}

TEST_F(EnginePurgeTest, AHistoryThatIsDamagedIsErasedAndNamesNoChildren) {
  RunTwo(Connect());
  store_.FailRead(1, absl::DataLossError("a wrong checksum"));
  const auto purge = Purge("parent", /*recursive=*/true);
  Settle();
  EXPECT_EQ(purge.value().erased, 1);
  EXPECT_EQ(StatusOf("parent"), "none");
  EXPECT_EQ(StatusOf("child"), "Completed");
}

TEST_F(EnginePurgeTest, AChildThatHasItsParentsIdIsErasedOnce) {
  FakeWorker& worker = Connect();
  Run(worker, "a", {CallChild(1, "a")});
  Answer(worker.TakeTurn(), {Complete()});
  Settle();
  const auto purge = Purge("a", /*recursive=*/true);
  Settle();
  ASSERT_TRUE(purge.ok()) << purge.status();
  EXPECT_EQ(purge.value().erased, 1);
  EXPECT_THAT(*memory_.ReadOutbox(kOnlyPartition), IsEmpty());
}

TEST_F(EnginePurgeTest, AFilterSelectsAndAChildThatItSelectsToCountsOnce) {
  FakeWorker& worker = Connect();
  RunTwo(worker);
  Run(worker, "failed", {Fail("E")});
  Run(worker, "open");
  const int32_t completed =
      static_cast<int32_t>(OrchestrationStatus::kCompleted);
  const auto purge = PurgeMatching({.tenant = {}, .statuses = {completed}},
                                   /*recursive=*/true, absl::Seconds(60));
  Settle();
  ASSERT_TRUE(purge.ok()) << purge.status();
  EXPECT_EQ(purge.value().erased, 2);
  EXPECT_TRUE(purge.value().complete);
  EXPECT_EQ(StatusOf("failed"), "Failed");
  EXPECT_EQ(StatusOf("open"), "Running");
}

TEST_F(EnginePurgeTest, AQueryThatFailsIsTold) {
  Run(Connect(), "a", {Complete()});
  store_.FailRead(0, absl::UnavailableError("busy"));
  const auto purge = PurgeMatching({}, false, absl::Seconds(60));
  Settle();
  EXPECT_EQ(purge.code(), Code::kUnavailable);
  EXPECT_EQ(StatusOf("a"), "Completed");
}

// The caller is told in time; the children go on without it.
TEST_F(EnginePurgeTest, OneWhoseTimeIsOverAmongTheChildrenSaysSo) {
  FakeWorker& worker = Connect();
  RunTwo(worker);
  const auto purge = PurgeMatching({.tenant = {}, .id_prefix = "parent"},
                                   /*recursive=*/true, absl::Seconds(60));
  for (int i = 0; i < 3; ++i) readers_.RunAll();
  writer_.RunAll();
  ASSERT_THAT(*memory_.ReadOutbox(kOnlyPartition), SizeIs(1));
  clock_.Advance(absl::Seconds(61));
  Settle();
  ASSERT_TRUE(purge.ok()) << purge.status();
  EXPECT_FALSE(purge.value().complete);
  EXPECT_EQ(StatusOf("child"), "none");
  EXPECT_THAT(*memory_.ReadOutbox(kOnlyPartition), IsEmpty());
}

TEST_F(EnginePurgeTest, WhatIsSetAsideIsErasedAndItsIdIsFree) {
  FakeWorker& worker = Connect();
  Run(worker, "a", {CallTask(1, "Work")});
  Settle();
  Raise("a", "e");
  Settle();
  worker.items.clear();
  store_.FailRead(0, absl::DataLossError("a wrong checksum"));
  const AskedStatus forced = TerminateByForce("a");
  Settle();
  EXPECT_FALSE(forced.ok());
  EXPECT_EQ(StatusOf("a"), "Damaged");
  const auto purge = Purge("a");
  Settle();
  EXPECT_EQ(purge.value().erased, 1);
  EXPECT_EQ(engine().counts().open, 0u);
  const auto start = Start("a");
  Settle();
  EXPECT_TRUE(start.ok()) << start.status();
}

}  // namespace
}  // namespace leasehold
