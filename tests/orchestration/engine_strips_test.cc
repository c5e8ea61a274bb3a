// What the engine has recorded of runs and starts, and which runs the store
// tells of.
#include "gmock/gmock.h"
#include "service/orchestration/strips.h"
#include "tests/orchestration/engine_fixture.h"

namespace leasehold {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class EngineStripsTest : public EngineTest {
 protected:
  EngineStripsTest() { options_.strips = &strips_; }

  Strip Read(std::string_view id) const { return strips_.Read(Key(id)); }
  // `Completed`, ...; `open`.
  std::vector<std::string> Ends(std::string_view id) const {
    std::vector<std::string> ends;
    for (const Strip::Run& run : Read(id).runs) {
      ends.push_back(run.ended.has_value()
                         ? std::string(StatusName(*run.status))
                         : "open");
    }
    return ends;
  }
  std::vector<Strip::Result> Results(std::string_view id) const {
    std::vector<Strip::Result> results;
    for (const Strip::Start& start : Read(id).starts) {
      results.push_back(start.result);
    }
    return results;
  }
  static void ExpectNoOverlap(const Strip& strip) {
    for (size_t i = 1; i < strip.runs.size(); ++i) {
      ASSERT_TRUE(strip.runs[i - 1].ended.has_value());
      EXPECT_LE(*strip.runs[i - 1].ended, *strip.runs[i].began);
    }
  }
  std::vector<StoredRun> Stored(std::string_view id) {
    Asked<std::vector<StoredRun>> asked;
    engine().ReadRuns(Key(id), asked.done());
    Settle();
    EXPECT_TRUE(asked.ok()) << asked.status();
    return asked.value();
  }
  StartRequest By(std::string_view id, std::string who) const {
    StartRequest request = Request(id);
    request.by.identity = std::move(who);
    return request;
  }

  Strips strips_{clock_};
};

TEST_F(EngineStripsTest, ARunIsThereWhenItsStartIsAnswered) {
  const auto start = Start(By("a", "ann"));
  EXPECT_THAT(Ends("a"), IsEmpty());
  Settle();
  ASSERT_TRUE(start.ok());
  ASSERT_THAT(Ends("a"), ElementsAre("open"));
  const Strip strip = Read("a");
  EXPECT_EQ(strip.runs[0].execution_id, start.value().execution_id);
  EXPECT_EQ(strip.starts[0].by.identity, "ann");
  EXPECT_EQ(strip.starts[0].execution_id, start.value().execution_id);
}

TEST_F(EngineStripsTest, WhoAttachesAndWhoIsRefusedIsSaid) {
  FakeWorker& worker = Connect();
  Start(By("a", "ann"));
  StartRequest attaching = By("a", "bob");
  attaching.policy = PolicyOf(IfActive::kAttach, IfFinished::kReplace);
  Start(std::move(attaching));
  StartRequest refused = By("a", "carol");
  refused.policy = PolicyOf(IfActive::kFail, IfFinished::kReplace);
  Start(std::move(refused));
  Settle();
  EXPECT_THAT(Results("a"),
              ElementsAre(Strip::Result::kStarted, Strip::Result::kAttached,
                          Strip::Result::kRefused));
  EXPECT_EQ(Read("a").starts[2].by.identity, "carol");
  EXPECT_EQ(Read("a").starts[2].code, absl::StatusCode::kAlreadyExists);
  Answer(worker.TakeTurn(), {Complete()});
  Settle();
  EXPECT_THAT(Ends("a"), ElementsAre("Completed"));
}

TEST_F(EngineStripsTest, ContinueAsNewEndsOneRunAndBeginsTheNext) {
  FakeWorker& worker = Connect();
  Start("a");
  Settle();
  for (int i = 0; i < 3; ++i) {
    clock_.Advance(absl::Seconds(1));
    Answer(worker.TakeTurn(), {AsNew("more")});
    Settle();
  }
  EXPECT_THAT(Ends("a"), ElementsAre("ContinuedAsNew", "ContinuedAsNew",
                                     "ContinuedAsNew", "open"));
  ExpectNoOverlap(Read("a"));
  Answer(worker.TakeTurn(), {Complete()});
  Settle();
  EXPECT_EQ(Ends("a").back(), "Completed");
  // The store has the present execution: when it began, and that others did.
  const std::vector<StoredRun> stored = Stored("a");
  ASSERT_EQ(stored.size(), 1u);
  EXPECT_EQ(stored[0].execution_id, Read("a").runs.back().execution_id);
  EXPECT_TRUE(stored[0].continues);
  EXPECT_EQ(stored[0].began, Read("a").runs.back().began);
}

TEST_F(EngineStripsTest, RunsThatReplaceEachOtherNeverOverlap) {
  Connect();
  for (int i = 0; i < 3; ++i) {
    StartRequest request = Request("a");
    request.policy = PolicyOf(IfActive::kTerminate, IfFinished::kReplace);
    Start(std::move(request));
    Settle();
    clock_.Advance(absl::Seconds(1));
  }
  EXPECT_THAT(Ends("a"), ElementsAre("Terminated", "Terminated", "open"));
  ExpectNoOverlap(Read("a"));
  const std::vector<StoredRun> stored = Stored("a");
  ASSERT_EQ(stored.size(), 3u);
  EXPECT_EQ(stored[0].ended, std::nullopt);
  EXPECT_EQ(stored[2].status, OrchestrationStatus::kTerminated);
  EXPECT_LE(*stored[2].ended, stored[1].began);
  EXPECT_FALSE(stored[0].continues);
  EXPECT_THAT(Stored("none"), IsEmpty());
}

TEST_F(EngineStripsTest, ARestartSaysWhoAskedForIt) {
  FakeWorker& worker = Connect();
  Run(worker, "a", {Complete()});
  Asked<StartReceipt> restart;
  engine().Restart(Key("a"), std::nullopt, {.identity = "ann"}, {},
                   restart.done());
  Settle();
  ASSERT_TRUE(restart.ok());
  EXPECT_THAT(Ends("a"), ElementsAre("Completed", "open"));
  EXPECT_EQ(Read("a").starts.back().by.identity, "ann");
  Asked<StartReceipt> refused;
  engine().Restart(Key("a"), std::nullopt, {.identity = "bob"}, {},
                   refused.done());
  Settle();
  EXPECT_EQ(Results("a").back(), Strip::Result::kRefused);
}

TEST_F(EngineStripsTest, ASubOrchestrationNamesItsParent) {
  FakeWorker& worker = Connect();
  Run(worker, "a", {CallChild(1, "child")});
  ASSERT_THAT(Ends("child"), ElementsAre("open"));
  EXPECT_EQ(Read("child").runs[0].parent_id, "a");
  EXPECT_THAT(Results("child"), IsEmpty());
}

TEST_F(EngineStripsTest, ARewindIsARunOfItsOwn) {
  FakeWorker& worker = Connect();
  Run(worker, "a", {Fail("E")});
  Rewind("a");
  Settle();
  const FakeItem turn = worker.TakeTurn();
  Answer(turn, {GoOn(turn, "second")});
  Settle();
  EXPECT_THAT(Ends("a"), ElementsAre("Failed", "open"));
  EXPECT_EQ(Read("a").runs[1].execution_id, "second");
  Answer(worker.TakeTurn(), {Complete()});
  Settle();
  EXPECT_THAT(Ends("a"), ElementsAre("Failed", "Completed"));
}

TEST_F(EngineStripsTest, APurgeAndAWipeAreForgotten) {
  FakeWorker& worker = Connect();
  Run(worker, "a", {Complete()});
  Run(worker, "b", {Complete()});
  Start("open");
  Settle();
  Purge("a");
  Settle();
  EXPECT_THAT(Ends("a"), IsEmpty());
  EXPECT_THAT(Results("a"), IsEmpty());
  EXPECT_THAT(Ends("b"), ElementsAre("Completed"));
  Wipe();
  Settle();
  EXPECT_EQ(strips_.ids(), 0u);
}

TEST_F(EngineStripsTest, AfterARestartTheStoreTellsOfRunsFromBefore) {
  FakeWorker& worker = Connect();
  Run(worker, "a", {Complete()});
  const auto again = Start("a");
  Settle();
  ASSERT_TRUE(again.ok()) << again.status();
  const Strip before = Read("a");
  Reopen();
  const std::vector<StoredRun> stored = Stored("a");
  ASSERT_EQ(stored.size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(stored[i].execution_id, before.runs[1 - i].execution_id);
    EXPECT_EQ(stored[i].began, before.runs[1 - i].began);
    EXPECT_EQ(stored[i].ended, before.runs[1 - i].ended);
  }
}

TEST_F(EngineStripsTest, RunsAreReadAlsoOfAnIdThatChangesAllTheTime) {
  constexpr int kChangesMax = 200;
  FakeWorker& worker = Connect();
  Run(worker, "a", {Complete()});
  const RunRow row = **store_.Find(kTestTenant, "a");
  // Its row is another one at each read.
  int changes = 0;
  std::function<void()> change = [&] {
    if (changes == kChangesMax) return;
    ++changes;
    ASSERT_TRUE(store_
                    .Commit({store_.fence()},
                            {UpdateRun{row.number, row.status,
                                       *row.finished + changes, row.summary}})
                    .done());
    store_.BeforeRead(0, change);
  };
  store_.BeforeRead(0, change);
  EXPECT_EQ(Stored("a").size(), 1u);
  EXPECT_LT(changes, kChangesMax);
}

}  // namespace
}  // namespace leasehold
