// Initializers, and the calls that wait for them.

#include <optional>
#include <stdexcept>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/instance/registry_fixture.h"

namespace leasehold {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

using Code = absl::StatusCode;

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

}  // namespace
}  // namespace leasehold
