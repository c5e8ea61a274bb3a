#include "client/cli/orchestration_query_commands.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/cli/history_file.h"
#include "client/cli/history_view.h"
#include "client/cli/json_object.h"
#include "client/cli/orchestration_command.h"
#include "client/cli/orchestration_values.h"
#include "client/cli/orchestration_view.h"
#include "client/cli/output.h"
#include "client/cli/values.h"

namespace leasehold::client::cli {
namespace {

struct ListCommandOptions {
  FilterOptions filter;
  std::optional<int> limit;
  ListOrder order = ListOrder::kOldestFirst;
  bool payloads = false;
};

absl::Status RunList(OrchestrationClient& client,
                     const ListCommandOptions& options,
                     const GlobalOptions& global, Surroundings& around) {
  Output output(global.output, around.out);
  Table table(OrchestrationHeading(), around.cells());
  size_t left = options.limit.value_or(INT32_MAX);
  const auto on_page = [&](const std::vector<OrchestrationState>& page) {
    std::vector<Table::Row> rows;
    for (const OrchestrationState& state : page) {
      if (left == 0) break;
      --left;
      if (output.format() == OutputFormat::kTable) {
        rows.push_back(OrchestrationRow(state));
      } else if (!output.Write(OrchestrationJson(state).line())) {
        return false;
      }
    }
    return output.Say(table.Lines(std::move(rows))) && left > 0;
  };
  ListOrchestrationsOptions list;
  list.filter = options.filter.At(around.now());
  list.order = options.order;
  list.payloads = options.payloads;
  if (options.limit.has_value()) {
    list.page_size = std::min(*options.limit, kPageMax);
  }
  const absl::Status status = client.List(list, on_page);
  return status.ok() ? output.status() : status;
}

// The path of a file.
absl::StatusOr<std::string> ReadPath(const std::string& text) {
  if (text.empty()) return WrongValue(text, "not the path of a file");
  return ReadText(text);
}

struct HistoryOptions {
  std::string id;
  std::string execution;
  std::string file;  // Empty: it is shown.
};

absl::Status ExportHistory(OrchestrationClient& client,
                           const HistoryOptions& options,
                           const GlobalOptions& global, Surroundings& around) {
  HistoryFile file(options.file, options.id);
  absl::Status status = client.GetHistory(
      options.id, options.execution,
      [&](const OrchestrationEvent& event) { return file.Write(event); });
  if (status.ok()) status = file.Close();
  if (!status.ok()) return status;
  return WriteDone(absl::StrCat("Exported ", file.events(),
                                file.events() == 1 ? " event" : " events",
                                " to ", options.file, "."),
                   JsonObject()
                       .Text("instance_id", options.id)
                       .Text("file", options.file)
                       .Number("events", file.events()),
                   global, around);
}

absl::Status RunHistory(OrchestrationClient& client,
                        const HistoryOptions& options,
                        const GlobalOptions& global, Surroundings& around) {
  if (!options.file.empty()) {
    return ExportHistory(client, options, global, around);
  }
  Output output(global.output, around.out);
  HistoryView view;
  absl::Status status = client.GetHistory(
      options.id, options.execution, [&](const OrchestrationEvent& event) {
        return output.Write(output.format() == OutputFormat::kJson
                                ? EventJson(event).line()
                                : view.Lines(event));
      });
  if (!status.ok()) return status;
  output.Say(view.End());
  return output.status();
}

}  // namespace

Command AddListCommand(CLI::App& group) {
  const auto options = std::make_shared<ListCommandOptions>();
  CLI::App* app = group.add_subcommand(
      "list",
      "Show orchestrations, in the order in which they started or with the "
      "newest first");
  AddFilter(*app, options->filter);
  AddValue(*app, "--limit", options->limit, ReadCount,
           "show at most this many (default: all)")
      ->type_name("N");
  AddValue(*app, "--order", options->order, ReadOrder,
           "oldest or newest first (default: oldest)")
      ->type_name("ORDER");
  app->add_flag("--payloads", options->payloads,
                "include input, output and failure (shown in JSON)");
  return CallingCommand(
      app, [options](OrchestrationClient& client, const GlobalOptions& global,
                     Surroundings& around) {
        return RunList(client, *options, global, around);
      });
}

Command AddHistoryCommand(CLI::App& group) {
  const auto options = std::make_shared<HistoryOptions>();
  CLI::App* app = group.add_subcommand(
      "history",
      "Show the history of an orchestration; --output=json shows all of it");
  AddId(*app, options->id)->required();
  AddValue(*app, "--execution", options->execution, ReadId,
           "ID of one of its runs (default: the current one)")
      ->type_name("ID");
  AddValue(*app, "--export", options->file, ReadPath,
           "write it to this file instead, for a test that replays it")
      ->type_name("FILE");
  return CallingCommand(
      app, [options](OrchestrationClient& client, const GlobalOptions& global,
                     Surroundings& around) {
        return RunHistory(client, *options, global, around);
      });
}

}  // namespace leasehold::client::cli
