// Command: one command of `leasehold`, as command_line.h registers and runs it;
// and what every command is given.
//
// A command group has a file that makes its Commands: each adds its subcommand
// and options to the parser and brings the function that runs it.
//
// Thread-safety: one thread.   Lifetime: a Command's `app` belongs to the
// parser; what Surroundings refers to outlives the run.
#ifndef LEASEHOLD_CLIENT_CLI_COMMAND_H_
#define LEASEHOLD_CLIENT_CLI_COMMAND_H_

#include <CLI/CLI.hpp>
#include <functional>
#include <iosfwd>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/cli/output.h"
#include "client/cli/stop.h"

namespace leasehold::client::cli {

// Options that every command takes, before or after its name.
struct GlobalOptions {
  std::string address = "localhost:4001";
  OutputFormat output = OutputFormat::kTable;
  // Of calls; streams have none, and waits have it if it was given.
  absl::Duration timeout = absl::Seconds(30);
  // Whether somebody gave it, rather than leave it at that.
  bool timeout_given = false;
};

// What a command may touch besides the network.
struct Surroundings {
  std::istream& in;
  std::ostream& out;
  std::ostream& err;
  std::function<void(absl::Duration)> sleep;
  // The value of an environment variable, or null.
  std::function<const char*(const char* name)> environment;
  // Standard input and output are both a terminal: someone reads along.
  bool interactive = false;
  // `err` is a terminal: it can show how far something is.
  bool err_is_terminal = false;
  // Blocks until Enter was pressed. Called only if `interactive`.
  std::function<void()> wait_for_enter;
  std::function<absl::Time()> now;
  // From the call on, an interrupt or a request to terminate goes to `stop`.
  // Commands that stream call it once; `stop` lives until they are done.
  std::function<void(Stop& stop)> stop_on_signal;
  // What `out` writes to, to see when nobody reads it any more; -1: unknown.
  int output_fd = -1;
  // How many rows the terminal has that `out` writes to. 0: it is none.
  std::function<int()> terminal_rows;
};

struct Command {
  CLI::App* app = nullptr;
  // OK: done, or nobody reads the output any more. Any other status is
  // reported as `CODE: message`. Throws UsageError (usage.h) if the options
  // make no sense together: then it has done nothing.
  std::function<absl::Status(const GlobalOptions&, Surroundings&)> run;
};

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_CLIENT_CLI_COMMAND_H_
