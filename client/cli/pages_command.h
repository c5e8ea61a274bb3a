// `leasehold completion` and `leasehold man`: what shells and people read of
// this program's commands and options.
//
// Thread-safety: one thread.   Lifetime: as in command.h.
#ifndef LEASEHOLD_CLIENT_CLI_PAGES_COMMAND_H_
#define LEASEHOLD_CLIENT_CLI_PAGES_COMMAND_H_

#include <CLI/CLI.hpp>
#include <vector>

#include "client/cli/command.h"

namespace leasehold::client::cli {

// They describe all commands that `parser` has when they run.
std::vector<Command> AddPagesCommands(CLI::App& parser);

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_CLIENT_CLI_PAGES_COMMAND_H_
