// `leasehold demo`: the shared instance and its lease, shown in half a minute.
//
// Two channels with one ID meet in one instance; both are closed; its lease
// runs out; a third channel gets a new one. The demo checks what it says: an
// answer that differs from what was promised ends it with INTERNAL, and the
// message says what was expected and what came.
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
