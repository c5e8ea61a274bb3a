// Command: one command of `leasehold`, as command_line.h registers and runs it;
// and the arguments that every command gets.
//
// A command group has a file that makes its Commands: each adds its subcommand
// and options to the parser and has the function that runs it.
//
// Thread-safety: one thread.   Lifetime: a Command's `app` belongs to the
// parser; everything that Surroundings refers to outlives the run.
#ifndef LEASEHOLD_CLIENT_CLI_COMMAND_H_
#define LEASEHOLD_CLIENT_CLI_COMMAND_H_

#include <CLI/CLI.hpp>
#include <functional>
#include <iosfwd>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/cli/contexts.h"
#include "client/cli/json_object.h"
#include "client/cli/look.h"
#include "client/cli/output.h"
#include "client/cli/stop.h"
#include "client/cli/table.h"
#include "client/wire/channel.h"
#include "client/wire/tls.h"
#include "client/wire/token.h"

namespace leasehold::client::cli {

// When output has colors.
enum class ColorChoice { kAuto, kAlways, kNever };

// Options that every command takes, before or after its name.
struct GlobalOptions {
  std::string address = "localhost:4001";
  OutputFormat output = OutputFormat::kTable;
  Payloads payloads = Payloads::kValues;
  ColorChoice color = ColorChoice::kAuto;
  // On a terminal, too, nothing is cut and times are whole.
  bool wide = false;
  // For calls; streams have none, and waits only if it was given.
  absl::Duration timeout = absl::Seconds(30);
  // Whether the user gave it, so that it is not just the default.
  bool timeout_given = false;
  // Of the server's and the client's certificates; without any, no TLS.
  bool tls = false;
  TlsOptions tls_files;
  // Without a file, no token.
  TokenOptions token;
  // Read from all of these; null: neither TLS nor a token.
  std::shared_ptr<grpc::ChannelCredentials> credentials;
  Contexts contexts;
};

inline std::shared_ptr<grpc::Channel> OpenChannel(const GlobalOptions& global) {
  return client::OpenChannel(global.address, {}, global.credentials);
}

// Everything outside that a command may use, besides the network.
struct Surroundings {
  std::istream& in;
  std::ostream& out;
  std::ostream& err;
  std::function<void(absl::Duration)> sleep;
  // The value of an environment variable, or null.
  std::function<const char*(const char* name)> environment;
  // The names of all variables that begin with LEASEHOLD_. Empty: nobody looks.
  std::function<std::vector<std::string>()> variables;
  // Standard input and output are both a terminal: a person is there.
  bool interactive = false;
  // `err` is a terminal: it can show progress.
  bool err_is_terminal = false;
  // Blocks until Enter is pressed. Called only if `interactive`.
  std::function<void()> wait_for_enter;
  std::function<absl::Time()> now;
  // From the call on, SIGINT and SIGTERM go to `stop`.
  // Commands that stream call it once; `stop` lives until they are done.
  std::function<void(Stop& stop)> stop_on_signal;
  // The descriptor of `out`, to see when its reader is gone; -1 if unknown.
  int output_fd = -1;
  // The descriptor of `in`, if it is a terminal whose keys may be read; else
  // -1.
  int input_fd = -1;
  // The rows of the terminal that `out` writes to; 0 if it is not a terminal.
  std::function<int()> terminal_rows;
  // The same for its columns.
  std::function<int()> terminal_columns;

  bool on_terminal() const { return terminal_rows && terminal_rows() > 0; }
};

// How the output of a command is to look now. A terminal gets lines that fit,
// times from now, and colors unless NO_COLOR is set or it is a dumb one.
Look LookOf(const GlobalOptions& global, const Surroundings& around);

struct Command {
  CLI::App* app = nullptr;
  // OK: done, or the reader of the output is gone. Any other status is
  // reported as `CODE: message`. Throws UsageError (usage.h) if the options
  // contradict each other, before it has done anything.
  std::function<absl::Status(const GlobalOptions&, Surroundings&)> run;
  // Whether it calls the server: then it wants the context that was chosen to
  // exist, and gets credentials.
  bool calls = true;
};

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_CLIENT_CLI_COMMAND_H_
