// `leasehold help`: the same as `--help` after a command.
//
// Thread-safety: one thread.   Lifetime: the command's subcommand belongs to
// the parser it was added to.
#ifndef LEASEHOLD_CLIENT_CLI_HELP_COMMAND_H_
#define LEASEHOLD_CLIENT_CLI_HELP_COMMAND_H_

#include <string>

#include "client/cli/command.h"

namespace leasehold::client::cli {

// What `--help` shows for `app`, which is `parser` or below it.
std::string HelpText(const CLI::App& parser, const CLI::App& app);

// Adds `help` to `parser`, for all commands that it has.
Command AddHelpCommand(CLI::App& parser);

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_CLIENT_CLI_HELP_COMMAND_H_
