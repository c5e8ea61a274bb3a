// leasehold-server: options, clock, log, server; then wait, drain, end.
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <string>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "lease/clock.h"
#include "service/server/console.h"
#include "service/server/line_writer.h"
#include "service/server/server_host.h"
#include "service/server/server_log.h"
#include "service/server/server_options.h"

namespace {

constexpr int kWrongUsage = 2;

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "leasehold-server: %s\n",
               std::string(status.message()).c_str());
  return kWrongUsage;
}

// SIGINT and SIGTERM, kept from every thread and read from a descriptor.
int SignalDescriptor(const sigset_t& signals) {
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signalfd(-1, &signals, SFD_CLOEXEC);
}

// Until a signal comes, or Enter if `enter` says that it counts.
void WaitForEnd(int signal_descriptor, bool enter) {
  pollfd sources[2] = {
      {.fd = signal_descriptor, .events = POLLIN, .revents = 0},
      {.fd = enter ? STDIN_FILENO : -1, .events = POLLIN, .revents = 0}};
  while (poll(sources, 2, /*timeout=*/-1) <= 0) {
  }
  signalfd_siginfo signal;  // Taken, so that unblocking it does not end us.
  if (sources[0].revents != 0 &&
      read(signal_descriptor, &signal, sizeof(signal)) < 0) {
    std::perror("leasehold-server: signalfd");
  }
}

}  // namespace

int main(int argc, char** argv) {
  // Debian's Abseil looks for deadlocks at every lock inside gRPC: 8 % of a call.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  signal(SIGPIPE, SIG_IGN);

  auto parsed = leasehold::ParseServerOptions(argc, argv);
  if (!parsed.ok()) return Fail(parsed.status());
  if (const auto* help = std::get_if<leasehold::ServerHelp>(&*parsed)) {
    std::fputs(help->text.c_str(), stdout);
    return 0;
  }
  const auto& options = std::get<leasehold::ServerOptions>(*parsed);

  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  const int signal_descriptor = SignalDescriptor(signals);

  leasehold::RealClock clock;
  leasehold::LineWriter out(STDOUT_FILENO);
  leasehold::LineWriter err(STDERR_FILENO);
  // With a console, contexts are shown there.
  leasehold::ServerLog log(clock, err, options.log_format,
                           /*lifecycle=*/!options.console);
  std::unique_ptr<leasehold::Console> console;
  if (options.console) {
    console = std::make_unique<leasehold::Console>(out, log);
  }
  leasehold::ServerHost host(options, clock, log, console.get());
  if (const absl::Status status = host.Start(); !status.ok()) {
    return Fail(status);
  }
  if (options.print_address) {
    for (const std::string& address : host.addresses()) {
      out.Write(absl::StrCat("address=", address));
    }
  }
  const bool enter = options.console && isatty(STDIN_FILENO) == 1;
  if (enter) out.Write("Press Enter to end the server.");
  WaitForEnd(signal_descriptor, enter);
  // A second signal ends it at once.
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
  host.StopAndDrain();
  return 0;
}
