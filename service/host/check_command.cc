#include "service/host/check_command.h"

#include <CLI/CLI.hpp>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "lease/base/quote.h"
#include "service/host/command_exit.h"
#include "service/instance/instance_key.h"
#include "service/orchestration/history.h"
#include "service/orchestration/orchestration_info.h"
#include "service/orchestration/runtime_state.h"
#include "service/storage/sqlite_check.h"

namespace leasehold {
namespace {

constexpr int kDamaged = 1;

struct CheckOptions {
  std::string data = "leasehold-data";
  std::string export_to;
  bool accept = false;
};

void AddOptions(CLI::App& app, CheckOptions& options) {
  app.add_option("--data", options.data, "The data directory.")
      ->type_name("DIR")
      ->default_str(options.data)
      ->envname("LEASEHOLD_DATA");
  app.add_option("--export", options.export_to,
                 "Write what is left of the damaged orchestrations, a line of "
                 "JSON a row, its bytes in base64.")
      ->type_name("FILE");
  app.add_flag("--accept", options.accept,
               "Have the next server go on with what is there, although rows "
               "are missing or the file is older than it should be. What is "
               "damaged stays set aside until it is purged.");
}

constexpr char kDescription[] =
    "Says whether a data directory is whole.\n"
    "It looks at everything that the directory holds, while no server has it: "
    "checksums,\nindexes, the number of rows, and whether each row can be "
    "read. "
    "Prints what is damaged.\nExit code: 0, nothing; 1, something; 2, it "
    "cannot "
    "be checked.";

RowDecoders Decoders() {
  return {
      .summary =
          [](std::string_view bytes) {
            return DecodeMessage<Summary>(bytes).has_value();
          },
      .events =
          [](std::string_view bytes) {
            return RuntimeState().ApplyFrames(bytes);
          },
      .event =
          [](std::string_view bytes) { return DecodeEvent(bytes).has_value(); },
      .task =
          [](std::string_view bytes) {
            return DecodeMessage<TaskScheduled>(bytes).has_value();
          }};
}

void Print(const std::string& path, const CheckReport& report) {
  for (const std::string& damage : report.damage) {
    std::printf("damaged file: %s\n", damage.c_str());
  }
  for (const auto& [number, run] : report.runs) {
    for (const std::string& damage : run.damage) {
      std::printf("damaged orchestration: %s (%s, number %lld): %s\n",
                  QuoteForMessage(run.id).c_str(), run.state.c_str(),
                  static_cast<long long>(number), damage.c_str());
    }
  }
  std::string rows;
  for (const auto& [table, count] : report.rows) {
    absl::StrAppend(&rows, rows.empty() ? "" : ", ", table, " ", count);
  }
  std::printf("%s: %s; rows: %s\n", path.c_str(),
              report.whole() ? "everything is whole"
                             : absl::StrCat(report.runs.size(),
                                            " orchestrations are damaged")
                                   .c_str(),
              rows.empty() ? "none" : rows.c_str());
}

}  // namespace

int RunCheckCommand(const std::vector<std::string>& arguments,
                    const Clock& clock) {
  CLI::App app(kDescription, "leasehold-server check");
  CheckOptions options;
  AddOptions(app, options);
  try {
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::CallForHelp&) {
    std::fputs(app.help().c_str(), stdout);
    return 0;
  } catch (const CLI::ParseError& error) {
    const std::vector<std::string> unknown = app.remaining();
    return FailCommand(
        "check", kExitWrongUsage,
        absl::StrCat(unknown.empty()
                         ? error.what()
                         : absl::StrCat("unknown argument ",
                                        QuoteForMessage(unknown.front())),
                     "; --help lists them"));
  }
  const auto check = SqliteCheck::Begin(options.data, clock);
  if (!check.ok())
    return FailCommand("check", kExitWrongUsage,
                       std::string(check.status().message()));
  const CheckReport report = (*check)->Look(Decoders());
  Print((*check)->path(), report);
  absl::Status status;
  if (!options.export_to.empty()) {
    status = (*check)->Export(report, options.export_to);
    if (!status.ok())
      return FailCommand("check", kExitWrongUsage,
                         std::string(status.message()));
  }
  if (options.accept) {
    status = (*check)->AcceptWhatIsThere();
    if (!status.ok())
      return FailCommand("check", kExitWrongUsage,
                         std::string(status.message()));
    std::printf("accepted: the next server goes on with what is there\n");
  }
  return report.whole() ? 0 : kDamaged;
}

CommandText DescribeCheck() {
  CLI::App app(kDescription);
  CheckOptions options;
  AddOptions(app, options);
  return DescribeCommand(app, "leasehold-server check");
}

}  // namespace leasehold
