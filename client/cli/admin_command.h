// `leasehold why` and `leasehold workers`: what a server knows about its own
// work.
//
// Thread-safety: one thread.   Lifetime: the commands' subcommands belong to
// the parser they were added to.
#ifndef LEASEHOLD_CLIENT_CLI_ADMIN_COMMAND_H_
#define LEASEHOLD_CLIENT_CLI_ADMIN_COMMAND_H_

#include <vector>

#include "client/cli/command.h"

namespace leasehold::client::cli {

// Adds the commands to `parser`.
std::vector<Command> AddAdminCommands(CLI::App& parser);

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_CLIENT_CLI_ADMIN_COMMAND_H_
