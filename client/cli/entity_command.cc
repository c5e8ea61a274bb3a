#include "client/cli/entity_command.h"

#include <algorithm>
#include <climits>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "client/cli/entity_view.h"
#include "client/cli/list_end.h"
#include "client/cli/orchestration_command.h"
#include "client/cli/orchestration_values.h"
#include "client/cli/output.h"
#include "client/cli/payload.h"
#include "client/cli/printable.h"
#include "client/cli/stream_run.h"
#include "client/cli/table.h"
#include "client/cli/usage.h"
#include "client/cli/values.h"
#include "client/entities/entity_client.h"

namespace leasehold::client::cli {
namespace {

// A command that makes calls: `run` gets a client for the server that --address
// names.
Command Calling(CLI::App* app,
                std::function<absl::Status(EntityClient&, const GlobalOptions&,
                                           Surroundings&)>
                    run) {
  return {app, [run = std::move(run)](const GlobalOptions& global,
                                      Surroundings& around) {
            const auto client = EntityClient::Connect(
                global.address, global.timeout, global.credentials);
            if (!client.ok()) return client.status();
            return run(**client, global, around);
          }};
}

// An operation of an entity, with its input.
struct Operation {
  std::string id;
  std::string name;
  PayloadOption input{.name = "--input", .text = {}};
};

void AddOperation(CLI::App& app, Operation& operation) {
  AddId(app, operation.id)->required();
  AddValue(app, "OPERATION", operation.name, ReadName, "name of the operation")
      ->type_name("")
      ->required();
  AddPayload(app, operation.input, "its input");
}

Command AddSignal(CLI::App& group) {
  struct Options {
    Operation operation;
    std::optional<Moment> at;
  };
  const auto options = std::make_shared<Options>();
  CLI::App* app = group.add_subcommand(
      "signal", "Send an operation to an entity, and do not wait for it");
  AddOperation(*app, options->operation);
  AddValue(*app, "--at", options->at, ReadMoment,
           "when to run it at the earliest, as in 2024-10-04T17:46:40Z, or "
           "from now, as in +30s (default: now)")
      ->type_name("TIME");
  return Calling(
      app, [options](EntityClient& client, const GlobalOptions& global,
                     Surroundings& around) {
        const auto& [id, name, input] = options->operation;
        EntitySignalOptions signal{.instance_id = id, .operation = name};
        signal.input = ReadPayload(input, around);
        if (options->at.has_value()) {
          signal.scheduled_time = options->at->At(around.now());
        }
        const absl::Status status = client.Signal(signal);
        if (!status.ok()) return status;
        return WriteDone(absl::StrCat("Signalled ", name, " to ", id, "."),
                         JsonObject()
                             .Text("instance_id", id)
                             .Text("operation", name)
                             .Text("done", "signal"),
                         global, around);
      });
}

Command AddCall(CLI::App& group) {
  struct Options {
    Operation operation;
    std::string request_id;
  };
  const auto options = std::make_shared<Options>();
  CLI::App* app = group.add_subcommand(
      "call",
      "Send an operation to an entity, wait until it has run, and show its "
      "output; exit code 1 if it failed");
  AddOperation(*app, options->operation);
  AddValue(*app, "--request-id", options->request_id, ReadName,
           "makes the call idempotent: repeated with the same request ID, it "
           "does not run again and shows the first output")
      ->type_name("ID");
  return Calling(
      app,
      [options](EntityClient& client, const GlobalOptions& global,
                Surroundings& around) -> absl::Status {
        const auto& [id, name, input] = options->operation;
        EntityCallOptions call{.instance_id = id, .operation = name};
        call.input = ReadPayload(input, around);
        call.request_id = options->request_id;
        // Otherwise the server has a limit.
        call.timeout =
            global.timeout_given ? global.timeout : absl::InfiniteDuration();
        const auto output = client.Call(call);
        if (!output.ok()) return output.status();
        return WriteDone(output->value_or(absl::StrCat("Called ", name, " of ",
                                                       id, ": no output.")),
                         JsonObject()
                             .Text("instance_id", id)
                             .Text("operation", name)
                             .PayloadIfAny("output", *output, global.payloads),
                         global, around);
      });
}

Command AddGetEntity(CLI::App& group) {
  const auto id = std::make_shared<std::string>();
  CLI::App* app = group.add_subcommand(
      "get", "Show an entity: its state, what waits for it, who has locked it");
  AddId(*app, *id)->required();
  return Calling(app, [id](EntityClient& client, const GlobalOptions& global,
                           Surroundings& around) {
    const auto info = client.Get(*id);
    if (!info.ok()) return info.status();
    if (!info->has_value()) {
      return absl::NotFoundError(
          absl::StrCat("there is no entity \"", *id, "\""));
    }
    Output output(global.output, around.out);
    output.Write(output.format() == OutputFormat::kJson
                     ? EntityJson(**info, global.payloads).line()
                     : EntityText(**info, LookOf(global, around)));
    return output.status();
  });
}

Command AddDelete(CLI::App& group) {
  const auto id = std::make_shared<std::string>();
  CLI::App* app = group.add_subcommand(
      "delete",
      "Take the state of an entity away; operations that wait for it still "
      "run");
  AddId(*app, *id)->required();
  return Calling(app, [id](EntityClient& client, const GlobalOptions& global,
                           Surroundings& around) {
    const absl::Status status = client.Delete(*id);
    if (!status.ok()) return status;
    return WriteDone(
        absl::StrCat("Deleted ", *id, "."),
        JsonObject().Text("instance_id", *id).Text("done", "delete"), global,
        around);
  });
}

// A duration, zero included, or `none`.
absl::StatusOr<std::optional<absl::Duration>> ReadLockTime(
    const std::string& text) {
  if (text == "none") return std::optional<absl::Duration>();
  absl::Duration value;
  if (absl::ParseDuration(text, &value) && value >= absl::ZeroDuration() &&
      value != absl::InfiniteDuration()) {
    return std::optional<absl::Duration>(value);
  }
  return WrongValue(text,
                    "not a time for a lock; write a duration from now, as in "
                    "30s, 0 to end it at once, or none for no limit");
}

std::string LockTimeText(const std::optional<absl::Duration>& time) {
  if (!time.has_value()) return "has no limit";
  if (*time == absl::ZeroDuration()) return "has ended";
  return absl::StrCat("ends in ", absl::FormatDuration(*time));
}

Command AddLimitLock(CLI::App& group) {
  const auto options = std::make_shared<EntityLockOptions>();
  CLI::App* app = group.add_subcommand("limit-lock",
                                       "Say how long the lock of an entity "
                                       "lasts at most, from now on: renew it, "
                                       "or end it");
  AddId(*app, options->instance_id)->required();
  AddValue(
      *app, "TIME", options->timeout, ReadLockTime,
      "how long, as in 30s; 0 ends the lock at once; none: it has no limit "
      "any more")
      ->type_name("")
      ->required();
  AddValue(*app, "--section", options->section_id, ReadId,
           "only if this critical section has it (default: whichever does)")
      ->type_name("ID");
  return Calling(
      app, [options](EntityClient& client, const GlobalOptions& global,
                     Surroundings& around) {
        const absl::Status status = client.LimitLock(*options);
        if (!status.ok()) return status;
        return WriteDone(absl::StrCat("The lock of ", options->instance_id, " ",
                                      LockTimeText(options->timeout), "."),
                         JsonObject()
                             .Text("instance_id", options->instance_id)
                             .Text("done", "limit-lock"),
                         global, around);
      });
}

struct ListOptions {
  std::string id_prefix;
  std::optional<Moment> updated_from;
  std::optional<Moment> updated_to;
  bool stateless = false;
  bool states = false;
  std::optional<int> limit;
  bool all = false;
};

absl::Status RunList(EntityClient& client, const ListOptions& options,
                     const GlobalOptions& global, Surroundings& around) {
  Output output(global.output, around.out);
  const Look look = LookOf(global, around);
  Table table(EntityHeading(), look);
  if (options.all && options.limit.has_value()) {
    throw UsageError("entity list: give --all or --limit, not both");
  }
  const bool for_person =
      global.output == OutputFormat::kTable && around.on_terminal();
  const size_t most = options.limit.value_or(
      for_person && !options.all ? kShownOnTerminal : INT_MAX);
  size_t shown = 0;
  bool more = false;
  const auto on_page = [&](const std::vector<EntityInfo>& page) {
    std::vector<Table::Row> rows;
    for (const EntityInfo& info : page) {
      more = shown == most;
      if (more) break;
      ++shown;
      if (output.format() == OutputFormat::kTable) {
        rows.push_back(EntityRow(info, look));
      } else if (!output.Write(EntityJson(info, global.payloads).line())) {
        return false;
      }
    }
    // One more than is shown says that there are more.
    const bool full = for_person ? more : shown == most;
    return output.Say(table.Lines(std::move(rows))) && !full;
  };
  ListEntitiesOptions list;
  list.filter.id_prefix = options.id_prefix;
  const absl::Time now = around.now();
  if (options.updated_from.has_value()) {
    list.filter.updated_from = options.updated_from->At(now);
  }
  if (options.updated_to.has_value()) {
    list.filter.updated_to = options.updated_to->At(now);
  }
  list.filter.stateless = options.stateless;
  list.states = options.states;
  if (most < kPageMax) {
    list.page_size = static_cast<int>(most) + (for_person ? 1 : 0);
  }
  const absl::Status status = client.List(list, on_page);
  if (!status.ok()) return status;
  if (for_person) {
    output.Write(ListEndLine(
        {.shown = static_cast<int64_t>(shown),
         .all = more ? std::nullopt
                     : std::optional<int64_t>(static_cast<int64_t>(shown)),
         .what = "entities",
         .which = "in the order of their IDs",
         .cut = table.cut()}));
  }
  return output.status();
}

Command AddListEntities(CLI::App& group) {
  const auto options = std::make_shared<ListOptions>();
  CLI::App* app =
      group.add_subcommand("list", "Show entities, in the order of their IDs");
  AddValue(*app, "--id-prefix", options->id_prefix, ReadId,
           "only IDs with this prefix, as in @counter@")
      ->type_name("PREFIX");
  AddValue(*app, "--updated-from", options->updated_from, ReadMoment,
           "only those whose state was put at this time or later, as in "
           "2024-10-04T17:46:40Z, or from now, as in -1h")
      ->type_name("TIME");
  AddValue(*app, "--updated-to", options->updated_to, ReadMoment,
           "only those whose state was put before this time")
      ->type_name("TIME");
  app->add_flag("--stateless", options->stateless,
                "also those without a state that something waits for or has "
                "locked");
  app->add_flag("--states", options->states, "include their states");
  AddValue(*app, "--limit", options->limit, ReadCount,
           "show at most this many (default: 20 on a terminal, elsewhere all)")
      ->type_name("N");
  app->add_flag("--all", options->all, "show all, on a terminal too");
  return Calling(app,
                 [options](EntityClient& client, const GlobalOptions& global,
                           Surroundings& around) {
                   return RunList(client, *options, global, around);
                 });
}

absl::Status RunWatch(EntityClient& client, const std::string& id,
                      const GlobalOptions& global, Surroundings& around) {
  StreamRun run(around);
  Output output(global.output, around.out);
  Table table(EntityChangeHeading(), LookOf(global, around));
  EntityWatchOptions options;
  options.instance_id = id;
  options.reconnect = true;
  options.on_lost = [&](const absl::Status& why) { run.Lost(why); };
  options.on_change = [&](const EntityInfo& info) {
    run.Heard();
    const bool written =
        output.Write(output.format() == OutputFormat::kJson
                         ? EntityJson(info, global.payloads).line()
                         : table.Lines({EntityChangeRow(info)}));
    if (!written) run.OutputFailed();
  };
  options.on_end = [&](const absl::Status& status) { run.End(status); };
  auto watch = client.StartWatch(std::move(options));
  if (!watch.ok()) return watch.status();
  const absl::Status status = run.Await();
  watch->reset();
  return status.ok() ? output.status() : status;
}

Command AddWatch(CLI::App& group) {
  const auto id = std::make_shared<std::string>();
  CLI::App* app = group.add_subcommand(
      "watch", "Show the state of an entity as it changes, until Ctrl-C");
  AddId(*app, *id)->required();
  return Calling(app, [id](EntityClient& client, const GlobalOptions& global,
                           Surroundings& around) {
    return RunWatch(client, *id, global, around);
  });
}

}  // namespace

std::vector<Command> AddEntityCommands(CLI::App& parser) {
  CLI::App* group = parser.add_subcommand(
      "entity", "Signal, call and look at the entities of a server");
  group->require_subcommand(1);
  return {AddSignal(*group),       AddCall(*group),   AddGetEntity(*group),
          AddListEntities(*group), AddDelete(*group), AddLimitLock(*group),
          AddWatch(*group)};
}

}  // namespace leasehold::client::cli
