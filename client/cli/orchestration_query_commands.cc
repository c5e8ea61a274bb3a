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
#include "client/cli/list_end.h"
#include "client/cli/orchestration_command.h"
#include "client/cli/orchestration_values.h"
#include "client/cli/orchestration_view.h"
#include "client/cli/output.h"
#include "client/cli/usage.h"
#include "client/cli/values.h"

namespace leasehold::client::cli {
namespace {

struct ListCommandOptions {
  FilterOptions filter;
  std::optional<int> limit;
  std::optional<int> last;
  std::optional<ListOrder> order;
  bool all = false;
  bool payloads = false;
};

// Throws UsageError if the options say twice which to show.
void CheckList(const ListCommandOptions& options) {
  if (options.last.has_value() &&
      (options.all || options.limit.has_value() || options.order.has_value())) {
    throw UsageError(
        "orchestration list: --last says how many and in which order; leave "
        "out --all, --limit and --order");
  }
  if (options.all && options.limit.has_value()) {
    throw UsageError("orchestration list: give --all or --limit, not both");
  }
}

// A person at a terminal wants to see the newest ones; a program reads all.
ListCommandOptions WithDefaults(ListCommandOptions options, bool for_person) {
  if (options.last.has_value()) {
    options.limit = options.last;
    options.order = ListOrder::kNewestFirst;
  }
  if (!options.order.has_value()) {
    options.order =
        for_person ? ListOrder::kNewestFirst : ListOrder::kOldestFirst;
  }
  if (for_person && !options.all && !options.limit.has_value()) {
    options.limit = kShownOnTerminal;
  }
  return options;
}

// The line below a list that is full after `shown`.
std::string EndOfList(OrchestrationClient& client,
                      const OrchestrationFilter& filter, ListOrder order,
                      int64_t shown, bool full, bool cut) {
  ListEnd end{.shown = shown,
              .all = shown,
              .what = "orchestrations",
              .which = order == ListOrder::kNewestFirst ? "the newest first"
                                                        : "the oldest first",
              .cut = cut};
  if (full) {
    const auto counts = client.Count(filter);
    int64_t all = 0;
    if (counts.ok()) {
      for (const auto& [status, count] : counts->by_status) all += count;
    }
    const bool known = counts.ok() && counts->complete;
    end.all = known ? std::optional<int64_t>(all) : std::nullopt;
  }
  return ListEndLine(end);
}

absl::Status RunList(OrchestrationClient& client,
                     const ListCommandOptions& given,
                     const GlobalOptions& global, Surroundings& around) {
  CheckList(given);
  const bool for_person =
      global.output == OutputFormat::kTable && around.on_terminal();
  const ListCommandOptions options = WithDefaults(given, for_person);
  Output output(global.output, around.out);
  const Look look = LookOf(global, around);
  Table table(OrchestrationHeading(), look);
  const size_t most = options.limit.value_or(INT32_MAX);
  size_t shown = 0;
  const auto on_page = [&](const std::vector<OrchestrationState>& page) {
    std::vector<Table::Row> rows;
    for (const OrchestrationState& state : page) {
      if (shown == most) break;
      ++shown;
      if (output.format() == OutputFormat::kTable) {
        rows.push_back(OrchestrationRow(state, look));
      } else if (!output.Write(
                     OrchestrationJson(state, global.payloads).line())) {
        return false;
      }
    }
    return output.Say(table.Lines(std::move(rows))) && shown < most;
  };
  ListOrchestrationsOptions list;
  list.filter = options.filter.At(around.now());
  list.order = *options.order;
  list.payloads = options.payloads;
  if (options.limit.has_value()) {
    list.page_size = std::min(*options.limit, kPageMax);
  }
  const absl::Status status = client.List(list, on_page);
  if (!status.ok()) return status;
  if (for_person) {
    output.Write(EndOfList(client, list.filter, list.order,
                           static_cast<int64_t>(shown), shown == most,
                           table.cut()));
  }
  return output.status();
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
  HistoryView view(LookOf(global, around));
  TurnCounter turns;
  absl::Status status = client.GetHistory(
      options.id, options.execution, [&](const OrchestrationEvent& event) {
        if (output.format() == OutputFormat::kTable) {
          view.Add(event);
          return true;
        }
        return output.Write(
            TimelineJson(event, turns.TurnOf(event), global.payloads).line());
      });
  if (!status.ok()) return status;
  output.Say(view.Text());
  return output.status();
}

}  // namespace

Command AddListCommand(CLI::App& group) {
  const auto options = std::make_shared<ListCommandOptions>();
  CLI::App* app = group.add_subcommand(
      "list",
      "Show orchestrations; on a terminal the newest 20 first, elsewhere all, "
      "in the order in which they started");
  AddFilter(*app, options->filter);
  AddValue(*app, "--limit", options->limit, ReadCount, "show at most this many")
      ->type_name("N");
  AddValue(*app, "--order", options->order, ReadOrder, "oldest or newest first")
      ->type_name("oldest|newest");
  AddValue(*app, "--last", options->last, ReadCount,
           "show this many of the newest, the newest first")
      ->type_name("N");
  app->add_flag("--all", options->all, "show all, on a terminal too");
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
      "Show the history of an orchestration, in the order of time; "
      "--output=json shows all of it, in the order in which it was recorded");
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
