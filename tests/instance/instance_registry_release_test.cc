// InstanceRegistry::Release with force, and what the holders of a context are
// told; what an embedder's code throws.

#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "service/instance/held_pin.h"
#include "tests/instance/admin_fixture.h"

namespace leasehold {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;
using testing::UnorderedElementsAre;

using Code = absl::StatusCode;

// ---- Release

TEST_F(AdminTest, ForcedReleaseOfTheUnknownIsNotFound) {
  int closed = 0;
  EXPECT_EQ(Force("room-1", [&] { ++closed; }).code(), Code::kNotFound);
  executor_.RunAll();
  EXPECT_EQ(closed, 0);
}

TEST_F(AdminTest, ForcedReleaseOfAnIdleContextClosesIt) {
  Use("room-1");
  EXPECT_TRUE(Force("room-1").ok());
  executor_.RunAll();
  EXPECT_THAT(journal_, ElementsAre("created room-1", "closing room-1 released",
                                    "closed room-1 released"));
  EXPECT_EQ(registry().NextLeaseDue(), Instant::Infinite());
}

TEST_F(AdminTest, ForcedReleaseWaitsForThePinsAndThenCloses) {
  FakeCall call("room-1");
  call.Ask(registry());
  call.context().Attach<First>(journal_, "a");
  Pin clone = call.pin().Clone();
  EXPECT_TRUE(Force("room-1").ok());
  executor_.RunAll();
  TakeJournal();
  call.Finish();
  executor_.RunAll();
  EXPECT_THAT(journal_, IsEmpty());
  EXPECT_EQ(clone->Get<First>()->name(), "a");
  clone.Reset();
  executor_.RunAll();
  EXPECT_THAT(journal_, ElementsAre("closing room-1 released", "a: released",
                                    "closed room-1 released", "-a"));
}

TEST_F(AdminTest, ContextThatIsReleasedByForceIsClosingAndSaysItsPins) {
  FakeCall call("room-1");
  call.Ask(registry());
  EXPECT_TRUE(Force("room-1").ok());
  const auto info = Describe("room-1");
  EXPECT_EQ(info->state, InstanceState::kClosing);
  EXPECT_THAT(PinsOf(*info), UnorderedElementsAre(Pair("call", 1)));
}

TEST_F(AdminTest, AForcedReleaseTakesNoNewPinsAndWaitingCallsGetAFreshContext) {
  FakeCall busy("room-1");
  busy.Ask(registry());
  const uint64_t generation = busy.context().generation();
  EXPECT_TRUE(Force("room-1").ok());
  FakeCall call("room-1");
  EXPECT_FALSE(call.Ask(registry()));
  executor_.RunAll();
  EXPECT_FALSE(call.answered());
  EXPECT_EQ(registry().size(), 1u);
  busy.Finish();
  executor_.RunAll();
  ASSERT_TRUE(call.answered());
  EXPECT_TRUE(call.created());
  EXPECT_GT(call.context().generation(), generation);
}

// It waits for calls, not for a hook: no hook hangs.
TEST_F(AdminTest, AWaitForThePinsOfAForcedReleaseMayLast) {
  FakeCall busy("room-1");
  busy.Ask(registry());
  busy.context().Attach<First>(journal_, "a");
  EXPECT_TRUE(Force("room-1").ok());
  FakeCall call("room-1");
  EXPECT_FALSE(call.Ask(registry()));
  Pass(options_.detach_timeout * 100);
  EXPECT_FALSE(call.answered());
  busy.Finish();
  executor_.RunAll();
  EXPECT_TRUE(call.created());
}

TEST_F(AdminOpeningTest, OpeningContextIsReleasedByForceAlone) {
  FakeCall call("room-1");
  call.Ask(registry());
  executor_.RunAll();
  EXPECT_EQ(Release("room-1").code(), Code::kFailedPrecondition);
  int told = 0;
  EXPECT_TRUE(Force("room-1", [&told] { ++told; }).ok());
  EXPECT_EQ(call.status().code(), Code::kAborted);
  executor_.RunAll();
  EXPECT_EQ(told, 1);
  EXPECT_EQ(registry().size(), 0u);
}

TEST_F(AdminTest, AHolderIsToldOnceOfAForcedRelease) {
  const auto first = std::make_shared<FakeListener>();
  const auto second = std::make_shared<FakeListener>();
  FakeCall call("room-1");
  call.Ask(registry());
  const HeldPin one(call.pin().Clone(), PinKind::kHold, first);
  const HeldPin two(call.pin().Clone(), PinKind::kJoin, second);
  const HeldPin deaf(call.pin().Clone(), PinKind::kHold, nullptr);
  EXPECT_EQ(Release("room-1").code(), Code::kFailedPrecondition);
  EXPECT_EQ(first->told, 0);
  EXPECT_TRUE(Force("room-1").ok());
  EXPECT_TRUE(Force("room-1").ok());
  EXPECT_TRUE(Release("room-1").ok());
  EXPECT_EQ(first->told, 1);
  EXPECT_EQ(second->told, 1);
}

TEST_F(AdminTest, AHolderThatComesAfterAForcedReleaseIsToldOnceToo) {
  const auto listener = std::make_shared<FakeListener>();
  FakeCall call("room-1");
  call.Ask(registry());
  EXPECT_TRUE(Force("room-1").ok());
  const HeldPin late(std::move(call.pin()), PinKind::kHold, listener);
  EXPECT_EQ(listener->told, 1);
  EXPECT_TRUE(Force("room-1").ok());
  EXPECT_EQ(listener->told, 1);
}

TEST_F(AdminTest, AHolderThatHasLetGoIsNotTold) {
  const auto listener = std::make_shared<FakeListener>();
  FakeCall call("room-1");
  call.Ask(registry());
  { const HeldPin gone(call.pin().Clone(), PinKind::kHold, listener); }
  EXPECT_TRUE(Force("room-1").ok());
  EXPECT_EQ(listener->told, 0);
}

TEST_F(AdminTest, AHolderMayLetGoWhileItIsTold) {
  const auto listener = std::make_shared<FakeListener>();
  FakeCall call("room-1");
  call.Ask(registry());
  std::optional<HeldPin> held;
  held.emplace(std::move(call.pin()), PinKind::kHold, listener);
  listener->then = [&held] { held.reset(); };
  EXPECT_TRUE(Force("room-1").ok());
  executor_.RunAll();
  EXPECT_EQ(registry().size(), 0u);
}

TEST_F(AdminTest, TheReleaserIsToldOnceWhenTheContextIsGone) {
  FakeCall call("room-1");
  call.Ask(registry());
  call.context().Attach<First>(
      journal_, "a", [this](HookDone done) { hook_.emplace(std::move(done)); });
  int closed = 0;
  EXPECT_TRUE(Force("room-1", [&] {
                ++closed;
                EXPECT_TRUE(executor_.running());
                EXPECT_EQ(Describe("room-1"), std::nullopt);
              }).ok());
  executor_.RunAll();
  call.Finish();
  executor_.RunAll();
  EXPECT_EQ(closed, 0);
  EndClosing();
  EXPECT_EQ(closed, 1);
}

TEST_F(AdminTest, TheReleaserOfAnIdleContextIsToldOnceWhenItIsGone) {
  Use("room-1");
  int closed = 0;
  EXPECT_TRUE(
      registry()
          .Release(RequestFor("room-1").key, /*force=*/false, [&] { ++closed; })
          .ok());
  EXPECT_EQ(closed, 0);
  executor_.RunAll();
  EXPECT_EQ(closed, 1);
}

TEST_F(AdminTest, SecondReleaseOfAClosingContextIsToldOnceAsWell) {
  BeginClosing();
  std::vector<int> closed(2);
  EXPECT_TRUE(Force("room-1", [&] { ++closed[0]; }).ok());
  EXPECT_TRUE(registry()
                  .Release(RequestFor("room-1").key, /*force=*/false,
                           [&] { ++closed[1]; })
                  .ok());
  executor_.RunAll();
  EXPECT_THAT(closed, ElementsAre(0, 0));
  EndClosing();
  EXPECT_THAT(closed, ElementsAre(1, 1));
}

TEST_F(AdminTest, SecondReleaseWhileThePinsLastIsOkWithoutForceAndToldToo) {
  FakeCall call("room-1");
  call.Ask(registry());
  EXPECT_TRUE(Force("room-1").ok());
  int closed = 0;
  EXPECT_TRUE(
      registry()
          .Release(RequestFor("room-1").key, /*force=*/false, [&] { ++closed; })
          .ok());
  call.Finish();
  executor_.RunAll();
  EXPECT_EQ(closed, 1);
}

TEST_F(AdminTest, ARefusedReleaseIsNotToldOfALaterEnd) {
  FakeCall call("room-1");
  call.Ask(registry());
  int closed = 0;
  EXPECT_EQ(
      registry()
          .Release(RequestFor("room-1").key, /*force=*/false, [&] { ++closed; })
          .code(),
      Code::kFailedPrecondition);
  call.Finish();
  EXPECT_TRUE(Release("room-1").ok());
  executor_.RunAll();
  EXPECT_EQ(registry().size(), 0u);
  EXPECT_EQ(closed, 0);
}

TEST_F(AdminTest, ShutdownWaitsForThePinsOfAForcedRelease) {
  FakeCall call("room-1");
  call.Ask(registry());
  EXPECT_TRUE(Force("room-1").ok());
  Shutdown();
  executor_.RunAll();
  EXPECT_EQ(done_, 0);
  call.Finish();
  executor_.RunAll();
  EXPECT_EQ(done_, 1);
  EXPECT_THAT(journal_, ElementsAre("created room-1", "closing room-1 released",
                                    "closed room-1 released"));
}

// ---- Pins, while someone watches

class AdminPinsTest : public AdminTest {
 protected:
  AdminPinsTest() { watch_use_ = true; }
};

TEST_F(AdminPinsTest, HolderThatComesOrGoesIsTold) {
  FakeCall call("room-1");
  call.Ask(registry());
  TakeJournal();
  {
    const HeldPin hold(std::move(call.pin()), PinKind::kHold, nullptr);
    EXPECT_THAT(TakeJournal(), ElementsAre("pins changed room-1"));
    FakeCall second("room-1");
    second.Ask(registry());
    {
      const HeldPin join(std::move(second.pin()), PinKind::kJoin, nullptr);
      EXPECT_THAT(TakeJournal(), ElementsAre("pins changed room-1"));
      noting_.then = [this](const InstanceEvent&) {
        // At the time of the event, the pin that was released is gone.
        const auto info = Describe("room-1");
        ASSERT_EQ(info->pins.size(), 1u);
        EXPECT_EQ(info->pins[0].kind, PinKind::kHold);
      };
    }
    noting_.then = nullptr;
    EXPECT_THAT(TakeJournal(), ElementsAre("pins changed room-1"));
  }
  EXPECT_THAT(TakeJournal(), ElementsAre("idle room-1"));
}

TEST_F(AdminPinsTest, CallBesideAHolderIsToldIfItStaysAndWhenItHasGone) {
  FakeCall call("room-1");
  call.Ask(registry());
  const HeldPin hold(std::move(call.pin()), PinKind::kHold, nullptr);
  TakeJournal();
  FakeCall beside("room-1");
  beside.Ask(registry());
  EXPECT_THAT(TakeJournal(), IsEmpty());
  Pass(absl::Seconds(1));
  EXPECT_THAT(TakeJournal(), ElementsAre("pins changed room-1"));
  Pass(absl::Seconds(10));
  EXPECT_THAT(TakeJournal(), IsEmpty());  // Nothing new.
  beside.Finish();
  EXPECT_THAT(TakeJournal(), IsEmpty());
  Pass(absl::Seconds(1));
  EXPECT_THAT(TakeJournal(), ElementsAre("pins changed room-1"));
  Pass(absl::Seconds(10));
  EXPECT_THAT(TakeJournal(), IsEmpty());
}

TEST_F(AdminPinsTest, ManyShortCallsBesideAHolderAreOneEvent) {
  FakeCall call("room-1");
  call.Ask(registry());
  const HeldPin hold(std::move(call.pin()), PinKind::kHold, nullptr);
  TakeJournal();
  for (int i = 0; i < 1000; ++i) Use("room-1");
  EXPECT_THAT(TakeJournal(), IsEmpty());
  Pass(absl::Seconds(1));
  EXPECT_LE(TakeJournal().size(), 1u);
}

TEST_F(AdminTest, NobodyWatchesSoPinsAreNotTold) {
  FakeCall call("room-1");
  call.Ask(registry());
  TakeJournal();
  const HeldPin hold(std::move(call.pin()), PinKind::kHold, nullptr);
  EXPECT_THAT(TakeJournal(), IsEmpty());
}

// ---- A drain

class DrainListener final : public ReleaseListener {
 public:
  void OnForcedRelease() override {}
  void OnDraining() override { ++told; }
  int told = 0;
};

TEST_F(AdminTest, HoldersAreToldOfADrainOnceThoseThatComeLaterToo) {
  const auto before = std::make_shared<DrainListener>();
  const auto after = std::make_shared<DrainListener>();
  FakeCall call("room-1");
  call.Ask(registry());
  const HeldPin hold(std::move(call.pin()), PinKind::kHold, before);
  EXPECT_FALSE(registry().draining());
  registry().TellDraining();
  EXPECT_TRUE(registry().draining());
  FakeCall late("room-2");
  late.Ask(registry());
  const HeldPin second(std::move(late.pin()), PinKind::kHold, after);
  registry().TellDraining();
  EXPECT_EQ(before->told, 1);
  EXPECT_EQ(after->told, 1);
}

// ---- What an embedder's code throws

class ThrowingListener final : public ReleaseListener {
 public:
  void OnForcedRelease() override { throw std::runtime_error("release"); }
  void OnDraining() override { throw std::runtime_error("drain"); }
};

TEST_F(AdminTest, WhatAListenerThrowsIsReportedAndHarmsNothing) {
  const auto throws = std::make_shared<ThrowingListener>();
  const auto listens = std::make_shared<FakeListener>();
  FakeCall call("room-1");
  FakeCall second("room-1");
  call.Ask(registry());
  second.Ask(registry());
  {
    const HeldPin bad(std::move(call.pin()), PinKind::kHold, throws);
    const HeldPin good(std::move(second.pin()), PinKind::kHold, listens);
    TakeJournal();
    registry().TellDraining();
    EXPECT_TRUE(Force("room-1", [] { throw std::logic_error("closed"); }).ok());
    EXPECT_EQ(listens->told, 1);
  }
  executor_.RunAll();
  EXPECT_EQ(registry().size(), 0u);
  EXPECT_THAT(
      TakeJournal(),
      ElementsAre("threw room-1 ReleaseListener::OnDraining: drain",
                  "threw room-1 ReleaseListener::OnForcedRelease: release",
                  "closing room-1 released", "closed room-1 released",
                  "threw room-1 the `closed` of Release: closed"));
}

TEST_F(AdminTest, WhatAnObserverThrowsIsToldToTheOthers) {
  FakeObserver throwing{journal_};
  throwing.then = [](const InstanceEvent& event) {
    if (event.kind == InstanceEventKind::kCreated) {
      throw std::runtime_error("observer");
    }
  };
  observers_.push_back(&throwing);
  Use("room-1");
  EXPECT_THAT(
      journal_,
      testing::Contains("threw room-1 InstanceObserver::OnEvent: observer"));
  EXPECT_EQ(registry().size(), 1u);
  registry();
  TearDown();
}

TEST_F(AdminTest, HookOfARemovedExtensionThatThrowsIsTold) {
  FakeCall call("room-1");
  call.Ask(registry());
  call.context().Attach<First>(
      journal_, "a", [](HookDone) { throw std::runtime_error("oops"); });
  TakeJournal();
  EXPECT_TRUE(call.context().Detach<First>());
  executor_.RunAll();
  EXPECT_THAT(TakeJournal(),
              ElementsAre("a: removed",
                          "detach failed room-1 leasehold::First it threw: "
                          "oops"));
}

}  // namespace
}  // namespace leasehold
