#include "client/cli/help_command.h"

#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/cli/output.h"
#include "client/cli/usage.h"

namespace leasehold::client::cli {

std::string HelpText(const CLI::App& parser, const CLI::App& app) {
  if (&app == &parser) {
    // Its own `help` would speak of the command that was given.
    return parser.get_formatter()->make_help(&parser, parser.get_name(),
                                             CLI::AppFormatMode::Normal);
  }
  std::string above = "leasehold";
  const std::string group = FullName(*app.get_parent());
  if (!group.empty()) absl::StrAppend(&above, " ", group);
  return app.help(above);
}

Command AddHelpCommand(CLI::App& parser) {
  const auto words = std::make_shared<std::vector<std::string>>();
  CLI::App* app = parser.add_subcommand(
      "help", "Show the help of a command, as its --help does");
  app->add_option("COMMAND", *words,
                  "the command, as in: leasehold help instances list")
      ->type_name("");
  const auto run = [&parser, words](const GlobalOptions&,
                                    Surroundings& around) -> absl::Status {
    const CLI::App* found = &parser;
    for (const std::string& word : *words) {
      const CLI::App* const group = found;
      try {
        found = group->get_subcommand(word);
      } catch (const CLI::OptionNotFound&) {
        throw UsageError(
            absl::StrCat("help: ", UnknownCommand(word, *group, parser)));
      }
    }
    Output output(OutputFormat::kTable, around.out);
    output.Write(HelpText(parser, *found));
    return output.status();
  };
  return {.app = app, .run = run, .calls = false};
}

}  // namespace leasehold::client::cli
