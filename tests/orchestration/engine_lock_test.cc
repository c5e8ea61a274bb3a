// Locks: critical sections of orchestrations over several entities.
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/orchestration/entity_fixture.h"

namespace leasehold {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class LockTest : public EntityTest {
 protected:
  // Starts `id`, which locks both; the turn in which it gets them is in the
  // worker.
  void Lock(FakeWorker& worker, const std::string& id) {
    Run(worker, id, {LockAll(1, "section of " + id, {"@c@1", "@c@2"})});
  }
  void ExpectFree() {
    EXPECT_EQ(HolderOf("@c@1"), "nobody");
    EXPECT_EQ(HolderOf("@c@2"), "nobody");
    EXPECT_THAT(Awake(), IsEmpty());
  }
};

TEST_F(LockTest, IsGrantedOnceAllAreHeld) {
  FakeWorker& worker = Connect();
  Lock(worker, "p");
  EXPECT_THAT(Words(worker.TakeTurn().events), ElementsAre("turn", "locked"));
  EXPECT_EQ(HolderOf("@c@1"), "p");
  EXPECT_EQ(HolderOf("@c@2"), "p");
}

TEST_F(LockTest, OthersWaitForTheHolder) {
  FakeWorker& worker = Connect();
  Lock(worker, "p");
  const FakeItem locked = worker.TakeTurn();
  Signal("@c@1", "signal");
  Run(worker, "q", {CallEntity(1, "@c@1", "theirs")});
  Settle();
  EXPECT_THAT(worker.items, IsEmpty());
  Answer(locked, {CallEntity(2, "@c@1", "mine")});
  Settle();
  const FakeItem mine = worker.TakeBatch();
  EXPECT_THAT(Operations(mine), ElementsAre("mine?"));
  Complete(mine, "1");
  EXPECT_THAT(worker.items, testing::SizeIs(1));
  Answer(worker.TakeTurn(), {Unlock(3, "section of p", "@c@1"),
                             Unlock(4, "section of p", "@c@2")});
  Settle();
  EXPECT_THAT(Operations(worker.TakeBatch()), ElementsAre("signal", "theirs?"));
  EXPECT_EQ(HolderOf("@c@1"), "nobody");
}

TEST_F(LockTest, TheNextInLineGetsItWhenItIsReleased) {
  FakeWorker& worker = Connect();
  Lock(worker, "p");
  const FakeItem locked = worker.TakeTurn();
  Lock(worker, "q");
  EXPECT_THAT(worker.items, IsEmpty());
  Answer(locked, {Unlock(2, "another", "@c@1")});
  Settle();
  EXPECT_EQ(HolderOf("@c@1"), "p");
  Raise("p", "go");
  Settle();
  Answer(worker.TakeTurn(), {Unlock(3, "section of p", "@c@1"),
                             Unlock(4, "section of p", "@c@2")});
  Settle();
  const FakeItem next = worker.TakeTurn();
  EXPECT_EQ(next.instance_id, "q");
  EXPECT_THAT(Words(next.events), ElementsAre("turn", "locked"));
  EXPECT_EQ(HolderOf("@c@1"), "q");
  EXPECT_EQ(HolderOf("@c@2"), "q");
}

TEST_F(LockTest, OnlyItsHolderReleasesIt) {
  FakeWorker& worker = Connect();
  Lock(worker, "p");
  worker.TakeTurn();
  Run(worker, "q", {Unlock(1, "section of p", "@c@1")});
  EXPECT_EQ(HolderOf("@c@1"), "p");
}

TEST_F(LockTest, WaitsForABatchThatIsOut) {
  FakeWorker& worker = Connect();
  Signal("@c@1", "signal");
  Settle();
  const FakeItem batch = worker.TakeBatch();
  Lock(worker, "p");
  EXPECT_EQ(HolderOf("@c@1"), "nobody");
  Complete(batch, "1");
  EXPECT_EQ(HolderOf("@c@1"), "p");
  EXPECT_THAT(Words(worker.TakeTurn().events), ElementsAre("turn", "locked"));
}

TEST_F(LockTest, NamingAnEntityTwiceIsNoDeadlock) {
  FakeWorker& worker = Connect();
  Run(worker, "p", {LockAll(1, "s", {"@c@1", "@c@1"})});
  EXPECT_THAT(Words(worker.TakeTurn().events), ElementsAre("turn", "locked"));
}

TEST_F(LockTest, OutlivesARestart) {
  FakeWorker& worker = Connect();
  Lock(worker, "p");
  worker.TakeTurn();
  Lock(worker, "q");
  Signal("@c@2", "signal");
  Crash();
  FakeWorker& next = Connect();
  Settle();
  EXPECT_EQ(HolderOf("@c@1"), "p");
  EXPECT_EQ(HolderOf("@c@2"), "p");
  const FakeItem locked = next.TakeTurn();
  EXPECT_EQ(locked.instance_id, "p");
  EXPECT_THAT(next.items, IsEmpty());
  Answer(locked, {leasehold::Complete()});
  Settle();
  EXPECT_EQ(HolderOf("@c@1"), "q");
}

// ---- The end of the holder --------------------------------------------------

TEST_F(LockTest, EndsWhenItsHolderCompletes) {
  FakeWorker& worker = Connect();
  Lock(worker, "p");
  Answer(worker.TakeTurn(), {leasehold::Complete()});
  Settle();
  ExpectFree();
}

TEST_F(LockTest, EndsWhenItsHolderContinuesAsNew) {
  FakeWorker& worker = Connect();
  Lock(worker, "p");
  Answer(worker.TakeTurn(), {AsNew("again")});
  Settle();
  ExpectFree();
}

TEST_F(LockTest, EndsWhenItsHolderIsTerminatedByForce) {
  FakeWorker& worker = Connect();
  Lock(worker, "p");
  const AskedStatus ended = TerminateByForce("p");
  Settle();
  EXPECT_TRUE(ended.ok()) << ended.status();
  ExpectFree();
}

TEST_F(LockTest, EndsWhenItsHolderIsTerminatedWithoutAWorker) {
  FakeWorker& worker = Connect();
  Lock(worker, "p");
  work().Disconnect(worker.id);
  Terminate("p");
  Settle();
  EXPECT_EQ(StatusOf("p"), "Terminated");
  ExpectFree();
}

TEST_F(LockTest, EndsWhenItsHolderIsReplaced) {
  FakeWorker& worker = Connect();
  Lock(worker, "p");
  StartRequest request = Request("p");
  request.policy = PolicyOf(IfActive::kTerminate, IfFinished::kReplace);
  const auto start = Start(request);
  Settle();
  EXPECT_TRUE(start.ok()) << start.status();
  ExpectFree();
}

TEST_F(LockTest, ARequestOfOneThatHasEndedIsDropped) {
  FakeWorker& worker = Connect();
  Lock(worker, "p");
  const FakeItem locked = worker.TakeTurn();
  Lock(worker, "q");
  TerminateByForce("q");
  Settle();
  Answer(locked, {leasehold::Complete()});
  Settle();
  ExpectFree();
}

TEST_F(LockTest, ARequestOfAFormerExecutionIsDropped) {
  options_.outbox_shortcut = false;
  FakeWorker& worker = Connect();
  Start("p");
  Settle();
  const FakeItem first = worker.TakeTurn();
  Raise("p", "go");
  Settle();
  Answer(first, {LockAll(1, "s", {"@c@1", "@c@2"})});
  // The request is on its way to the second entity when the orchestration
  // continues as new.
  writer_.RunOne();
  tasks_.RunAll();
  Answer(worker.TakeTurn(), {AsNew("again")});
  Settle();
  ExpectFree();
  EXPECT_THAT(Words(worker.TakeTurn().events),
              ElementsAre("turn", "started(again)"));
}

TEST_F(LockTest, ARequestOfOneThatMayBeEndedIsNotLost) {
  FakeWorker& worker = Connect();
  Signal("@c@1", "signal");
  Settle();
  const FakeItem batch = worker.TakeBatch();
  Lock(worker, "p");
  Pass(kLease);  // Its rows are not in memory.
  store_.FailRead(0, absl::UnavailableError("busy"));
  const AskedStatus ended = TerminateByForce("p");
  Complete(batch, "1");
  EXPECT_FALSE(ended.ok());
  EXPECT_EQ(HolderOf("@c@1"), "p");
  EXPECT_EQ(HolderOf("@c@2"), "p");
}

TEST_F(LockTest, FiftyThatWantTenAtOnceAllGetThem) {
  FakeWorker& worker = Connect();
  std::vector<std::string> all;
  for (int i = 0; i < 10; ++i) all.push_back("@c@" + std::to_string(i));
  for (int i = 0; i < 50; ++i) Start("o-" + std::to_string(i));
  Settle();
  std::vector<FakeItem> first;
  while (!worker.items.empty()) first.push_back(worker.TakeTurn());
  for (const FakeItem& turn : first) {
    Answer(turn, {LockAll(1, turn.instance_id, all)});
  }
  Settle();
  for (int ended = 0; ended < 50; ++ended) {
    ASSERT_FALSE(worker.items.empty()) << ended;
    Answer(worker.TakeTurn(), {leasehold::Complete()});
    Settle();
  }
  EXPECT_THAT(Awake(), IsEmpty());
}

TEST_F(LockTest, OrphanedLocksCanBeReleased) {
  FakeWorker& worker = Connect();
  Lock(worker, "p");
  Asked<int64_t> none;
  engine().entities().ReleaseOrphanedLocks(Key("a").tenant, none.done());
  Settle();
  EXPECT_EQ(none.value(), 0);
  Close();
  // As if the end of its holder had left it.
  memory_.Commit({{store_.fence()}}, {{EraseRun{1}, PutSetting{"a", "b"}}})
      .status()
      .IgnoreError();
  Reopen();
  Asked<int64_t> some;
  engine().entities().ReleaseOrphanedLocks(Key("a").tenant, some.done());
  Settle();
  EXPECT_EQ(some.value(), 2);
  ExpectFree();
}

}  // namespace
}  // namespace leasehold
