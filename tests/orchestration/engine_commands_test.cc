// Commands while nothing fails: suspend, resume, terminate; purge, wipe,
// restart; and what can be read. See engine_fixture.h for how the engine is
// run.

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "service/orchestration/engine.h"
#include "tests/orchestration/engine_fixture.h"

namespace leasehold {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

using Code = absl::StatusCode;
using Status = OrchestrationStatus;

// ---- Suspended, terminated --------------------------------------------------

TEST_F(EngineTest, SuspendedOneIsHeldUntilItIsResumed) {
  FakeWorker& worker = Connect();
  Run(worker, "a");
  Suspend("a");
  Settle();
  Answer(worker.TakeTurn());
  Settle();
  EXPECT_EQ(StatusOf("a"), "Suspended");
  const AskedStatus raise = Raise("a", "e");
  Settle();
  EXPECT_TRUE(raise.ok());
  EXPECT_THAT(worker.items, IsEmpty());
  Resume("a");
  Settle();
  const FakeItem turn = worker.TakeTurn();
  EXPECT_THAT(Words(turn.events), ElementsAre("turn", "raised e", "resumed"));
  Answer(turn);
  Settle();
  EXPECT_EQ(StatusOf("a"), "Running");
}

TEST_F(EngineTest, SuspendedOneCanBeTerminated) {
  FakeWorker& worker = Connect();
  Run(worker, "a");
  Suspend("a");
  Settle();
  Answer(worker.TakeTurn());
  Settle();
  Reopen();  // This also holds after a restart.
  FakeWorker& other = Connect();
  Settle();
  EXPECT_THAT(other.items, IsEmpty());
  Terminate("a");
  Settle();
  const FakeItem turn = other.TakeTurn();
  EXPECT_THAT(Words(turn.events), ElementsAre("turn", "terminated"));
  Answer(turn, {Complete("out", 1, Status::kTerminated)});
  Settle();
  EXPECT_EQ(StatusOf("a"), "Terminated");
}

TEST_F(EngineTest, SuspendOfASuspendedOneAddsNothing) {
  FakeWorker& worker = Connect();
  Run(worker, "a");
  Suspend("a");
  Settle();
  Answer(worker.TakeTurn());
  Settle();
  const AskedStatus again = Suspend("a");
  Settle();
  EXPECT_TRUE(again.ok());
  Resume("a");
  Settle();
  EXPECT_THAT(Words(worker.TakeTurn().events), ElementsAre("turn", "resumed"));
}

// The last command counts: no turn has taken the one before.
TEST_F(EngineTest, ResumeOfOneThatIsNotSuspendedAddsNothing) {
  FakeWorker& worker = Connect();
  Run(worker, "a");
  const AskedStatus resumed = Resume("a");
  Settle();
  EXPECT_TRUE(resumed.ok());
  EXPECT_THAT(worker.items, IsEmpty());
  Suspend("a");
  Settle();
  const FakeItem turn = worker.TakeTurn();
  Resume("a");
  Settle();
  Answer(turn);
  Settle();
  EXPECT_THAT(Words(worker.TakeTurn().events), ElementsAre("turn", "resumed"));
}

TEST_F(EngineTest, ResumeIsTheSameAfterAReopen) {
  {
    FakeWorker& worker = Connect();
    Run(worker, "a");
    Suspend("a");
    Settle();
    Answer(worker.TakeTurn());
    Settle();
  }
  Reopen();
  FakeWorker& worker = Connect();
  Suspend("a");
  Settle();
  EXPECT_THAT(worker.items, IsEmpty());
  Resume("a");
  Settle();
  EXPECT_THAT(Words(worker.TakeTurn().events), ElementsAre("turn", "resumed"));
}

TEST_F(EngineTest, TerminateAndSuspendOutliveContinueAsNew) {
  FakeWorker& worker = Connect();
  for (const bool terminate : {true, false}) {
    const std::string id = terminate ? "t" : "s";
    Start(id);
    Settle();
    if (terminate) {
      Terminate(id);
    } else {
      Suspend(id);
    }
    const FakeItem first = worker.TakeTurn();
    Settle();
    Answer(first);
    Settle();
    // The worker acts as if it had not seen it.
    Answer(worker.TakeTurn(), {AsNew("2")});
    Settle();
    EXPECT_THAT(Words(worker.TakeTurn().events),
                ElementsAre("turn", "started(2)",
                            terminate ? "terminated" : "suspended"));
  }
}

TEST_F(EngineTest, AnActivityOfTheNumberMinusOneIsGivenBackAndComesAgain) {
  FakeWorker& worker = Connect();
  Run(worker, "a", {CallTask(-1, "Work")});
  Abandon(worker.TakeActivity());
  Pass(absl::Seconds(1));
  EXPECT_EQ(worker.TakeActivity().id, -1);
}

TEST_F(EngineTest, ATerminateOutlivesContinueAsNewOnce) {
  FakeWorker& worker = Connect();
  Run(worker, "a");
  Terminate("a");
  Settle();
  for (int i = 0; i < 2; ++i) {
    Answer(worker.TakeTurn(), {AsNew("2")});
    Settle();
  }
  EXPECT_THAT(worker.items, IsEmpty());
  EXPECT_EQ(StatusOf("a"), "Terminated");
  EXPECT_THAT(Told(WorkEventKind::kEndedByServer).instance_id, "a");
}

TEST_F(EngineTest, ATerminateThatAWorkerSawAndDidNotActOnEndsIt) {
  FakeWorker& worker = Connect();
  Run(worker, "a");
  Suspend("a");
  Settle();
  Answer(worker.TakeTurn());
  Settle();
  EXPECT_EQ(StatusOf("a"), "Suspended");
  const AskedInfo end = Wait("a", Until::kFinished);
  Terminate("a");
  Settle();
  const FakeItem turn = worker.TakeTurn();
  EXPECT_THAT(Words(turn.events), ElementsAre("turn", "terminated"));
  EXPECT_FALSE(end.answered());
  // Like Go's worker while it is suspended.
  Answer(turn);
  Settle();
  ASSERT_TRUE(end.answered());
  EXPECT_EQ(end.value()->status, OrchestrationStatus::kTerminated);
  EXPECT_EQ(end.value()->output, "out");
  EXPECT_EQ(Told(WorkEventKind::kEndedByServer).worker, worker.id);
}

TEST_F(EngineTest, SuspendBehindAResumeThatWaitsIsNotLost) {
  FakeWorker& worker = Connect();
  Run(worker, "a");
  Suspend("a");
  Settle();
  Answer(worker.TakeTurn());
  Settle();
  Resume("a");
  const AskedStatus suspend = Suspend("a");
  Settle();
  EXPECT_TRUE(suspend.ok());
  for (int i = 0; i < 2 && !worker.items.empty(); ++i) {
    Answer(worker.TakeTurn());
    Settle();
  }
  EXPECT_EQ(StatusOf("a"), "Suspended");
}

TEST_F(EngineTest, TerminateTakesTheChildrenAlong) {
  FakeWorker& worker = Connect();
  Run(worker, "a", {CallChild(1, "child")});
  Answer(worker.TakeTurn());  // The child's first.
  Settle();
  Terminate("a", true);
  Settle();
  Answer(worker.TakeTurn(), {Complete("out", 2, Status::kTerminated)});
  Settle();
  const FakeItem child = worker.TakeTurn();
  EXPECT_EQ(child.instance_id, "child");
  EXPECT_THAT(Words(child.events), ElementsAre("turn", "terminated"));
}

// ---- Purge, wipe, restart ---------------------------------------------------

TEST_F(EngineTest, PurgeErasesWhatHasEndedAndPassesOverOthers) {
  FakeWorker& worker = Connect();
  Run(worker, "ended", {Complete()});
  Run(worker, "running");
  Asked<PurgeResult> purge;
  engine().Purge({Key("ended"), Key("running"), Key("none")}, false,
                 purge.done());
  Settle();
  ASSERT_TRUE(purge.ok());
  EXPECT_EQ(purge.value().erased, 1);
  EXPECT_TRUE(purge.value().complete);
  EXPECT_EQ(StatusOf("ended"), "none");
  EXPECT_EQ(StatusOf("running"), "Running");
}

TEST_F(EngineTest, RecursivePurgeTakesChildrenThatHaveEnded) {
  FakeWorker& worker = Connect();
  Run(worker, "a", {CallChild(1, "child"), CallChild(2, "other"), Complete()});
  Answer(worker.TakeTurn(), {Complete()});
  Answer(worker.TakeTurn());
  Settle();
  const auto purge = Purge("a", true);
  Settle();
  ASSERT_TRUE(purge.ok());
  EXPECT_EQ(purge.value().erased, 2);
  EXPECT_EQ(StatusOf("child"), "none");
  EXPECT_EQ(StatusOf("other"), "Running");
}

TEST_F(EngineTest, PurgeByFilterGoesThroughAllPages) {
  FakeWorker& worker = Connect();
  for (const char* id : {"a-1", "a-2", "a-3", "b-1"}) {
    Run(worker, id, {Complete()});
  }
  OrchestrationFilter filter;
  filter.tenant = "default";
  filter.id_prefix = "a-";
  filter.count_max = 1;
  Asked<PurgeResult> purge;
  engine().PurgeMatching(filter, false, absl::InfiniteDuration(), purge.done());
  Settle();
  ASSERT_TRUE(purge.ok());
  EXPECT_EQ(purge.value().erased, 3);
  EXPECT_TRUE(purge.value().complete);
  EXPECT_EQ(StatusOf("b-1"), "Completed");
}

TEST_F(EngineTest, PurgeByFilterSaysSoIfItsTimeIsOver) {
  Run(Connect(), "a", {Complete()});
  OrchestrationFilter filter;
  filter.tenant = "default";
  Asked<PurgeResult> purge;
  engine().PurgeMatching(filter, false, absl::Seconds(1), purge.done());
  clock_.Advance(absl::Seconds(2));
  Settle();
  ASSERT_TRUE(purge.ok());
  EXPECT_FALSE(purge.value().complete);
  EXPECT_EQ(purge.value().erased, 0);
  EXPECT_EQ(StatusOf("a"), "Completed");
}

TEST_F(EngineTest, APageHasABoundOfBytesAndTheNextOneGoesOnBehindIt) {
  for (int i = 0; i < 10; ++i) {
    Start(absl::StrCat("a-", i), std::string(1'000'000, 'x'));
    Settle();
  }
  OrchestrationQuery query{.filter = {.tenant = "default"}, .payloads = true};
  std::vector<std::string> found;
  size_t pages = 0;
  for (bool more = true; more; ++pages) {
    Asked<OrchestrationPage> page;
    engine().Query(query, page.done());
    Settle();
    ASSERT_TRUE(page.ok());
    size_t bytes = 0;
    for (const OrchestrationInfo& info : page.value().orchestrations) {
      found.push_back(info.id);
      bytes += SizeOf(info);
    }
    EXPECT_LT(bytes, size_t{4} << 20);
    query.page_token.text = page.value().next_page_token;
    more = !query.page_token.text.empty();
  }
  EXPECT_EQ(pages, 4u);
  EXPECT_THAT(found, SizeIs(10));
  EXPECT_EQ(std::set(found.begin(), found.end()).size(), 10u);
}

TEST_F(EngineTest, OneThatIsTooLargeForAPageIsThereWithoutItsPayload) {
  Start("a", std::string(5 << 20, 'x'));
  Start("b");
  Settle();
  Asked<OrchestrationPage> page;
  engine().Query({.filter = {.tenant = "default"}, .payloads = true},
                 page.done());
  Settle();
  ASSERT_TRUE(page.ok());
  ASSERT_THAT(page.value().orchestrations, SizeIs(2));
  EXPECT_THAT(*page.value().orchestrations[0].input,
              AllOf(testing::StartsWith("\"(the input has 5242880 bytes"),
                    testing::EndsWith("\"")));
  const AskedInfo alone = Get("a");
  Settle();
  EXPECT_EQ(alone.value()->input->size(), size_t{5} << 20);
}

TEST_F(EngineTest, QueryTellsPayloadsAlsoOfThoseThatArePending) {
  FakeWorker& worker = Connect();
  Start("ended", "1");
  Settle();
  Answer(worker.TakeTurn(), {Complete("out")});
  Settle();
  Start("pending", "2");
  Settle();
  OrchestrationQuery query;
  query.filter.tenant = "default";
  query.payloads = true;
  Asked<OrchestrationPage> page;
  engine().Query(query, page.done());
  FinishedIdsQuery finished;
  finished.tenant = "default";
  Asked<FinishedIdsPage> list;
  engine().ListFinished(finished, list.done());
  Settle();
  ASSERT_TRUE(page.ok());
  ASSERT_THAT(page.value().orchestrations, SizeIs(2));
  EXPECT_EQ(page.value().orchestrations[0].input, "1");
  EXPECT_EQ(page.value().orchestrations[0].output, "out");
  EXPECT_EQ(page.value().orchestrations[1].input, "2");
  EXPECT_EQ(page.value().orchestrations[1].output, std::nullopt);
  ASSERT_TRUE(list.ok());
  EXPECT_THAT(list.value().ids, ElementsAre("ended"));
}

TEST_F(EngineTest, HistoryIsThatOfThePresentExecutionOnly) {
  FakeWorker& worker = Connect();
  const auto start = Start("a");
  Settle();
  Answer(worker.TakeTurn(), {AsNew("2")});
  Settle();
  const FakeItem next = worker.TakeTurn();
  Answer(next);
  Settle();
  const auto read = [this](Payload execution_id) {
    return Page("a", {.execution_id = std::move(execution_id)}).code();
  };
  EXPECT_EQ(read(next.execution_id), Code::kOk);
  EXPECT_EQ(read(""), Code::kOk);
  EXPECT_EQ(read(start.value().execution_id), Code::kNotFound);
}

TEST_F(EngineTest, WipeErasesAlsoWhatIsRunning) {
  FakeWorker& worker = Connect();
  Run(worker, "ended", {Complete()});
  Run(worker, "running", {TimerAt(1, Now() + absl::Seconds(1))});
  Start("out");
  Settle();
  const FakeItem turn = worker.TakeTurn();
  const AskedInfo wait = Wait("running", Until::kFinished);
  const AskedStatus wipe = Wipe();
  Settle();
  EXPECT_TRUE(wipe.ok());
  for (const char* id : {"ended", "running", "out"}) {
    EXPECT_EQ(StatusOf(id), "none");
  }
  EXPECT_EQ(Answer(turn, {Complete()}).code(), Code::kNotFound);
  EXPECT_EQ(engine().NextDue(), std::nullopt);
  // As if it were purged.
  ASSERT_TRUE(wait.ok()) << wait.status();
  EXPECT_FALSE(wait.value().has_value());
  const auto start = Start("running");
  Settle();
  EXPECT_TRUE(start.ok());
}

TEST_F(EngineTest, StartBehindAPurgeAndAWipeIsAnswered) {
  FakeWorker& worker = Connect();
  Run(worker, "a", {Complete()});
  const auto purge = Purge("a");
  readers_.RunAll();  // Looked up, but not committed.
  const AskedStatus wipe = Wipe();
  StartRequest request = Request("a");
  request.policy.replaceable.emplace();
  const auto start = Start(std::move(request));
  Settle();
  EXPECT_TRUE(purge.answered());
  EXPECT_TRUE(wipe.ok());
  EXPECT_TRUE(start.ok()) << start.status();
}

TEST_F(EngineTest, RestartStartsItAsItWasStarted) {
  FakeWorker& worker = Connect();
  StartRequest request = Request("a", "in");
  request.version = "2";
  request.tags = {{"k", "v"}};
  Start(std::move(request));
  Settle();
  Answer(worker.TakeTurn(), {Complete("out")});
  Settle();
  Asked<StartReceipt> restart;
  engine().Restart(Key("a"), std::nullopt, {}, {}, restart.done());
  Settle();
  ASSERT_TRUE(restart.ok());
  EXPECT_EQ(restart.value().instance_id, "a");
  const FakeItem turn = worker.TakeTurn();
  ASSERT_THAT(Words(turn.events), ElementsAre("turn", "started(in)"));
  EXPECT_EQ(turn.events[1].As<ExecutionStarted>()->version, "2");
  EXPECT_EQ(turn.events[1].As<ExecutionStarted>()->tags,
            (StringMap{{"k", "v"}}));
}

TEST_F(EngineTest, RestartOfARunningOneNeedsANewId) {
  FakeWorker& worker = Connect();
  Run(worker, "a");
  Asked<StartReceipt> same;
  engine().Restart(Key("a"), std::nullopt, {}, {}, same.done());
  EXPECT_EQ(same.code(), Code::kFailedPrecondition);
  Asked<StartReceipt> fresh;
  engine().Restart(Key("a"), "new", {}, {}, fresh.done());
  Asked<StartReceipt> unknown;
  engine().Restart(Key("none"), "new", {}, {}, unknown.done());
  Settle();
  ASSERT_TRUE(fresh.ok());
  EXPECT_NE(fresh.value().instance_id, "a");
  EXPECT_EQ(unknown.code(), Code::kNotFound);
}

// Goal: nothing is started from a row that is gone by then. Method: the row is
// read while the purge has its lookup of the key, and the start comes behind.
TEST_F(EngineTest, RestartOfOneThatIsErasedMeanwhileStartsNothing) {
  Run(Connect(), "a", {Complete()});
  Reopen();
  Asked<StartReceipt> restart;
  engine().Restart(Key("a"), std::nullopt, {}, {}, restart.done());
  const auto purge = Purge("a");
  Settle();
  EXPECT_EQ(purge.value().erased, 1);
  EXPECT_EQ(restart.code(), Code::kNotFound);
  EXPECT_EQ(StatusOf("a"), "none");
}

// The same: the row is read, and the ID of the copy is not looked up yet.
TEST_F(EngineTest, RestartAsACopyOfWhatIsWipedMeanwhileStartsNothing) {
  Run(Connect(), "a", {Complete()});
  Reopen();
  Asked<StartReceipt> restart;
  engine().Restart(Key("a"), "copy", {}, {}, restart.done());
  ASSERT_TRUE(readers_.RunOne());
  ASSERT_FALSE(restart.answered());
  const AskedStatus wipe = Wipe();
  Settle();
  EXPECT_TRUE(wipe.ok());
  EXPECT_EQ(restart.code(), Code::kNotFound);
  EXPECT_EQ(StatusOf("copy"), "none");
}

// The purge waits until the copy is durable.
TEST_F(EngineTest, RestartAsACopyHasWhatAPurgeErasesAfterwards) {
  Run(Connect(), "a", {Complete()});
  Reopen();
  Asked<StartReceipt> restart;
  engine().Restart(Key("a"), "copy", {}, {}, restart.done());
  readers_.RunAll();
  const auto purge = Purge("a");
  readers_.RunAll();
  EXPECT_FALSE(purge.answered());
  Settle();
  EXPECT_TRUE(restart.ok());
  EXPECT_EQ(purge.value().erased, 1);
  EXPECT_EQ(StatusOf("a"), "none");
  EXPECT_EQ(StatusOf("copy"), "Pending");
}

// As if it had been asked for a moment later.
TEST_F(EngineTest, RestartOfOneThatIsStartedMeanwhileSaysThatItRuns) {
  Run(Connect(), "a", {Complete()});
  Reopen();
  Asked<StartReceipt> restart;
  engine().Restart(Key("a"), std::nullopt, {}, {}, restart.done());
  readers_.RunAll();
  const auto start = Start("a");
  Settle();
  EXPECT_TRUE(start.ok() != restart.ok());
  EXPECT_EQ(start.ok() ? restart.code() : start.status().code(),
            start.ok() ? Code::kFailedPrecondition : Code::kAlreadyExists);
}

}  // namespace
}  // namespace leasehold
