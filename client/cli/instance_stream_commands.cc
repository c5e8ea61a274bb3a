#include "client/cli/instance_stream_commands.h"

#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/cli/instance_order.h"
#include "client/cli/instance_view.h"
#include "client/cli/json_object.h"
#include "client/cli/key_presses.h"
#include "client/cli/output.h"
#include "client/cli/printable.h"
#include "client/cli/screen.h"
#include "client/cli/stream_run.h"
#include "client/cli/terminal_keys.h"
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

// What `instances watch` shows.
struct WatchCommandOptions {
  std::string id_prefix;
  WatchScreen::Options screen;
};

absl::Status WatchOnScreen(InstancesClient& client,
                           const WatchCommandOptions& given,
                           const GlobalOptions& global, Surroundings& around) {
  StreamRun run(around);
  WatchScreen shown(given.screen);
  Output output(OutputFormat::kTable, around.out);
  WatchOptions options;
  options.id_prefix = given.id_prefix;
  options.on_event = [&](const WatchEvent& event) {
    shown.Apply(event, around.now());
    run.stop().Wake();
  };
  options.reconnect = true;
  options.on_lost = [&](const absl::Status& why) {
    shown.Lose(why);
    run.stop().Wake();
  };
  options.on_end = [&](const absl::Status& status) { run.End(status); };
  auto watch = client.StartWatch(std::move(options));
  if (!watch.ok()) return watch.status();
  {
    Screen screen(output);
    KeyPresses presses;
    const TerminalKeys keys(around.input_fd, [&](char character) {
      const std::optional<Key> key = presses.Take(character);
      if (!key.has_value()) return;
      if (*key == Key::kQuit) run.Done();
      shown.Press(*key);
      run.stop().Wake();
    });
    while (run.stop().Await(kRedraw)) {
      if (!output.Write(
              shown.Draw(LookOf(global, around), around.terminal_rows())))
        break;
    }
  }
  watch->reset();
  return EndOf(run.status(), output);
}

// Whether an event is of those that were asked for.
bool IsChosen(const WatchEvent& event, std::optional<InstanceState> state) {
  return !state.has_value() || event.instance.instance_id.empty() ||
         event.instance.state == *state;
}

absl::Status WatchInLines(InstancesClient& client,
                          const WatchCommandOptions& given,
                          const GlobalOptions& global, Surroundings& around) {
  StreamRun run(around);
  WatchOptions options;
  options.id_prefix = given.id_prefix;
  Output output(global.output, around.out);
  Table table(WatchEventHeading(), LookOf(global, around));
  options.on_event = [&](const WatchEvent& event) {
    run.Heard();
    if (!IsChosen(event, given.screen.state)) return;
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
  Table table({{"INSTANCE", Column::Kind::kId}, "GENERATION", "LEASE"},
              LookOf(global, around));
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
  Table::Heading heading = InstanceHeading();
  heading.emplace_back("CREATED");
  Table::Row row = InstanceRow(opened.instance, now);
  row.push_back(opened.created ? "yes" : "no");
  output.Write(Table(std::move(heading), LookOf(global, surroundings))
                   .Lines({std::move(row)}));
  return output.status();
}

Command AddWatchCommand(CLI::App& group) {
  const auto options = std::make_shared<WatchCommandOptions>();
  CLI::App* app = group.add_subcommand(
      "watch", "Show what happens to instances as it happens, until Ctrl-C");
  AddValue(*app, "--prefix", options->id_prefix, ReadId,
           "only IDs with this prefix")
      ->type_name("PREFIX");
  AddValue(*app, "--state", options->screen.state, ReadInstanceState,
           "only instances in this state, and events that lead to it")
      ->type_name("opening|busy|idle|closing");
  AddSortOption(*app, options->screen.order);
  return {app, [options](const GlobalOptions& global, Surroundings& around) {
            const auto client = InstancesClient::Connect(
                global.address, global.timeout, global.credentials);
            if (!client.ok()) return client.status();
            const bool on_screen =
                global.output == OutputFormat::kTable && around.on_terminal();
            return on_screen ? WatchOnScreen(**client, *options, global, around)
                             : WatchInLines(**client, *options, global, around);
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
