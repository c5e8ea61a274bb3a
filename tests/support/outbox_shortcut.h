// Whether engines of tests put what one orchestration causes in another into
// one commit: not if LEASEHOLD_OUTBOX_SHORTCUT=off, with which the tests are
// registered a second time.
#ifndef LEASEHOLD_TESTS_SUPPORT_OUTBOX_SHORTCUT_H_
#define LEASEHOLD_TESTS_SUPPORT_OUTBOX_SHORTCUT_H_

#include <cstdlib>
#include <string_view>

namespace leasehold {

inline bool HasOutboxShortcut() {
  const char* value = std::getenv("LEASEHOLD_OUTBOX_SHORTCUT");
  return value == nullptr || std::string_view(value) != "off";
}

}  // namespace leasehold

#endif  // LEASEHOLD_TESTS_SUPPORT_OUTBOX_SHORTCUT_H_
