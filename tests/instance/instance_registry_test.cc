#include "service/instance/instance_registry.h"

#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/instance/instance_fakes.h"

namespace leasehold {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

using Code = absl::StatusCode;

// ---- Created and found

TEST_F(InstanceRegistryTest, FirstCallCreatesTheContext) {
  FakeCall call("room-1");
  ASSERT_TRUE(call.Ask(registry()));
  EXPECT_TRUE(call.created());
  EXPECT_EQ(call.context().id(), "room-1");
  EXPECT_EQ(call.context().tenant(), "default");
  EXPECT_EQ(call.context().idle_timeout(), kTimeout);
  EXPECT_EQ(registry().size(), 1u);
  EXPECT_THAT(journal_, ElementsAre("created room-1"));
}

TEST_F(InstanceRegistryTest, LaterCallsFindIt) {
  FakeCall first("room-1");
  FakeCall second("room-1");
  first.Ask(registry());
  ASSERT_TRUE(second.Ask(registry()));
  EXPECT_FALSE(second.created());
  EXPECT_EQ(&second.context(), &first.context());
}

TEST_F(InstanceRegistryTest, EqualIdsOfTwoTenantsNeverMeet) {
  InstanceRequest red = RequestFor("room-1");
  red.key.tenant = "red";
  FakeCall first(red);
  FakeCall second("room-1");
  first.Ask(registry());
  second.Ask(registry());
  EXPECT_TRUE(second.created());
  EXPECT_NE(&second.context(), &first.context());
}

// Tenant and ID are kept in one string: the boundary between them must count.
TEST_F(InstanceRegistryTest, TenantAndIdDoNotRunIntoEachOther) {
  InstanceRequest request = RequestFor("bc");
  request.key.tenant = "a";
  FakeCall first(request);
  request.key = {.tenant = "ab", .id = "c"};
  FakeCall second(request);
  first.Ask(registry());
  second.Ask(registry());
  EXPECT_TRUE(second.created());
}

TEST_F(InstanceRegistryTest, ClonedPinKeepsTheContextBusy) {
  FakeCall call("room-1");
  call.Ask(registry());
  Pin clone = call.pin().Clone();
  call.Finish();
  EXPECT_EQ(Release("room-1").code(), Code::kFailedPrecondition);
  clone.Reset();
  EXPECT_TRUE(Release("room-1").ok());
}

TEST_F(InstanceRegistryTest, MovedPinIsGivenBackOnce) {
  FakeCall call("room-1");
  call.Ask(registry());
  Pin moved = std::move(call.pin());
  EXPECT_FALSE(call.pin());
  Pin assigned;
  assigned = std::move(moved);
  EXPECT_EQ(assigned->word().pins(), 1u);
  assigned.Reset();
  assigned.Reset();
  EXPECT_TRUE(Release("room-1").ok());
}

// ---- The lease

TEST_F(InstanceRegistryTest, IdleContextEndsAtItsDeadlineAndNotBefore) {
  Use("room-1");
  Pass(kTimeout - kNanosecond);
  EXPECT_EQ(registry().size(), 1u);
  // Deadlines are rounded up to the wheel's tick.
  Pass(kNanosecond + kTick);
  EXPECT_EQ(registry().size(), 0u);
  EXPECT_THAT(journal_,
              ElementsAre("created room-1", "expired room-1",
                          "closing room-1 idle", "closed room-1 idle"));
}

TEST_F(InstanceRegistryTest, LeaseRunsFromTheEndOfACallNotItsBegin) {
  FakeCall call("room-1");
  call.Ask(registry());
  Pass(kTimeout * 10);
  call.Finish();
  Pass(kTimeout - kNanosecond);
  EXPECT_EQ(registry().size(), 1u);
  Pass(kNanosecond + kTick);
  EXPECT_EQ(registry().size(), 0u);
}

TEST_F(InstanceRegistryTest, UseRenewsTheLease) {
  Use("room-1");
  Pass(kTimeout - kNanosecond);
  Use("room-1");
  Pass(kTimeout - kNanosecond);
  EXPECT_EQ(registry().size(), 1u);
  Pass(kNanosecond + kTick);
  EXPECT_EQ(registry().size(), 0u);
}

// The lease was found to be over; the call came before the decision.
TEST_F(InstanceRegistryTest, CallThatComesBetweenExpiryAndDecisionWins) {
  Use("room-1");
  clock_.Advance(kTimeout + kTick);
  EXPECT_EQ(registry().RunDueLeases(), 1u);
  FakeCall call("room-1");
  ASSERT_TRUE(call.Ask(registry()));
  EXPECT_FALSE(call.created());
  call.Finish();
  executor_.RunAll();
  EXPECT_EQ(registry().size(), 1u);
  Pass(kTimeout + kTick);
  EXPECT_EQ(registry().size(), 0u);
}

TEST_F(InstanceRegistryTest, CallThatComesAfterTheDecisionGetsAFreshContext) {
  uint64_t generation = 0;
  {
    FakeCall call("room-1");
    call.Ask(registry());
    generation = call.context().generation();
  }
  Pass(kTimeout + kTick);
  FakeCall call("room-1");
  ASSERT_TRUE(call.Ask(registry()));
  EXPECT_TRUE(call.created());
  EXPECT_GT(call.context().generation(), generation);
}

TEST_F(InstanceRegistryTest, CreatingCallMayAskForAShorterIdleTimeout) {
  InstanceRequest request = RequestFor("room-1");
  request.idle_timeout = absl::Seconds(5);
  FakeCall call(request);
  call.Ask(registry());
  EXPECT_EQ(call.context().idle_timeout(), absl::Seconds(5));
  call.Finish();
  Pass(absl::Seconds(5) - kNanosecond);
  EXPECT_EQ(registry().size(), 1u);
  Pass(kNanosecond + kTick);
  EXPECT_EQ(registry().size(), 0u);
}

TEST_F(InstanceRegistryTest, CreatingCallMayAskForALongerIdleTimeout) {
  InstanceRequest request = RequestFor("room-1");
  request.idle_timeout = absl::Hours(1);
  FakeCall call(request);
  call.Ask(registry());
  call.Finish();
  Pass(absl::Hours(1) - kNanosecond);
  EXPECT_EQ(registry().size(), 1u);
  Pass(kNanosecond + kTick);
  EXPECT_EQ(registry().size(), 0u);
}

TEST_F(InstanceRegistryTest, IdleTimeoutIsClampedToTheServersBounds) {
  options_.idle_timeout_min = absl::Seconds(1);
  options_.idle_timeout_max = absl::Seconds(60);
  InstanceRequest request = RequestFor("short");
  request.idle_timeout = absl::ZeroDuration();
  FakeCall low(request);
  low.Ask(registry());
  EXPECT_EQ(low.context().idle_timeout(), absl::Seconds(1));
  request = RequestFor("long");
  request.idle_timeout = absl::Hours(100);
  FakeCall high(request);
  high.Ask(registry());
  EXPECT_EQ(high.context().idle_timeout(), absl::Seconds(60));
}

TEST_F(InstanceRegistryTest, IdleTimeoutOfAnAttachingCallChangesNothing) {
  FakeCall call("room-1");
  call.Ask(registry());
  InstanceRequest request = RequestFor("room-1");
  request.idle_timeout = absl::Seconds(1);
  FakeCall second(request);
  second.Ask(registry());
  EXPECT_EQ(second.context().idle_timeout(), kTimeout);
}

TEST_F(InstanceRegistryTest, NextLeaseDueIsNeverLaterThanTheDeadline) {
  EXPECT_EQ(registry().NextLeaseDue(), Instant::Infinite());
  Use("room-1");
  EXPECT_LE(registry().NextLeaseDue(), clock_.Now() + kTimeout + kTick);
}

// ---- Waiting

class ClosingTest : public InstanceRegistryTest {
 protected:
  // A context of `room-1` whose detach hook has not answered yet.
  void BeginClosing() {
    FakeCall call("room-1");
    call.Ask(registry());
    generation_ = call.context().generation();
    call.context().Attach<First>(journal_, "a", [this](HookDone done) {
      hook_.emplace(std::move(done));
    });
    call.Finish();
    ASSERT_TRUE(Release("room-1").ok());
    executor_.RunAll();
    ASSERT_TRUE(hook_.has_value());
    TakeJournal();
  }
  void EndClosing() {
    (*hook_)();
    hook_.reset();
    executor_.RunAll();
  }

  uint64_t generation_ = 0;
  std::optional<HookDone> hook_;
};

TEST_F(ClosingTest, CallForAClosingContextWaitsAndGetsAFreshOne) {
  BeginClosing();
  FakeCall call("room-1");
  EXPECT_FALSE(call.Ask(registry()));
  EXPECT_EQ(registry().size(), 1u);
  EndClosing();
  ASSERT_TRUE(call.answered());
  EXPECT_TRUE(call.created());
  EXPECT_GT(call.context().generation(), generation_);
  EXPECT_THAT(journal_,
              ElementsAre("closed room-1 released", "-a", "created room-1"));
}

TEST_F(ClosingTest, OfThoseWhoWaitTheFirstCreatesAndTheOthersFindIt) {
  BeginClosing();
  FakeCall first("room-1");
  FakeCall second("room-1");
  FakeCall third("room-1");
  for (FakeCall* call : {&first, &second, &third}) call->Ask(registry());
  EndClosing();
  EXPECT_TRUE(first.created());
  EXPECT_FALSE(second.created());
  EXPECT_FALSE(third.created());
  EXPECT_EQ(&first.context(), &second.context());
  EXPECT_EQ(&first.context(), &third.context());
}

TEST_F(ClosingTest, ThereIsOneContextOfTheKeyWhileItCloses) {
  BeginClosing();
  FakeCall call("room-1");
  call.Ask(registry());
  Pass(options_.detach_timeout - kNanosecond);
  EXPECT_EQ(registry().size(), 1u);
  EXPECT_FALSE(call.answered());
  EndClosing();
  EXPECT_EQ(registry().size(), 1u);
  EXPECT_TRUE(call.created());
}

TEST_F(ClosingTest, CancelledWaitIsNotAnswered) {
  BeginClosing();
  FakeCall first("room-1");
  FakeCall second("room-1");
  FakeCall third("room-1");
  for (FakeCall* call : {&first, &second, &third}) call->Ask(registry());
  EXPECT_TRUE(registry().CancelWait(second));
  EXPECT_FALSE(registry().CancelWait(second));
  EXPECT_TRUE(registry().CancelWait(first));
  EndClosing();
  EXPECT_FALSE(first.answered());
  EXPECT_FALSE(second.answered());
  EXPECT_TRUE(third.created());
}

TEST_F(ClosingTest, CancelOfAnAnsweredWaitIsTooLate) {
  BeginClosing();
  FakeCall call("room-1");
  call.Ask(registry());
  EndClosing();
  EXPECT_FALSE(registry().CancelWait(call));
  EXPECT_TRUE(call.answered());
}

TEST_F(ClosingTest, WithoutWaitersNothingIsOpened) {
  BeginClosing();
  EndClosing();
  EXPECT_EQ(registry().size(), 0u);
}

TEST_F(ClosingTest, WaiterMayEndItsCallAsItIsAnswered) {
  BeginClosing();
  FakeCall call("room-1");
  call.then = [&call] { call.Finish(); };
  call.Ask(registry());
  EndClosing();
  EXPECT_TRUE(Release("room-1").ok());
}

TEST_F(ClosingTest, CallsForOtherKeysDoNotWait) {
  BeginClosing();
  FakeCall call("room-2");
  EXPECT_TRUE(call.Ask(registry()));
  EndClosing();
}

TEST_F(ClosingTest, ReleaseOfAClosingContextIsOk) {
  BeginClosing();
  EXPECT_TRUE(Release("room-1").ok());
  EndClosing();
}

TEST_F(ClosingTest, CallThatExpectsANewOneWaitsAndCreates) {
  BeginClosing();
  FakeCall call("room-1", Expect::kNew);
  EXPECT_FALSE(call.Ask(registry()));
  EndClosing();
  EXPECT_TRUE(call.created());
}

TEST_F(ClosingTest, CallThatExpectsAnExistingOneWaitsAndFindsNone) {
  BeginClosing();
  FakeCall call("room-1", Expect::kExisting);
  EXPECT_FALSE(call.Ask(registry()));
  EndClosing();
  EXPECT_EQ(call.status().code(), Code::kNotFound);
}

TEST_F(ClosingTest, WhoWaitedSecondFindsWhatTheFirstCreated) {
  BeginClosing();
  FakeCall first("room-1");
  FakeCall existing("room-1", Expect::kExisting);
  FakeCall other_new("room-1", Expect::kNew);
  for (FakeCall* call : {&first, &existing, &other_new}) {
    EXPECT_FALSE(call->Ask(registry()));
  }
  EndClosing();
  EXPECT_EQ(&existing.context(), &first.context());
  EXPECT_EQ(other_new.status().code(), Code::kAlreadyExists);
}

// The limit counts contexts, not what their end has not released yet.
TEST_F(ClosingTest, AtTheBoundWhoWaitsGetsThePlaceOfWhatClosed) {
  options_.contexts_max = 1;
  BeginClosing();
  FakeCall call("room-1");
  EXPECT_FALSE(call.Ask(registry()));
  EndClosing();
  ASSERT_TRUE(call.answered());
  EXPECT_TRUE(call.status().ok()) << call.status();
}

// ---- The detach timeout

// A status that says that the hook of `room-1`'s First hangs.
void ExpectHangs(const absl::Status& status) {
  EXPECT_EQ(status.code(), Code::kUnavailable);
  const std::string message(status.message());
  EXPECT_THAT(message, HasSubstr("\"room-1\""));
  EXPECT_THAT(message, HasSubstr("leasehold::First"));
  EXPECT_THAT(message, HasSubstr("--detach-timeout"));
}

TEST_F(ClosingTest, PastTheDetachTimeoutWhoWaitsIsToldWhoseHookHangs) {
  BeginClosing();
  FakeCall first("room-1");
  FakeCall second("room-1");
  first.Ask(registry());
  second.Ask(registry());
  Pass(options_.detach_timeout - kNanosecond);
  EXPECT_FALSE(first.answered());
  Pass(kNanosecond + kTick);
  ASSERT_TRUE(first.answered());
  ExpectHangs(first.status());
  ASSERT_TRUE(second.answered());
  ExpectHangs(second.status());
  EndClosing();
}

TEST_F(ClosingTest, PastTheDetachTimeoutLaterCallersAreToldAtOnce) {
  BeginClosing();
  FakeCall first("room-1");
  first.Ask(registry());
  Pass(options_.detach_timeout + kTick);
  for (const Expect expect : {Expect::kAny, Expect::kNew, Expect::kExisting}) {
    FakeCall later("room-1", expect);
    ASSERT_TRUE(later.Ask(registry()));
    ExpectHangs(later.status());
  }
  EndClosing();
}

TEST_F(ClosingTest, PastTheDetachTimeoutStillNoSecondContextOpens) {
  BeginClosing();
  FakeCall first("room-1");
  first.Ask(registry());
  for (int i = 0; i < 10; ++i) {
    Pass(options_.detach_timeout + kTick);
    FakeCall later("room-1");
    later.Ask(registry());
    EXPECT_EQ(registry().size(), 1u);
    EXPECT_EQ(registry().Describe(RequestFor("room-1").key)->generation,
              generation_);
  }
  EXPECT_THAT(journal_, IsEmpty());
  EndClosing();
  EXPECT_EQ(registry().size(), 0u);
}

TEST_F(ClosingTest, OnceTheHookThatHungHasReturnedAFreshContextOpens) {
  BeginClosing();
  FakeCall first("room-1");
  first.Ask(registry());
  Pass(options_.detach_timeout + kTick);
  EndClosing();
  FakeCall later("room-1");
  ASSERT_TRUE(later.Ask(registry()));
  ASSERT_TRUE(later.status().ok()) << later.status();
  EXPECT_TRUE(later.created());
  EXPECT_GT(later.context().generation(), generation_);
  EXPECT_EQ(later.context().idle_timeout(), kTimeout);
}

TEST_F(ClosingTest, DetachTimeoutRunsFromTheBeginOfTheClosingNotOfTheWait) {
  BeginClosing();
  Pass(options_.detach_timeout - absl::Seconds(1));
  FakeCall call("room-1");
  EXPECT_FALSE(call.Ask(registry()));
  Pass(absl::Seconds(1) - kNanosecond);
  EXPECT_FALSE(call.answered());
  Pass(kNanosecond + kTick);
  ASSERT_TRUE(call.answered());
  ExpectHangs(call.status());
  EndClosing();
}

TEST_F(ClosingTest, FirstToComePastTheDetachTimeoutIsToldSoonAfter) {
  BeginClosing();
  Pass(absl::Hours(1));
  FakeCall call("room-1");
  call.Ask(registry());
  Pass(kTick);
  ASSERT_TRUE(call.answered());
  ExpectHangs(call.status());
  EndClosing();
}

TEST_F(ClosingTest, WhoStopsWaitingIsNotToldButTheOthersAre) {
  BeginClosing();
  FakeCall leaves("room-1");
  FakeCall stays("room-1");
  leaves.Ask(registry());
  stays.Ask(registry());
  EXPECT_TRUE(registry().CancelWait(leaves));
  Pass(options_.detach_timeout + kTick);
  EXPECT_FALSE(leaves.answered());
  ASSERT_TRUE(stays.answered());
  ExpectHangs(stays.status());
  EndClosing();
}

TEST_F(ClosingTest, ClosingThatNobodyWaitsForIsNotTimed) {
  BeginClosing();
  EXPECT_EQ(registry().NextLeaseDue(), Instant::Infinite());
  EndClosing();
}

TEST_F(ClosingTest, HookThatReturnsInTimeLeavesNoTimerBehind) {
  BeginClosing();
  FakeCall call("room-1", Expect::kExisting);
  EXPECT_FALSE(call.Ask(registry()));
  EXPECT_NE(registry().NextLeaseDue(), Instant::Infinite());
  EndClosing();
  EXPECT_EQ(call.status().code(), Code::kNotFound);
  EXPECT_EQ(registry().NextLeaseDue(), Instant::Infinite());
}

TEST_F(ClosingTest, HookThatWasTimedAndHasNotReturnedHoldsTheShutdown) {
  BeginClosing();
  FakeCall call("room-1");
  call.Ask(registry());
  Pass(options_.detach_timeout + kTick);
  Shutdown();
  executor_.RunAll();
  EXPECT_EQ(done_, 0);
  EndClosing();
  EXPECT_EQ(done_, 1);
}

// Second has answered, First has not, and Third comes later.
TEST_F(InstanceRegistryTest, HookThatIsNamedIsTheOneThatRuns) {
  std::optional<HookDone> kept;
  {
    FakeCall call("room-1");
    call.Ask(registry());
    call.context().Attach<Third>(journal_, "c");
    call.context().Attach<First>(journal_, "a", [&kept](HookDone done) {
      kept.emplace(std::move(done));
    });
    call.context().Attach<Second>(journal_, "b");
  }
  EXPECT_TRUE(Release("room-1").ok());
  executor_.RunAll();
  FakeCall call("room-1");
  EXPECT_FALSE(call.Ask(registry()));
  Pass(options_.detach_timeout + kTick);
  ASSERT_TRUE(call.answered());
  ExpectHangs(call.status());
  (*kept)();
  executor_.RunAll();
}

// It came before there was a hook to time.
TEST_F(ClosingTest, WhoWaitedForThePinsOfAForcedReleaseIsToldToo) {
  FakeCall busy("room-1");
  busy.Ask(registry());
  busy.context().Attach<First>(
      journal_, "a", [this](HookDone done) { hook_.emplace(std::move(done)); });
  EXPECT_TRUE(
      registry().Release(RequestFor("room-1").key, /*force=*/true).ok());
  FakeCall call("room-1");
  EXPECT_FALSE(call.Ask(registry()));
  Pass(absl::Hours(1));
  busy.Finish();
  executor_.RunAll();
  Pass(options_.detach_timeout - kNanosecond);
  EXPECT_FALSE(call.answered());
  Pass(kNanosecond + kTick);
  ASSERT_TRUE(call.answered());
  ExpectHangs(call.status());
  EndClosing();
}

// They wait for the context to open; it is taken down instead, and that hangs.
TEST_F(InstanceRegistryTest, WhoWaitsForAFailedOpeningIsToldWhoseHookHangs) {
  std::optional<HookDone> kept;
  FakeInitializer failing{[&](InstanceContext& context, auto&, HookDone done) {
    context.Attach<First>(journal_, "a", [&kept](HookDone detached) {
      kept.emplace(std::move(detached));
    });
    done(absl::PermissionDeniedError("no"));
  }};
  initializers_ = {&failing};
  FakeCall first("room-1");
  FakeCall second("room-1");
  EXPECT_FALSE(first.Ask(registry()));
  executor_.RunAll();
  EXPECT_FALSE(second.Ask(registry()));
  Pass(options_.detach_timeout - kNanosecond);
  EXPECT_FALSE(first.answered());
  Pass(kNanosecond + kTick);
  ASSERT_TRUE(first.answered());
  ExpectHangs(first.status());
  ASSERT_TRUE(second.answered());
  ExpectHangs(second.status());
  EXPECT_EQ(registry().size(), 1u);
  (*kept)();
  executor_.RunAll();
  EXPECT_EQ(registry().size(), 0u);
}

// ---- Expectations and bounds

TEST_F(InstanceRegistryTest, ExpectedNewContextIsCreatedIfThereIsNone) {
  FakeCall call("room-1", Expect::kNew);
  call.Ask(registry());
  EXPECT_TRUE(call.created());
}

TEST_F(InstanceRegistryTest, ExpectedNewContextThatExistsIsAnError) {
  Use("room-1");
  FakeCall call("room-1", Expect::kNew);
  ASSERT_TRUE(call.Ask(registry()));
  EXPECT_EQ(call.status().code(), Code::kAlreadyExists);
  EXPECT_THAT(std::string(call.status().message()), HasSubstr("\"room-1\""));
}

TEST_F(InstanceRegistryTest, RefusedCallDoesNotRenewTheLease) {
  Use("room-1");
  clock_.Advance(kTimeout / 2);
  FakeCall call("room-1", Expect::kNew);
  call.Ask(registry());
  Pass(kTimeout / 2 + kTick);
  EXPECT_EQ(registry().size(), 0u);
}

TEST_F(InstanceRegistryTest, ExpectedExistingContextIsFound) {
  Use("room-1");
  FakeCall call("room-1", Expect::kExisting);
  call.Ask(registry());
  EXPECT_FALSE(call.created());
}

TEST_F(InstanceRegistryTest, ExpectedExistingContextThatIsNotThereIsAnError) {
  FakeCall call("room-1", Expect::kExisting);
  ASSERT_TRUE(call.Ask(registry()));
  EXPECT_EQ(call.status().code(), Code::kNotFound);
  EXPECT_EQ(registry().size(), 0u);
}

TEST_F(InstanceRegistryTest, AtTheBoundNoContextIsCreated) {
  options_.contexts_max = 2;
  Use("room-1");
  Use("room-2");
  FakeCall call("room-3");
  ASSERT_TRUE(call.Ask(registry()));
  EXPECT_EQ(call.status().code(), Code::kResourceExhausted);
  EXPECT_THAT(std::string(call.status().message()),
              HasSubstr("--max-contexts"));
  EXPECT_EQ(registry().size(), 2u);
}

TEST_F(InstanceRegistryTest, AtTheBoundWhatIsThereIsFound) {
  options_.contexts_max = 1;
  Use("room-1");
  FakeCall call("room-1");
  call.Ask(registry());
  EXPECT_TRUE(call.status().ok());
}

TEST_F(InstanceRegistryTest, BoundHasRoomAgainOnceAContextIsGone) {
  options_.contexts_max = 1;
  Use("room-1");
  Pass(kTimeout + kTick);
  FakeCall call("room-2");
  call.Ask(registry());
  EXPECT_TRUE(call.status().ok());
}

// ---- Opening

class OpeningTest : public InstanceRegistryTest {
 protected:
  OpeningTest() { initializers_ = {&initializer_}; }
  void Answer(absl::Status status = absl::OkStatus()) {
    (*hook_)(std::move(status));
    hook_.reset();
    executor_.RunAll();
  }

  std::optional<HookDone> hook_;
  FakeInitializer initializer_{
      [this](InstanceContext&, const InitializerRequest&, HookDone done) {
        hook_.emplace(std::move(done));
      }};
};

TEST_F(OpeningTest, InitializersDoNotRunOnTheCallersThread) {
  FakeCall call("room-1");
  EXPECT_FALSE(call.Ask(registry()));
  EXPECT_EQ(initializer_.runs, 0);
  executor_.RunAll();
  EXPECT_EQ(initializer_.runs, 1);
  Answer();
  EXPECT_TRUE(call.created());
}

TEST_F(OpeningTest, CallsWaitUntilItIsOpenAndShareTheResult) {
  FakeCall first("room-1");
  FakeCall second("room-1");
  EXPECT_FALSE(first.Ask(registry()));
  executor_.RunAll();
  EXPECT_FALSE(second.Ask(registry()));
  EXPECT_THAT(journal_, IsEmpty());
  Answer();
  EXPECT_EQ(initializer_.runs, 1);
  EXPECT_TRUE(first.created());
  EXPECT_FALSE(second.created());
  EXPECT_EQ(&first.context(), &second.context());
  EXPECT_THAT(journal_, ElementsAre("created room-1"));
}

TEST_F(OpeningTest, FailureIsTheAnswerToAllWhoWait) {
  FakeCall first("room-1");
  FakeCall second("room-1");
  first.Ask(registry());
  second.Ask(registry());
  executor_.RunAll();
  Answer(absl::PermissionDeniedError("no"));
  EXPECT_EQ(first.status(), absl::PermissionDeniedError("no"));
  EXPECT_EQ(second.status(), absl::PermissionDeniedError("no"));
  EXPECT_THAT(journal_, ElementsAre("opening failed room-1 no"));
  EXPECT_EQ(registry().size(), 0u);
}

TEST_F(OpeningTest, FailureLeavesNothingBehind) {
  FakeCall first("room-1");
  first.Ask(registry());
  executor_.RunAll();
  Answer(absl::PermissionDeniedError("no"));
  FakeCall second("room-1");
  EXPECT_FALSE(second.Ask(registry()));
  executor_.RunAll();
  Answer();
  EXPECT_TRUE(second.created());
}

TEST_F(OpeningTest, CancelledFirstCallerDoesNotFailTheOthers) {
  FakeCall first("room-1");
  FakeCall second("room-1");
  first.Ask(registry());
  second.Ask(registry());
  executor_.RunAll();
  EXPECT_TRUE(registry().CancelWait(first));
  Answer();
  EXPECT_FALSE(first.answered());
  ASSERT_TRUE(second.answered());
  EXPECT_FALSE(second.created());
}

TEST_F(OpeningTest, ContextOpensThoughEverybodyHasGoneAndItsLeaseRuns) {
  FakeCall call("room-1");
  call.Ask(registry());
  executor_.RunAll();
  EXPECT_TRUE(registry().CancelWait(call));
  Answer();
  Pass(kTimeout - kNanosecond);
  EXPECT_EQ(registry().size(), 1u);
  Pass(kNanosecond + kTick);
  EXPECT_EQ(registry().size(), 0u);
}

TEST_F(OpeningTest, RequestOutlivesTheCallThatMadeIt) {
  std::string seen;
  FakeInitializer late{
      [&](InstanceContext&, const InitializerRequest& request, HookDone done) {
        seen = request.request.key.id;
        done();
      }};
  initializers_.push_back(&late);
  {
    FakeCall call("room-1");
    call.Ask(registry());
    EXPECT_TRUE(registry().CancelWait(call));
  }
  executor_.RunAll();
  Answer();
  EXPECT_EQ(seen, "room-1");
}

// A waiter may be used again, and is the creator only of what it creates.
TEST_F(OpeningTest, WaiterThatIsUsedAgainIsNotTakenForTheCreator) {
  FakeCall call("room-1");
  call.Ask(registry());
  executor_.RunAll();
  Answer();
  EXPECT_TRUE(call.created());
  call.Finish();
  Pass(kTimeout + kTick);
  FakeCall first("room-1");
  first.Ask(registry());
  EXPECT_FALSE(call.Ask(registry()));
  executor_.RunAll();
  Answer();
  EXPECT_TRUE(first.created());
  EXPECT_FALSE(call.created());
}

TEST_F(OpeningTest, ExpectationOfANewOneFailsWhileAnotherCallOpensIt) {
  FakeCall first("room-1");
  FakeCall second("room-1", Expect::kNew);
  first.Ask(registry());
  ASSERT_TRUE(second.Ask(registry()));
  EXPECT_EQ(second.status().code(), Code::kAlreadyExists);
  executor_.RunAll();
  Answer();
}

TEST_F(OpeningTest, ExpectationOfAnExistingOneWaitsForIt) {
  FakeCall first("room-1");
  FakeCall second("room-1", Expect::kExisting);
  first.Ask(registry());
  EXPECT_FALSE(second.Ask(registry()));
  executor_.RunAll();
  Answer();
  EXPECT_TRUE(second.status().ok());
}

TEST_F(OpeningTest, OpeningContextCannotBeReleased) {
  FakeCall call("room-1");
  call.Ask(registry());
  executor_.RunAll();
  EXPECT_EQ(Release("room-1").code(), Code::kFailedPrecondition);
  Answer();
}

TEST_F(InstanceRegistryTest, InitializersRunInOrder) {
  Journal order;
  FakeInitializer first{[&](auto&, auto&, HookDone done) {
    order.push_back("first");
    done();
  }};
  FakeInitializer second{[&](auto&, auto&, HookDone done) {
    order.push_back("second");
    done();
  }};
  initializers_ = {&first, &second};
  Use("room-1");
  EXPECT_THAT(order, ElementsAre("first", "second"));
}

TEST_F(InstanceRegistryTest, AfterAFailedInitializerTheNextDoesNotRun) {
  FakeInitializer first{
      [](auto&, auto&, HookDone) { throw std::runtime_error("no room"); }};
  FakeInitializer second;
  initializers_ = {&first, &second};
  FakeCall call("room-1");
  call.Ask(registry());
  executor_.RunAll();
  EXPECT_EQ(call.status().code(), Code::kInternal);
  EXPECT_THAT(std::string(call.status().message()), HasSubstr("no room"));
  EXPECT_EQ(second.runs, 0);
}

TEST_F(InstanceRegistryTest, WhatInitializersAttachedIsDetachedIfOneFails) {
  FakeInitializer first{[this](InstanceContext& context, auto&, HookDone done) {
    context.Attach<First>(journal_, "a");
    context.Attach<Second>(journal_, "b");
    done();
  }};
  FakeInitializer second{[](auto&, auto&, HookDone done) {
    done(absl::UnavailableError("no store"));
  }};
  initializers_ = {&first, &second};
  FakeCall call("room-1");
  call.Ask(registry());
  executor_.RunAll();
  EXPECT_EQ(call.status(), absl::UnavailableError("no store"));
  EXPECT_THAT(
      journal_,
      ElementsAre("+a", "+b", "b: failed initializer", "a: failed initializer",
                  "opening failed room-1 no store", "-b", "-a"));
}

TEST_F(InstanceRegistryTest, CallDuringTheTakingDownGetsTheFailureToo) {
  std::optional<HookDone> kept;
  FakeInitializer failing{[&](InstanceContext& context, auto&, HookDone done) {
    context.Attach<First>(journal_, "a", [&kept](HookDone detached) {
      kept.emplace(std::move(detached));
    });
    done(absl::UnavailableError("no store"));
  }};
  initializers_ = {&failing};
  FakeCall first("room-1");
  first.Ask(registry());
  executor_.RunAll();
  EXPECT_FALSE(first.answered());
  FakeCall second("room-1");
  EXPECT_FALSE(second.Ask(registry()));
  (*kept)();
  executor_.RunAll();
  EXPECT_EQ(first.status(), absl::UnavailableError("no store"));
  EXPECT_EQ(second.status(), absl::UnavailableError("no store"));
  EXPECT_EQ(failing.runs, 1);
}

TEST_F(InstanceRegistryTest, CallersFindWhatInitializersAttached) {
  FakeInitializer first{[this](InstanceContext& context, auto&, HookDone done) {
    context.Attach<First>(journal_, "a");
    done();
  }};
  initializers_ = {&first};
  FakeCall call("room-1");
  call.Ask(registry());
  executor_.RunAll();
  EXPECT_NE(call.context().Get<First>(), nullptr);
}

// ---- Detaching

TEST_F(InstanceRegistryTest, ExtensionsAreDetachedInReverseAndToldWhy) {
  {
    FakeCall call("room-1");
    call.Ask(registry());
    call.context().Attach<First>(journal_, "a");
    call.context().Attach<Second>(journal_, "b");
    call.context().Attach<Third>(journal_, "c");
  }
  TakeJournal();
  Pass(kTimeout + kTick);
  EXPECT_THAT(journal_, ElementsAre("expired room-1", "closing room-1 idle",
                                    "c: idle", "b: idle", "a: idle",
                                    "closed room-1 idle", "-c", "-b", "-a"));
}

TEST_F(InstanceRegistryTest, DetachHooksRunOneAfterAnother) {
  std::optional<HookDone> kept;
  {
    FakeCall call("room-1");
    call.Ask(registry());
    call.context().Attach<First>(journal_, "a");
    call.context().Attach<Second>(
        journal_, "b", [&](HookDone done) { kept.emplace(std::move(done)); });
  }
  TakeJournal();
  EXPECT_TRUE(Release("room-1").ok());
  executor_.RunAll();
  EXPECT_THAT(TakeJournal(),
              ElementsAre("closing room-1 released", "b: released"));
  (*kept)();
  executor_.RunAll();
  EXPECT_THAT(journal_,
              ElementsAre("a: released", "closed room-1 released", "-b", "-a"));
}

TEST_F(InstanceRegistryTest, DetachThatFailsIsObservedAndTheClosingGoesOn) {
  {
    FakeCall call("room-1");
    call.Ask(registry());
    call.context().Attach<First>(journal_, "a", [](HookDone done) {
      done(absl::DataLossError("bad disk"));
    });
    call.context().Attach<Second>(
        journal_, "b", [](HookDone) { throw std::runtime_error("oh"); });
    call.context().Attach<Third>(journal_, "c", [](HookDone) {});
  }
  TakeJournal();
  Pass(kTimeout + kTick);
  EXPECT_THAT(
      journal_,
      ElementsAre("expired room-1", "closing room-1 idle", "c: idle",
                  "detach failed room-1 leasehold::Third the hook dropped its "
                  "`done` without an answer",
                  "b: idle",
                  "detach failed room-1 leasehold::Second it threw: oh",
                  "a: idle", "detach failed room-1 leasehold::First bad disk",
                  "closed room-1 idle", "-c", "-b", "-a"));
  EXPECT_EQ(registry().size(), 0u);
}

TEST_F(InstanceRegistryTest, WhatAHookAttachesIsDestroyedUntold) {
  {
    FakeCall call("room-1");
    call.Ask(registry());
    InstanceContext* context = &call.context();
    context->Attach<First>(journal_, "a", [this, context](HookDone done) {
      context->Attach<Second>(journal_, "b");
      done();
    });
  }
  TakeJournal();
  EXPECT_TRUE(Release("room-1").ok());
  executor_.RunAll();
  EXPECT_THAT(journal_,
              ElementsAre("closing room-1 released", "a: released", "+b",
                          "closed room-1 released", "-b", "-a"));
}

// ---- Release

TEST_F(InstanceRegistryTest, ReleaseClosesAnIdleContext) {
  Use("room-1");
  EXPECT_TRUE(Release("room-1").ok());
  executor_.RunAll();
  EXPECT_EQ(registry().size(), 0u);
  EXPECT_THAT(journal_, ElementsAre("created room-1", "closing room-1 released",
                                    "closed room-1 released"));
  EXPECT_EQ(registry().NextLeaseDue(), Instant::Infinite());
}

TEST_F(InstanceRegistryTest, ReleaseOfABusyContextIsRefused) {
  FakeCall call("room-1");
  call.Ask(registry());
  const absl::Status status = Release("room-1");
  EXPECT_EQ(status.code(), Code::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("busy with 1 pin;"));
  EXPECT_EQ(call.context().word().state(), ContextState::kOpen);
}

TEST_F(InstanceRegistryTest, ReleaseOfTheUnknownIsNotFound) {
  const absl::Status status = Release("room-1");
  EXPECT_EQ(status.code(), Code::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("\"room-1\""));
}

TEST_F(InstanceRegistryTest, ReleaseBetweenExpiryAndDecisionClosesOnce) {
  Use("room-1");
  clock_.Advance(kTimeout + kTick);
  registry().RunDueLeases();
  EXPECT_TRUE(Release("room-1").ok());
  executor_.RunAll();
  EXPECT_THAT(journal_, ElementsAre("created room-1", "closing room-1 released",
                                    "closed room-1 released"));
}

// ---- Shutdown

TEST_F(InstanceRegistryTest, ShutdownOfAnEmptyRegistryIsDoneAtOnce) {
  registry();
  Shutdown();
  EXPECT_EQ(done_, 1);
}

TEST_F(InstanceRegistryTest, ShutdownClosesIdleContextsNow) {
  Use("room-1");
  Use("room-2");
  Shutdown();
  EXPECT_EQ(done_, 0);
  executor_.RunAll();
  EXPECT_EQ(done_, 1);
  EXPECT_THAT(journal_,
              ElementsAre("created room-1", "created room-2",
                          "closing room-1 shutdown", "closed room-1 shutdown",
                          "closing room-2 shutdown", "closed room-2 shutdown"));
}

TEST_F(InstanceRegistryTest, ShutdownClosesTheOldestFirst) {
  Journal expected;
  for (int i = 0; i < 100; ++i) {
    const std::string id = std::to_string(i);
    Use(id);
    expected.push_back("closing " + id + " shutdown");
    expected.push_back("closed " + id + " shutdown");
  }
  TakeJournal();
  Shutdown();
  executor_.RunAll();
  EXPECT_EQ(journal_, expected);
}

TEST_F(InstanceRegistryTest, ShutdownClosesABusyContextAtItsLastUnpin) {
  FakeCall call("room-1");
  call.Ask(registry());
  Pin clone = call.pin().Clone();
  Shutdown();
  executor_.RunAll();
  call.Finish();
  executor_.RunAll();
  EXPECT_EQ(done_, 0);
  clone.Reset();
  executor_.RunAll();
  EXPECT_EQ(done_, 1);
}

TEST_F(InstanceRegistryTest, ShutdownRefusesNewContexts) {
  FakeCall busy("room-1");
  busy.Ask(registry());
  Shutdown();
  FakeCall call("room-2");
  ASSERT_TRUE(call.Ask(registry()));
  EXPECT_EQ(call.status().code(), Code::kUnavailable);
}

TEST_F(InstanceRegistryTest, CallsFindABusyContextDuringShutdown) {
  FakeCall busy("room-1");
  busy.Ask(registry());
  Shutdown();
  FakeCall call("room-1");
  ASSERT_TRUE(call.Ask(registry()));
  EXPECT_TRUE(call.status().ok());
}

TEST_F(ClosingTest, ShutdownWakesWhoWaitsForAClosingContext) {
  BeginClosing();
  FakeCall call("room-1");
  call.Ask(registry());
  Shutdown();
  EndClosing();
  ASSERT_TRUE(call.answered());
  EXPECT_EQ(call.status().code(), Code::kUnavailable);
  EXPECT_EQ(done_, 1);
}

TEST_F(ClosingTest, ShutdownWaitsForADetachThatIsUnderWay) {
  BeginClosing();
  Shutdown();
  executor_.RunAll();
  EXPECT_EQ(done_, 0);
  EndClosing();
  EXPECT_EQ(done_, 1);
}

TEST_F(OpeningTest, ShutdownLetsAnOpeningContextServeThoseWhoWait) {
  FakeCall call("room-1");
  call.Ask(registry());
  executor_.RunAll();
  Shutdown();
  Answer();
  ASSERT_TRUE(call.answered());
  EXPECT_TRUE(call.status().ok());
  EXPECT_EQ(done_, 0);
  call.Finish();
  executor_.RunAll();
  EXPECT_EQ(done_, 1);
}

TEST_F(OpeningTest, ShutdownClosesAnOpeningContextThatNobodyWaitsFor) {
  FakeCall call("room-1");
  call.Ask(registry());
  executor_.RunAll();
  EXPECT_TRUE(registry().CancelWait(call));
  Shutdown();
  Answer();
  EXPECT_EQ(done_, 1);
}

TEST_F(InstanceRegistryTest, ShutdownMayDestroyTheRegistryWhenDone) {
  Use("room-1");
  FakeCall call("room-2");
  call.Ask(registry());
  registry().Shutdown([this] { registry_.reset(); });
  executor_.RunAll();
  EXPECT_NE(registry_, nullptr);
  call.Finish();
  executor_.RunAll();
  EXPECT_EQ(registry_, nullptr);
}

// Another thread may shut the registry down, and run all pending tasks, while
// this one is still inside the unpin: the registry must wait for it. The
// observer acts as the other thread.
TEST_F(InstanceRegistryTest, ShutdownWaitsForAnUnpinThatIsUnderWay) {
  watch_use_ = true;
  FakeCall call("room-1");
  call.Ask(registry());
  noting_.then = [&](const InstanceEvent& event) {
    if (event.kind != InstanceEventKind::kIdle) return;
    Shutdown();
    executor_.RunAll();
    EXPECT_EQ(registry().size(), 0u);
    EXPECT_EQ(done_, 0);
  };
  call.Finish();
  EXPECT_EQ(done_, 1);
}

// ---- Observers

TEST_F(InstanceRegistryTest, UsesAreObservedIfTheObserverWantsThem) {
  watch_use_ = true;
  Use("room-1");
  Use("room-1");
  Pass(kTimeout + kTick);
  EXPECT_THAT(journal_,
              ElementsAre("created room-1", "idle room-1", "busy room-1",
                          "idle room-1", "expired room-1",
                          "closing room-1 idle", "closed room-1 idle"));
}

TEST_F(InstanceRegistryTest, OnlyTheFirstPinAndTheLastUnpinAreUseEvents) {
  watch_use_ = true;
  FakeCall first("room-1");
  FakeCall second("room-1");
  first.Ask(registry());
  second.Ask(registry());
  first.Finish();
  EXPECT_THAT(journal_, ElementsAre("created room-1"));
  second.Finish();
  EXPECT_THAT(journal_, ElementsAre("created room-1", "idle room-1"));
}

TEST_F(InstanceRegistryTest, RegistryNeedsNoObserver) {
  observers_.clear();
  Use("room-1");
  Pass(kTimeout + kTick);
  EXPECT_EQ(registry().size(), 0u);
}

}  // namespace
}  // namespace leasehold
