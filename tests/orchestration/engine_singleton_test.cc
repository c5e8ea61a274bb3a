// Engine: at most one orchestration per ID, the answers to starts, and what is
// kept of replaced orchestrations.
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/orchestration/engine_fixture.h"

namespace leasehold {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

using Code = absl::StatusCode;
using Status = OrchestrationStatus;

class EngineSingletonTest : public EngineTest {
 protected:
  StartRequest Chosen(std::string_view id, IfActive if_active,
                      IfFinished if_finished, Payload input = {}) {
    StartRequest request = Request(id, std::move(input));
    request.policy = PolicyOf(if_active, if_finished);
    return request;
  }
  StartRequest Named(std::string_view id, std::string request_id,
                     uint64_t fingerprint = 1) {
    StartRequest request = Chosen(id, IfActive::kFail, IfFinished::kFail);
    request.request_id = std::move(request_id);
    request.fingerprint = fingerprint;
    return request;
  }
  StartRequest Ensure(std::string_view id) {
    return Chosen(id, IfActive::kAttach, IfFinished::kAttach);
  }
  StartRequest Terminating(std::string_view id) {
    return Chosen(id, IfActive::kTerminate, IfFinished::kReplace);
  }
  StartReceipt StartAndSettle(StartRequest request) {
    const auto start = Start(std::move(request));
    Settle();
    EXPECT_TRUE(start.ok()) << start.status();
    return start.ok() ? start.value() : StartReceipt{};
  }
};

// ---- Attaching --------------------------------------------------------------

TEST_F(EngineSingletonTest, EnsuredTwiceIsCreatedOnceAndTheExecutionIsTheSame) {
  const StartReceipt first = StartAndSettle(Ensure("a"));
  const StartReceipt second = StartAndSettle(Ensure("a"));
  EXPECT_TRUE(first.created);
  EXPECT_FALSE(second.created);
  EXPECT_EQ(second.execution_id, first.execution_id);
  EXPECT_EQ(second.instance_id, "a");
}

TEST_F(EngineSingletonTest, AttachedToOneThatHasEndedIsToldItsExecution) {
  FakeWorker& worker = Connect();
  const StartReceipt first = StartAndSettle(Ensure("a"));
  Answer(worker.TakeTurn(), {Complete("out")});
  Settle();
  const StartReceipt second = StartAndSettle(Ensure("a"));
  EXPECT_FALSE(second.created);
  EXPECT_EQ(second.execution_id, first.execution_id);
  EXPECT_EQ(StatusOf("a"), "Completed");
}

TEST_F(EngineSingletonTest, ReceiptSaysWhichContextTheStartHasMet) {
  const StartReceipt first = StartAndSettle(Ensure("a"));
  const StartReceipt second = StartAndSettle(Ensure("a"));
  ASSERT_TRUE(first.context.has_value());
  ASSERT_TRUE(second.context.has_value());
  EXPECT_TRUE(first.context->created);
  EXPECT_EQ(first.context->idle_timeout, kLease);
  EXPECT_FALSE(second.context->created);
  EXPECT_EQ(second.context->generation, first.context->generation);
}

TEST_F(EngineSingletonTest, GenerationsGrowOverARestartWhateverTheClockSays) {
  Connect();
  const auto before = Start("a");
  Settle();
  clock_.SetWall(-absl::Hours(1000));
  Reopen();
  const auto after = Start("b");
  Settle();
  EXPECT_GE(after.value().context->generation,
            before.value().context->generation + kGenerationsPerOpen - 1);
}

TEST_F(EngineSingletonTest, StartSaysWhatItWantsOfItsContext) {
  StartRequest request = Ensure("a");
  request.context.idle_timeout = absl::Seconds(90);
  EXPECT_EQ(StartAndSettle(std::move(request)).context->idle_timeout,
            absl::Seconds(90));
  StartRequest existing = Ensure("b");
  existing.context.expect = Expect::kExisting;
  const auto start = Start(std::move(existing));
  Settle();
  EXPECT_EQ(start.code(), Code::kNotFound);
  EXPECT_EQ(StatusOf("b"), "none");
}

TEST_F(EngineSingletonTest, RefusalBecauseOfOneThatMayNeverBeWaitsForIt) {
  const auto first = Start(Ensure("a"));
  tasks_.RunAll();
  readers_.RunAll();
  const auto second = Start(Chosen("a", IfActive::kFail, IfFinished::kFail));
  tasks_.RunAll();
  readers_.RunAll();
  EXPECT_FALSE(second.answered());
  store_.FailCommit(0, FaultStore::Effect::kNone);
  Settle();
  EXPECT_EQ(first.code(), Code::kUnavailable);
  EXPECT_EQ(second.code(), Code::kUnavailable);
}

TEST_F(EngineSingletonTest, PurgeIsNotStoppedByOneThatMayNeverBe) {
  FakeWorker& worker = Connect();
  StartAndSettle(Ensure("a"));
  Answer(worker.TakeTurn(), {Complete("out")});
  Settle();
  const auto start = Start("a");  // Replaces the ended one.
  const auto purge = Purge("a");
  readers_.RunAll();
  EXPECT_FALSE(purge.answered());
  store_.FailCommit(0, FaultStore::Effect::kNone);
  Settle();
  EXPECT_EQ(start.code(), Code::kUnavailable);
  EXPECT_EQ(purge.code(), Code::kUnavailable);
}

// ---- Replacing --------------------------------------------------------------

TEST_F(EngineSingletonTest, ReplacedRunKeepsItsHistoryUnderItsExecutionId) {
  FakeWorker& worker = Connect();
  const StartReceipt first = StartAndSettle(Terminating("a"));
  Answer(worker.TakeTurn(), {Complete("out")});
  Settle();
  const StartReceipt second = StartAndSettle(Terminating("a"));
  EXPECT_TRUE(second.created);
  EXPECT_NE(second.execution_id, first.execution_id);
  EXPECT_THAT(History("a", first.execution_id),
              ElementsAre("turn", "started()", "ended(1)"));
  EXPECT_THAT(History("a", second.execution_id), IsEmpty());
  EXPECT_THAT(History("a", "none"),
              ElementsAre(HasSubstr("has no execution \"none\"")));
}

TEST_F(EngineSingletonTest, TerminatedForAnotherNeedsNoWorker) {
  FakeWorker& worker = Connect();
  const StartReceipt first = StartAndSettle(Terminating("a"));
  Answer(worker.TakeTurn(), {CallTask(1, "Work")});
  Settle();
  const FakeItem activity = worker.TakeActivity();
  const StartReceipt second = StartAndSettle(Terminating("a"));
  EXPECT_TRUE(second.created);
  EXPECT_THAT(History("a", first.execution_id),
              ElementsAre("turn", "started()", "task Work", "turn",
                          "terminated", "ended(5)"));
  // The result that it was waiting for is dropped.
  const AskedStatus late = Done(activity);
  Settle();
  EXPECT_EQ(late.code(), Code::kNotFound);
  EXPECT_EQ(StatusOf("a"), "Pending");
}

TEST_F(EngineSingletonTest, TerminatedBeforeItsFirstTurnItsHistoryBegins) {
  StartRequest request = Terminating("a");
  request.input = "in";
  const StartReceipt first = StartAndSettle(std::move(request));
  StartAndSettle(Terminating("a"));
  EXPECT_THAT(History("a", first.execution_id),
              ElementsAre("turn", "started(in)", "terminated", "ended(5)"));
}

TEST_F(EngineSingletonTest, TerminatedWhileParkedIsNotReadForIt) {
  FakeWorker& worker = Connect();
  const StartReceipt first = StartAndSettle(Terminating("a"));
  Answer(worker.TakeTurn(), {TimerAt(1, Now() + absl::Hours(1))});
  Settle();
  Pass(kLease);
  EXPECT_EQ(registry_->size(), 0u);
  StartAndSettle(Terminating("a"));
  EXPECT_THAT(History("a", first.execution_id),
              ElementsAre("turn", "started()", "timer", "turn", "terminated",
                          "ended(5)"));
  // Its timer is gone: the new one has only one turn, its first.
  Answer(worker.TakeTurn());
  Settle();
  Pass(absl::Hours(2));
  EXPECT_THAT(worker.items, IsEmpty());
}

TEST_F(EngineSingletonTest, LastTenReplacedRunsAreKept) {
  std::vector<std::string> executions;
  for (int i = 0; i < 12; ++i) {
    executions.push_back(StartAndSettle(Terminating("a")).execution_id);
  }
  EXPECT_THAT(History("a", executions[0]),
              ElementsAre(HasSubstr("has no execution")));
  for (int i = 1; i < 11; ++i) {
    EXPECT_THAT(History("a", executions[i]), SizeIs(4)) << i;
  }
}

TEST_F(EngineSingletonTest, PurgeErasesTheReplacedRunsToo) {
  FakeWorker& worker = Connect();
  const StartReceipt first = StartAndSettle(Terminating("a"));
  StartAndSettle(Terminating("a"));
  worker.TakeTurn();  // Of the replaced one.
  Answer(worker.TakeTurn(), {Complete("out")});
  Settle();
  Purge("a");
  Settle();
  StartAndSettle(Ensure("a"));
  EXPECT_THAT(History("a", first.execution_id),
              ElementsAre(HasSubstr("has no execution")));
}

TEST_F(EngineSingletonTest, WhatIsReplacedBehindItsOwnEndIsKeptAsItEnded) {
  FakeWorker& worker = Connect();
  const StartReceipt first = StartAndSettle(Terminating("a"));
  // Both are being committed together.
  Answer(worker.TakeTurn(), {Complete("out")});
  const auto second = Start(Terminating("a"));
  Settle();
  EXPECT_TRUE(second.ok());
  EXPECT_THAT(History("a", first.execution_id),
              ElementsAre("turn", "started()", "ended(1)"));
}

// ---- Repeated requests ------------------------------------------------------

TEST_F(EngineSingletonTest, RequestThatIsSentAgainGetsTheFirstReceipt) {
  const StartReceipt first = StartAndSettle(Named("a", "r"));
  const StartReceipt again = StartAndSettle(Named("a", "r"));
  EXPECT_TRUE(first.created);
  EXPECT_TRUE(again.created);
  EXPECT_EQ(again.execution_id, first.execution_id);
  EXPECT_EQ(engine().counts().open, 1u);
}

TEST_F(EngineSingletonTest, RequestThatWasSentWithoutAnIdGetsTheFirstOnes) {
  const StartReceipt first = StartAndSettle(Named("made-up-1", "r"));
  const StartReceipt again = StartAndSettle(Named("made-up-2", "r"));
  EXPECT_EQ(again.instance_id, "made-up-1");
  EXPECT_EQ(again.execution_id, first.execution_id);
  EXPECT_FALSE(again.context.has_value());
  EXPECT_EQ(registry_->size(), 1u);
}

TEST_F(EngineSingletonTest, OfRacingRequestsOfOneNameOneStarts) {
  std::vector<Asked<StartReceipt>> starts;
  for (int i = 0; i < 5; ++i) {
    starts.push_back(Start(Named("id-" + std::to_string(i), "r")));
  }
  Settle();
  EXPECT_EQ(engine().counts().open, 1u);
  for (const auto& start : starts) {
    ASSERT_TRUE(start.ok()) << start.status();
    EXPECT_EQ(start.value().instance_id, "id-0");
  }
}

TEST_F(EngineSingletonTest, AnotherRequestOfThatNameIsRefused) {
  StartAndSettle(Named("a", "r"));
  const auto other = Start(Named("b", "r", /*fingerprint=*/2));
  Settle();
  EXPECT_EQ(other.code(), Code::kInvalidArgument);
  EXPECT_THAT(std::string(other.status().message()),
              HasSubstr("request_id \"r\" was used for another start"));
  EXPECT_EQ(StatusOf("b"), "none");
}

TEST_F(EngineSingletonTest, RefusedRequestMayBeSentAgain) {
  FakeWorker& worker = Connect();
  StartAndSettle(Ensure("a"));
  const auto refused = Start(Named("a", "r"));
  Settle();
  EXPECT_EQ(refused.code(), Code::kAlreadyExists);
  Answer(worker.TakeTurn(), {Complete("out")});
  Settle();
  Purge("a");
  Settle();
  EXPECT_TRUE(StartAndSettle(Named("a", "r")).created);
}

TEST_F(EngineSingletonTest, AttachedRequestIsKnownAgainAsSuch) {
  const StartReceipt first = StartAndSettle(Ensure("a"));
  StartRequest request = Ensure("a");
  request.request_id = "r";
  EXPECT_FALSE(StartAndSettle(request).created);
  const StartReceipt again = StartAndSettle(request);
  EXPECT_FALSE(again.created);
  EXPECT_EQ(again.execution_id, first.execution_id);
}

TEST_F(EngineSingletonTest, RequestOutlivesARestartAndAReplacement) {
  const StartReceipt first = StartAndSettle(Named("a", "r"));
  Reopen();
  StartAndSettle(Terminating("a"));
  const StartReceipt again = StartAndSettle(Named("a", "r"));
  EXPECT_EQ(again.execution_id, first.execution_id);
}

TEST_F(EngineSingletonTest, RequestIsForgottenWithItsInstance) {
  FakeWorker& worker = Connect();
  const StartReceipt first = StartAndSettle(Named("a", "r"));
  Answer(worker.TakeTurn(), {Complete("out")});
  Settle();
  Purge("a");
  Settle();
  const StartReceipt again = StartAndSettle(Named("a", "r"));
  EXPECT_TRUE(again.created);
  EXPECT_NE(again.execution_id, first.execution_id);
}

TEST_F(EngineSingletonTest, RequestsThatWaitWhenTheServerStopsAreAnswered) {
  const auto one = Start(Named("a", "r"));
  const auto two = Start(Named("a", "r"));
  Settle();
  Close();
  EXPECT_TRUE(one.answered());
  EXPECT_TRUE(two.answered());
}

// ---- Watching ---------------------------------------------------------------

TEST_F(EngineSingletonTest, ChangeIsWaitedForFromARevisionToTheNext) {
  FakeWorker& worker = Connect();
  Start("a");
  Settle();
  const AskedInfo now = Wait("a", Until::kChanged);
  Settle();
  ASSERT_TRUE(now.ok());
  EXPECT_EQ(now.value()->status, Status::kPending);
  const uint64_t seen = now.value()->revision;
  EXPECT_NE(seen, 0u);

  const AskedInfo next = Wait("a", Until::kChanged, seen);
  Settle();
  EXPECT_FALSE(next.answered());
  TurnAnswer answer;
  answer.custom_status = "half";
  Answer(worker.TakeTurn(), std::move(answer));
  Settle();
  ASSERT_TRUE(next.ok());
  EXPECT_EQ(next.value()->status, Status::kRunning);
  EXPECT_EQ(next.value()->summary.custom_status, "half");
  EXPECT_GT(next.value()->revision, seen);
}

TEST_F(EngineSingletonTest, ChangeThatHasComeMeanwhileIsToldAtOnce) {
  FakeWorker& worker = Connect();
  Start("a");
  Settle();
  const AskedInfo now = Wait("a", Until::kChanged);
  Settle();
  Answer(worker.TakeTurn(), {Complete("out")});
  Settle();
  const AskedInfo next = Wait("a", Until::kChanged, now.value()->revision);
  Settle();
  ASSERT_TRUE(next.ok());
  EXPECT_EQ(next.value()->status, Status::kCompleted);
  EXPECT_EQ(next.value()->output, "out");
}

TEST_F(EngineSingletonTest, AWatcherIsToldThatAnotherTookItsPlace) {
  const StartReceipt first = StartAndSettle(Terminating("a"));
  const AskedInfo now = Wait("a", Until::kChanged);
  Settle();
  const AskedInfo next = Wait("a", Until::kChanged, now.value()->revision);
  StartAndSettle(Terminating("a"));
  ASSERT_TRUE(next.ok());
  EXPECT_NE(next.value()->summary.execution_id, first.execution_id);
}

TEST_F(EngineSingletonTest, WatchGoesOnOverAFailureOfTheStore) {
  FakeWorker& worker = Connect();
  Start("a");
  Settle();
  const AskedInfo now = Wait("a", Until::kChanged);
  Settle();
  const AskedInfo next = Wait("a", Until::kChanged, now.value()->revision);
  store_.FailCommit(0, FaultStore::Effect::kNone);
  Raise("a", "e");
  Settle();
  Pass(absl::Seconds(5));
  // Reported again, as it may have changed.
  ASSERT_TRUE(next.ok()) << next.status();
  EXPECT_EQ(next.value()->status, Status::kPending);
  (void)worker;
}

}  // namespace
}  // namespace leasehold
