#include "client/cli/usage.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace leasehold::client::cli {
namespace {

std::string CommandNames(const std::vector<Command>& commands) {
  return absl::StrJoin(commands, ", ",
                       [](std::string* names, const Command& command) {
                         names->append(command.app->get_name());
                       });
}

// The options of the command that was given, then the global ones.
std::vector<const CLI::Option*> Options(const CLI::App& parser,
                                        const Command* given) {
  const auto named = [](const CLI::Option* option) {
    return option->nonpositional() && option->get_name() != "--help";
  };
  std::vector<const CLI::Option*> options;
  if (given != nullptr) {
    const CLI::App* app = given->app;
    options = app->get_options(named);
  }
  for (const CLI::Option* option : parser.get_options(named)) {
    options.push_back(option);
  }
  return options;
}

const CLI::Option* Find(const std::vector<const CLI::Option*>& options,
                        const std::string& name) {
  for (const CLI::Option* option : options) {
    if (option->get_name() == name) return option;
  }
  return nullptr;
}

// What to say of an argument that the parser had no place for.
std::string ExplainStranger(const std::string& stranger, const CLI::App& parser,
                            const std::vector<Command>& commands) {
  const Command* given = GivenCommand(commands);
  if (!absl::StartsWith(stranger, "-")) {
    if (given == nullptr) {
      return absl::StrCat("unknown command \"", stranger,
                          "\"; the commands are ", CommandNames(commands));
    }
    return absl::StrCat("unexpected argument \"", stranger,
                        "\"; a text of several words needs quotes (see "
                        "leasehold ",
                        given->app->get_name(), " --help)");
  }
  const auto options = Options(parser, given);
  if (Find(options, stranger.substr(0, stranger.find('='))) != nullptr) {
    return absl::StrCat("misplaced option ", stranger,
                        "; an option stands after its command, and before --");
  }
  return absl::StrCat(
      "unknown option ", stranger, "; the options are ",
      absl::StrJoin(options, ", ",
                    [](std::string* names, const CLI::Option* option) {
                      names->append(option->get_name());
                    }));
}

// What to say of an option with too few or too many values. The parser's text
// is `--name: …`.
std::string ExplainCount(const std::string& text,
                         const std::vector<const CLI::Option*>& options) {
  const std::string name = text.substr(0, text.find(':'));
  const CLI::Option* option = Find(options, name);
  if (option == nullptr) return text;
  if (absl::StrContains(text, "received")) {
    return absl::StrCat(name, " is given more than once; give it once");
  }
  return absl::StrCat(name, " has no value; write ", name, "=",
                      option->get_type_name());
}

}  // namespace

UsageError::UsageError(const std::string& what)
    : ParseError("UsageError", what, CLI::ExitCodes::BaseClass) {}

const Command* GivenCommand(const std::vector<Command>& commands) {
  for (const Command& command : commands) {
    if (command.app->parsed()) return &command;
  }
  return nullptr;
}

std::string ExplainUsage(const CLI::ParseError& error, const CLI::App& parser,
                         const std::vector<Command>& commands) {
  const std::string kind = error.get_name();
  if (kind == "ValidationError" || kind == "UsageError") return error.what();
  const Command* given = GivenCommand(commands);
  if (kind == "ArgumentMismatch") {
    return ExplainCount(error.what(), Options(parser, given));
  }
  // Before what is missing: it may stand there misspelt.
  const std::vector<std::string> strangers = parser.remaining(true);
  if (!strangers.empty()) {
    return ExplainStranger(strangers.front(), parser, commands);
  }
  if (given == nullptr) {
    return absl::StrCat("no command given; the commands are ",
                        CommandNames(commands), " (see leasehold --help)");
  }
  return absl::StrCat(given->app->get_name(), ": ", error.what(),
                      " (see leasehold ", given->app->get_name(), " --help)");
}

}  // namespace leasehold::client::cli
