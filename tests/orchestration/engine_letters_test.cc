// Letters: what reaches other orchestrations and needs their rows to be read
// first. The children of one that is rewound; recursive purges, and recursive
// terminates by force. All are rows of the outbox, with or without the short
// cut.
//
// Goal: whatever happens between the commit of the cause and that of its
// effect, each acts once. Method: the second commit fails, before or after it
// took effect; then the engine recovers, or another one opens the store.
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

using Code = absl::StatusCode;

class EngineLettersTest : public EngineTest {
 protected:
  std::vector<OutboxRow> Rows() { return *memory_.ReadOutbox(kOnlyPartition); }

  // `top` with the children `left`, which has the child `leaf`, and `right`;
  // each of them waits.
  void RunTree(FakeWorker& worker) {
    Run(worker, "top", {CallChild(1, "left"), CallChild(2, "right")});
    for (int i = 0; i < 2; ++i) {
      const FakeItem turn = worker.TakeTurn();
      if (turn.instance_id == "left") {
        Answer(turn, {CallChild(1, "leaf")});
      } else {
        Answer(turn);
      }
    }
    Settle();
    Answer(worker.TakeTurn());
    Settle();
    ASSERT_THAT(worker.items, IsEmpty());
    ASSERT_THAT(Rows(), IsEmpty());
  }
  void RunTreeToItsEnd(FakeWorker& worker) {
    RunTree(worker);
    for (const char* id : {"leaf", "left", "right", "top"}) {
      TerminateByForce(id);
      Settle();
    }
    worker.items.clear();
  }
  std::vector<std::string> Statuses() {
    std::vector<std::string> statuses;
    for (const char* id : {"top", "left", "right", "leaf"}) {
      statuses.push_back(StatusOf(id));
    }
    return statuses;
  }

  void ExpectAWipeToEnd(const Asked<PurgeResult>& purge) {
    const AskedStatus wipe = Wipe();
    Settle();
    EXPECT_TRUE(wipe.ok());
    EXPECT_TRUE(purge.answered());
    EXPECT_THAT(Rows(), IsEmpty());
    EXPECT_THAT(store_failures_, IsEmpty());
  }

  // `parent` and its child `child` have failed, and the worker has the turn
  // that asks for the history to go on with.
  FakeItem FailTwoAndRewind(FakeWorker& worker) {
    Run(worker, "parent", {CallChild(1, "child")});
    Answer(worker.TakeTurn(), {Fail("E")});
    Settle();
    Answer(worker.TakeTurn(), {Fail("E")});
    Settle();
    EXPECT_EQ(StatusOf("child"), "Failed");
    EXPECT_EQ(StatusOf("parent"), "Failed");
    Rewind("parent");
    Settle();
    return worker.TakeTurn();
  }
  // The rewound child, and its parent, go on to their ends.
  void RunRewoundToTheEnd(FakeWorker& worker) {
    Settle();
    while (!worker.items.empty()) {
      const FakeItem turn = worker.TakeTurn();
      const std::vector<std::string> words = Words(turn.events);
      if (turn.instance_id == "child" && words.back() == "rewound") {
        ++rewound_;
        Answer(turn, {GoOn(turn, "child-second")});
      } else if (turn.instance_id == "child") {
        Answer(turn, {Complete("good")});
      } else if (words.back() == "child 1 done") {
        Answer(turn, {Complete("all")});
      } else {
        Answer(turn);
      }
      Settle();
    }
    EXPECT_EQ(StatusOf("child"), "Completed");
    EXPECT_EQ(StatusOf("parent"), "Completed");
    EXPECT_THAT(Rows(), IsEmpty());
  }

  int rewound_ = 0;  // Turns in which the child was asked to rewind.
};

// ---- Recursive purges -------------------------------------------------------

TEST_F(EngineLettersTest, ARecursivePurgeErasesTheTreeAndCountsIt) {
  RunTreeToItsEnd(Connect());
  const auto purge = Purge("top", /*recursive=*/true);
  Settle();
  ASSERT_TRUE(purge.ok()) << purge.status();
  EXPECT_EQ(purge.value().erased, 4);
  EXPECT_TRUE(purge.value().complete);
  EXPECT_THAT(Statuses(), ElementsAre("none", "none", "none", "none"));
  EXPECT_THAT(Rows(), IsEmpty());
}

TEST_F(EngineLettersTest, APurgeThatIsNotRecursiveLeavesTheRest) {
  RunTreeToItsEnd(Connect());
  const auto purge = Purge("top");
  Settle();
  EXPECT_EQ(purge.value().erased, 1);
  EXPECT_THAT(Statuses(),
              ElementsAre("none", "Terminated", "Terminated", "Terminated"));
}

TEST_F(EngineLettersTest, APurgeIsAnsweredWhenTheLastOneIsGone) {
  RunTreeToItsEnd(Connect());
  const auto purge = Purge("top", /*recursive=*/true);
  int rounds = 0;
  while (!purge.answered() && ++rounds < 20) {
    readers_.RunAll();
    writer_.RunAll();
  }
  EXPECT_EQ(rounds, 3);  // One for each level.
  EXPECT_EQ(purge.value().erased, 4);
}

TEST_F(EngineLettersTest, AChildThatRunsIsLeftAloneAndStopsThePurgeThere) {
  FakeWorker& worker = Connect();
  RunTree(worker);
  TerminateByForce("top");
  TerminateByForce("leaf");
  Settle();
  const auto purge = Purge("top", /*recursive=*/true);
  Settle();
  EXPECT_EQ(purge.value().erased, 1);
  EXPECT_THAT(Statuses(),
              ElementsAre("none", "Running", "Running", "Terminated"));
  EXPECT_THAT(Rows(), IsEmpty());
}

TEST_F(EngineLettersTest, APurgeThatTheStoreCutsOffGoesOnWhenItIsBack) {
  RunTreeToItsEnd(Connect());
  store_.FailCommit(1, FaultStore::Effect::kNone);
  const auto purge = Purge("top", /*recursive=*/true);
  Settle();
  EXPECT_EQ(purge.code(), Code::kUnavailable);
  EXPECT_THAT(Rows(), SizeIs(2));
  EXPECT_THAT(Statuses(),
              ElementsAre("none", "Terminated", "Terminated", "Terminated"));
  Pass(absl::Seconds(1));
  EXPECT_THAT(Statuses(), ElementsAre("none", "none", "none", "none"));
  EXPECT_THAT(Rows(), IsEmpty());
}

TEST_F(EngineLettersTest, APurgeThatACrashCutsOffGoesOnAfterIt) {
  RunTreeToItsEnd(Connect());
  store_.FailCommit(1, FaultStore::Effect::kNone);
  Purge("top", /*recursive=*/true);
  Settle();
  ASSERT_THAT(Rows(), SizeIs(2));
  Crash();
  Settle();
  EXPECT_THAT(Statuses(), ElementsAre("none", "none", "none", "none"));
  EXPECT_THAT(Rows(), IsEmpty());
}

TEST_F(EngineLettersTest, APurgeThatWasStoredAfterAllIsNotRepeated) {
  RunTreeToItsEnd(Connect());
  store_.FailCommit(1, FaultStore::Effect::kWhole);
  Purge("top", /*recursive=*/true);
  Settle();
  EXPECT_THAT(Rows(), SizeIs(1));  // To the leaf.
  Crash();
  Settle();
  EXPECT_THAT(Statuses(), ElementsAre("none", "none", "none", "none"));
  EXPECT_THAT(Rows(), IsEmpty());
  EXPECT_THAT(store_failures_, SizeIs(1));
}

TEST_F(EngineLettersTest, APurgeThatCannotReadAChildSaysSoAndGoesOnLater) {
  RunTreeToItsEnd(Connect());
  // Two reads for the first one.
  store_.FailRead(2, absl::UnavailableError("busy"));
  const auto purge = Purge("top", /*recursive=*/true);
  Settle();
  EXPECT_EQ(purge.code(), Code::kUnavailable);
  EXPECT_THAT(Rows(), SizeIs(1));
  ASSERT_TRUE(engine().NextDue().has_value());
  EXPECT_EQ(*engine().NextDue(), ToStored(Now() + absl::Seconds(1)));
  Pass(absl::Seconds(1));
  EXPECT_THAT(Statuses(), ElementsAre("none", "none", "none", "none"));
  EXPECT_THAT(Rows(), IsEmpty());
  EXPECT_THAT(store_failures_, IsEmpty());
}

TEST_F(EngineLettersTest, AWipeTakesTheLettersToo) {
  RunTreeToItsEnd(Connect());
  const auto purge = Purge("top", /*recursive=*/true);
  readers_.RunAll();
  writer_.RunAll();
  ASSERT_THAT(Rows(), SizeIs(2));
  ExpectAWipeToEnd(purge);
}

TEST_F(EngineLettersTest, AWipeBehindThePurgeTakesItsLettersToo) {
  RunTreeToItsEnd(Connect());
  const auto purge = Purge("top", /*recursive=*/true);
  readers_.RunAll();  // Decided, but not committed.
  ExpectAWipeToEnd(purge);
}

TEST_F(EngineLettersTest, AStopAnswersWhoWaitsForAPurge) {
  RunTreeToItsEnd(Connect());
  const auto purge = Purge("top", /*recursive=*/true);
  readers_.RunAll();
  writer_.RunAll();
  Reopen();
  EXPECT_TRUE(purge.answered());
  Settle();
  EXPECT_THAT(Statuses(), ElementsAre("none", "none", "none", "none"));
  EXPECT_THAT(Rows(), IsEmpty());
}

// ---- Recursive terminates by force ------------------------------------------

TEST_F(EngineLettersTest, ATerminateByForceEndsTheTree) {
  FakeWorker& worker = Connect();
  RunTree(worker);
  const AskedStatus forced = TerminateByForce("top", /*recursive=*/true);
  Settle();
  EXPECT_TRUE(forced.ok()) << forced.status();
  for (const char* id : {"top", "left", "right", "leaf"}) {
    const AskedInfo info = Get(id);
    Settle();
    EXPECT_EQ(info.value()->status, OrchestrationStatus::kTerminated) << id;
    EXPECT_EQ(info.value()->output, "out") << id;
  }
  EXPECT_THAT(worker.items, IsEmpty());
  EXPECT_THAT(Rows(), IsEmpty());
  EXPECT_EQ(engine().counts().open, 0u);
}

TEST_F(EngineLettersTest, ItIsAnsweredWhenTheLastOneHasEnded) {
  RunTree(Connect());
  const AskedStatus forced = TerminateByForce("top", /*recursive=*/true);
  int rounds = 0;
  while (!forced.answered() && ++rounds < 20) {
    readers_.RunAll();
    writer_.RunAll();
  }
  EXPECT_TRUE(forced.ok()) << forced.status();
  EXPECT_GE(rounds, 3);  // One for each level.
  EXPECT_THAT(Statuses(), ElementsAre("Terminated", "Terminated", "Terminated",
                                      "Terminated"));
}

TEST_F(EngineLettersTest, ATerminateThatTheStoreCutsOffGoesOnWhenItIsBack) {
  RunTree(Connect());
  store_.FailCommit(1, FaultStore::Effect::kNone);
  const AskedStatus forced = TerminateByForce("top", /*recursive=*/true);
  Settle();
  EXPECT_EQ(forced.code(), Code::kUnavailable);
  EXPECT_THAT(Rows(), SizeIs(2));
  Pass(absl::Seconds(1));
  EXPECT_THAT(Statuses(), ElementsAre("Terminated", "Terminated", "Terminated",
                                      "Terminated"));
  EXPECT_THAT(Rows(), IsEmpty());
}

TEST_F(EngineLettersTest, ATerminateThatACrashCutsOffGoesOnAfterIt) {
  RunTree(Connect());
  store_.FailCommit(1, FaultStore::Effect::kNone);
  TerminateByForce("top", /*recursive=*/true);
  Settle();
  EXPECT_THAT(Statuses(),
              ElementsAre("Terminated", "Running", "Running", "Running"));
  Crash();
  Settle();
  EXPECT_THAT(Statuses(), ElementsAre("Terminated", "Terminated", "Terminated",
                                      "Terminated"));
  EXPECT_EQ(History("leaf").back(), "ended(5)");
  EXPECT_THAT(Rows(), IsEmpty());
}

TEST_F(EngineLettersTest, ATerminateThatWasStoredAfterAllIsNotRepeated) {
  RunTree(Connect());
  store_.FailCommit(1, FaultStore::Effect::kWhole);
  TerminateByForce("top", /*recursive=*/true);
  Settle();
  Crash();
  Settle();
  EXPECT_THAT(Statuses(), ElementsAre("Terminated", "Terminated", "Terminated",
                                      "Terminated"));
  EXPECT_THAT(History("right"), ElementsAre("turn", "started()", "turn",
                                            "terminated", "ended(5)"));
  EXPECT_THAT(Rows(), IsEmpty());
}

TEST_F(EngineLettersTest, ATerminateThatCannotReadAChildGoesOnLater) {
  FakeWorker& worker = Connect();
  RunTree(worker);
  store_.FailRead(2, absl::UnavailableError("busy"));
  const AskedStatus forced = TerminateByForce("top", /*recursive=*/true);
  Settle();
  EXPECT_EQ(forced.code(), Code::kUnavailable);
  EXPECT_THAT(Rows(), SizeIs(1));
  Pass(absl::Seconds(1));
  EXPECT_THAT(Statuses(), ElementsAre("Terminated", "Terminated", "Terminated",
                                      "Terminated"));
  EXPECT_THAT(Rows(), IsEmpty());
}

TEST_F(EngineLettersTest, AChildWhoseEndIsOnItsWayHasItsOwn) {
  FakeWorker& worker = Connect();
  RunTree(worker);
  const AskedStatus forced = TerminateByForce("top", /*recursive=*/true);
  readers_.RunAll();
  Raise("right", "e");
  writer_.RunAll();
  readers_.RunAll();
  for (int i = 0; i < 3; ++i) {
    Settle();
    while (!worker.items.empty()) Answer(worker.TakeTurn(), {Complete("own")});
  }
  EXPECT_TRUE(forced.answered());
  EXPECT_EQ(engine().counts().open, 0u);
  EXPECT_THAT(Rows(), IsEmpty());
}

TEST_F(EngineLettersTest, OfTwoTerminatesOfOneTreeBothAreAnswered) {
  RunTree(Connect());
  const AskedStatus one = TerminateByForce("top", /*recursive=*/true);
  const AskedStatus other = TerminateByForce("left", /*recursive=*/true);
  Settle();
  EXPECT_TRUE(one.ok()) << one.status();
  EXPECT_TRUE(other.ok()) << other.status();
  EXPECT_THAT(Statuses(), ElementsAre("Terminated", "Terminated", "Terminated",
                                      "Terminated"));
  EXPECT_THAT(Rows(), IsEmpty());
}

// ---- Children of one that is rewound ----------------------------------------

TEST_F(EngineLettersTest, ARewoundParentHasItsChildRewoundToo) {
  FakeWorker& worker = Connect();
  const FakeItem turn = FailTwoAndRewind(worker);
  const int64_t before = store_.commits();
  Answer(turn, {GoOn(turn, "second")});
  Settle();
  EXPECT_EQ(store_.commits(), before + 2);
  RunRewoundToTheEnd(worker);
  EXPECT_EQ(rewound_, 1);
}

TEST_F(EngineLettersTest, ARewindThatTheStoreCutsOffGoesOnWhenItIsBack) {
  FakeWorker& worker = Connect();
  const FakeItem turn = FailTwoAndRewind(worker);
  store_.FailCommit(1, FaultStore::Effect::kNone);
  Answer(turn, {GoOn(turn, "second")});
  Settle();
  EXPECT_THAT(Rows(), SizeIs(1));
  EXPECT_EQ(StatusOf("child"), "Failed");
  worker.items.clear();
  Pass(absl::Seconds(1));
  EXPECT_EQ(StatusOf("child"), "Running");
  RunRewoundToTheEnd(worker);
  EXPECT_EQ(rewound_, 1);
}

TEST_F(EngineLettersTest, ARewindThatACrashCutsOffGoesOnAfterIt) {
  {
    FakeWorker& worker = Connect();
    const FakeItem turn = FailTwoAndRewind(worker);
    store_.FailCommit(1, FaultStore::Effect::kNone);
    Answer(turn, {GoOn(turn, "second")});
    Settle();
    ASSERT_THAT(Rows(), SizeIs(1));
  }
  Crash();
  FakeWorker& worker = Connect();
  RunRewoundToTheEnd(worker);
  EXPECT_EQ(rewound_, 1);
}

TEST_F(EngineLettersTest, ARewindThatWasStoredAfterAllIsNotRepeated) {
  {
    FakeWorker& worker = Connect();
    const FakeItem turn = FailTwoAndRewind(worker);
    store_.FailCommit(1, FaultStore::Effect::kWhole);
    Answer(turn, {GoOn(turn, "second")});
    Settle();
    ASSERT_THAT(Rows(), IsEmpty());
  }
  Crash();
  FakeWorker& worker = Connect();
  RunRewoundToTheEnd(worker);
  EXPECT_EQ(rewound_, 1);
}

TEST_F(EngineLettersTest, AChildThatCannotBeReadNowIsRewoundLater) {
  FakeWorker& worker = Connect();
  const FakeItem turn = FailTwoAndRewind(worker);
  Answer(turn, {GoOn(turn, "second")});
  writer_.RunAll();
  store_.FailRead(0, absl::UnavailableError("busy"));
  Settle();
  EXPECT_THAT(Rows(), SizeIs(1));
  EXPECT_EQ(StatusOf("child"), "Failed");
  Pass(absl::Seconds(1));
  RunRewoundToTheEnd(worker);
  EXPECT_EQ(rewound_, 1);
}

TEST_F(EngineLettersTest, AChildThatIsDamagedHasFailed) {
  FakeWorker& worker = Connect();
  const FakeItem turn = FailTwoAndRewind(worker);
  Answer(turn, {GoOn(turn, "second")});
  writer_.RunAll();
  store_.FailRead(0, absl::DataLossError("it has a wrong checksum"));
  Settle();
  EXPECT_THAT(Rows(), IsEmpty());
  Answer(worker.TakeTurn());
  Settle();
  const FakeItem told = worker.TakeTurn();
  EXPECT_EQ(told.instance_id, "parent");
  ASSERT_THAT(Words(told.events), ElementsAre("turn", "child 1 failed"));
  EXPECT_THAT(*told.events.back().As<SubOrchestrationFailed>()->failure.bytes,
              HasSubstr("wrong checksum"));
}

// Goal: what is sent to a child later does not overtake the letter that opens
// it again. Method: it is sent while the child's rows are being read.
TEST_F(EngineLettersTest, WhatIsSentLaterDoesNotOvertakeALetter) {
  FakeWorker& worker = Connect();
  const FakeItem turn = FailTwoAndRewind(worker);
  Answer(turn, {GoOn(turn, "second")});
  writer_.RunAll();
  tasks_.RunAll();
  ASSERT_THAT(worker.items, SizeIs(1));
  Answer(worker.TakeTurn(), {SendTo(2, "child", "later")});
  writer_.RunAll();
  ASSERT_THAT(Rows(), SizeIs(2));
  Settle();
  const FakeItem rewind = worker.TakeTurn();
  ASSERT_EQ(rewind.instance_id, "child");
  Answer(rewind, {GoOn(rewind, "child-second")});
  Settle();
  const std::vector<std::string> words = Words(worker.TakeTurn().events);
  EXPECT_THAT(words, testing::Contains("raised later"));
}

}  // namespace
}  // namespace leasehold
