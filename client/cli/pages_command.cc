#include "client/cli/pages_command.h"

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "client/cli/output.h"
#include "client/cli/usage.h"
#include "lease/base/command_text.h"
#include "lease/base/completion.h"
#include "lease/base/manual.h"

namespace leasehold::client::cli {
namespace {

CommandText Describe(const CLI::App& parser) {
  return DescribeCommand(parser, "leasehold");
}

absl::Status PrintCompletion(const std::string& shell, const CLI::App& parser,
                             const GlobalOptions& global,
                             Surroundings& around) {
  const absl::StatusOr<std::string> script =
      Completion(shell, Describe(parser));
  if (!script.ok()) {
    throw UsageError(
        absl::StrCat("completion: ", std::string(script.status().message())));
  }
  Output output(global.output, around.out);
  output.Write(*script);
  return output.status();
}

absl::Status WriteManual(const std::string& directory, const CLI::App& parser) {
  return WritePages(
      ManualPages(
          Describe(parser),
          {.section = 1,
           .version = LEASEHOLD_VERSION,
           .sections = {{"EXIT STATUS",
                         "0: it has done what it was asked to. 1: the call "
                         "failed; standard error has `CODE: message`. 2: the "
                         "command line is wrong, and nothing was called. 3: "
                         "what it names is not there (NOT_FOUND). 4: the "
                         "server cannot be reached, or cannot serve now "
                         "(UNAVAILABLE)."}},
           .see_also = {"leasehold-server(8)"}}),
      directory);
}

}  // namespace

std::vector<Command> AddPagesCommands(CLI::App& parser) {
  CLI::App* completion = parser.add_subcommand(
      "completion",
      "Print a script by which a shell completes commands, options and their "
      "values");
  auto shell = std::make_shared<std::string>();
  completion
      ->add_option("SHELL", *shell,
                   "the shell: source <(leasehold completion bash)")
      ->required()
      ->type_name(kShells);
  CLI::App* man = parser.add_subcommand(
      "man", "Write the manual pages of all commands into a directory");
  auto directory = std::make_shared<std::string>();
  man->add_option("DIRECTORY", *directory,
                  "where to, such as ~/.local/share/man/man1")
      ->required()
      ->type_name("DIRECTORY");
  return {
      {.app = completion,
       .run =
           [&parser, shell](const GlobalOptions& global, Surroundings& around) {
             return PrintCompletion(*shell, parser, global, around);
           },
       .calls = false},
      {.app = man,
       .run = [&parser, directory](
                  const GlobalOptions&,
                  Surroundings&) { return WriteManual(*directory, parser); },
       .calls = false}};
}

}  // namespace leasehold::client::cli
