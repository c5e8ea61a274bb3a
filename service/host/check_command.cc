#include "service/host/check_command.h"

#include <cstdio>
#include <cstdlib>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "service/instance/instance_key.h"
#include "service/orchestration/history.h"
#include "service/orchestration/orchestration_info.h"
#include "service/orchestration/runtime_state.h"
#include "service/storage/sqlite_check.h"

namespace leasehold {
namespace {

constexpr int kDamaged = 1;
constexpr int kWrongUsage = 2;

constexpr char kHelp[] =
    "Usage: leasehold-server check [--data=DIR] [--export=FILE] [--accept]\n"
    "\n"
    "Looks at everything that a data directory holds, while no server has it:\n"
    "checksums, indexes, the number of rows, and whether each row can be "
    "read.\n"
    "Prints what is damaged. Exit code: 0, nothing; 1, something; 2, it "
    "cannot\n"
    "be checked.\n"
    "\n"
    "  --data=DIR      The data directory. Else LEASEHOLD_DATA; else\n"
    "                  leasehold-data.\n"
    "  --export=FILE   Write what is left of the damaged orchestrations, a "
    "line\n"
    "                  of JSON a row, its bytes in base64.\n"
    "  --accept        Have the next server go on with what is there, "
    "although\n"
    "                  rows are missing or the file is older than it should "
    "be.\n"
    "                  What is damaged stays set aside until it is purged.\n";

struct CheckOptions {
  std::string data = "leasehold-data";
  std::string export_to;
  bool accept = false;
};

int Fail(const std::string& message) {
  std::fprintf(stderr, "leasehold-server check: %s\n", message.c_str());
  return kWrongUsage;
}

// Empty: they were read. Otherwise what is wrong.
std::string ReadOptions(const std::vector<std::string>& arguments,
                        CheckOptions& options) {
  const char* data = std::getenv("LEASEHOLD_DATA");
  if (data != nullptr && *data != '\0') options.data = data;
  for (size_t i = 0; i < arguments.size(); ++i) {
    absl::string_view rest = arguments[i];
    std::string* target = nullptr;
    if (rest == "--accept") {
      options.accept = true;
      continue;
    }
    if (absl::ConsumePrefix(&rest, "--data")) target = &options.data;
    if (absl::ConsumePrefix(&rest, "--export")) target = &options.export_to;
    if (target == nullptr || !(rest.empty() || absl::StartsWith(rest, "="))) {
      return absl::StrCat("unknown argument ", QuoteForMessage(arguments[i]),
                          "; --help lists them");
    }
    if (absl::ConsumePrefix(&rest, "=")) {
      *target = std::string(rest);
    } else if (i + 1 < arguments.size()) {
      *target = arguments[++i];
    }
    if (target->empty()) {
      return absl::StrCat(arguments[i], ": needs a value");
    }
  }
  return "";
}

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
  for (const std::string& argument : arguments) {
    if (argument == "--help" || argument == "-h") {
      std::fputs(kHelp, stdout);
      return 0;
    }
  }
  CheckOptions options;
  if (std::string wrong = ReadOptions(arguments, options); !wrong.empty()) {
    return Fail(wrong);
  }
  const auto check = SqliteCheck::Begin(options.data, clock);
  if (!check.ok()) return Fail(std::string(check.status().message()));
  const CheckReport report = (*check)->Look(Decoders());
  Print((*check)->path(), report);
  absl::Status status;
  if (!options.export_to.empty()) {
    status = (*check)->Export(report, options.export_to);
    if (!status.ok()) return Fail(std::string(status.message()));
  }
  if (options.accept) {
    status = (*check)->AcceptWhatIsThere();
    if (!status.ok()) return Fail(std::string(status.message()));
    std::printf("accepted: the next server goes on with what is there\n");
  }
  return report.whole() ? 0 : kDamaged;
}

}  // namespace leasehold
