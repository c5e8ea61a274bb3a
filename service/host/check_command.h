// `leasehold-server check`: reports whether a data directory is intact.
//
// Thread-safety: one thread.
#ifndef LEASEHOLD_SERVICE_HOST_CHECK_COMMAND_H_
#define LEASEHOLD_SERVICE_HOST_CHECK_COMMAND_H_

#include <string>
#include <vector>

#include "lease/base/command_text.h"
#include "lease/clock.h"

namespace leasehold {

// Runs it with the arguments after `check`. Returns the exit code: 0, the
// directory is intact; 1, something is damaged, and standard output says what;
// 2, the directory cannot be checked.
int RunCheckCommand(const std::vector<std::string>& arguments,
                    const Clock& clock);

// Its commands and options, as its manual pages show them.
CommandText DescribeCheck();

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HOST_CHECK_COMMAND_H_
