// Calls that wait for a context that closes, how long they do, and its hooks.

#include <optional>
#include <stdexcept>
#include <string>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/instance/registry_fixture.h"

namespace leasehold {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

using Code = absl::StatusCode;

// ---- Waiting

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

TEST_F(ClosingTest, TheSecondWaitingCallFindsWhatTheFirstCreated) {
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
TEST_F(ClosingTest, AtTheBoundAWaitingCallGetsThePlaceOfTheClosedContext) {
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

TEST_F(ClosingTest, PastTheDetachTimeoutWaitingCallsLearnWhoseHookHangs) {
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

TEST_F(ClosingTest, ACallThatStopsWaitingIsNotToldButTheOthersAre) {
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
TEST_F(ClosingTest, CallsThatWaitedForThePinsOfAForcedReleaseAreToldToo) {
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
TEST_F(InstanceRegistryTest,
       CallsThatWaitForAFailedOpeningLearnWhoseHookHangs) {
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

}  // namespace
}  // namespace leasehold
