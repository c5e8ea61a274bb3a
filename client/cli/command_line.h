// RunCommandLine: all of `leasehold` except what concerns the process itself.
//
// An option's value comes from the command line, else from the environment
// (LEASEHOLD_ADDRESS, LEASEHOLD_OUTPUT, …), else from the context in use, else
// from the rest of the config file (settings.h), else it is the default.
//
// | exit code | meaning                                                       |
// | 0         | done                                                          |
// | 1         | a call failed; `CODE: message` on standard error              |
// | 2         | wrong usage; one line on standard error                       |
//
// Thread-safety: one thread.   Lifetime: the arguments outlive the run.
#ifndef LEASEHOLD_CLIENT_CLI_COMMAND_LINE_H_
#define LEASEHOLD_CLIENT_CLI_COMMAND_LINE_H_

#include "client/cli/command.h"

namespace leasehold::client::cli {

// Runs the command in the arguments (argv[0] is the program); returns the exit
// code.
int RunCommandLine(int argc, const char* const* argv,
                   Surroundings& surroundings);

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_CLIENT_CLI_COMMAND_LINE_H_
