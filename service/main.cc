// leasehold-server: options, clock, log, server; then wait, drain, end.
#include <google/protobuf/stubs/logging.h>
#include <grpc/support/log.h>
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
#include "service/builtin/builtin_worker.h"
#include "service/server/console.h"
#include "service/server/health_server.h"
#include "service/server/line_writer.h"
#include "service/server/orchestration_host.h"
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

// What gRPC and Protocol Buffers have to say goes into the log too: their own
// lines on standard error would break it, and a caller can provoke them.
leasehold::ServerLog* library_log = nullptr;  // Their hooks take no argument.

void LogOfGrpc(gpr_log_func_args* args) {
  if (args->severity < GPR_LOG_SEVERITY_ERROR) return;
  library_log->Error("grpc", {{"message", std::string(args->message)}});
}

void LogOfProtobuf(google::protobuf::LogLevel level, const char*, int,
                   const std::string& message) {
  if (level < google::protobuf::LOGLEVEL_ERROR) return;
  library_log->Error("protobuf", {{"message", message}});
}

// What a library says before it aborts is on its way to the log: the log's
// writer gets a moment.
void OnAbort(int) { poll(nullptr, 0, /*timeout=*/100); }

// For as long as it lives.
class LibraryLog {
 public:
  explicit LibraryLog(leasehold::ServerLog& log) {
    library_log = &log;
    gpr_set_log_function(&LogOfGrpc);
    google::protobuf::SetLogHandler(&LogOfProtobuf);
  }
  ~LibraryLog() {
    gpr_set_log_function([](gpr_log_func_args*) {});
    google::protobuf::SetLogHandler(nullptr);
  }
  LibraryLog(const LibraryLog&) = delete;
  LibraryLog& operator=(const LibraryLog&) = delete;
};

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
  // Debian's Abseil looks for deadlocks at every lock inside gRPC: 8 % of a
  // call.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGABRT, &OnAbort);

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
  const LibraryLog library_log(log);
  std::unique_ptr<leasehold::Console> console;
  if (options.console) {
    console = std::make_unique<leasehold::Console>(out);
  }
  leasehold::HealthServer health;
  leasehold::ServerHost host(options, clock, log, console.get());
  leasehold::OrchestrationHost orchestrations(options, clock, log, host,
                                              console.get());
  host.Add(health);
  if (const absl::Status status = orchestrations.Start(); !status.ok()) {
    return Fail(status);
  }
  if (const absl::Status status = host.Start(); !status.ok()) {
    return Fail(status);
  }
  orchestrations.LogOpen();
  std::unique_ptr<leasehold::BuiltinWorker> builtin;
  if (options.builtin) {
    builtin = std::make_unique<leasehold::BuiltinWorker>(
        host.InProcessChannel(),
        [&log](const leasehold::worker::LogLine& line) {
          log.Info("builtin", {{"instance_id", line.instance_id},
                               {"message", line.message}});
        });
    if (const absl::Status status = builtin->Start(); !status.ok()) {
      return Fail(status);
    }
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
  if (builtin != nullptr) builtin->Stop();
  host.StopAndDrain();
  return 0;
}
