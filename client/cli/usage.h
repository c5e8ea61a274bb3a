// ExplainUsage: what is wrong with a command line, in one line that also says
// what would be right.
//
// The parser's own messages only say what is wrong; this adds the known names
// and forms.
//
// Thread-safety: one thread.   Lifetime: no state.
#ifndef LEASEHOLD_CLIENT_CLI_USAGE_H_
#define LEASEHOLD_CLIENT_CLI_USAGE_H_

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "client/cli/command.h"

namespace leasehold::client::cli {

// A wrong usage that the parser itself does not see; its text is
// complete.
class UsageError : public CLI::ParseError {
 public:
  explicit UsageError(const std::string& what);
};

// The full name of a command: `echo`, `instances get`.
std::string FullName(const CLI::App& app);

// The group whose subcommands can follow what the command line has so far:
// `parser`, or a group of commands such as `instances`.
const CLI::App& GivenGroup(const CLI::App& parser);

// The command of `commands` that was given, or null.
const Command* GivenCommand(const std::vector<Command>& commands);

// `unknown command "x"; the commands of GROUP are …`.
std::string UnknownCommand(const std::string& word, const CLI::App& group,
                           const CLI::App& parser);

// One line, without its end. REQUIRES: `parser` has just failed with `error`.
std::string ExplainUsage(const CLI::ParseError& error, const CLI::App& parser,
                         const std::vector<Command>& commands);

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_CLIENT_CLI_USAGE_H_
