#include "client/cli/orchestration_wait_commands.h"

#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/cli/orchestration_command.h"
#include "client/cli/orchestration_view.h"
#include "client/cli/output.h"
#include "client/cli/printable.h"
#include "client/cli/progress_line.h"
#include "client/cli/stream_run.h"
#include "client/cli/values.h"

namespace leasehold::client::cli {
namespace {

// How often the line is redrawn without a change, because time passes.
constexpr absl::Duration kProgressRedraw = absl::Seconds(1);
// How much of a custom status it shows.
constexpr size_t kStatusBytes = 60;

bool Reached(Until until, OrchestrationStatus status) {
  return until == Until::kEnded ? HasEnded(status)
                                : status != OrchestrationStatus::kPending;
}

// The latest state of an orchestration, set by another thread. Safe.
class Latest {
 public:
  void Set(const OrchestrationState& state) {
    std::lock_guard<std::mutex> lock(mu_);
    state_ = state;
  }
  std::optional<OrchestrationState> Get() const {
    std::lock_guard<std::mutex> lock(mu_);
    return state_;
  }

 private:
  mutable std::mutex mu_;
  std::optional<OrchestrationState> state_;
};

std::string ProgressText(const OrchestrationState& state,
                         absl::Duration elapsed) {
  return absl::StrCat(
      Printable(state.instance_id), "  ", OrchestrationStatusName(state.status),
      "  ",
      state.custom_status.has_value()
          ? Brief(*state.custom_status, kStatusBytes) + "  "
          : "",
      absl::FormatDuration(absl::Trunc(elapsed, absl::Seconds(1))));
}

// Waits until `run` is over, and returns the state that was waited for.
absl::StatusOr<OrchestrationState> Await(OrchestrationClient& client,
                                         const std::string& id, Until until,
                                         StreamRun& run,
                                         const GlobalOptions& global,
                                         Surroundings& around) {
  Latest latest;
  OrchestrationWatchOptions options;
  options.instance_id = id;
  if (global.timeout_given) options.timeout = global.timeout;
  options.reconnect = true;
  options.on_lost = [&](const absl::Status& why) { run.Lost(why); };
  options.on_state = [&](const OrchestrationState& state) {
    run.Heard();
    latest.Set(state);
    if (Reached(until, state.status)) run.Done();
    run.stop().Wake();
  };
  options.on_end = [&](const absl::Status& status) { run.End(status); };
  auto watch = client.StartWatch(std::move(options));
  if (!watch.ok()) return watch.status();

  ProgressLine line(around);
  const absl::Time begin = around.now();
  while (run.stop().Await(line.visible() ? kProgressRedraw
                                         : absl::InfiniteDuration())) {
    const auto state = latest.Get();
    if (!state.has_value()) continue;
    line.Draw(ProgressText(*state, around.now() - begin));
  }
  watch->reset();
  const std::string not_yet =
      absl::StrCat("orchestration \"", id, "\" has not ",
                   until == Until::kEnded ? "ended" : "begun");
  const auto state = latest.Get();
  if (absl::IsDeadlineExceeded(run.status())) {
    if (!state.has_value()) {
      return absl::UnavailableError(
          absl::StrCat(global.address, ": no answer within ",
                       absl::FormatDuration(global.timeout)));
    }
    return absl::DeadlineExceededError(absl::StrCat(
        not_yet, " within ", absl::FormatDuration(global.timeout)));
  }
  if (!run.status().ok()) return run.status();
  if (state.has_value() && Reached(until, state->status)) return *state;
  return absl::CancelledError(not_yet + " yet");
}

// The outcome of a wait for an orchestration that has ended.
absl::Status StatusOf(const OrchestrationState& state) {
  const std::string which =
      absl::StrCat("orchestration \"", state.instance_id, "\" ");
  switch (state.status) {
    case OrchestrationStatus::kFailed:
      return absl::UnknownError(absl::StrCat(
          which, "FAILED",
          state.failure.has_value() ? ": " + FailureText(*state.failure) : ""));
    case OrchestrationStatus::kTerminated:
      return absl::AbortedError(which + "was TERMINATED");
    case OrchestrationStatus::kDamaged:
      return absl::DataLossError(absl::StrCat(
          which, "is DAMAGED",
          state.failure.has_value() ? ": " + FailureText(*state.failure) : ""));
    default:
      return absl::OkStatus();
  }
}

absl::Status RunWatch(OrchestrationClient& client, const std::string& id,
                      const GlobalOptions& global, Surroundings& around) {
  StreamRun run(around);
  Output output(global.output, around.out);
  Table table(StateHeading(), LookOf(global, around));
  OrchestrationWatchOptions options;
  options.instance_id = id;
  options.reconnect = true;
  options.on_lost = [&](const absl::Status& why) { run.Lost(why); };
  options.on_state = [&](const OrchestrationState& state) {
    run.Heard();
    const bool written =
        output.Write(output.format() == OutputFormat::kJson
                         ? OrchestrationJson(state, global.payloads).line()
                         : table.Lines({StateRow(state)}));
    if (!written) run.OutputFailed();
  };
  options.on_end = [&](const absl::Status& status) {
    if (status.ok()) {
      run.Done();
    } else {
      run.End(status);
    }
  };
  auto watch = client.StartWatch(std::move(options));
  if (!watch.ok()) return watch.status();
  const absl::Status status = run.Await();
  watch->reset();
  return status.ok() ? output.status() : status;
}

}  // namespace

absl::Status WaitAndShow(OrchestrationClient& client, const std::string& id,
                         Until until, const GlobalOptions& global,
                         Surroundings& surroundings) {
  // The exit code matters even if nobody reads the output.
  StreamRun run(surroundings, /*output=*/-1);
  const auto state = Await(client, id, until, run, global, surroundings);
  if (!state.ok()) return state.status();
  absl::Status written = WriteOrchestration(*state, global, surroundings);
  return written.ok() ? StatusOf(*state) : written;
}

Command AddWaitCommand(CLI::App& group) {
  struct Options {
    std::string id;
    bool started = false;
  };
  const auto options = std::make_shared<Options>();
  CLI::App* app = group.add_subcommand(
      "wait",
      "Wait until an orchestration has ended, and show the result; exit code 1 "
      "unless it COMPLETED");
  AddId(*app, options->id)->required();
  app->add_flag("--started", options->started,
                "only until a worker has started it");
  return CallingCommand(
      app, [options](OrchestrationClient& client, const GlobalOptions& global,
                     Surroundings& around) {
        return WaitAndShow(client, options->id,
                           options->started ? Until::kStarted : Until::kEnded,
                           global, around);
      });
}

Command AddOrchestrationWatchCommand(CLI::App& group) {
  const auto id = std::make_shared<std::string>();
  CLI::App* app = group.add_subcommand(
      "watch",
      "Show the state of an orchestration as it changes, until it has ended");
  AddId(*app, *id)->required();
  return CallingCommand(
      app, [id](OrchestrationClient& client, const GlobalOptions& global,
                Surroundings& around) {
        return RunWatch(client, *id, global, around);
      });
}

}  // namespace leasehold::client::cli
