#include "client/cli/usage.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace leasehold::client::cli {
namespace {

// `the commands are echo, demo`, for a group.
std::string CommandNames(const CLI::App& group, const CLI::App& parser) {
  std::string names = "the commands";
  if (&group != &parser) absl::StrAppend(&names, " of ", FullName(group));
  return absl::StrCat(names, " are ",
                      absl::StrJoin(group.get_subcommands(nullptr), ", ",
                                    [](std::string* text, const CLI::App* app) {
                                      text->append(app->get_name());
                                    }));
}

// The options of the given command, then the global ones.
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

// The message for an argument that the parser could not place.
std::string ExplainStranger(const std::string& stranger, const CLI::App& parser,
                            const std::vector<Command>& commands) {
  const Command* given = GivenCommand(commands);
  if (!absl::StartsWith(stranger, "-")) {
    if (given == nullptr) {
      return UnknownCommand(stranger, GivenGroup(parser), parser);
    }
    return absl::StrCat("unexpected argument \"", stranger,
                        "\"; a text of several words needs quotes (see "
                        "leasehold ",
                        FullName(*given->app), " --help)");
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

// The message for an option with too few or too many values. The parser's text
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

std::string FullName(const CLI::App& app) {
  const CLI::App* parent = app.get_parent();
  if (parent == nullptr) return "";
  const std::string above = FullName(*parent);
  return absl::StrCat(above, above.empty() ? "" : " ", app.get_name());
}

const CLI::App& GivenGroup(const CLI::App& parser) {
  for (const CLI::App* app : parser.get_subcommands(nullptr)) {
    if (app->parsed() && !app->get_subcommands(nullptr).empty()) return *app;
  }
  return parser;
}

std::string UnknownCommand(const std::string& word, const CLI::App& group,
                           const CLI::App& parser) {
  return absl::StrCat("unknown command \"", word, "\"; ",
                      CommandNames(group, parser));
}

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
  // Before what is missing: that may be here, but misspelt.
  const std::vector<std::string> strangers = parser.remaining(true);
  if (!strangers.empty()) {
    return ExplainStranger(strangers.front(), parser, commands);
  }
  if (given == nullptr) {
    return absl::StrCat("no command given; ",
                        CommandNames(GivenGroup(parser), parser),
                        " (see leasehold --help)");
  }
  const std::string name = FullName(*given->app);
  return absl::StrCat(name, ": ", error.what(), " (see leasehold ", name,
                      " --help)");
}

}  // namespace leasehold::client::cli
