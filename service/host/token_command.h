// `leasehold-server token`: makes, lists and revokes the tokens of a policy's
// token file.
//
// Thread-safety: one thread; several processes may run it at once.
#ifndef LEASEHOLD_SERVICE_HOST_TOKEN_COMMAND_H_
#define LEASEHOLD_SERVICE_HOST_TOKEN_COMMAND_H_

#include <string>
#include <vector>

#include "lease/base/command_text.h"
#include "lease/clock.h"

namespace leasehold {

// Runs it with the arguments after `token`. Returns the exit code: 0, done; 1,
// it could not be done, and standard error says why; 2, wrong usage.
int RunTokenCommand(const std::vector<std::string>& arguments,
                    const Clock& clock);

// Its commands and options, as its manual pages show them.
CommandText DescribeToken();

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HOST_TOKEN_COMMAND_H_
