// `leasehold health`: whether a server serves. For health checks of containers
// and for scripts: it needs no token, and its exit code says all.
//
// Thread-safety: one thread.   Lifetime: the command's subcommand belongs to
// the parser it was added to.
#ifndef LEASEHOLD_CLIENT_CLI_HEALTH_COMMAND_H_
#define LEASEHOLD_CLIENT_CLI_HEALTH_COMMAND_H_

#include "client/cli/command.h"

namespace leasehold::client::cli {

Command AddHealthCommand(CLI::App& parser);

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_CLIENT_CLI_HEALTH_COMMAND_H_
