// `leasehold instances …`: inspects and manages the instances of a server.
//
// This file has the commands that make calls (list, get, create, set-timeout,
// release); instance_stream_commands.h has those that stream.
//
// Thread-safety: one thread.   Lifetime: the commands' subcommands belong to
// the parser they were added to.
#ifndef LEASEHOLD_CLIENT_CLI_INSTANCES_COMMAND_H_
#define LEASEHOLD_CLIENT_CLI_INSTANCES_COMMAND_H_

#include <vector>

#include "client/cli/command.h"

namespace leasehold::client::cli {

// Adds `instances` and all its commands to `parser`.
std::vector<Command> AddInstancesCommands(CLI::App& parser);

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_CLIENT_CLI_INSTANCES_COMMAND_H_
