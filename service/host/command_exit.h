// How the commands of leasehold-server, such as `check` and `token`, end when
// they fail.
//
// Thread-safety: safe.   Lifetime: values only.
#ifndef LEASEHOLD_SERVICE_HOST_COMMAND_EXIT_H_
#define LEASEHOLD_SERVICE_HOST_COMMAND_EXIT_H_

#include <cstdio>
#include <string>

#include "absl/strings/string_view.h"

namespace leasehold {

inline constexpr int kExitFailed = 1;
inline constexpr int kExitWrongUsage = 2;

// Writes `leasehold-server COMMAND: MESSAGE` to standard error. Returns `code`.
inline int FailCommand(const char* command, int code,
                       absl::string_view message) {
  std::fprintf(stderr, "leasehold-server %s: %s\n", command,
               std::string(message).c_str());
  return code;
}

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HOST_COMMAND_EXIT_H_
