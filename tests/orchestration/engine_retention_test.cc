// Retention: what is erased by itself, and when.
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "tests/orchestration/engine_fixture.h"

namespace leasehold {
namespace {

using Ends = OrchestrationStatus;

constexpr absl::Duration kDay = absl::Hours(24);

class EngineRetentionTest : public EngineTest {
 protected:
  static RetentionRules All(absl::Duration age) {
    return {{{Ends::kCompleted, age},
             {Ends::kFailed, age},
             {Ends::kTerminated, age}}};
  }
  // Lets the time pass, as a server's timer thread does: at each moment at
  // which something is due.
  void Live(absl::Duration time) {
    Settle();
    const absl::Time end = Now() + time;
    for (;;) {
      const std::optional<StoredTime> due = engine().NextDue();
      if (!due.has_value() || FromStored(*due) > end) break;
      Pass(std::max(FromStored(*due) - Now(), absl::ZeroDuration()));
    }
    Pass(end - Now());
  }
  size_t CountRuns() {
    size_t count = 0;
    RowQuery query{.tenant = std::string(kTestTenant), .count_max = 1000};
    for (;;) {
      const auto page = memory_.Query(query);
      if (!page.ok()) {
        ADD_FAILURE() << page.status();
        return 0;
      }
      count += page->rows.size();
      if (!page->next.has_value()) return count;
      query.after = *page->next;
    }
  }
};

TEST_F(EngineRetentionTest, IsOffByDefault) {
  Run(Connect(), "a", {Complete()});
  Live(10'000 * kDay);
  EXPECT_EQ(StatusOf("a"), "Completed");
  EXPECT_EQ(retained_, std::vector<int64_t>{});
}

TEST_F(EngineRetentionTest, ErasesWhatHasTheAgeAndNotBefore) {
  options_.retention = All(kDay);
  Run(Connect(), "a", {Complete()});
  Live(kDay - absl::Microseconds(1));
  EXPECT_EQ(StatusOf("a"), "Completed");
  // A round is due at least every ten minutes.
  Live(absl::Minutes(10) + absl::Microseconds(1));
  EXPECT_EQ(StatusOf("a"), "none");
  EXPECT_EQ(retained_, std::vector<int64_t>{1});
}

TEST_F(EngineRetentionTest, EachStatusHasItsOwnAge) {
  options_.retention = {{{Ends::kCompleted, kDay}, {Ends::kFailed, 3 * kDay}}};
  FakeWorker& worker = Connect();
  Run(worker, "done", {Complete()});
  Run(worker, "failed", {Fail("E")});
  Run(worker, "ended");
  TerminateByForce("ended");
  Live(2 * kDay);
  EXPECT_EQ(StatusOf("done"), "none");
  EXPECT_EQ(StatusOf("failed"), "Failed");
  Live(2 * kDay);
  EXPECT_EQ(StatusOf("failed"), "none");
  Live(10 * kDay);
  EXPECT_EQ(StatusOf("ended"), "Terminated");
}

TEST_F(EngineRetentionTest, NeverErasesWhatIsOpen) {
  options_.retention = All(absl::Seconds(1));
  FakeWorker& worker = Connect();
  Run(worker, "running");
  Run(worker, "suspended");
  Suspend("suspended");
  Settle();
  Answer(worker.TakeTurn());
  Settle();
  Start("pending");
  Live(absl::Minutes(5));
  EXPECT_EQ(StatusOf("running"), "Running");
  EXPECT_EQ(StatusOf("suspended"), "Suspended");
  EXPECT_EQ(StatusOf("pending"), "Pending");
}

TEST_F(EngineRetentionTest, WorksInEveryTenant) {
  options_.retention = All(kDay);
  FakeWorker& worker = Connect();
  Run(worker, "a", {Complete()});
  RunRow other{.number = 1'000'000,
               .tenant = "other",
               .id = "a",
               .status = static_cast<int32_t>(Ends::kCompleted),
               .created = ToStored(Now()),
               .finished = ToStored(Now()),
               .summary = EncodeMessage(Summary{})};
  Close();
  const auto opened = memory_.OpenPartition(kOnlyPartition, 1);
  ASSERT_TRUE(opened.ok());
  ASSERT_TRUE(memory_.Commit({opened->fence}, {PutRun{other}}).done());
  Live(2 * kDay);
  EXPECT_FALSE(memory_.Find("other", "a")->has_value());
  EXPECT_EQ(StatusOf("a"), "none");
  EXPECT_EQ(retained_, std::vector<int64_t>{2});
}

TEST_F(EngineRetentionTest, ARestartLosesNoTime) {
  options_.retention = All(kDay);
  Run(Connect(), "a", {Complete()});
  Live(kDay - absl::Minutes(1));
  Crash();
  EXPECT_EQ(StatusOf("a"), "Completed");
  Live(absl::Minutes(12));
  EXPECT_EQ(StatusOf("a"), "none");
}

TEST_F(EngineRetentionTest, SubOrchestrationsAreJudgedByTheirOwnEnds) {
  options_.retention = All(kDay);
  FakeWorker& worker = Connect();
  Run(worker, "parent", {CallChild(1, "child")});
  Answer(worker.TakeTurn(), {Complete("1")});
  Settle();
  // The parent has the result, and goes on.
  Answer(worker.TakeTurn());
  Settle();
  Live(2 * kDay);
  EXPECT_EQ(StatusOf("child"), "none");
  EXPECT_EQ(StatusOf("parent"), "Running");
  Raise("parent", "go");
  Settle();
  Answer(worker.TakeTurn(), {Complete()});
  Settle();
  EXPECT_EQ(StatusOf("parent"), "Completed");
  Live(2 * kDay);
  EXPECT_EQ(StatusOf("parent"), "none");
}

TEST_F(EngineRetentionTest, AFailedChildStaysWhenItsParentGoes) {
  options_.retention = {{{Ends::kCompleted, kDay}}};
  FakeWorker& worker = Connect();
  Run(worker, "parent", {CallChild(1, "child")});
  Answer(worker.TakeTurn(), {Fail("E")});
  Settle();
  Answer(worker.TakeTurn(), {Complete()});
  Settle();
  Live(10 * kDay);
  EXPECT_EQ(StatusOf("parent"), "none");
  EXPECT_EQ(StatusOf("child"), "Failed");
}

TEST_F(EngineRetentionTest, ARunThatTookTheIdSinceIsNotErased) {
  options_.retention = All(kDay);
  FakeWorker& worker = Connect();
  Run(worker, "a", {Complete("old")});
  Live(kDay - absl::Minutes(5));
  while (readers_.size() == 0) {
    clock_.Advance(absl::Minutes(1));
    engine().FireTimers();
  }
  // The old one is listed. Before it is erased, another run begins and ends.
  readers_.RunOne();
  ASSERT_EQ(readers_.size(), 1u);
  Start("a");
  for (int i = 0; i < 3; ++i) {
    tasks_.RunAll();
    writer_.RunAll();
  }
  Answer(worker.TakeTurn(), {Complete("new")});
  writer_.RunAll();
  ASSERT_EQ(readers_.size(), 1u);
  Settle();
  EXPECT_EQ(StatusOf("a"), "Completed");
  Live(absl::Hours(12));
  EXPECT_EQ(StatusOf("a"), "Completed");
  Live(kDay);
  EXPECT_EQ(StatusOf("a"), "none");
  EXPECT_EQ(retained_, std::vector<int64_t>{1});
}

TEST_F(EngineRetentionTest, ErasesAFewAtATimeWithRestsBetween) {
  FakeWorker& worker = Connect();
  const size_t count = 3 * Retention::kBatch + 1;
  for (size_t i = 0; i < count; ++i) Run(worker, absl::StrCat(i), {Complete()});
  Live(2 * kDay);
  engine().SetRetention(All(kDay));
  std::vector<size_t> left = {CountRuns()};
  absl::Time last = absl::InfinitePast();
  while (left.back() > 0) {
    const StoredTime due = *engine().NextDue();
    Pass(FromStored(due) - Now());
    const size_t now = CountRuns();
    if (now == left.back()) continue;
    EXPECT_LE(left.back() - now, Retention::kBatch);
    EXPECT_GE(Now() - last, absl::Milliseconds(10));
    last = Now();
    left.push_back(now);
  }
  EXPECT_EQ(left.size(), 5u);
  Live(kDay);
  EXPECT_EQ(retained_, std::vector<int64_t>{static_cast<int64_t>(count)});
}

TEST_F(EngineRetentionTest, ABatchIsOneCommit) {
  FakeWorker& worker = Connect();
  for (size_t i = 0; i < Retention::kBatch; ++i) {
    Run(worker, absl::StrCat(i), {Complete()});
  }
  Live(2 * kDay);
  const uint64_t before = engine().counts().commits.commits;
  engine().SetRetention(All(kDay));
  Live(kDay);
  EXPECT_EQ(CountRuns(), 0u);
  EXPECT_EQ(engine().counts().commits.commits, before + 1);
}

TEST_F(EngineRetentionTest, NewRulesCountAtOnceAndNoneStopsIt) {
  Run(Connect(), "a", {Complete()});
  Live(2 * kDay);
  engine().SetRetention(All(3 * kDay));
  Live(absl::Minutes(1));
  EXPECT_EQ(StatusOf("a"), "Completed");
  engine().SetRetention({});
  Live(10 * kDay);
  EXPECT_EQ(StatusOf("a"), "Completed");
  engine().SetRetention(All(kDay));
  Live(absl::Seconds(1));
  EXPECT_EQ(StatusOf("a"), "none");
}

TEST_F(EngineRetentionTest, TheClockMayBeSetBackAndAhead) {
  options_.retention = All(kDay);
  FakeWorker& worker = Connect();
  Run(worker, "a", {Complete()});
  Live(2 * kDay);
  EXPECT_EQ(StatusOf("a"), "none");
  clock_.SetWall(-30 * kDay);
  engine().OnWallClockSet();
  Run(worker, "b", {Complete()});
  Live(kDay - absl::Minutes(1));
  EXPECT_EQ(StatusOf("b"), "Completed");
  Live(absl::Minutes(12));
  EXPECT_EQ(StatusOf("b"), "none");
  Run(worker, "c", {Complete()});
  clock_.SetWall(2 * kDay);
  engine().OnWallClockSet();
  Live(absl::Minutes(11));
  EXPECT_EQ(StatusOf("c"), "none");
}

TEST_F(EngineRetentionTest, GoesOnAfterTheStoreHasFailed) {
  options_.retention = All(kDay);
  Run(Connect(), "a", {Complete()});
  Live(kDay - absl::Minutes(1));
  store_.FailCommit(0, FaultStore::Effect::kNone);
  Live(absl::Minutes(30));
  EXPECT_EQ(store_failures_.size(), 1u);
  EXPECT_EQ(StatusOf("a"), "none");
  EXPECT_EQ(retained_, std::vector<int64_t>{1});
}

TEST_F(EngineRetentionTest, RestsWhileTheServerDrains) {
  options_.retention = All(kDay);
  Run(Connect(), "a", {Complete()});
  engine().Drain();
  Live(3 * kDay);
  EXPECT_EQ(StatusOf("a"), "Completed");
}

TEST_F(EngineRetentionTest, OldRunsOfTheIdGoWithIt) {
  options_.retention = All(kDay);
  FakeWorker& worker = Connect();
  Run(worker, "a", {Complete("1")});
  Run(worker, "a", {Complete("2")});
  EXPECT_EQ(memory_.ReadReplaced(kTestTenant, "a")->size(), 1u);
  Live(2 * kDay);
  EXPECT_EQ(memory_.ReadReplaced(kTestTenant, "a")->size(), 0u);
}

}  // namespace
}  // namespace leasehold
