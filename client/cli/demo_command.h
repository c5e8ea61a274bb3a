// `leasehold demo`: the shared instance and its lease, shown in half a minute.
//
// Two channels with one ID meet in one instance and hold it. Closing the first
// changes nothing; closing the second starts the lease; it runs out; a third
// channel gets a new instance. The demo checks what it says, by the answers and
// by what the server tells of the instance: what differs from what was promised
// ends it with INTERNAL, and the message says what was expected and what came.
//
// Thread-safety: one thread.   Lifetime: the command's subcommand belongs to
// the parser it was added to.
#ifndef LEASEHOLD_CLIENT_CLI_DEMO_COMMAND_H_
#define LEASEHOLD_CLIENT_CLI_DEMO_COMMAND_H_

#include "client/cli/command.h"

namespace leasehold::client::cli {

// Adds `demo` and its options to `parser`.
Command AddDemoCommand(CLI::App& parser);

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_CLIENT_CLI_DEMO_COMMAND_H_
