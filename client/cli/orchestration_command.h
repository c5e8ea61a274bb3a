// `leasehold orchestration …`: starts, inspects and manages the orchestrations
// of a server.
//
// This file has the commands that act on one orchestration, and what the group
// has in common. Others have those that start (orchestration_start_…), wait
// (orchestration_wait_…) and look at many (orchestration_query_…).
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
#include "client/cli/json_object.h"
#include "client/orchestrations/orchestration_client.h"

namespace leasehold::client::cli {

// Adds `orchestration` and all its commands to `parser`.
std::vector<Command> AddOrchestrationCommands(CLI::App& parser);

// A command that makes calls: `run` gets a client for the server that --address
// names.
Command CallingCommand(
    CLI::App* app,
    std::function<absl::Status(OrchestrationClient&, const GlobalOptions&,
                               Surroundings&)>
        run);

// NOT_FOUND, with the ID.
absl::Status NoOrchestration(const std::string& id);

// Shows a single orchestration.
absl::Status WriteOrchestration(const OrchestrationState& state,
                                const GlobalOptions& global,
                                Surroundings& surroundings);

// Shows that a command without a result was done: `done` as a line, or
// `json`.
absl::Status WriteDone(const std::string& done, const JsonObject& json,
                       const GlobalOptions& global, Surroundings& surroundings);

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_CLIENT_CLI_ORCHESTRATION_COMMAND_H_
