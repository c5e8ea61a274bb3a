// `leasehold entity …`: signals, calls and looks at the entities of a server.
//
// Thread-safety: one thread.   Lifetime: the commands' subcommands belong to
// the parser they were added to.
#ifndef LEASEHOLD_CLIENT_CLI_ENTITY_COMMAND_H_
#define LEASEHOLD_CLIENT_CLI_ENTITY_COMMAND_H_

#include <vector>

#include "client/cli/command.h"

namespace leasehold::client::cli {

// Adds `entity` and all its commands to `parser`.
std::vector<Command> AddEntityCommands(CLI::App& parser);

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_CLIENT_CLI_ENTITY_COMMAND_H_
