// Openings that take too long, are given up, or whose initializers throw.
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/instance/instance_fakes.h"

namespace leasehold {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

using Code = absl::StatusCode;

// The first initializer of each test attaches an `a` and keeps its HookDone;
// those of later contexts answer at once.
class OpeningTest : public InstanceRegistryTest {
 protected:
  static constexpr absl::Duration kOpenTimeout = absl::Seconds(3);

  OpeningTest() {
    initializers_ = {&initializer_};
    options_.open_timeout = kOpenTimeout;
  }

  static std::string Text(const FakeCall& call) {
    return std::string(call.status().message());
  }

  FakeInitializer initializer_{[this](InstanceContext& context,
                                      const InitializerRequest&,
                                      HookDone done) {
    if (initializer_.runs > 1) return done();
    context.Attach<First>(journal_, "a");
    first_ = &context;
    if (in_call) in_call();
    kept_.emplace(std::move(done));
  }};
  std::function<void()> in_call;
  InstanceContext* first_ = nullptr;
  std::optional<HookDone> kept_;
};

TEST_F(OpeningTest, CallsAreToldWhichInitializerTakesTooLongAndNotEarlier) {
  FakeCall first("room-1"), second("room-1");
  first.Ask(registry());
  second.Ask(registry());
  executor_.RunAll();
  Pass(kOpenTimeout - kNanosecond);
  EXPECT_FALSE(first.answered());
  Pass(kNanosecond + kTick);
  for (const FakeCall* call : {&first, &second}) {
    ASSERT_TRUE(call->answered());
    EXPECT_EQ(call->status().code(), Code::kUnavailable);
    EXPECT_THAT(Text(*call), AllOf(HasSubstr("\"room-1\""), HasSubstr("3s"),
                                   HasSubstr("leasehold::FakeInitializer")));
  }
}

TEST_F(OpeningTest, ContextThatTookTooLongIsGoneAndItsKeyIsFree) {
  FakeCall first("room-1");
  first.Ask(registry());
  executor_.RunAll();
  Pass(kOpenTimeout + kTick);
  EXPECT_EQ(registry().size(), 0u);
  EXPECT_THAT(TakeJournal(),
              ElementsAre("+a", "a: failed initializer",
                          "opening failed room-1 " + Text(first)));
  FakeCall next("room-1");
  next.Ask(registry());
  executor_.RunAll();
  EXPECT_TRUE(next.created());
}

// Also from an initializer that still uses the context.
TEST_F(OpeningTest, LateAnswerIsHarmless) {
  FakeCall first("room-1");
  first.Ask(registry());
  executor_.RunAll();
  Pass(kOpenTimeout + kTick);
  FakeCall next("room-1");
  next.Ask(registry());
  executor_.RunAll();
  TakeJournal();
  EXPECT_EQ(first_->Get<First>()->name(), "a");  // Not destroyed yet.
  first_->Attach<Second>(journal_, "late");
  EXPECT_EQ(first_->id(), "room-1");
  (*kept_)();
  executor_.RunAll();
  EXPECT_THAT(TakeJournal(), ElementsAre("+late", "-late", "-a"));
  EXPECT_EQ(registry().size(), 1u);
  EXPECT_EQ(next.context().Get<Second>(), nullptr);
  FakeCall same("room-1");
  EXPECT_TRUE(same.Ask(registry()));
  EXPECT_FALSE(same.created());
}

TEST_F(OpeningTest, AnswerThatNeverComesStopsNoShutdownAndMayOutliveIt) {
  FakeCall first("room-1");
  first.Ask(registry());
  executor_.RunAll();
  Pass(kOpenTimeout + kTick);
  TearDown();  // The registry is gone.
  ASSERT_EQ(registry_, nullptr);
  journal_.clear();
  EXPECT_EQ(first_->Get<First>()->name(), "a");
  first_->Attach<Second>(journal_, "late");
  (*kept_)();
  EXPECT_THAT(journal_, ElementsAre("+late", "-late", "-a"));
}

// It occupies a thread: at most one per key, and there are never two contexts.
TEST_F(OpeningTest, InitializerInItsCallKeepsTheKeyAndCallsAreRefusedAtOnce) {
  FakeCall first("room-1"), second("room-1");
  in_call = [&] {
    clock_.Advance(kOpenTimeout + kTick);
    registry().RunDueLeases();  // As the alarm clock's thread does.
    EXPECT_TRUE(first.answered());
    EXPECT_TRUE(second.Ask(registry()));
    EXPECT_EQ(second.status().code(), Code::kUnavailable);
    EXPECT_EQ(registry().size(), 1u);
  };
  first.Ask(registry());
  executor_.RunAll();
  EXPECT_EQ(initializer_.runs, 1);
  EXPECT_EQ(registry().size(), 0u);  // It has returned.
  FakeCall next("room-1");
  next.Ask(registry());
  executor_.RunAll();
  EXPECT_TRUE(next.created());
}

TEST_F(OpeningTest, CallsAreToldThoughNoUserThreadIsFree) {
  FakeCall call("room-1");
  call.Ask(registry());
  clock_.Advance(kOpenTimeout + kTick);
  registry().RunDueLeases();  // No task has run.
  ASSERT_TRUE(call.answered());
  EXPECT_EQ(call.status().code(), Code::kUnavailable);
  EXPECT_THAT(Text(call), HasSubstr("a user thread"));
  executor_.RunAll();
  EXPECT_EQ(initializer_.runs, 0);
  EXPECT_EQ(registry().size(), 0u);
}

TEST_F(OpeningTest, AnswerInTimeIsAsEver) {
  FakeCall call("room-1");
  call.Ask(registry());
  executor_.RunAll();
  Pass(kOpenTimeout - kTick);
  (*kept_)();
  executor_.RunAll();
  EXPECT_TRUE(call.created());
  Pass(kOpenTimeout * 2);
  EXPECT_EQ(registry().Describe(RequestFor("room-1").key)->state,
            InstanceState::kBusy);
}

TEST_F(OpeningTest, AForcedReleaseAbortsWaitingCallsAndTheNextOpensAgain) {
  FakeCall first("room-1");
  first.Ask(registry());
  executor_.RunAll();
  int told = 0;
  ASSERT_TRUE(registry()
                  .Release(RequestFor("room-1").key, /*force=*/true,
                           [&told] { ++told; })
                  .ok());
  EXPECT_EQ(first.status().code(), Code::kAborted);
  FakeCall next("room-1");
  EXPECT_FALSE(next.Ask(registry()));
  executor_.RunAll();
  EXPECT_EQ(told, 1);
  EXPECT_TRUE(next.created());
  EXPECT_THAT(TakeJournal(), ElementsAre("+a", "a: released",
                                         "opening failed room-1 " + Text(first),
                                         "created room-1"));
  (*kept_)(absl::InternalError("late"));
  executor_.RunAll();
  EXPECT_EQ(registry().size(), 1u);
}

TEST_F(OpeningTest, CallsThatWaitForAReleasedInitializerAreToldInTimeToo) {
  FakeCall first("room-1"), second("room-1"), third("room-1");
  in_call = [&] {
    EXPECT_TRUE(
        registry().Release(RequestFor("room-1").key, /*force=*/true).ok());
    EXPECT_EQ(first.status().code(), Code::kAborted);
    EXPECT_FALSE(second.Ask(registry()));
    clock_.Advance(kOpenTimeout + kTick);
    registry().RunDueLeases();
    EXPECT_EQ(second.status().code(), Code::kUnavailable);
    EXPECT_TRUE(third.Ask(registry()));
    EXPECT_EQ(third.status().code(), Code::kUnavailable);
  };
  first.Ask(registry());
  executor_.RunAll();
  EXPECT_EQ(registry().size(), 0u);
}

TEST_F(OpeningTest, WhatAnInitializerThrowsIsToldWithItsName) {
  in_call = [] { throw std::runtime_error("no such file"); };
  FakeCall call("room-1");
  call.Ask(registry());
  executor_.RunAll();
  EXPECT_EQ(call.status().code(), Code::kInternal);
  EXPECT_THAT(Text(call), AllOf(HasSubstr("\"room-1\""),
                                HasSubstr("leasehold::FakeInitializer"),
                                HasSubstr("no such file")));
  EXPECT_EQ(registry().size(), 0u);
}

}  // namespace
}  // namespace leasehold
