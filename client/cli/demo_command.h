// `leasehold demo`: the shared instance and its lease, shown in half a minute.
//
// Two channels with one ID share one instance and hold it. Closing the first
// changes nothing; closing the second starts the lease; it runs out; a third
// channel gets a new instance. The demo checks each claim, by the answers and
// by what the server says about the instance. If something differs, it ends
// with INTERNAL, and the message says what was expected and what came instead.
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
