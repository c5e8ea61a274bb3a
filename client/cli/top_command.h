// `leasehold top`: the load of a server, refreshed each second.
//
// Thread-safety: one thread.   Lifetime: the command's subcommand belongs to
// the parser it was added to.
#ifndef LEASEHOLD_CLIENT_CLI_TOP_COMMAND_H_
#define LEASEHOLD_CLIENT_CLI_TOP_COMMAND_H_

#include "client/cli/command.h"

namespace leasehold::client::cli {

// Adds the command to `parser`.
Command AddTopCommand(CLI::App& parser);

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_CLIENT_CLI_TOP_COMMAND_H_
