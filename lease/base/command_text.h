// CommandText: a program's commands and options as people read them, for its
// manual pages and its completions.
//
// Taken from the parser, so that what is written of an option is what the
// program does.
//
// Thread-safety: values; callers synchronise.
#ifndef LEASEHOLD_LEASE_BASE_COMMAND_TEXT_H_
#define LEASEHOLD_LEASE_BASE_COMMAND_TEXT_H_

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace leasehold {

struct OptionText {
  std::string name = {};        // `--id`; of an argument `ID`.
  std::string short_name = {};  // `-h`, or empty.
  std::string value = {};       // `FILE`; empty for a switch.
  std::string fallback = {};    // Empty: none.
  std::string help = {};
  bool required = false;
  bool repeats = false;

  // What can be given, if `value` lists it: `table|json`.
  std::vector<std::string> Choices() const;
  bool IsFile() const { return value == "FILE"; }
  bool IsDirectory() const { return value == "DIR" || value == "DIRECTORY"; }
};

struct CommandText {
  std::string name = {};  // With those above it: `leasehold instances list`.
  std::string description = {};  // Its first sentence is a summary.
  std::string footer = {};
  std::vector<OptionText> arguments = {};
  std::vector<OptionText> options = {};
  std::vector<CommandText> commands = {};
  // Its options may also stand after the names of its commands.
  bool falls_through = false;

  // The first sentence of the description, without its end.
  std::string Summary() const;
  // `list`
  std::string LastName() const;
};

// `name`: the program, and what stands between it and the app's own name.
CommandText DescribeCommand(const CLI::App& app, const std::string& name);

}  // namespace leasehold

#endif  // LEASEHOLD_LEASE_BASE_COMMAND_TEXT_H_
