// A registry with a context that closes, and one with a context that opens, for
// as long as the test likes.
//
// Thread-safety: one thread, that of the test.   Lifetime: a fixture is the
// test's.
#ifndef LEASEHOLD_TESTS_INSTANCE_REGISTRY_FIXTURE_H_
#define LEASEHOLD_TESTS_INSTANCE_REGISTRY_FIXTURE_H_

#include <cstdint>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "tests/instance/instance_fakes.h"

namespace leasehold {

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

}  // namespace leasehold

#endif  // LEASEHOLD_TESTS_INSTANCE_REGISTRY_FIXTURE_H_
