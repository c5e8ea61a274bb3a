// `leasehold orchestration wait` and `watch`.
//
// Thread-safety: one thread.   Lifetime: the commands' subcommands belong to
// the parser they were added to.
#ifndef LEASEHOLD_CLIENT_CLI_ORCHESTRATION_WAIT_COMMANDS_H_
#define LEASEHOLD_CLIENT_CLI_ORCHESTRATION_WAIT_COMMANDS_H_

#include <string>

#include "absl/status/status.h"
#include "client/cli/command.h"
#include "client/orchestrations/orchestration_client.h"

namespace leasehold::client::cli {

// Each adds its command to the group `orchestration`.
Command AddWaitCommand(CLI::App& group);
Command AddOrchestrationWatchCommand(CLI::App& group);

// What to wait for: that it has started, or that it has ended.
enum class Until { kStarted, kEnded };

// Waits, on a terminal with a line that shows the progress, and then shows the
// orchestration. OK: it has started, or COMPLETED. UNKNOWN: it FAILED; the
// message says why. ABORTED: it was TERMINATED. DEADLINE_EXCEEDED: --timeout
// was given and has passed. CANCELLED: a signal came first. NOT_FOUND: there is
// none, or it was purged meanwhile.
absl::Status WaitAndShow(OrchestrationClient& client, const std::string& id,
                         Until until, const GlobalOptions& global,
                         Surroundings& surroundings);

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_CLIENT_CLI_ORCHESTRATION_WAIT_COMMANDS_H_
