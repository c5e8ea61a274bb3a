#include "client/cli/top_command.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "client/admin/admin_client.h"
#include "client/cli/instance_order.h"
#include "client/cli/key_presses.h"
#include "client/cli/output.h"
#include "client/cli/screen.h"
#include "client/cli/stream_run.h"
#include "client/cli/terminal_keys.h"
#include "client/cli/top_screen.h"
#include "client/cli/values.h"
#include "client/instances/instances_client.h"

namespace leasehold::client::cli {
namespace {

constexpr absl::Duration kRefresh = absl::Seconds(1);
// A server that does not answer is shown as such.
constexpr absl::Duration kTimeoutMax = absl::Seconds(5);
// To find the leases that end next, at most so many contexts are looked at each
// time; the server lists them in no order.
constexpr size_t kLookedAtMax = 2000;
constexpr int kPageSize = 500;
// What a program gets.
constexpr size_t kLeasesInLines = 10;

struct Clients {
  std::unique_ptr<AdminClient> admin;
  std::unique_ptr<InstancesClient> instances;
};

struct Options {
  bool once = false;
  std::string id_prefix;
  InstanceOrder order = InstanceOrder::kLease;
};

absl::StatusOr<EndingLeases> ReadLeases(InstancesClient& client,
                                        const std::string& id_prefix) {
  EndingLeases leases;
  std::string token;
  do {
    const absl::StatusOr<InstancePage> page =
        client.ListPage({.id_prefix = id_prefix,
                         .state = InstanceState::kIdle,
                         .page_size = kPageSize},
                        token);
    if (!page.ok()) return page.status();
    leases.looked_at += page->instances.size();
    for (const Instance& instance : page->instances) {
      if (instance.lease_remaining.has_value()) {
        leases.instances.push_back(instance);
      }
    }
    token = page->next_page_token;
  } while (!token.empty() && leases.looked_at < kLookedAtMax);
  leases.more = !token.empty();
  return leases;
}

absl::Status Refresh(const Clients& clients, const std::string& id_prefix,
                     TopScreen& screen) {
  auto stats = clients.admin->Stats();
  if (!stats.ok()) return stats.status();
  auto leases = ReadLeases(*clients.instances, id_prefix);
  // In an overload lists are refused first.
  if (absl::IsResourceExhausted(leases.status())) leases = EndingLeases();
  if (!leases.ok()) return leases.status();
  screen.Apply(*std::move(stats), *std::move(leases));
  return absl::OkStatus();
}

// Whether it may be better the next time.
bool MayPass(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) ||
         absl::IsResourceExhausted(status);
}

absl::Status RunOnScreen(const Clients& clients, const Options& options,
                         TopScreen& shown, Surroundings& around) {
  StreamRun run(around);
  Output output(OutputFormat::kTable, around.out);
  const Screen screen(output);
  KeyPresses presses;
  std::atomic<bool> pressed = false;
  const TerminalKeys keys(around.input_fd, [&](char character) {
    const std::optional<Key> key = presses.Take(character);
    if (!key.has_value()) return;
    if (*key == Key::kQuit) run.Done();
    shown.Press(*key);
    pressed = true;
    run.stop().Wake();
  });
  absl::Status status;
  absl::Time refresh_time = around.now() + kRefresh;
  while (status.ok()) {
    if (!output.Write(
            shown.Draw(around.terminal_rows(), around.terminal_columns()))) {
      break;
    }
    // A key redraws at once, and does not ask the server.
    if (!run.stop().Await(refresh_time - around.now())) break;
    if (pressed.exchange(false) && around.now() < refresh_time) continue;
    status = Refresh(clients, options.id_prefix, shown);
    refresh_time = around.now() + kRefresh;
    if (MayPass(status)) {
      shown.Fail(status);
      status = absl::OkStatus();
    }
  }
  return status.ok() ? output.status() : status;
}

absl::Status RunInLines(const Clients& clients, const Options& options,
                        TopScreen& screen, const GlobalOptions& global,
                        Surroundings& around) {
  StreamRun run(around);
  const OutputFormat format = global.output;
  Output output(format, around.out);
  // A table comes once.
  const bool once = options.once || format == OutputFormat::kTable;
  while (run.stop().Await(kRefresh)) {
    const absl::Status status = Refresh(clients, options.id_prefix, screen);
    if (!status.ok()) {
      if (once || !MayPass(status)) return status;
      run.Lost(status);
      continue;
    }
    run.Heard();
    std::string text;
    if (format == OutputFormat::kJson) {
      text = screen.Json(kLeasesInLines).line();
    } else {
      constexpr size_t kNoLimit = 10'000;
      const size_t columns = LookOf(global, around).columns;
      for (const std::string& line :
           screen.Lines(columns > 0 ? columns : kNoLimit, kLeasesInLines)) {
        text += line + "\n";
      }
    }
    if (!output.Write(text) || once) break;
  }
  return output.status();
}

absl::Status Run(const Options& options, const GlobalOptions& global,
                 Surroundings& around) {
  const absl::Duration timeout = std::min(global.timeout, kTimeoutMax);
  auto admin =
      AdminClient::Connect(global.address, timeout, global.credentials);
  if (!admin.ok()) return admin.status();
  auto instances =
      InstancesClient::Connect(global.address, timeout, global.credentials);
  if (!instances.ok()) return instances.status();
  const Clients clients = {*std::move(admin), *std::move(instances)};
  TopScreen screen(global.address, options.order);
  // The first reading: what is shown a second needs two.
  const absl::Status status = Refresh(clients, options.id_prefix, screen);
  if (!status.ok()) return status;
  if (around.on_terminal() && !options.once &&
      global.output == OutputFormat::kTable) {
    return RunOnScreen(clients, options, screen, around);
  }
  return RunInLines(clients, options, screen, global, around);
}

}  // namespace

Command AddTopCommand(CLI::App& parser) {
  const auto options = std::make_shared<Options>();
  CLI::App* app = parser.add_subcommand(
      "top",
      "Show the load of the server each second: calls, contexts, leases, "
      "orchestrations, workers, commits; on a terminal q ends it");
  app->add_flag("--once", options->once,
                "Show it once, and end; so it does without a terminal, unless "
                "--output is json, which writes a line each second");
  AddValue(*app, "--prefix", options->id_prefix, ReadId,
           "only leases of IDs with this prefix")
      ->type_name("PREFIX");
  AddSortOption(*app, options->order);
  return {app, [options](const GlobalOptions& global, Surroundings& around) {
            return Run(*options, global, around);
          }};
}

}  // namespace leasehold::client::cli
