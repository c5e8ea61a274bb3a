// Messages between orchestrations without the short cut: a row of the outbox,
// and a commit of its own for what it causes.
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "tests/orchestration/engine_fixture.h"

namespace leasehold {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class EngineOutboxTest : public EngineTest {
 protected:
  EngineOutboxTest() { options_.outbox_shortcut = false; }

  std::vector<OutboxRow> Rows() { return *memory_.ReadOutbox(kOnlyPartition); }

  // Starts a parent, which then starts a child; what fails is set before.
  void StartChild(FakeWorker& worker) {
    const auto start = Start("parent");
    Settle();
    ASSERT_TRUE(start.ok());
    Answer(worker.TakeTurn(), {CallChild(1, "child")});
    Settle();
  }
  // Runs the child and its parent to their ends.
  void RunToTheEnd(FakeWorker& worker) {
    ASSERT_THAT(worker.items, SizeIs(1));
    ASSERT_EQ(worker.items.front().instance_id, "child");
    Answer(worker.TakeTurn(), {Complete("done")});
    Settle();
    ASSERT_THAT(worker.items, SizeIs(1));
    const FakeItem turn = worker.TakeTurn();
    EXPECT_EQ(turn.instance_id, "parent");
    Answer(turn, {Complete("all")});
    Settle();
    EXPECT_EQ(StatusOf("parent"), "Completed");
    EXPECT_EQ(StatusOf("child"), "Completed");
    EXPECT_THAT(Rows(), IsEmpty());
  }
};

TEST_F(EngineOutboxTest, ChildStartsAndItsEndComesBack) {
  FakeWorker& worker = Connect();
  StartChild(worker);
  RunToTheEnd(worker);
}

TEST_F(EngineOutboxTest, StartAndItsEffectAreTwoCommits) {
  FakeWorker& worker = Connect();
  const auto start = Start("parent");
  Settle();
  const int64_t before = store_.commits();
  Answer(worker.TakeTurn(), {CallChild(1, "child")});
  Settle();
  EXPECT_EQ(store_.commits(), before + 2);
  EXPECT_THAT(Rows(), IsEmpty());
}

TEST_F(EngineOutboxTest, WithTheShortCutTheyAreOne) {
  options_.outbox_shortcut = true;
  FakeWorker& worker = Connect();
  const auto start = Start("parent");
  Settle();
  const int64_t before = store_.commits();
  Answer(worker.TakeTurn(), {CallChild(1, "child")});
  Settle();
  EXPECT_EQ(store_.commits(), before + 1);
  RunToTheEnd(worker);
}

TEST_F(EngineOutboxTest, RowIsSentAgainIfItsEffectWasNotStored) {
  FakeWorker& worker = Connect();
  const auto start = Start("parent");
  Settle();
  store_.FailCommit(1, FaultStore::Effect::kNone);
  Answer(worker.TakeTurn(), {CallChild(1, "child")});
  Settle();
  EXPECT_THAT(store_failures_, SizeIs(1));
  EXPECT_THAT(Rows(), SizeIs(1));
  worker.items.clear();
  Pass(absl::Seconds(1));
  EXPECT_THAT(recoveries_, ElementsAre(2u));
  RunToTheEnd(worker);
}

TEST_F(EngineOutboxTest, RowIsNotSentAgainIfItsEffectWasStoredAfterAll) {
  FakeWorker& worker = Connect();
  const auto start = Start("parent");
  Settle();
  store_.FailCommit(1, FaultStore::Effect::kWhole);
  Answer(worker.TakeTurn(), {CallChild(1, "child")});
  Settle();
  EXPECT_THAT(Rows(), IsEmpty());
  worker.items.clear();
  Pass(absl::Seconds(1));
  EXPECT_THAT(recoveries_, ElementsAre(2u));
  RunToTheEnd(worker);
}

TEST_F(EngineOutboxTest, RowIsSentAfterARestartEvenWithTheShortCut) {
  FakeWorker& worker = Connect();
  const auto start = Start("parent");
  Settle();
  store_.FailCommit(1, FaultStore::Effect::kNone);
  Answer(worker.TakeTurn(), {CallChild(1, "child")});
  Settle();
  ASSERT_THAT(Rows(), SizeIs(1));
  options_.outbox_shortcut = true;
  Crash();
  Settle();
  EXPECT_THAT(Rows(), IsEmpty());
  RunToTheEnd(Connect());
}

// The row was acted on before, by whoever took it: here nothing comes of it.
TEST_F(EngineOutboxTest, RowThatIsGoneCausesNothing) {
  FakeWorker& worker = Connect();
  const auto start = Start("parent");
  Settle();
  store_.BeforeCommit(1, [&] {
    for (const OutboxRow& row : Rows()) {
      EXPECT_TRUE(
          memory_
              .Commit({store_.fence()}, {TakeOutbox{{row.source, row.ordinal}}})
              .done());
    }
  });
  const AskedStatus answer = Answer(worker.TakeTurn(), {CallChild(1, "child")});
  Settle();
  EXPECT_TRUE(answer.ok());
  ASSERT_THAT(store_failures_, SizeIs(1));
  EXPECT_THAT(std::string(store_failures_[0].message()),
              HasSubstr("acted on before"));
  Pass(absl::Seconds(1));
  EXPECT_EQ(StatusOf("child"), "none");
  EXPECT_EQ(StatusOf("parent"), "Running");
  // It goes on.
  EXPECT_TRUE(*memory_.ReadLastNumber(kOnlyPartition) == 1);
  const auto other = Start("other");
  Settle();
  EXPECT_TRUE(other.ok());
}

TEST_F(EngineOutboxTest, MessageToNobodyIsTaken) {
  FakeWorker& worker = Connect();
  Run(worker, "a", {SendTo(1, "nobody", "e")});
  EXPECT_THAT(Rows(), IsEmpty());
  EXPECT_EQ(StatusOf("nobody"), "none");
}

TEST_F(EngineOutboxTest, ParentIsToldThatTheIdIsTaken) {
  FakeWorker& worker = Connect();
  Run(worker, "child");
  StartChild(worker);
  ASSERT_THAT(worker.items, SizeIs(1));
  const FakeItem turn = worker.TakeTurn();
  EXPECT_EQ(turn.instance_id, "parent");
  EXPECT_NE(turn.events.back().As<SubOrchestrationFailed>(), nullptr);
  EXPECT_THAT(Rows(), IsEmpty());
}

TEST_F(EngineOutboxTest, TerminateReachesAChild) {
  FakeWorker& worker = Connect();
  StartChild(worker);
  ASSERT_THAT(worker.items, SizeIs(1));
  Answer(worker.TakeTurn());
  Settle();
  AskedStatus ended;
  engine().TerminateByForce(Key("parent"), "over", true, ended.done());
  Settle();
  EXPECT_TRUE(ended.ok());
  EXPECT_EQ(StatusOf("parent"), "Terminated");
  EXPECT_EQ(StatusOf("child"), "Terminated");
  EXPECT_THAT(Rows(), IsEmpty());
}

TEST_F(EngineOutboxTest, RowThatCannotBeReadStaysWhereItIs) {
  Connect();
  ASSERT_TRUE(memory_
                  .Commit({store_.fence()},
                          {PutOutbox{{.ordinal = 1, .body = "\xff\xff"}}})
                  .done());
  Reopen();
  Settle();
  EXPECT_THAT(Rows(), SizeIs(1));
  const auto start = Start("a");
  Settle();
  EXPECT_TRUE(start.ok());
}

}  // namespace
}  // namespace leasehold
