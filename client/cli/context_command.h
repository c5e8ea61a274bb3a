// The commands `leasehold context …`: look at the contexts of the config file,
// and choose one.
//
// Thread-safety: one thread.   Lifetime: that of the parser.
#ifndef LEASEHOLD_CLIENT_CLI_CONTEXT_COMMAND_H_
#define LEASEHOLD_CLIENT_CLI_CONTEXT_COMMAND_H_

#include <vector>

#include "client/cli/command.h"

namespace leasehold::client::cli {

std::vector<Command> AddContextCommands(CLI::App& parser);

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_CLIENT_CLI_CONTEXT_COMMAND_H_
