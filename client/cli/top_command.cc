#include "client/cli/top_command.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "client/admin/admin_client.h"
#include "client/cli/output.h"
#include "client/cli/stream_run.h"
#include "client/cli/terminal_keys.h"
#include "client/cli/top_screen.h"
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
constexpr size_t kLeasesMax = 50;
// What a program gets.
constexpr size_t kLeasesInLines = 10;

constexpr char kOtherScreen[] = "\x1b[?1049h\x1b[?25l\x1b[2J";
constexpr char kOwnScreen[] = "\x1b[?25h\x1b[?1049l";

struct Clients {
  std::unique_ptr<AdminClient> admin;
  std::unique_ptr<InstancesClient> instances;
};

absl::StatusOr<EndingLeases> ReadLeases(InstancesClient& client, size_t max) {
  EndingLeases leases;
  std::string token;
  do {
    const absl::StatusOr<InstancePage> page =
        client.ListPage({.id_prefix = "",
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
  const size_t shown = std::min(max, leases.instances.size());
  std::partial_sort(leases.instances.begin(), leases.instances.begin() + shown,
                    leases.instances.end(),
                    [](const Instance& a, const Instance& b) {
                      return a.lease_remaining < b.lease_remaining;
                    });
  leases.instances.resize(shown);
  return leases;
}

absl::Status Refresh(const Clients& clients, size_t leases_max,
                     TopScreen& screen) {
  auto stats = clients.admin->Stats();
  if (!stats.ok()) return stats.status();
  auto leases = ReadLeases(*clients.instances, leases_max);
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

absl::Status RunOnScreen(const Clients& clients, TopScreen& screen,
                         Surroundings& around) {
  StreamRun run(around);
  Output output(OutputFormat::kTable, around.out);
  const TerminalKeys keys(around.input_fd, [&run](char key) {
    if (key == 'q' || key == 'Q') run.Done();
  });
  output.Write(kOtherScreen);
  absl::Status status;
  do {
    if (!output.Write(
            screen.Draw(around.terminal_rows(), around.terminal_columns()))) {
      break;
    }
    if (!run.stop().Await(kRefresh)) break;
    status = Refresh(clients, kLeasesMax, screen);
    if (MayPass(status)) {
      screen.Fail(status);
      status = absl::OkStatus();
    }
  } while (status.ok());
  output.Write(kOwnScreen);
  return status.ok() ? output.status() : status;
}

absl::Status RunInLines(const Clients& clients, TopScreen& screen, bool once,
                        OutputFormat format, Surroundings& around) {
  StreamRun run(around);
  Output output(format, around.out);
  while (run.stop().Await(kRefresh)) {
    const absl::Status status = Refresh(clients, kLeasesInLines, screen);
    if (!status.ok()) {
      if (once || !MayPass(status)) return status;
      run.Lost(status);
      continue;
    }
    run.Heard();
    std::string text;
    if (format == OutputFormat::kJson) {
      text = screen.Json().line();
    } else {
      constexpr size_t kNoLimit = 10'000;
      for (const std::string& line : screen.Lines(kNoLimit)) {
        text += line + "\n";
      }
    }
    if (!output.Write(text) || once) break;
  }
  return output.status();
}

absl::Status Run(bool once, const GlobalOptions& global, Surroundings& around) {
  const absl::Duration timeout = std::min(global.timeout, kTimeoutMax);
  auto admin =
      AdminClient::Connect(global.address, timeout, global.credentials);
  if (!admin.ok()) return admin.status();
  auto instances =
      InstancesClient::Connect(global.address, timeout, global.credentials);
  if (!instances.ok()) return instances.status();
  const Clients clients = {*std::move(admin), *std::move(instances)};
  TopScreen screen(global.address);
  // The first reading: what is shown a second needs two.
  const absl::Status status = Refresh(clients, kLeasesMax, screen);
  if (!status.ok()) return status;
  const bool on_terminal = around.terminal_rows && around.terminal_rows() > 0;
  if (on_terminal && !once && global.output == OutputFormat::kTable) {
    return RunOnScreen(clients, screen, around);
  }
  return RunInLines(clients, screen,
                    once || global.output == OutputFormat::kTable,
                    global.output, around);
}

}  // namespace

Command AddTopCommand(CLI::App& parser) {
  const auto once = std::make_shared<bool>(false);
  CLI::App* app = parser.add_subcommand(
      "top",
      "Show the load of the server each second: calls, contexts, leases, "
      "orchestrations, workers, commits; on a terminal q ends it");
  app->add_flag("--once", *once,
                "Show it once, and end; so it does without a terminal, unless "
                "--output is json, which writes a line each second");
  return {app, [once](const GlobalOptions& global, Surroundings& around) {
            return Run(*once, global, around);
          }};
}

}  // namespace leasehold::client::cli
