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

namespace {

using leasehold::client::cli::Stop;

// What a signal stops.
std::atomic<Stop*> stopped_by_signal = nullptr;
static_assert(std::atomic<Stop*>::is_always_lock_free);

// The first signal ends the command in good order; a second one ends the
// process, should that take too long.
void StopOnSignal(Stop& stop) {
  stopped_by_signal = &stop;
  struct sigaction action = {};
  action.sa_handler = [](int) { stopped_by_signal.load()->Request(); };
  action.sa_flags = static_cast<int>(SA_RESETHAND) | SA_RESTART;
  for (const int signal : {SIGINT, SIGTERM}) {
    sigaction(signal, &action, nullptr);
  }
}

int TerminalRows() {
  winsize size = {};
  if (isatty(STDOUT_FILENO) != 1) return 0;
  const bool known =
      ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0;
  return known ? size.ws_row : 24;
}

}  // namespace

int main(int argc, char** argv) {
  // Debian's Abseil looks for deadlocks at every lock inside gRPC.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  // `leasehold … | head` ends by a failing write, not by a signal.
  std::signal(SIGPIPE, SIG_IGN);

  leasehold::client::cli::Surroundings surroundings{
      .in = std::cin,
      .out = std::cout,
      .err = std::cerr,
      .sleep = absl::SleepFor,
      .environment = [](const char* name) -> const char* {
        return std::getenv(name);
      },
      .interactive = isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1,
      .err_is_terminal = isatty(STDERR_FILENO) == 1,
      .wait_for_enter =
          [] {
            std::cin.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
          },
      .now = absl::Now,
      .stop_on_signal = StopOnSignal,
      .output_fd = STDOUT_FILENO,
      .terminal_rows = TerminalRows,
  };
  return leasehold::client::cli::RunCommandLine(argc, argv, surroundings);
}
