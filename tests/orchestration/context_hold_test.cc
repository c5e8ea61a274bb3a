#include "service/orchestration/context_hold.h"

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "service/instance/instance_registry.h"
#include "service/instance/shared_provider.h"
#include "tests/support/manual_executor.h"
#include "tests/support/simulated_clock.h"
#include "tests/support/test_key.h"

namespace leasehold {
namespace {

class CountingListener final : public ReleaseListener {
 public:
  void OnForcedRelease() override { ++releases; }
  int releases = 0;
};

class Call final : public PinWaiter {
 public:
  using PinWaiter::PinWaiter;
  void OnGrant(absl::StatusOr<PinGrant> grant) override {
    pin = std::move(grant->pin);
  }
  Pin pin;
};

class ContextHoldTest : public testing::Test {
 protected:
  // A pin on the context, which is created if need be.
  Pin Acquire() {
    Call call({.key = key_});
    if (auto grant = registry_.Acquire(call)) call.OnGrant(*std::move(grant));
    tasks_.RunAll();
    EXPECT_TRUE(call.pin);
    return std::move(call.pin);
  }
  size_t CountPins(PinKind kind) {
    const auto info = registry_.Describe(key_);
    size_t count = 0;
    for (const auto& pin : info->pins) {
      if (pin.kind == kind) count += pin.count;
    }
    return count;
  }
  void TearDown() override {
    bool done = false;
    registry_.Shutdown([&done] { done = true; });
    tasks_.RunAll();
    EXPECT_TRUE(done);
  }

  const InstanceKey key_ = TestKey("a");
  const std::shared_ptr<CountingListener> listener_ =
      std::make_shared<CountingListener>();
  SimulatedClock clock_;
  ManualExecutor tasks_;
  SharedProvider provider_;
  InstanceRegistry registry_{
      clock_,
      tasks_,
      provider_,
      std::vector<ContextInitializer*>{},
      std::vector<InstanceObserver*>{},
      InstanceRegistryOptions{.idle_timeout = absl::Seconds(20)}};
};

TEST_F(ContextHoldTest, HoldsTheContextFromTheBeginningAndShowsItOnceListed) {
  auto hold = std::make_shared<ContextHold>(Acquire(), listener_);
  clock_.Advance(absl::Minutes(1));
  registry_.RunDueLeases();
  tasks_.RunAll();
  ASSERT_EQ(registry_.size(), 1u);
  EXPECT_EQ(CountPins(PinKind::kWorkItem), 0u);
  hold->List();
  EXPECT_EQ(CountPins(PinKind::kWorkItem), 1u);

  hold.reset();
  clock_.Advance(absl::Minutes(1));
  registry_.RunDueLeases();
  tasks_.RunAll();
  EXPECT_EQ(registry_.size(), 0u);
}

TEST_F(ContextHoldTest, IsToldOfAForcedRelease) {
  auto hold = std::make_shared<ContextHold>(Acquire(), listener_);
  hold->List();
  ASSERT_TRUE(registry_.Release(key_, /*force=*/true).ok());
  tasks_.RunAll();
  EXPECT_EQ(listener_->releases, 1);
  hold.reset();
  tasks_.RunAll();
  EXPECT_EQ(registry_.size(), 0u);
}

TEST_F(ContextHoldTest, IsToldOfAForcedReleaseThatCameBeforeItWasListed) {
  auto hold = std::make_shared<ContextHold>(Acquire(), listener_);
  ASSERT_TRUE(registry_.Release(key_, /*force=*/true).ok());
  tasks_.RunAll();
  EXPECT_EQ(listener_->releases, 0);
  hold->List();
  EXPECT_EQ(listener_->releases, 1);
  hold.reset();
  tasks_.RunAll();
}

}  // namespace
}  // namespace leasehold
