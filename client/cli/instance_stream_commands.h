// `leasehold instances watch|keep-alive|hold`: the commands of the group that
// stream.
//
// They run until a signal, or until nobody reads their output (exit code 0), or
// until the server ends them (1).
//
// Thread-safety: one thread.   Lifetime: the commands' subcommands belong to
// the parser or group they were added to.
#ifndef LEASEHOLD_CLIENT_CLI_INSTANCE_STREAM_COMMANDS_H_
#define LEASEHOLD_CLIENT_CLI_INSTANCE_STREAM_COMMANDS_H_

#include <string>

#include "client/cli/command.h"
#include "client/instance.h"

namespace leasehold::client::cli {

Command AddWatchCommand(CLI::App& group);
Command AddKeepAliveCommand(CLI::App& group);
Command AddHoldCommand(CLI::App& group);

// What a command ends with whose instance is not there.
absl::Status NoInstance(const std::string& id);

// Writes an instance that was found or made.
absl::Status WriteOpened(const OpenedInstance& opened,
                         const GlobalOptions& global,
                         Surroundings& surroundings);

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_CLIENT_CLI_INSTANCE_STREAM_COMMANDS_H_
