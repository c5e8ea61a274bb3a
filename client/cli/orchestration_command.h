// `leasehold orchestration …`: the orchestrations of a server, started, seen
// and handled.
//
// This file has those that say something to one orchestration, and what all of
// the group share; beside it stand those that start (orchestration_start_…),
// wait (orchestration_wait_…) and look at many (orchestration_query_…).
//
// Thread-safety: one thread.   Lifetime: the commands' subcommands belong to
// the parser they were added to.
#ifndef LEASEHOLD_CLIENT_CLI_ORCHESTRATION_COMMAND_H_
#define LEASEHOLD_CLIENT_CLI_ORCHESTRATION_COMMAND_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "client/cli/command.h"
#include "client/orchestration_client.h"

namespace leasehold::client::cli {

// Adds `orchestration` and all its commands to `parser`.
std::vector<Command> AddOrchestrationCommands(CLI::App& parser);

// A command that makes calls: `run` is given a client of the server that was
// named.
Command CallingCommand(
    CLI::App* app,
    std::function<absl::Status(OrchestrationClient&, const GlobalOptions&,
                               Surroundings&)>
        run);

// NOT_FOUND, and of which.
absl::Status NoOrchestration(const std::string& id);

// Shows one, on its own.
absl::Status WriteOrchestration(const OrchestrationState& state,
                                const GlobalOptions& global,
                                Surroundings& surroundings);

// Shows what came of a command that has nothing to tell: `done` as a line, or
// `json`.
absl::Status WriteDone(const std::string& done, const std::string& json,
                       const GlobalOptions& global, Surroundings& surroundings);

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_CLIENT_CLI_ORCHESTRATION_COMMAND_H_
