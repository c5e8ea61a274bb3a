// ImmediateCall: a call that pins a context which is open, or opens without
// waiting; otherwise it ends the program.
//
// Thread-safety: one thread.   Lifetime: the registry outlives it.
#ifndef LEASEHOLD_TESTS_SUPPORT_IMMEDIATE_CALL_H_
#define LEASEHOLD_TESTS_SUPPORT_IMMEDIATE_CALL_H_

#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "service/instance/instance_registry.h"
#include "tests/support/test_key.h"

namespace leasehold {

class ImmediateCall final : public PinWaiter {
 public:
  explicit ImmediateCall(std::string_view id)
      : PinWaiter({.key = TestKey(id)}) {}

  PinGrant Ask(InstanceRegistry& registry) {
    return *std::move(*registry.Acquire(*this));
  }

 private:
  void OnGrant(absl::StatusOr<PinGrant>) override { std::abort(); }
};

}  // namespace leasehold

#endif  // LEASEHOLD_TESTS_SUPPORT_IMMEDIATE_CALL_H_
