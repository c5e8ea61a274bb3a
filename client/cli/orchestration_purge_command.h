// `leasehold orchestration purge`.
//
// Thread-safety: one thread.   Lifetime: the command's subcommand belongs to
// the parser it was added to.
#ifndef LEASEHOLD_CLIENT_CLI_ORCHESTRATION_PURGE_COMMAND_H_
#define LEASEHOLD_CLIENT_CLI_ORCHESTRATION_PURGE_COMMAND_H_

#include "client/cli/command.h"

namespace leasehold::client::cli {

// Adds it to the group `orchestration`.
Command AddPurgeCommand(CLI::App& group);

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_CLIENT_CLI_ORCHESTRATION_PURGE_COMMAND_H_
