#include "client/cli/instance_stream_commands.h"

#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/cli/instance_view.h"
#include "client/cli/json_object.h"
#include "client/cli/output.h"
#include "client/cli/printable.h"
#include "client/cli/stream_run.h"
#include "client/cli/values.h"
#include "client/cli/watch_screen.h"
#include "client/instances/instances_client.h"

namespace leasehold::client::cli {
namespace {

// How often a terminal is redrawn without an event, because leases run.
constexpr absl::Duration kRedraw = absl::Seconds(1);

// The status of a run: the server's, or else that of the output.
absl::Status EndOf(const absl::Status& run, const Output& output) {
  return run.ok() ? output.status() : run;
}

absl::Status WatchOnScreen(InstancesClient& client, WatchOptions options,
                           Surroundings& around) {
  StreamRun run(around);
  WatchScreen screen;
  Output output(OutputFormat::kTable, around.out);
  options.on_event = [&](const WatchEvent& event) {
    run.Heard();
    screen.Apply(event, around.now());
    run.stop().Wake();
  };
  options.reconnect = true;
  options.on_lost = [&](const absl::Status& why) { run.Lost(why); };
  options.on_end = [&](const absl::Status& status) { run.End(status); };
  auto watch = client.StartWatch(std::move(options));
  if (!watch.ok()) return watch.status();
  output.Write("\x1b[2J");
  while (run.stop().Await(kRedraw)) {
    if (!output.Write(screen.Draw(around.now(), around.terminal_rows(),
                                  around.terminal_columns())))
      break;
  }
  watch->reset();
  return EndOf(run.status(), output);
}

absl::Status WatchInLines(InstancesClient& client, WatchOptions options,
                          const GlobalOptions& global, Surroundings& around) {
  StreamRun run(around);
  Output output(global.output, around.out);
  Table table(WatchEventHeading(), around.cells());
  options.on_event = [&](const WatchEvent& event) {
    run.Heard();
    const bool written =
        output.format() == OutputFormat::kJson
            ? output.Write(WatchEventJson(event, around.now()).line())
            : output.Write(table.Lines({WatchEventRow(event)}));
    if (!written) run.OutputFailed();
  };
  options.reconnect = true;
  options.on_lost = [&](const absl::Status& why) { run.Lost(why); };
  options.on_end = [&](const absl::Status& status) { run.End(status); };
  auto watch = client.StartWatch(std::move(options));
  if (!watch.ok()) return watch.status();
  const absl::Status status = run.Await();
  watch->reset();
  return EndOf(status, output);
}

JsonObject RenewedJson(const RenewedLease& renewed) {
  JsonObject object;
  object.Text("instance_id", renewed.instance_id)
      .Number("generation", renewed.generation)
      .Milliseconds("lease_remaining_ms", renewed.lease_remaining);
  return object;
}

absl::Status RunKeepAlive(KeepAliveOptions options, const GlobalOptions& global,
                          Surroundings& around) {
  const auto client = InstancesClient::Connect(global.address, global.timeout,
                                               global.credentials);
  if (!client.ok()) return client.status();
  StreamRun run(around);
  Output output(global.output, around.out);
  Table table({"INSTANCE", "GENERATION", "LEASE"}, around.cells());
  options.on_renewed = [&](const RenewedLease& renewed) {
    run.Heard();
    if (!renewed.found) {
      run.End(NoInstance(renewed.instance_id));
      return;
    }
    const bool written = output.format() == OutputFormat::kJson
                             ? output.Write(RenewedJson(renewed).line())
                             : output.Write(table.Lines(
                                   {{Printable(renewed.instance_id),
                                     absl::StrCat(renewed.generation),
                                     BriefDuration(renewed.lease_remaining)}}));
    if (!written) run.OutputFailed();
  };
  options.reconnect = true;
  options.on_lost = [&](const absl::Status& why) { run.Lost(why); };
  options.on_end = [&](const absl::Status& status) { run.End(status); };
  auto keep_alive = (*client)->StartKeepAlive(std::move(options));
  if (!keep_alive.ok()) return keep_alive.status();
  const absl::Status status = run.Await();
  keep_alive->reset();
  return EndOf(status, output);
}

absl::Status RunHold(HoldOptions options, const GlobalOptions& global,
                     Surroundings& around) {
  const auto client = InstancesClient::Connect(global.address, global.timeout,
                                               global.credentials);
  if (!client.ok()) return client.status();
  StreamRun run(around);
  absl::Status written;
  options.on_held = [&](const OpenedInstance& opened) {
    run.Heard();
    written = WriteOpened(opened, global, around);
    if (!around.out) run.OutputFailed();
  };
  options.reconnect = true;
  options.on_lost = [&](const absl::Status& why) { run.Lost(why); };
  options.on_end = [&](const absl::Status& status) { run.End(status); };
  auto hold = (*client)->StartHold(std::move(options));
  if (!hold.ok()) return hold.status();
  const absl::Status status = run.Await();
  hold->reset();
  return status.ok() ? written : status;
}

}  // namespace

absl::Status NoInstance(const std::string& id) {
  return absl::NotFoundError(absl::StrCat("there is no instance \"", id, "\""));
}

absl::Status WriteOpened(const OpenedInstance& opened,
                         const GlobalOptions& global,
                         Surroundings& surroundings) {
  Output output(global.output, surroundings.out);
  const absl::Time now = surroundings.now();
  if (output.format() == OutputFormat::kJson) {
    output.Write(OpenedInstanceJson(opened, now).line());
    return output.status();
  }
  Table::Row heading = InstanceHeading();
  heading.push_back("CREATED");
  Table::Row row = InstanceRow(opened.instance, now);
  row.push_back(opened.created ? "yes" : "no");
  output.Write(
      Table(std::move(heading), surroundings.cells()).Lines({std::move(row)}));
  return output.status();
}

Command AddWatchCommand(CLI::App& group) {
  const auto prefix = std::make_shared<std::string>();
  CLI::App* app = group.add_subcommand(
      "watch", "Show what happens to instances as it happens, until Ctrl-C");
  AddValue(*app, "--prefix", *prefix, ReadId, "only IDs with this prefix")
      ->type_name("PREFIX");
  return {app, [prefix](const GlobalOptions& global, Surroundings& around) {
            const auto client = InstancesClient::Connect(
                global.address, global.timeout, global.credentials);
            if (!client.ok()) return client.status();
            WatchOptions options;
            options.id_prefix = *prefix;
            const bool screen = global.output == OutputFormat::kTable &&
                                around.terminal_rows() > 0;
            return screen ? WatchOnScreen(**client, std::move(options), around)
                          : WatchInLines(**client, std::move(options), global,
                                         around);
          }};
}

Command AddKeepAliveCommand(CLI::App& group) {
  struct Options {
    std::string id;
    std::optional<absl::Duration> interval;
  };
  const auto options = std::make_shared<Options>();
  CLI::App* app = group.add_subcommand(
      "keep-alive", "Renew an instance's lease at intervals, until Ctrl-C");
  AddId(*app, options->id)->required();
  AddValue(*app, "--interval", options->interval, ReadDuration,
           "time between renewals, as in 500ms or 5s (default: a third of "
           "the lease)")
      ->type_name("DURATION");
  return {app, [options](const GlobalOptions& global, Surroundings& around) {
            KeepAliveOptions keep_alive;
            keep_alive.instance_ids = {options->id};
            keep_alive.interval = options->interval;
            return RunKeepAlive(std::move(keep_alive), global, around);
          }};
}

Command AddHoldCommand(CLI::App& group) {
  const auto options = std::make_shared<HoldOptions>();
  CLI::App* app = group.add_subcommand(
      "hold",
      "Keep an instance busy, so that its lease does not run, until Ctrl-C");
  AddId(*app, options->instance_id)->required();
  AddIdleTimeoutOption(*app, options->idle_timeout);
  return {app, [options](const GlobalOptions& global, Surroundings& around) {
            return RunHold(*options, global, around);
          }};
}

}  // namespace leasehold::client::cli
