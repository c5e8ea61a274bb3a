#include "service/instance/instance_registry.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/instance/registry_fixture.h"

namespace leasehold {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

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

TEST_F(ClosingTest, ShutdownWakesCallsThatWaitForAClosingContext) {
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
