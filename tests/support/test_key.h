// kTestTenant and TestKey: names of instances, for tests of rooms that get a
// tenant from their caller.
//
// The tenant is the one that calls have of whose caller nothing is known
// (service/rpc/caller.h), so that a test may also look at what calls have made.
//
// Thread-safety: constants and pure functions.
#ifndef LEASEHOLD_TESTS_SUPPORT_TEST_KEY_H_
#define LEASEHOLD_TESTS_SUPPORT_TEST_KEY_H_

#include <string>
#include <string_view>

#include "service/instance/instance_key.h"

namespace leasehold {

inline constexpr std::string_view kTestTenant = "default";

inline InstanceKey TestKey(std::string_view id) {
  return {.tenant = std::string(kTestTenant), .id = std::string(id)};
}

}  // namespace leasehold

#endif  // LEASEHOLD_TESTS_SUPPORT_TEST_KEY_H_
