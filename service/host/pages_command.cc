#include "service/host/pages_command.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <functional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "lease/base/command_text.h"
#include "lease/base/completion.h"
#include "lease/base/manual.h"
#include "service/host/backup_command.h"
#include "service/host/check_command.h"
#include "service/host/command_exit.h"
#include "service/host/config_command.h"
#include "service/host/server_text.h"
#include "service/host/token_command.h"
#include "service/host/url_keys_command.h"

namespace leasehold {
namespace {

constexpr int kSection = 8;
constexpr int kFilesSection = 5;
constexpr char kConfigPage[] = "leasehold-server.conf";

// A command with one argument.
struct PagesCommand {
  std::string argument;
  CLI::App app;

  PagesCommand(const std::string& name, const std::string& description,
               const std::string& type, const std::string& help)
      : app(description, absl::StrCat("leasehold-server ", name)) {
    app.add_option(type == kShells ? "SHELL" : type, argument, help)
        ->required()
        ->type_name(type);
  }

  // Runs `run` with the argument. Returns the exit code.
  int Run(const std::vector<std::string>& arguments,
          const std::function<absl::Status(const std::string&)>& run) {
    const auto fail = [this](int code, const std::string& message) {
      std::fprintf(stderr, "%s: %s\n", app.get_name().c_str(), message.c_str());
      return code;
    };
    try {
      app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
    } catch (const CLI::CallForHelp&) {
      std::fputs(app.help().c_str(), stdout);
      return 0;
    } catch (const CLI::ParseError& error) {
      return fail(kExitWrongUsage,
                  absl::StrCat(error.what(), "; --help says more"));
    }
    const absl::Status status = run(argument);
    if (status.ok()) return 0;
    return fail(absl::IsInvalidArgument(status) ? kExitWrongUsage : kExitFailed,
                std::string(status.message()));
  }
};

PagesCommand CompletionCommand() {
  return {"completion",
          "Prints a script by which a shell completes commands, options and "
          "their values.",
          kShells, "The shell: source <(leasehold-server completion bash)."};
}

PagesCommand ManCommand() {
  return {"man",
          "Writes the manual pages of all commands, and of the config file, "
          "into a directory.",
          "DIRECTORY", "Where to."};
}

CommandText Program() {
  CommandText program = DescribeServer();
  program.commands = {
      DescribeBackup(),
      DescribeRestore(),
      DescribeCheck(),
      DescribeConfig(),
      DescribeToken(),
      DescribeUrlKeys(),
      DescribeCommand(CompletionCommand().app, "leasehold-server completion"),
      DescribeCommand(ManCommand().app, "leasehold-server man")};
  return program;
}

std::string VariableOf(const std::string& setting) {
  return absl::StrCat("LEASEHOLD_", absl::AsciiStrToUpper(absl::StrReplaceAll(
                                        setting, {{"-", "_"}})));
}

// The page of the config file: the settings, as they stand there.
ManualPage ConfigPage(const CommandText& program) {
  PageText page(kConfigPage, kFilesSection, LEASEHOLD_VERSION,
                "the settings of leasehold-server");
  page.Section("SYNOPSIS");
  page.Paragraph("`/etc/leasehold/server.conf`");
  page.Section("DESCRIPTION");
  page.Paragraph(
      "A line of the file is `name = value`; one that begins with `#` is a "
      "comment. Values that are not a number or one word stand between double "
      "quotes. Switches are `on` or `off`. A setting that may be given more "
      "than once has its values between brackets: `listen = "
      "[\"127.0.0.1:4001\", \"[::1]:4001\"]`.");
  page.Paragraph(
      "Each setting is also an option of leasehold-server(8) and a variable of "
      "its environment. The command line wins over the environment, which wins "
      "over the file. Durations have a unit: ns, us, ms, s, m, h, d.");
  page.Paragraph(
      "After SIGHUP (`systemctl reload leasehold-server`) the server reads the "
      "file again. log-level and retention change at once; the log names what "
      "else has changed and needs a restart. A file with an error changes "
      "nothing.");
  page.Section("SETTINGS");
  for (const OptionText& option : program.options) {
    const std::string name(absl::StripPrefix(option.name, "--"));
    if (name == "help" || name == "version" || name == "config") continue;
    std::string after =
        absl::StrCat(" = ", option.value.empty() ? "on|off" : option.value);
    if (!option.fallback.empty()) {
      absl::StrAppend(&after, "    (default: ", option.fallback, ")");
    }
    page.Item(
        name, after,
        absl::StrCat(option.help, " (Environment: ", VariableOf(name), ".)"));
  }
  page.Section("SEE ALSO");
  page.Paragraph("leasehold-server(8), leasehold(1)");
  return {.file = absl::StrCat(kConfigPage, ".", kFilesSection),
          .text = page.text()};
}

absl::Status WriteManual(const std::string& directory) {
  const CommandText program = Program();
  std::vector<ManualPage> pages = ManualPages(
      program,
      {.section = kSection,
       .version = LEASEHOLD_VERSION,
       .sections = {{"EXIT STATUS",
                     "0: it has done what it was asked to, or was told to end. "
                     "1: it could not. 2: the command line or a setting is "
                     "wrong, or an address or the data directory cannot be "
                     "used."}},
       .see_also = {"leasehold(1)", absl::StrCat(kConfigPage, "(5)")}});
  pages.push_back(ConfigPage(program));
  return WritePages(pages, directory);
}

}  // namespace

int RunCompletionCommand(const std::vector<std::string>& arguments) {
  return CompletionCommand().Run(arguments, [](const std::string& shell) {
    const absl::StatusOr<std::string> script = Completion(shell, Program());
    if (script.ok()) std::fputs(script->c_str(), stdout);
    return script.status();
  });
}

int RunManCommand(const std::vector<std::string>& arguments) {
  return ManCommand().Run(arguments, &WriteManual);
}

}  // namespace leasehold
