// The part of the registry that inspects and manages contexts from outside:
// Describe, KeepAlive, SetIdleTimeout; and the idle timeouts of services.

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "service/instance/held_pin.h"
#include "tests/instance/admin_fixture.h"

namespace leasehold {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;
using testing::UnorderedElementsAre;

using Code = absl::StatusCode;

// ---- Describe

TEST_F(AdminTest, UnknownInstanceIsNotDescribed) {
  EXPECT_EQ(Describe("room-1"), std::nullopt);
  Use("room-1");
  EXPECT_NE(Describe("room-1"), std::nullopt);
  EXPECT_EQ(registry().Describe({.tenant = "red", .id = "room-1"}),
            std::nullopt);
}

TEST_F(AdminTest, DescriptionSaysWhichContextItIs) {
  const absl::Time created = clock_.WallNow();
  InstanceRequest request = RequestFor("room-1");
  request.key.tenant = "red";
  request.idle_timeout = absl::Seconds(5);
  FakeCall call(request);
  call.Ask(registry());
  clock_.Advance(absl::Seconds(1));
  const auto info = registry().Describe(request.key);
  ASSERT_TRUE(info.has_value());
  EXPECT_EQ(info->key, request.key);
  EXPECT_EQ(info->generation, call.context().generation());
  EXPECT_EQ(info->idle_timeout, absl::Seconds(5));
  EXPECT_EQ(info->create_time, created);
}

TEST_F(AdminOpeningTest, ContextIsOpeningWhileItsInitializersRun) {
  FakeCall call("room-1");
  call.Ask(registry());
  executor_.RunAll();
  const auto info = Describe("room-1");
  EXPECT_EQ(info->state, InstanceState::kOpening);
  EXPECT_THAT(info->pins, IsEmpty());
  EXPECT_EQ(info->lease_remaining, std::nullopt);
  EndClosing();
  EXPECT_EQ(StateOf("room-1"), InstanceState::kBusy);
}

TEST_F(AdminTest, BusyContextIsInUseNowAndHasNoLeaseThatRuns) {
  FakeCall call("room-1");
  call.Ask(registry());
  clock_.Advance(absl::Seconds(7));
  const auto info = Describe("room-1");
  EXPECT_EQ(info->state, InstanceState::kBusy);
  EXPECT_EQ(info->lease_remaining, std::nullopt);
  EXPECT_EQ(info->last_use_time, clock_.WallNow());
  EXPECT_EQ(info->idle_timeout, kTimeout);
}

TEST_F(AdminTest, IdleContextSaysItsLastUseAndWhatRemainsOfItsLease) {
  clock_.Advance(absl::Seconds(3));
  Use("room-1");
  const absl::Time used = clock_.WallNow();
  Pass(absl::Seconds(7));
  const auto info = Describe("room-1");
  EXPECT_EQ(info->state, InstanceState::kIdle);
  EXPECT_EQ(info->lease_remaining, kTimeout - absl::Seconds(7));
  EXPECT_EQ(info->last_use_time, used);
  EXPECT_THAT(info->pins, IsEmpty());
}

TEST_F(AdminTest, LeaseThatIsOverHasNothingLeftAndNotLess) {
  Use("room-1");
  clock_.Advance(kTimeout * 2);
  EXPECT_EQ(Describe("room-1")->lease_remaining, absl::ZeroDuration());
}

TEST_F(AdminTest, IdleContextWithoutALeaseSaysThatItHasNone) {
  FakeProvider provider{/*leased=*/false};
  provider.idle = false;
  provider_ = &provider;
  Use("room-1");
  const auto info = Describe("room-1");
  EXPECT_EQ(info->state, InstanceState::kIdle);
  EXPECT_EQ(info->lease_remaining, std::nullopt);
  Shutdown();
  executor_.RunAll();
  registry_.reset();
}

TEST_F(AdminTest, ContextIsClosingWhileItsHooksRun) {
  BeginClosing();
  const auto info = Describe("room-1");
  EXPECT_EQ(info->state, InstanceState::kClosing);
  EXPECT_EQ(info->lease_remaining, std::nullopt);
  EXPECT_EQ(info->idle_timeout, kTimeout);
  EndClosing();
  EXPECT_EQ(Describe("room-1"), std::nullopt);
}

// The lease then times the hooks, which callers do not need to know.
TEST_F(AdminTest, IdleTimeoutIsDescribedAsItIsWhileSomebodyWaitsForTheClosing) {
  BeginClosing();
  FakeCall call("room-1");
  EXPECT_FALSE(call.Ask(registry()));
  EXPECT_EQ(Describe("room-1")->idle_timeout, kTimeout);
  EndClosing();
}

TEST_F(AdminTest, IdleTimeoutIsToldAsItIsThoughSomebodyWaitedForTheClosing) {
  std::optional<absl::Duration> told;
  noting_.then = [&told](const InstanceEvent& event) {
    if (event.kind == InstanceEventKind::kClosed) told = event.idle_timeout;
  };
  BeginClosing();
  FakeCall call("room-1");
  EXPECT_FALSE(call.Ask(registry()));
  EndClosing();
  noting_.then = nullptr;
  EXPECT_EQ(told, kTimeout);
}

TEST_F(AdminTest, PinsAreCountedByKind) {
  FakeCall call("room-1");
  call.Ask(registry());
  Pin second = call.pin().Clone();
  const HeldPin stream(call.pin().Clone(), PinKind::kEchoStream, nullptr);
  const HeldPin join(call.pin().Clone(), PinKind::kJoin, nullptr);
  const HeldPin hold(call.pin().Clone(), PinKind::kHold, nullptr);
  const HeldPin other_hold(call.pin().Clone(), PinKind::kHold, nullptr);
  const HeldPin work(call.pin().Clone(), PinKind::kWorkItem, nullptr);
  const auto info = Describe("room-1");
  EXPECT_EQ(info->pins.size(), 5u) << "a kind stands there twice";
  EXPECT_THAT(PinsOf(*info),
              UnorderedElementsAre(Pair("call", 2), Pair("echo-stream", 1),
                                   Pair("join", 1), Pair("hold", 2),
                                   Pair("work-item", 1)));
}

TEST_F(AdminTest, HeldPinThatWasLetGoIsNotCounted) {
  FakeCall call("room-1");
  call.Ask(registry());
  auto join =
      std::make_unique<HeldPin>(call.pin().Clone(), PinKind::kJoin, nullptr);
  const HeldPin hold(call.pin().Clone(), PinKind::kHold, nullptr);
  auto work = std::make_unique<HeldPin>(call.pin().Clone(), PinKind::kWorkItem,
                                        nullptr);
  call.Finish();
  join.reset();
  EXPECT_THAT(PinsOf(*Describe("room-1")),
              UnorderedElementsAre(Pair("hold", 1), Pair("work-item", 1)));
  work.reset();
  EXPECT_THAT(PinsOf(*Describe("room-1")),
              UnorderedElementsAre(Pair("hold", 1)));
}

TEST_F(AdminTest, HeldPinKeepsTheContextBusyForAsLongAsItIsThere) {
  FakeCall call("room-1");
  call.Ask(registry());
  auto hold =
      std::make_unique<HeldPin>(std::move(call.pin()), PinKind::kHold, nullptr);
  Pass(kTimeout * 100);
  EXPECT_EQ(StateOf("room-1"), InstanceState::kBusy);
  EXPECT_EQ(Release("room-1").code(), Code::kFailedPrecondition);
  hold.reset();
  executor_.RunAll();
  EXPECT_EQ(StateOf("room-1"), InstanceState::kIdle);
  ExpectEndsAfter(kTimeout);
}

TEST_F(AdminTest, ExtensionsAreDescribedInTheOrderOfTheirAttachment) {
  FakeCall call("room-1");
  call.Ask(registry());
  EXPECT_THAT(Describe("room-1")->extensions, IsEmpty());
  call.context().Attach<Second>(journal_, "b");
  call.context().Attach<Third>(journal_, "c");
  call.context().Attach<First>(journal_, "a");
  EXPECT_THAT(
      Describe("room-1")->extensions,
      ElementsAre("leasehold::Second", "leasehold::Third", "leasehold::First"));
  call.context().Detach<Third>();
  EXPECT_THAT(Describe("room-1")->extensions,
              ElementsAre("leasehold::Second", "leasehold::First"));
  executor_.RunAll();
}

// ---- KeepAlive

TEST_F(AdminTest, KeepAliveRenewsTheLease) {
  Use("room-1");
  Pass(absl::Seconds(15));
  const absl::StatusOr<InstanceInfo> info = KeepAlive("room-1");
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->state, InstanceState::kIdle);
  EXPECT_EQ(info->lease_remaining, kTimeout);
  EXPECT_EQ(info->last_use_time, clock_.WallNow());
  ExpectEndsAfter(kTimeout);
}

TEST_F(AdminTest, KeepAliveIsObserved) {
  Use("room-1");
  ASSERT_TRUE(KeepAlive("room-1").ok());
  EXPECT_THAT(journal_, ElementsAre("created room-1", "renewed room-1"));
}

TEST_F(AdminTest, KeepAliveOfABusyContextLeavesItBusy) {
  FakeCall call("room-1");
  call.Ask(registry());
  const absl::StatusOr<InstanceInfo> info = KeepAlive("room-1");
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->state, InstanceState::kBusy);
  EXPECT_THAT(PinsOf(*info), UnorderedElementsAre(Pair("call", 1)));
  call.Finish();
  ExpectEndsAfter(kTimeout);
}

TEST_F(AdminTest, KeepAliveOfTheUnknownIsNotFoundAndMakesNothing) {
  const absl::Status status = KeepAlive("room-1").status();
  EXPECT_EQ(status.code(), Code::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("\"room-1\""));
  EXPECT_EQ(registry().size(), 0u);
  EXPECT_THAT(journal_, IsEmpty());
}

TEST_F(AdminTest, KeepAliveOfAClosingContextIsNotFoundAndNotObserved) {
  BeginClosing();
  EXPECT_EQ(KeepAlive("room-1").status().code(), Code::kNotFound);
  EXPECT_THAT(journal_, IsEmpty());
  EndClosing();
}

TEST_F(AdminTest, KeepAliveThatComesBetweenExpiryAndDecisionWins) {
  Use("room-1");
  clock_.Advance(kTimeout + kTick);
  EXPECT_EQ(registry().RunDueLeases(), 1u);
  EXPECT_TRUE(KeepAlive("room-1").ok());
  executor_.RunAll();
  ExpectEndsAfter(kTimeout);
}

TEST_F(AdminTest, KeepAliveBetweenQuestionAndCloseKeepsItOpen) {
  FakeProvider provider{/*leased=*/true};
  provider_ = &provider;
  provider.meanwhile = [&](InstanceContext&) {
    if (provider.asked == 1) {
      EXPECT_TRUE(KeepAlive("room-1").ok());
    }
  };
  Use("room-1");
  Pass(kTimeout + kTick);
  EXPECT_EQ(provider.asked, 1);
  ExpectEndsAfter(kTimeout);
  EXPECT_THAT(journal_,
              ElementsAre("created room-1", "renewed room-1", "expired room-1",
                          "closing room-1 idle", "closed room-1 idle"));
  registry_->Shutdown([] {});
  registry_.reset();  // Before its provider.
}

TEST_F(AdminTest, KeepAliveOfAClosingContextDoesNotProlongTheDetachTimeout) {
  BeginClosing();
  FakeCall call("room-1");
  EXPECT_FALSE(call.Ask(registry()));
  Pass(options_.detach_timeout - absl::Seconds(1));
  EXPECT_EQ(KeepAlive("room-1").status().code(), Code::kNotFound);
  Pass(absl::Seconds(1) + kTick);
  ASSERT_TRUE(call.answered());
  EXPECT_EQ(call.status().code(), Code::kUnavailable);
  EndClosing();
}

// ---- SetIdleTimeout

TEST_F(AdminTest, IdleTimeoutThatIsSetIsClampedToTheServersBounds) {
  options_.idle_timeout_min = absl::Seconds(1);
  options_.idle_timeout_max = absl::Seconds(60);
  Use("room-1");
  EXPECT_EQ(SetIdleTimeout("room-1", absl::ZeroDuration())->idle_timeout,
            absl::Seconds(1));
  EXPECT_EQ(SetIdleTimeout("room-1", absl::Hours(1))->idle_timeout,
            absl::Seconds(60));
  EXPECT_EQ(SetIdleTimeout("room-1", absl::Seconds(2))->idle_timeout,
            absl::Seconds(2));
}

TEST_F(AdminTest, ShortenedLeaseEndsAtLastUsePlusTheNewTimeout) {
  Use("room-1");
  Pass(absl::Seconds(3));
  const auto info = SetIdleTimeout("room-1", absl::Seconds(10));
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->lease_remaining, absl::Seconds(7));
  ExpectEndsAfter(absl::Seconds(7));
}

TEST_F(AdminTest, LeaseThatIsShortenedBelowItsAgeEndsAtOnce) {
  Use("room-1");
  Pass(absl::Seconds(10));
  EXPECT_TRUE(SetIdleTimeout("room-1", absl::Seconds(5)).ok());
  EXPECT_LE(registry().NextLeaseDue(), clock_.Now());
  Pass(kTick);
  EXPECT_EQ(registry().size(), 0u);
}

TEST_F(AdminTest, LengthenedLeaseEndsAtLastUsePlusTheNewTimeout) {
  Use("room-1");
  Pass(absl::Seconds(3));
  EXPECT_TRUE(SetIdleTimeout("room-1", absl::Seconds(100)).ok());
  ExpectEndsAfter(absl::Seconds(97));
}

TEST_F(AdminTest, TimeoutThatIsSetWhileBusyCountsFromTheLastUnpin) {
  FakeCall call("room-1");
  call.Ask(registry());
  EXPECT_TRUE(SetIdleTimeout("room-1", absl::Seconds(5)).ok());
  Pass(kTimeout * 3);
  call.Finish();
  executor_.RunAll();
  ExpectEndsAfter(absl::Seconds(5));
}

TEST_F(AdminTest, LeaseThatIsLengthenedBetweenQuestionAndCloseRunsOn) {
  FakeProvider provider{/*leased=*/true};
  provider_ = &provider;
  provider.meanwhile = [&](InstanceContext&) {
    if (provider.asked == 1) {
      EXPECT_TRUE(SetIdleTimeout("room-1", kTimeout * 2).ok());
    }
  };
  Use("room-1");
  Pass(kTimeout + kTick);
  ExpectEndsAfter(kTimeout - kTick);
  registry_->Shutdown([] {});
  registry_.reset();  // Before its provider.
}

TEST_F(AdminTest, SetIdleTimeoutOfTheUnknownIsNotFoundAndMakesNothing) {
  EXPECT_EQ(SetIdleTimeout("room-1", kTimeout).status().code(),
            Code::kNotFound);
  EXPECT_EQ(registry().size(), 0u);
}

TEST_F(AdminTest, SetIdleTimeoutOfAClosingContextIsNotFound) {
  BeginClosing();
  EXPECT_EQ(SetIdleTimeout("room-1", absl::Hours(1)).status().code(),
            Code::kNotFound);
  EXPECT_EQ(Describe("room-1")->idle_timeout, kTimeout);
  EndClosing();
}

// ---- The idle timeouts of services

InstanceRequest ServiceRequest(absl::Duration wanted) {
  InstanceRequest request = RequestFor("room-1");
  request.service_idle_timeout = wanted;
  return request;
}

class ServiceTimeoutTest : public AdminOpeningTest {
 protected:
  ServiceTimeoutTest() { initializers_.clear(); }
  // A call of a service that wants that timeout begins and ends.
  void Touch(absl::Duration wanted) {
    FakeCall call(ServiceRequest(wanted));
    call.Ask(registry());
    ASSERT_TRUE(call.answered());
    ASSERT_TRUE(call.status().ok()) << call.status();
  }
  absl::Duration timeout() { return Describe("room-1")->idle_timeout; }
};

TEST_F(ServiceTimeoutTest, ContextHasTheTimeoutOfTheServiceThatMadeIt) {
  Touch(absl::Seconds(5));
  EXPECT_EQ(timeout(), absl::Seconds(5));
  ExpectEndsAfter(absl::Seconds(5));
}

TEST_F(ServiceTimeoutTest, LargestOfTheServicesThatTouchedItCounts) {
  Touch(absl::Seconds(5));
  Touch(absl::Seconds(60));
  Touch(absl::Seconds(30));
  EXPECT_EQ(timeout(), absl::Seconds(60));
  ExpectEndsAfter(absl::Seconds(60));
}

TEST_F(ServiceTimeoutTest, ServicesTimeoutIsClampedToTheServersBounds) {
  options_.idle_timeout_max = absl::Seconds(60);
  Touch(absl::Seconds(5));
  Touch(absl::Hours(1));
  EXPECT_EQ(timeout(), absl::Seconds(60));
}

TEST_F(ServiceTimeoutTest, ServicesThatWaitedWhileItOpenedCountToo) {
  initializers_ = {&initializer_};
  FakeCall first(ServiceRequest(absl::Seconds(5)));
  FakeCall second(ServiceRequest(absl::Seconds(60)));
  FakeCall third(ServiceRequest(absl::Seconds(30)));
  for (FakeCall* call : {&first, &second, &third}) {
    EXPECT_FALSE(call->Ask(registry()));
  }
  executor_.RunAll();
  EndClosing();
  EXPECT_EQ(third.context().idle_timeout(), absl::Seconds(60));
}

TEST_F(ServiceTimeoutTest, ServicesThatWaitedForAClosingOneCountForTheNext) {
  BeginClosing();
  FakeCall first(ServiceRequest(absl::Seconds(30)));
  FakeCall second(ServiceRequest(absl::Seconds(60)));
  EXPECT_FALSE(first.Ask(registry()));
  EXPECT_FALSE(second.Ask(registry()));
  EXPECT_EQ(timeout(), kTimeout);
  EndClosing();
  EXPECT_EQ(timeout(), absl::Seconds(60));
}

TEST_F(ServiceTimeoutTest, ServiceDoesNotLengthenWhatAHeaderChose) {
  InstanceRequest request = ServiceRequest(absl::Seconds(30));
  request.idle_timeout = absl::Seconds(5);
  {
    FakeCall call(request);
    call.Ask(registry());
  }
  Touch(absl::Seconds(60));
  EXPECT_EQ(timeout(), absl::Seconds(5));
}

TEST_F(ServiceTimeoutTest, AWaitingCallDoesNotLengthenWhatAHeaderChose) {
  initializers_ = {&initializer_};
  InstanceRequest request = ServiceRequest(absl::Seconds(30));
  request.idle_timeout = absl::Seconds(5);
  FakeCall first(request);
  FakeCall second(ServiceRequest(absl::Seconds(60)));
  EXPECT_FALSE(first.Ask(registry()));
  EXPECT_FALSE(second.Ask(registry()));
  executor_.RunAll();
  EndClosing();
  EXPECT_EQ(timeout(), absl::Seconds(5));
}

TEST_F(ServiceTimeoutTest, ServiceDoesNotLengthenWhatSetIdleTimeoutChose) {
  Touch(absl::Seconds(30));
  EXPECT_TRUE(SetIdleTimeout("room-1", absl::Seconds(5)).ok());
  Touch(absl::Seconds(60));
  EXPECT_EQ(timeout(), absl::Seconds(5));
  ExpectEndsAfter(absl::Seconds(5));
}

TEST_F(ServiceTimeoutTest, CallThatIsRefusedDoesNotLengthenIt) {
  Touch(absl::Seconds(5));
  InstanceRequest request = ServiceRequest(absl::Seconds(60));
  request.expect = Expect::kNew;
  FakeCall call(request);
  ASSERT_TRUE(call.Ask(registry()));
  EXPECT_EQ(call.status().code(), Code::kAlreadyExists);
  EXPECT_EQ(timeout(), absl::Seconds(5));
}

}  // namespace
}  // namespace leasehold
