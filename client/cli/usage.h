// ExplainUsage: what is wrong with a command line, in one line that also says
// what would be right.
//
// The parser's own messages say what is wrong only; this puts the known names
// and forms beside it.
//
// Thread-safety: one thread.   Lifetime: no state.
#ifndef LEASEHOLD_CLIENT_CLI_USAGE_H_
#define LEASEHOLD_CLIENT_CLI_USAGE_H_

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "client/cli/command.h"

namespace leasehold::client::cli {

// A usage that is wrong in a way that the parser itself does not see; its text
// is complete.
class UsageError : public CLI::ParseError {
 public:
  explicit UsageError(const std::string& what);
};

// What a command is called with: `echo`, `instances get`.
std::string FullName(const CLI::App& app);

// Whose subcommands are to choose from where the command line has led:
// `parser`, or a group of commands as `instances`.
const CLI::App& GivenGroup(const CLI::App& parser);

// The command of `commands` that was given; null: none.
const Command* GivenCommand(const std::vector<Command>& commands);

// One line, without its end. `parser` has just failed with `error`.
std::string ExplainUsage(const CLI::ParseError& error, const CLI::App& parser,
                         const std::vector<Command>& commands);

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_CLIENT_CLI_USAGE_H_
