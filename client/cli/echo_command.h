// `leasehold echo`: echoes a text through one instance over any number of
// channels, and shows which instance answered.
//
// Thread-safety: one thread.   Lifetime: the command's subcommand belongs to
// the parser it was added to.
#ifndef LEASEHOLD_CLIENT_CLI_ECHO_COMMAND_H_
#define LEASEHOLD_CLIENT_CLI_ECHO_COMMAND_H_

#include "client/cli/command.h"

namespace leasehold::client::cli {

// Adds `echo` and its options to `parser`.
Command AddEchoCommand(CLI::App& parser);

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_CLIENT_CLI_ECHO_COMMAND_H_
