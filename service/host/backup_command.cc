#include "service/host/backup_command.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "lease/base/quote.h"
#include "service/host/command_exit.h"
#include "service/security/capability_keys.h"
#include "service/storage/durable_files.h"
#include "service/storage/store_backup.h"
#include "service/storage/store_restore.h"

namespace leasehold {
namespace {

constexpr char kDefaultData[] = "leasehold-data";

int FailApp(const CLI::App& app, int code, const std::string& message) {
  std::fprintf(stderr, "%s: %s\n", app.get_name().c_str(), message.c_str());
  return code;
}

int FailApp(const CLI::App& app, const absl::Status& status) {
  const bool usage = absl::IsInvalidArgument(status) ||
                     absl::IsFailedPrecondition(status) ||
                     absl::IsNotFound(status);
  return FailApp(app, usage ? kExitWrongUsage : kExitFailed,
                 std::string(status.message()));
}

// nullopt: the command is to run. Otherwise its exit code.
std::optional<int> ParseCommand(CLI::App& app,
                                const std::vector<std::string>& arguments) {
  try {
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::CallForHelp&) {
    std::fputs(app.help().c_str(), stdout);
    return 0;
  } catch (const CLI::ParseError& error) {
    const std::vector<std::string> unknown = app.remaining();
    return FailApp(
        app, kExitWrongUsage,
        absl::StrCat(unknown.empty()
                         ? error.what()
                         : absl::StrCat("unknown argument ",
                                        QuoteForMessage(unknown.front())),
                     "; --help lists them"));
  }
  return std::nullopt;
}

struct BackupCommand {
  BackupOptions options{.data = kDefaultData, .to = "", .program = ""};
  CLI::App app{
      "Backs up a data directory, also while a server uses it.\n"
      "The backup is a new folder in DIR, whose name has the time, and is "
      "printed: it has\nall that was acknowledged before, and is checked. "
      "It has what clients have stored,\nand keys of the server: keep it as "
      "secret as the data directory.",
      "leasehold-server backup"};

  BackupCommand() {
    app.add_option("--to", options.to,
                   "The directory for backups; made if it is missing.")
        ->type_name("DIR")
        ->required();
    app.add_option("--data", options.data, "The data directory of the server.")
        ->type_name("DIR")
        ->default_str(options.data)
        ->envname("LEASEHOLD_DATA");
  }
};

struct RestoreCommand {
  RestoreOptions options{.from = "", .data = kDefaultData};
  CLI::App app{
      "Puts a backup into a data directory that no server uses.\n"
      "It is checked before anything is changed. If it is interrupted, the "
      "directory has\nthe former state or that of the backup; run it again.",
      "leasehold-server restore"};

  RestoreCommand() {
    app.add_option("--from", options.from,
                   "The folder of the backup, as `backup` has printed it.")
        ->type_name("DIR")
        ->required();
    app.add_option("--data", options.data,
                   "The data directory; made if it is missing.")
        ->type_name("DIR")
        ->default_str(options.data)
        ->envname("LEASEHOLD_DATA");
    app.add_flag("--replace", options.replace,
                 "Replace the store that is there. Its files are kept, in a "
                 "folder of the data directory whose name begins with "
                 "`replaced-`.");
  }
};

}  // namespace

int RunBackupCommand(const std::vector<std::string>& arguments, Clock& clock) {
  BackupCommand command;
  if (const auto code = ParseCommand(command.app, arguments)) return *code;
  command.options.program = LEASEHOLD_VERSION;
  command.options.files = {
      std::filesystem::path(CapabilityKeys::FileIn("")).filename()};
  DurableFiles files;
  const auto made = MakeBackup(command.options, clock, files);
  if (!made.ok()) return FailApp(command.app, made.status());
  std::printf("%s\n", made->path.c_str());
  return 0;
}

int RunRestoreCommand(const std::vector<std::string>& arguments,
                      const Clock& clock) {
  RestoreCommand command;
  if (const auto code = ParseCommand(command.app, arguments)) return *code;
  DurableFiles files;
  const auto restored = RestoreBackup(command.options, clock, files);
  if (!restored.ok()) return FailApp(command.app, restored.status());
  std::printf("restored: %s\n", Describe(*restored).c_str());
  return 0;
}

CommandText DescribeBackup() {
  return DescribeCommand(BackupCommand().app, "leasehold-server backup");
}

CommandText DescribeRestore() {
  return DescribeCommand(RestoreCommand().app, "leasehold-server restore");
}

}  // namespace leasehold
