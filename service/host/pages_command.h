// `leasehold-server completion` and `leasehold-server man`: what shells and
// people read of this program's commands, options and settings.
//
// Thread-safety: one thread.
#ifndef LEASEHOLD_SERVICE_HOST_PAGES_COMMAND_H_
#define LEASEHOLD_SERVICE_HOST_PAGES_COMMAND_H_

#include <string>
#include <vector>

namespace leasehold {

// Each runs with the arguments after its name. Returns the exit code: 0, done;
// 1, it could not be done, and standard error says why; 2, wrong usage.
int RunCompletionCommand(const std::vector<std::string>& arguments);
int RunManCommand(const std::vector<std::string>& arguments);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HOST_PAGES_COMMAND_H_
