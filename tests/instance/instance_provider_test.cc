// The protocol between the registry and its provider.

#include <stdexcept>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "service/instance/instance_context_provider.h"
#include "tests/instance/instance_fakes.h"

namespace leasehold {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class LeasedProviderTest : public InstanceRegistryTest {
 protected:
  LeasedProviderTest() { provider_ = &fake_; }
  FakeProvider fake_{/*leased=*/true};
};

class UnleasedProviderTest : public InstanceRegistryTest {
 protected:
  UnleasedProviderTest() { provider_ = &fake_; }
  FakeProvider fake_{/*leased=*/false};
};

TEST_F(LeasedProviderTest, IsAskedWhenTheLeaseIsOverAndNotBefore) {
  Use("room-1");
  Pass(kTimeout - kNanosecond);
  EXPECT_EQ(fake_.asked, 0);
  Pass(kNanosecond + kTick);
  EXPECT_EQ(fake_.asked, 1);
  EXPECT_EQ(registry().size(), 0u);
}

TEST_F(LeasedProviderTest, IsNotAskedWhileTheContextIsBusy) {
  FakeCall call("room-1");
  call.Ask(registry());
  Pass(kTimeout * 5);
  EXPECT_EQ(fake_.asked, 0);
}

TEST_F(LeasedProviderTest, VetoKeepsTheContextOpen) {
  fake_.idle = false;
  Use("room-1");
  Pass(kTimeout * 100);
  EXPECT_EQ(registry().size(), 1u);
  FakeCall call("room-1");
  call.Ask(registry());
  EXPECT_FALSE(call.created());
}

TEST_F(LeasedProviderTest, IsAskedAgainWhenItCallsBack) {
  fake_.idle = false;
  Use("room-1");
  Pass(kTimeout + kTick);
  const int asked = fake_.asked;
  fake_.callbacks.back()();
  executor_.RunAll();
  EXPECT_GT(fake_.asked, asked);
  EXPECT_EQ(registry().size(), 1u);  // Another veto.
  fake_.idle = true;
  fake_.callbacks.back()();
  executor_.RunAll();
  EXPECT_EQ(registry().size(), 0u);
}

TEST_F(LeasedProviderTest, UseAfterAVetoHasTheLeaseRunAgain) {
  fake_.idle = false;
  Use("room-1");
  Pass(kTimeout + kTick);
  fake_.idle = true;
  Use("room-1");
  Pass(kTimeout - kTick);
  EXPECT_EQ(registry().size(), 1u);
  Pass(kTick * 2);
  EXPECT_EQ(registry().size(), 0u);
}

TEST_F(LeasedProviderTest, CallbackWhileTheLeaseRunsAsksNothing) {
  fake_.idle = false;
  Use("room-1");
  Pass(kTimeout + kTick);
  Use("room-1");
  const int asked = fake_.asked;
  fake_.callbacks.back()();
  executor_.RunAll();
  EXPECT_EQ(fake_.asked, asked);
  EXPECT_EQ(registry().size(), 1u);
}

TEST_F(LeasedProviderTest, CallbackFromWithinTheQuestionIsNotLost) {
  fake_.idle = false;
  fake_.meanwhile = [this](InstanceContext&) {
    if (fake_.asked > 2) return;
    fake_.callbacks.back()();
    executor_.RunAll();  // Another thread comes in at once.
    fake_.idle = fake_.asked == 2;
  };
  Use("room-1");
  Pass(kTimeout + kTick);
  EXPECT_EQ(registry().size(), 0u);
}

TEST_F(LeasedProviderTest, SecondCallbackDoesNothing) {
  fake_.idle = false;
  Use("room-1");
  Pass(kTimeout + kTick);
  fake_.idle = true;
  const IdleCallback callback = fake_.callbacks.back();
  callback();
  callback();
  executor_.RunAll();
  EXPECT_EQ(registry().size(), 0u);
  EXPECT_THAT(journal_,
              ElementsAre("created room-1", "expired room-1",
                          "closing room-1 idle", "closed room-1 idle"));
}

TEST_F(LeasedProviderTest, CallbackOfAContextThatIsGoneDoesNothing) {
  Use("room-1");
  Pass(kTimeout + kTick);
  fake_.callbacks.back()();
  EXPECT_EQ(executor_.size(), 0u);
}

TEST_F(LeasedProviderTest, CallbackOfAContextThatIsGoneDoesNotTouchTheNext) {
  Use("room-1");
  Pass(kTimeout + kTick);
  Use("room-1");
  const int asked = fake_.asked;
  clock_.Advance(kTimeout + kTick);
  fake_.callbacks.back()();
  executor_.RunAll();
  EXPECT_EQ(fake_.asked, asked);
}

TEST_F(LeasedProviderTest, ShutdownDoesNotAskForALeaseThatRuns) {
  fake_.idle = false;
  Use("room-1");
  Shutdown();
  executor_.RunAll();
  EXPECT_EQ(done_, 1);
  EXPECT_EQ(fake_.asked, 0);
}

TEST_F(LeasedProviderTest, ShutdownOverrulesAVeto) {
  fake_.idle = false;
  Use("room-1");
  Pass(kTimeout + kTick);
  Shutdown();
  executor_.RunAll();
  EXPECT_EQ(done_, 1);
}

TEST_F(LeasedProviderTest, ReleaseOverrulesAVeto) {
  fake_.idle = false;
  Use("room-1");
  Pass(kTimeout + kTick);
  EXPECT_TRUE(Release("room-1").ok());
  executor_.RunAll();
  EXPECT_EQ(registry().size(), 0u);
}

TEST_F(LeasedProviderTest, ContextThatItHoldsIsDescribedAndToldAsSuch) {
  watch_use_ = true;
  fake_.idle = false;
  const auto describe = [this] {
    return *registry().Describe(RequestFor("room-1").key);
  };
  Use("room-1");
  EXPECT_FALSE(describe().held_by_provider);
  EXPECT_TRUE(describe().lease_remaining.has_value());
  TakeJournal();
  Pass(kTimeout + kTick);
  EXPECT_TRUE(describe().held_by_provider);
  EXPECT_EQ(describe().state, InstanceState::kIdle);
  EXPECT_FALSE(describe().lease_remaining.has_value());
  fake_.callbacks.back()();
  executor_.RunAll();  // Another veto is not news.
  EXPECT_THAT(TakeJournal(), ElementsAre("held by provider room-1"));
  Use("room-1");
  EXPECT_FALSE(describe().held_by_provider);
  EXPECT_EQ(describe().lease_remaining, kTimeout);
}

TEST_F(UnleasedProviderTest, ContextThatItHoldsIsDescribedAsSuch) {
  fake_.idle = false;
  Use("room-1");
  executor_.RunAll();
  const auto info = registry().Describe(RequestFor("room-1").key);
  EXPECT_TRUE(info->held_by_provider);
  FakeCall call("room-1");
  call.Ask(registry());
  EXPECT_FALSE(registry().Describe(RequestFor("room-1").key)->held_by_provider);
}

TEST_F(LeasedProviderTest, WhatItThrowsIsToldAndTheContextStays) {
  fake_.meanwhile = [](InstanceContext&) { throw std::runtime_error("oops"); };
  Use("room-1");
  TakeJournal();
  Pass(kTimeout + kTick);
  EXPECT_EQ(registry().size(), 1u);
  EXPECT_THAT(TakeJournal(),
              testing::Contains("threw room-1 InstanceContextProvider: oops"));
  fake_.meanwhile = nullptr;
  fake_.callbacks.back()();
  executor_.RunAll();
  EXPECT_EQ(registry().size(), 0u);
}

TEST_F(LeasedProviderTest, CallBetweenQuestionAndCloseKeepsItOpen) {
  fake_.meanwhile = [this](InstanceContext&) {
    if (fake_.asked == 1) Use("room-1");
  };
  Use("room-1");
  Pass(kTimeout + kTick);
  EXPECT_EQ(registry().size(), 1u);
  Pass(kTimeout + kTick);
  EXPECT_EQ(registry().size(), 0u);
}

// A release while the provider looks at the context has to wait: the provider
// may be reading an extension. Running all tasks inside the question is what
// another thread would do meanwhile.
TEST_F(LeasedProviderTest, ExtensionsAreNotDetachedWhileItIsAsked) {
  fake_.meanwhile = [this](InstanceContext& context) {
    First* first = context.Get<First>();
    ASSERT_NE(first, nullptr);
    TakeJournal();
    EXPECT_TRUE(Release("room-1").ok());
    executor_.RunAll();
    EXPECT_THAT(journal_, IsEmpty());
    EXPECT_EQ(first->name(), "a");
  };
  {
    FakeCall call("room-1");
    call.Ask(registry());
    call.context().Attach<First>(journal_, "a");
  }
  Pass(kTimeout + kTick);
  EXPECT_THAT(journal_, ElementsAre("closing room-1 released", "a: released",
                                    "closed room-1 released", "-a"));
}

TEST_F(LeasedProviderTest, RemovedExtensionLivesWhileItIsAsked) {
  fake_.meanwhile = [this](InstanceContext& context) {
    if (fake_.asked > 1) return;
    First* first = context.Get<First>();
    FakeCall call("room-1");
    call.Ask(registry());
    call.context().Detach<First>();
    executor_.RunAll();
    call.Finish();
    TakeJournal();
    executor_.RunAll();
    EXPECT_THAT(journal_, IsEmpty());
    EXPECT_EQ(first->name(), "a");
  };
  {
    FakeCall call("room-1");
    call.Ask(registry());
    call.context().Attach<First>(journal_, "a");
  }
  Pass(kTimeout + kTick);
  Pass(kTimeout + kTick);
  EXPECT_THAT(journal_, testing::Contains("-a"));
}

TEST_F(UnleasedProviderTest, IsAskedAtEachLastUnpin) {
  fake_.idle = false;
  FakeCall first("room-1");
  FakeCall second("room-1");
  first.Ask(registry());
  second.Ask(registry());
  first.Finish();
  executor_.RunAll();
  EXPECT_EQ(fake_.asked, 0);
  second.Finish();
  executor_.RunAll();
  EXPECT_EQ(fake_.asked, 1);
  Use("room-1");
  EXPECT_EQ(fake_.asked, 1);
  executor_.RunAll();
  EXPECT_EQ(fake_.asked, 2);
}

TEST_F(UnleasedProviderTest, IsNotAskedOnTheCallersThread) {
  FakeCall call("room-1");
  call.Ask(registry());
  call.Finish();
  EXPECT_EQ(fake_.asked, 0);
  EXPECT_EQ(executor_.size(), 1u);
}

TEST_F(UnleasedProviderTest, ContextThatItCallsIdleCloses) {
  Use("room-1");
  executor_.RunAll();
  EXPECT_EQ(registry().size(), 0u);
  EXPECT_THAT(journal_, ElementsAre("created room-1", "closing room-1 idle",
                                    "closed room-1 idle"));
}

TEST_F(UnleasedProviderTest, NoLeaseRuns) {
  fake_.idle = false;
  Use("room-1");
  executor_.RunAll();
  EXPECT_EQ(registry().NextLeaseDue(), Instant::Infinite());
}

TEST_F(UnleasedProviderTest, CallbackOfABusyContextWaitsForItsLastUnpin) {
  fake_.idle = false;
  Use("room-1");
  executor_.RunAll();
  FakeCall call("room-1");
  call.Ask(registry());
  fake_.idle = true;
  fake_.callbacks.back()();
  executor_.RunAll();
  EXPECT_EQ(registry().size(), 1u);
  call.Finish();
  executor_.RunAll();
  EXPECT_EQ(registry().size(), 0u);
}

}  // namespace
}  // namespace leasehold
