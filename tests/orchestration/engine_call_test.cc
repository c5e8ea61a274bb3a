// Calls of entities from outside of any orchestration, and those who watch an
// entity.
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/orchestration/entity_fixture.h"

namespace leasehold {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Code = absl::StatusCode;

class EntityCallTest : public EntityTest {
 protected:
  using Outcome = Asked<OperationResult>;

  struct Waiting {
    Outcome outcome;
    Entities::WaitId id = 0;
  };
  // With a request ID, unless it is empty.
  Waiting Ask(std::string request_id, std::string operation = "get",
              Payload input = "in", std::string id = kCounter) {
    Waiting waiting;
    waiting.id = engine().entities().Call({.key = Key(id),
                                           .operation = std::move(operation),
                                           .input = std::move(input),
                                           .request_id = std::move(request_id),
                                           .peer = "peer"},
                                          waiting.outcome.done());
    return waiting;
  }
  Outcome Call(std::string request_id, std::string operation = "get") {
    Outcome outcome = Ask(std::move(request_id), std::move(operation)).outcome;
    Settle();
    return outcome;
  }
  static std::string OutputOf(const Outcome& outcome) {
    return outcome.ok() ? outcome.value().output.value_or("none")
                        : std::string(outcome.status().message());
  }

  struct Watching {
    Asked<SharedEntity> change;
    Entities::WaitId id = 0;
  };
  Watching Await(std::optional<uint64_t> seen, bool state = true) {
    Watching watching;
    watching.id = engine().entities().AwaitChange(
        {.key = Key(kCounter), .state = state, .seen = seen, .peer = "peer"},
        watching.change.done());
    return watching;
  }
  Asked<SharedEntity> Change(std::optional<uint64_t> seen) {
    Asked<SharedEntity> change = Await(seen).change;
    Settle();
    return change;
  }
};

// ---- Calls ------------------------------------------------------------------

TEST_F(EntityCallTest, ACallIsAnsweredOnceItsBatchIsDurable) {
  FakeWorker& worker = Connect();
  const Outcome call = Call("");
  EXPECT_FALSE(call.answered());
  const FakeItem batch = worker.TakeBatch();
  EXPECT_THAT(Operations(batch), ElementsAre("get?"));
  const auto& sent = *batch.events[0].As<EntityOperationCalled>();
  EXPECT_EQ(sent.input, "in");
  // Workers expect a UUID, and a caller.
  EXPECT_EQ(sent.request_id.size(), 36u);
  EXPECT_EQ(sent.caller, "");
  BatchAnswer answer;
  answer.results.resize(1);
  answer.results[0].output = "7";
  answer.state = "7";
  work().CompleteEntity(batch.work_name(), std::move(answer), [](auto) {});
  EXPECT_FALSE(call.answered());
  Settle();
  EXPECT_EQ(OutputOf(call), "7");
  EXPECT_EQ(StateOf(kCounter), "7");
}

TEST_F(EntityCallTest, AFailureIsAnOutcome) {
  FakeWorker& worker = Connect();
  const Outcome call = Call("r", "bad");
  BatchAnswer answer;
  answer.results = {{std::nullopt, MakeFailure("Bad", "it broke")}};
  Complete(worker.TakeBatch(), std::move(answer));
  ASSERT_TRUE(call.ok());
  EXPECT_EQ(DecodeMessage<FailureDetails>(*call.value().failure.bytes)->message,
            "it broke");
  // It is the answer to the same request again, too.
  const Outcome again = Call("r", "bad");
  ASSERT_TRUE(again.ok());
  EXPECT_TRUE(again.value().failure.has_value());
  EXPECT_THAT(worker.items, IsEmpty());
}

TEST_F(EntityCallTest, CallsOfOneRequestAreOneOperation) {
  FakeWorker& worker = Connect();
  // The name of the first is being looked up.
  const Waiting first = Ask("r");
  const Waiting second = Ask("r");
  Settle();
  const FakeItem batch = worker.TakeBatch();
  EXPECT_THAT(Operations(batch), ElementsAre("get?"));
  const Outcome third = Call("r");
  Complete(batch, "1");
  EXPECT_EQ(OutputOf(first.outcome), "1");
  EXPECT_EQ(OutputOf(second.outcome), "1");
  EXPECT_EQ(OutputOf(third), "1");
  EXPECT_EQ(OutputOf(Call("r")), "1");
  EXPECT_THAT(worker.items, IsEmpty());
  // Without a name each is another one.
  Ask("");
  Ask("");
  Settle();
  EXPECT_THAT(Operations(worker.TakeBatch()), ElementsAre("get?", "get?"));
}

TEST_F(EntityCallTest, AnotherCallOfTheSameRequestIsRefused) {
  FakeWorker& worker = Connect();
  const auto others_are_refused = [this] {
    const Waiting others[] = {Ask("r", "set"), Ask("r", "get", "other"),
                              Ask("r", "get", std::nullopt),
                              Ask("r", "get", "in", "@counter@b")};
    Settle();
    for (const Waiting& other : others) {
      EXPECT_EQ(other.outcome.code(), Code::kInvalidArgument);
      EXPECT_THAT(std::string(other.outcome.status().message()),
                  HasSubstr("request_id \"r\" was used for another call"));
    }
  };
  const Waiting first = Ask("r");
  others_are_refused();  // While it is looked up, and then while it waits.
  others_are_refused();
  Complete(worker.TakeBatch(), "1");
  EXPECT_EQ(OutputOf(first.outcome), "1");
  others_are_refused();
  EXPECT_THAT(worker.items, IsEmpty());
}

TEST_F(EntityCallTest, OutcomesAreKeptOverARestart) {
  FakeWorker& worker = Connect();
  Call("r");
  Complete(worker.TakeBatch(), "1");
  Crash();
  FakeWorker& next = Connect();
  EXPECT_EQ(OutputOf(Call("r")), "1");
  EXPECT_THAT(next.items, IsEmpty());
}

TEST_F(EntityCallTest, ACallThatTheServerDiedWithRunsAndIsJoined) {
  Connect();
  Call("r");
  Crash();
  FakeWorker& next = Connect();
  const Outcome again = Call("r");
  EXPECT_EQ(Call("r", "other").code(), Code::kInvalidArgument);
  const FakeItem batch = next.TakeBatch();
  EXPECT_THAT(Operations(batch), ElementsAre("get?"));
  Complete(batch, "1");
  EXPECT_EQ(OutputOf(again), "1");
  EXPECT_THAT(next.items, IsEmpty());
}

TEST_F(EntityCallTest, AfterAnHourARequestIsForgotten) {
  FakeWorker& worker = Connect();
  Call("r");
  Complete(worker.TakeBatch(), "1");
  Pass(absl::Hours(1));
  EXPECT_EQ(OutputOf(Call("r")), "1");
  Pass(absl::Seconds(1));
  const Outcome later = Call("r", "other");
  EXPECT_FALSE(later.answered());
  Complete(worker.TakeBatch(), "2");
  EXPECT_EQ(OutputOf(later), "2");
  EXPECT_EQ(OutputOf(Call("r", "other")), "2");
}

TEST_F(EntityCallTest, WhatIsKeptNoLongerIsDroppedFromTheStore) {
  FakeWorker& worker = Connect();
  Call("old");
  Complete(worker.TakeBatch(), "1");
  Pass(absl::Hours(2));
  Call("new");
  Complete(worker.TakeBatch(), "2");
  const std::string tenant = Key(kCounter).tenant;
  EXPECT_EQ(*memory_.FindCall(tenant, "old"), std::nullopt);
  EXPECT_NE(*memory_.FindCall(tenant, "new"), std::nullopt);
}

TEST_F(EntityCallTest, OneTenantsFloodLeavesWhatIsKeptForAnother) {
  options_.kept_calls.count_max = 4;
  FakeWorker& quiet = Connect();
  Call("q-1");
  Complete(quiet.TakeBatch(), "first");
  Call("q-2");
  Complete(quiet.TakeBatch(), "second");
  const auto flood = [this](FakeWorker& worker, int from) {
    for (int i = from; i < from + 20; ++i) {
      Call(absl::StrCat("f-", i));
      Complete(worker.TakeBatch(), "x");
    }
  };
  tenant_ = "loud";
  flood(Connect(), 0);
  EXPECT_EQ(*memory_.FindCall("loud", "f-17"), std::nullopt);
  EXPECT_NE(*memory_.FindCall("loud", "f-18"), std::nullopt);
  EXPECT_NE(*memory_.FindCall("loud", "f-19"), std::nullopt);
  // Also if all of it comes from the store.
  Reopen();
  flood(Connect(), 20);
  tenant_ = kTestTenant;
  EXPECT_EQ(OutputOf(Call("q-1")), "first");
  EXPECT_EQ(OutputOf(Call("q-2")), "second");
}

TEST_F(EntityCallTest, ACallerThatGoesDoesNotEndItsOperation) {
  FakeWorker& worker = Connect();
  const Waiting gone = Ask("r");
  Settle();
  EXPECT_TRUE(engine().entities().CancelCall(gone.id));
  EXPECT_FALSE(engine().entities().CancelCall(gone.id));
  Complete(worker.TakeBatch(), "1");
  EXPECT_FALSE(gone.outcome.answered());
  EXPECT_EQ(OutputOf(Call("r")), "1");
}

TEST_F(EntityCallTest, ACallerThatGoesAtOnceHasAskedForNothing) {
  FakeWorker& worker = Connect();
  const Waiting gone = Ask("r");
  EXPECT_TRUE(engine().entities().CancelCall(gone.id));
  Settle();
  EXPECT_THAT(worker.items, IsEmpty());
  EXPECT_EQ(Entity(kCounter), std::nullopt);
}

TEST_F(EntityCallTest, NobodyWaitsForMoreThanTenMinutes) {
  const Waiting first = Ask("r");
  Settle();
  Pass(absl::Minutes(5));
  const Waiting second = Ask("");
  Pass(absl::Minutes(5) - absl::Microseconds(1));
  EXPECT_FALSE(first.outcome.answered());
  Pass(absl::Microseconds(1));
  EXPECT_EQ(first.outcome.code(), Code::kDeadlineExceeded);
  EXPECT_THAT(std::string(first.outcome.status().message()),
              HasSubstr("no connected worker takes the entity \"counter\""));
  EXPECT_FALSE(second.outcome.answered());
  // It was not withdrawn.
  FakeWorker& worker = Connect();
  Settle();
  Complete(worker.TakeBatch(), "1");
  EXPECT_EQ(OutputOf(second.outcome), "1");
  EXPECT_EQ(OutputOf(Call("r")), "1");
}

TEST_F(EntityCallTest, RefusesWhatIsNoCall) {
  const Waiting calls[] = {Ask("", "get", "in", "counter"),
                           Ask("", std::string(1025, 'x')),
                           Ask(std::string(257, 'x'))};
  Settle();
  for (const Waiting& call : calls) {
    EXPECT_EQ(call.outcome.code(), Code::kInvalidArgument);
  }
  options_.limits.payload_bytes_max = 1;
  Reopen();
  EXPECT_EQ(Call("").code(), Code::kResourceExhausted);
}

TEST_F(EntityCallTest, TooMuchThatWaitsIsRefused) {
  options_.inbox_bytes_max = 300;
  Ask("a");
  Ask("b");
  const Waiting refused = Ask("c");
  Settle();
  EXPECT_EQ(refused.outcome.code(), Code::kResourceExhausted);
  // Nothing is known of the request: it can be made again.
  FakeWorker& worker = Connect();
  Settle();
  Complete(worker.TakeBatch(), "1");
  const Outcome again = Call("c");
  Complete(worker.TakeBatch(), "2");
  EXPECT_EQ(OutputOf(again), "2");
}

TEST_F(EntityCallTest, TheOldestCallOfAConnectionMakesRoom) {
  options_.waits_max = 2;
  const Waiting oldest = Ask("");
  const Waiting second = Ask("");
  const Waiting third = Ask("");
  Settle();
  EXPECT_EQ(oldest.outcome.code(), Code::kResourceExhausted);
  FakeWorker& worker = Connect();
  Settle();
  Complete(worker.TakeBatch(), "1");
  EXPECT_EQ(OutputOf(second.outcome), "1");
  EXPECT_EQ(OutputOf(third.outcome), "1");
}

TEST_F(EntityCallTest, ACallWaitsForTheLockOfAnother) {
  FakeWorker& worker = Connect();
  Run(worker, "p", {LockAll(1, "section", {kCounter})});
  const FakeItem turn = worker.TakeTurn();
  const Outcome call = Call("r");
  EXPECT_THAT(worker.items, IsEmpty());
  Answer(turn, {leasehold::Complete()});
  Settle();
  Complete(worker.TakeBatch(), "1");
  EXPECT_EQ(OutputOf(call), "1");
}

// ---- When the store or the server fails -------------------------------------

TEST_F(EntityCallTest, ACallThatCannotBeStoredIsUnavailable) {
  Connect();
  Settle();
  store_.FailCommit(0, FaultStore::Effect::kNone);
  const Outcome call = Call("r");
  EXPECT_EQ(call.code(), Code::kUnavailable);
}

TEST_F(EntityCallTest, AnOutcomeThatCannotBeStoredIsNotTold) {
  FakeWorker& worker = Connect();
  const Outcome call = Call("r");
  const FakeItem batch = worker.TakeBatch();
  store_.FailCommit(0, FaultStore::Effect::kNone);
  Complete(batch, "lost");
  EXPECT_EQ(call.code(), Code::kUnavailable);
  Pass(absl::Seconds(1));
  const Outcome again = Call("r");
  EXPECT_FALSE(again.answered());
  Complete(worker.TakeBatch(), "1");
  EXPECT_EQ(OutputOf(again), "1");
}

TEST_F(EntityCallTest, AnOutcomeThatIsStoredAfterAllIsToldToWhoAsksAgain) {
  FakeWorker& worker = Connect();
  const Outcome call = Call("r");
  const FakeItem batch = worker.TakeBatch();
  store_.FailCommit(0, FaultStore::Effect::kWhole);
  Complete(batch, "1");
  EXPECT_EQ(call.code(), Code::kUnavailable);
  Pass(absl::Seconds(1));
  EXPECT_EQ(OutputOf(Call("r")), "1");
  EXPECT_THAT(worker.items, IsEmpty());
}

TEST_F(EntityCallTest, ADrainEndsWaitsAndNotOperations) {
  FakeWorker& worker = Connect();
  const Outcome call = Call("r");
  engine().Drain();
  Settle();
  EXPECT_EQ(call.code(), Code::kUnavailable);
  EXPECT_EQ(Call("s").code(), Code::kUnavailable);
  EXPECT_TRUE(Complete(worker.TakeBatch(), "1").ok());
  Reopen();
  EXPECT_EQ(OutputOf(Call("r")), "1");
}

TEST_F(EntityCallTest, AWipeEndsCallsAndForgetsOutcomes) {
  FakeWorker& worker = Connect();
  Call("old");
  Complete(worker.TakeBatch(), "1");
  const Outcome call = Call("r");
  const AskedStatus wiped = Wipe();
  Settle();
  EXPECT_TRUE(wiped.ok());
  EXPECT_EQ(call.code(), Code::kAborted);
  EXPECT_FALSE(Call("old").answered());
}

// ---- Watches ----------------------------------------------------------------

TEST_F(EntityCallTest, AWatchBeginsWithThePresentAndGoesOnWithEachChange) {
  FakeWorker& worker = Connect();
  const auto nothing = Change(std::nullopt);
  ASSERT_TRUE(nothing.ok());
  EXPECT_EQ(nothing.value()->id, kCounter);
  EXPECT_FALSE(nothing.value()->has_state);
  const auto first = Change(nothing.value()->print);
  EXPECT_FALSE(first.answered());
  Put(worker, kCounter, "1");
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(first.value()->state, "1");
  const auto second = Change(first.value()->print);
  Put(worker, kCounter, "1");
  EXPECT_FALSE(second.answered()) << "the state is the same";
  Put(worker, kCounter, std::nullopt);
  ASSERT_TRUE(second.ok());
  EXPECT_FALSE(second.value()->has_state);
  EXPECT_EQ(second.value()->print, nothing.value()->print);
}

TEST_F(EntityCallTest, WhatChangedBetweenTwoWaitsIsSeenOnce) {
  FakeWorker& worker = Connect();
  const auto nothing = Change(std::nullopt);
  Put(worker, kCounter, "1");
  Put(worker, kCounter, "2");
  Pass(kLease);  // It leaves the memory.
  const auto change = Change(nothing.value()->print);
  ASSERT_TRUE(change.ok());
  EXPECT_EQ(change.value()->state, "2");
}

TEST_F(EntityCallTest, AChangeWhileItIsReadIsSeen) {
  FakeWorker& worker = Connect();
  const auto nothing = Change(std::nullopt);
  Signal(kCounter, "put");
  Settle();
  const FakeItem batch = worker.TakeBatch();
  const Watching one = Await(nothing.value()->print);
  const Watching other = Await(nothing.value()->print, /*state=*/false);
  Complete(batch, "1");
  ASSERT_TRUE(one.change.ok());
  EXPECT_EQ(one.change.value()->state, "1");
  ASSERT_TRUE(other.change.ok());
  EXPECT_TRUE(other.change.value()->has_state);
  EXPECT_EQ(other.change.value()->state, std::nullopt);
}

TEST_F(EntityCallTest, WhoLocksItIsAChange) {
  FakeWorker& worker = Connect();
  const auto nothing = Change(std::nullopt);
  const auto locked = Change(nothing.value()->print);
  Run(worker, "p", {LockAll(1, "section", {kCounter})});
  ASSERT_TRUE(locked.ok());
  EXPECT_EQ(locked.value()->lock->holder, "p");
  const auto free = Change(locked.value()->print);
  Answer(worker.TakeTurn(), {leasehold::Complete()});
  Settle();
  ASSERT_TRUE(free.ok());
  EXPECT_EQ(free.value()->lock, std::nullopt);
}

TEST_F(EntityCallTest, APurgeOfAnEntityIsAChange) {
  FakeWorker& worker = Connect();
  Put(worker, kCounter, "1");
  Pass(kLease);
  const auto present = Change(std::nullopt);
  const auto gone = Change(present.value()->print);
  Purge(kCounter);
  Settle();
  ASSERT_TRUE(gone.ok());
  EXPECT_FALSE(gone.value()->has_state);
}

TEST_F(EntityCallTest, AWatchOutlivesAFailureOfTheStore) {
  FakeWorker& worker = Connect();
  const auto nothing = Change(std::nullopt);
  const auto change = Change(nothing.value()->print);
  Signal(kCounter, "put");
  Settle();
  store_.FailCommit(0, FaultStore::Effect::kNone);
  Complete(worker.TakeBatch(), "lost");
  Pass(absl::Seconds(1));
  EXPECT_FALSE(change.answered());
  Complete(worker.TakeBatch(), "1");
  ASSERT_TRUE(change.ok());
  EXPECT_EQ(change.value()->state, "1");
}

TEST_F(EntityCallTest, WatchesEndWithADrainAndWithTheirCallers) {
  const auto nothing = Change(std::nullopt);
  const Watching gone = Await(nothing.value()->print);
  EXPECT_TRUE(engine().entities().CancelWait(Key(kCounter), gone.id));
  EXPECT_FALSE(engine().entities().CancelWait(Key(kCounter), gone.id));
  const auto change = Change(nothing.value()->print);
  engine().Drain();
  Settle();
  EXPECT_EQ(change.code(), Code::kUnavailable);
  EXPECT_FALSE(gone.change.answered());
}

TEST_F(EntityCallTest, TheOldestWatchOfAConnectionMakesRoom) {
  options_.waits_max = 1;
  const auto nothing = Change(std::nullopt);
  const Watching oldest = Await(nothing.value()->print);
  const Watching newest = Await(nothing.value()->print);
  Settle();
  EXPECT_EQ(oldest.change.code(), Code::kResourceExhausted);
  EXPECT_FALSE(newest.change.answered());
}

}  // namespace
}  // namespace leasehold
