// `leasehold join`: the echoes of an instance, whoever sent them.
//
// Thread-safety: one thread.   Lifetime: the command's subcommand belongs to
// the parser it was added to.
#ifndef LEASEHOLD_CLIENT_CLI_JOIN_COMMAND_H_
#define LEASEHOLD_CLIENT_CLI_JOIN_COMMAND_H_

#include "client/cli/command.h"

namespace leasehold::client::cli {

// Adds `join` and its options to `parser`.
Command AddJoinCommand(CLI::App& parser);

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_CLIENT_CLI_JOIN_COMMAND_H_
