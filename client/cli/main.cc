// leasehold: the command line. Ties the commands to this process.

#include <sys/ioctl.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <limits>

#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "client/cli/command_line.h"
#include "client/cli/stop.h"
#include "lease/base/variables.h"

namespace {

using leasehold::client::cli::Stop;

// What a signal stops.
std::atomic<Stop*> stopped_by_signal = nullptr;
static_assert(std::atomic<Stop*>::is_always_lock_free);

// The first signal ends the command gracefully; a second one ends the process,
// in case that takes too long.
void StopOnSignal(Stop& stop) {
  stopped_by_signal = &stop;
  struct sigaction action = {};
  action.sa_handler = [](int) { stopped_by_signal.load()->Request(); };
  action.sa_flags = static_cast<int>(SA_RESETHAND) | SA_RESTART;
  for (const int signal : {SIGINT, SIGTERM}) {
    sigaction(signal, &action, nullptr);
  }
}

// The size of the terminal on standard output; 0s if it is not a terminal.
winsize TerminalSize() {
  winsize size = {};
  if (isatty(STDOUT_FILENO) != 1) return size;
  ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
  if (size.ws_row == 0) size.ws_row = 24;
  if (size.ws_col == 0) size.ws_col = 80;
  return size;
}

}  // namespace

int main(int argc, char** argv) {
  // Debian's Abseil searches for deadlocks at every lock inside gRPC.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  // With `leasehold … | head` a write fails, instead of a signal ending it.
  std::signal(SIGPIPE, SIG_IGN);

  leasehold::client::cli::Surroundings surroundings{
      .in = std::cin,
      .out = std::cout,
      .err = std::cerr,
      .sleep = absl::SleepFor,
      .environment = [](const char* name) -> const char* {
        return std::getenv(name);
      },
      .variables = leasehold::LeaseholdVariables,
      .interactive = isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1,
      .err_is_terminal = isatty(STDERR_FILENO) == 1,
      .wait_for_enter =
          [] {
            std::cin.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
          },
      .now = absl::Now,
      .stop_on_signal = StopOnSignal,
      .output_fd = STDOUT_FILENO,
      .input_fd = isatty(STDIN_FILENO) == 1 ? STDIN_FILENO : -1,
      .terminal_rows = [] { return static_cast<int>(TerminalSize().ws_row); },
      .terminal_columns =
          [] { return static_cast<int>(TerminalSize().ws_col); },
  };
  return leasehold::client::cli::RunCommandLine(argc, argv, surroundings);
}
