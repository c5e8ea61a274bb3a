// `leasehold orchestration start` and `ensure`.
//
// Thread-safety: one thread.   Lifetime: the commands' subcommands belong to
// the parser they were added to.
#ifndef LEASEHOLD_CLIENT_CLI_ORCHESTRATION_START_COMMANDS_H_
#define LEASEHOLD_CLIENT_CLI_ORCHESTRATION_START_COMMANDS_H_

#include "absl/status/status.h"
#include "client/cli/command.h"
#include "client/orchestrations/orchestration.h"

namespace leasehold::client::cli {

// Each adds its command to the group `orchestration`.
Command AddStartCommand(CLI::App& group);
Command AddEnsureCommand(CLI::App& group);

// Shows the outcome of a start.
absl::Status WriteReceipt(const OrchestrationReceipt& receipt,
                          const GlobalOptions& global,
                          Surroundings& surroundings);

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_CLIENT_CLI_ORCHESTRATION_START_COMMANDS_H_
