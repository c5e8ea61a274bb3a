// `leasehold orchestration list` and `history`.
//
// Thread-safety: one thread.   Lifetime: the commands' subcommands belong to
// the parser they were added to.
#ifndef LEASEHOLD_CLIENT_CLI_ORCHESTRATION_QUERY_COMMANDS_H_
#define LEASEHOLD_CLIENT_CLI_ORCHESTRATION_QUERY_COMMANDS_H_

#include "client/cli/command.h"

namespace leasehold::client::cli {

// Each adds its command to the group `orchestration`.
Command AddListCommand(CLI::App& group);
Command AddHistoryCommand(CLI::App& group);

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_CLIENT_CLI_ORCHESTRATION_QUERY_COMMANDS_H_
