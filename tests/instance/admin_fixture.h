// Contexts that a test inspects and manages from outside, and their holders.
//
// Thread-safety: one thread, that of the test.   Lifetime: a fixture is the
// test's.
#ifndef LEASEHOLD_TESTS_INSTANCE_ADMIN_FIXTURE_H_
#define LEASEHOLD_TESTS_INSTANCE_ADMIN_FIXTURE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "service/instance/held_pin.h"
#include "service/instance/instance_registry.h"
#include "tests/instance/instance_fakes.h"

namespace leasehold {

// Counts its calls.
class FakeListener final : public ReleaseListener {
 public:
  void OnForcedRelease() override {
    ++told;
    if (then) then();
  }

  int told = 0;
  std::function<void()> then;
};

class AdminTest : public InstanceRegistryTest {
 protected:
  std::optional<InstanceInfo> Describe(std::string_view id) {
    return registry().Describe(RequestFor(id).key);
  }
  // REQUIRES: the context exists.
  InstanceState StateOf(std::string_view id) { return Describe(id)->state; }
  absl::StatusOr<InstanceInfo> KeepAlive(std::string_view id) {
    return registry().KeepAlive(RequestFor(id).key);
  }
  absl::StatusOr<InstanceInfo> SetIdleTimeout(std::string_view id,
                                              absl::Duration timeout) {
    return registry().SetIdleTimeout(RequestFor(id).key, timeout);
  }
  absl::Status Force(std::string_view id, std::function<void()> closed = {}) {
    return registry().Release(RequestFor(id).key, /*force=*/true,
                              std::move(closed));
  }

  // A context of `room-1` whose detach hook has not answered yet.
  void BeginClosing() {
    {
      FakeCall call("room-1");
      call.Ask(registry());
      call.context().Attach<First>(journal_, "a", [this](HookDone done) {
        hook_.emplace(std::move(done));
      });
    }
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

  // `room-1` is idle, and is gone at `d` from now and not before.
  void ExpectEndsAfter(absl::Duration d) {
    Pass(d - kNanosecond);
    EXPECT_EQ(registry().size(), 1u) << "ended early";
    Pass(kNanosecond + kTick);
    EXPECT_EQ(registry().size(), 0u) << "did not end";
  }

  std::optional<HookDone> hook_;
};

// An initializer that answers when the test says so.
class AdminOpeningTest : public AdminTest {
 protected:
  AdminOpeningTest() { initializers_ = {&initializer_}; }

  FakeInitializer initializer_{
      [this](InstanceContext&, const InitializerRequest&, HookDone done) {
        hook_.emplace(std::move(done));
      }};
};

inline std::map<std::string_view, uint64_t> PinsOf(const InstanceInfo& info) {
  std::map<std::string_view, uint64_t> pins;
  for (const InstanceInfo::Pins& p : info.pins) {
    pins[PinKindName(p.kind)] += p.count;
  }
  return pins;
}

}  // namespace leasehold

#endif  // LEASEHOLD_TESTS_INSTANCE_ADMIN_FIXTURE_H_
