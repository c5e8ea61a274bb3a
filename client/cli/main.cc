// leasehold: the command line. Ties the commands to this process.

#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <iostream>
#include <limits>

#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "client/cli/command_line.h"

int main(int argc, char** argv) {
  // Debian's Abseil looks for deadlocks at every lock inside gRPC.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  // `leasehold … | head` ends by a failing write, not by a signal.
  std::signal(SIGPIPE, SIG_IGN);

  leasehold::client::cli::Surroundings surroundings{
      .out = std::cout,
      .err = std::cerr,
      .sleep = absl::SleepFor,
      .environment = [](const char* name) -> const char* {
        return std::getenv(name);
      },
      .interactive = isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1,
      .wait_for_enter =
          [] {
            std::cin.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
          },
  };
  return leasehold::client::cli::RunCommandLine(argc, argv, surroundings);
}
