// `leasehold instances watch|keep-alive|hold`: the commands of the group that
// stream.
//
// They run until a signal or until the reader of their output is gone (exit
// code 0), or until the server ends them (1).
//
// Thread-safety: one thread.   Lifetime: the commands' subcommands belong to
// the parser or group they were added to.
#ifndef LEASEHOLD_CLIENT_CLI_INSTANCE_STREAM_COMMANDS_H_
#define LEASEHOLD_CLIENT_CLI_INSTANCE_STREAM_COMMANDS_H_

#include <string>

#include "client/cli/command.h"
#include "client/instances/instance.h"

namespace leasehold::client::cli {

Command AddWatchCommand(CLI::App& group);
Command AddKeepAliveCommand(CLI::App& group);
Command AddHoldCommand(CLI::App& group);

// The error of a command whose instance does not exist.
absl::Status NoInstance(const std::string& id);

// Writes an instance that was found or created.
absl::Status WriteOpened(const OpenedInstance& opened,
                         const GlobalOptions& global,
                         Surroundings& surroundings);

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_CLIENT_CLI_INSTANCE_STREAM_COMMANDS_H_
