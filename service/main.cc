// leasehold-server: options, clock, log, server; then wait, drain, end.
#include <google/protobuf/stubs/logging.h>
#include <grpc/support/log.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "lease/base/variables.h"
#include "lease/clock.h"
#include "service/builtin/builtin_worker.h"
#include "service/doors/health_server.h"
#include "service/doors/reflection_server.h"
#include "service/host/backup_command.h"
#include "service/host/check_command.h"
#include "service/host/config_command.h"
#include "service/host/console.h"
#include "service/host/http_apis.h"
#include "service/host/http_host.h"
#include "service/host/line_budget.h"
#include "service/host/line_writer.h"
#include "service/host/live_settings.h"
#include "service/host/memory_limit.h"
#include "service/host/orchestration_host.h"
#include "service/host/pages_command.h"
#include "service/host/server_guard.h"
#include "service/host/server_host.h"
#include "service/host/server_log.h"
#include "service/host/server_options.h"
#include "service/host/server_stats.h"
#include "service/host/service_manager.h"
#include "service/host/token_command.h"
#include "service/host/trace_host.h"
#include "service/host/url_keys_command.h"
#include "service/network/frame_guard.h"
#include "service/network/frame_wraps.h"

namespace {

constexpr int kWrongUsage = 2;

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "leasehold-server: %s\n",
               std::string(status.message()).c_str());
  return kWrongUsage;
}

// Messages of gRPC and Protocol Buffers go into the log too: lines of their own
// on standard error would break it. A caller can provoke as many as it likes,
// so beyond a bound they are only counted.
leasehold::ServerLog* library_log = nullptr;  // Their hooks take no argument.
leasehold::LineBudget* library_lines = nullptr;

// Whether a line of the library `event` is written now.
bool Admit(std::string_view event) {
  uint64_t left_out = 0;
  const bool admitted = library_lines->Admit(left_out);
  if (left_out > 0) library_log->Warning(event, {{"lines_left_out", left_out}});
  return admitted;
}

void LogOfGrpc(gpr_log_func_args* args) {
  if (args->severity < GPR_LOG_SEVERITY_ERROR || !Admit("grpc")) return;
  library_log->Error("grpc", {{"message", std::string(args->message)}});
}

void LogOfProtobuf(google::protobuf::LogLevel level, const char*, int,
                   const std::string& message) {
  if (level < google::protobuf::LOGLEVEL_ERROR || !Admit("protobuf")) return;
  library_log->Error("protobuf", {{"message", message}});
}

// What a library says before it aborts is still on its way to the log: its
// writer gets a moment. The signal then ends the process, wherever it came
// from.
void OnAbort(int) {
  poll(nullptr, 0, /*timeout=*/100);
  signal(SIGABRT, SIG_DFL);
  raise(SIGABRT);
}

// For as long as it lives.
class LibraryLog {
 public:
  LibraryLog(const leasehold::Clock& clock, leasehold::ServerLog& log)
      : lines_(clock, /*lines=*/20, absl::Seconds(10)) {
    library_log = &log;
    library_lines = &lines_;
    gpr_set_log_function(&LogOfGrpc);
    google::protobuf::SetLogHandler(&LogOfProtobuf);
  }
  ~LibraryLog() {
    gpr_set_log_function([](gpr_log_func_args*) {});
    google::protobuf::SetLogHandler(nullptr);
  }
  LibraryLog(const LibraryLog&) = delete;
  LibraryLog& operator=(const LibraryLog&) = delete;

 private:
  leasehold::LineBudget lines_;
};

const char* ReasonOf(leasehold::FrameGuard::Cut cut) {
  switch (cut) {
    case leasehold::FrameGuard::Cut::kHeaderBlock:
      return "a header block of more than 64 KiB";
    case leasehold::FrameGuard::Cut::kResets:
      return "more young streams reset than --max-resets and "
             "--max-resets-per-second allow";
  }
  return "unknown";
}

// Bounds floods of frames on all connections, for as long as it lives.
class FloodBounds {
 public:
  FloodBounds(const leasehold::Clock& clock, leasehold::ServerLog& log,
              const leasehold::ServerOptions& options,
              leasehold::FloodCounts& counts)
      : log_(log),
        lines_(clock, /*lines=*/10, absl::Seconds(10)),
        guard_(clock,
               {.resets_max = static_cast<double>(options.resets_max),
                .resets_per_second_max =
                    static_cast<double>(options.resets_per_second_max)},
               [this, &counts](leasehold::FrameGuard::Cut cut) {
                 (cut == leasehold::FrameGuard::Cut::kResets
                      ? counts.resets
                      : counts.header_blocks)
                     .Add();
                 Warn("connection_cut", ReasonOf(cut));
               }),
        half_sent_({.connection_bytes_max = options.connection_bytes_max,
                    .bytes_max = options.total_bytes_max},
                   [this, &counts] {
                     counts.unfinished_requests.Add();
                     Warn("request_refused",
                          "unfinished requests of more than "
                          "--max-connection-bytes or --max-total-bytes");
                   }) {
    leasehold::InstallFrameGuard(&guard_);
    leasehold::InstallHalfSent(&half_sent_);
  }
  ~FloodBounds() {
    leasehold::InstallFrameGuard(nullptr);
    leasehold::InstallHalfSent(nullptr);
  }
  FloodBounds(const FloodBounds&) = delete;
  FloodBounds& operator=(const FloodBounds&) = delete;

  // Logs it if the bounds do not hold.
  void LogIfOff() {
    if (leasehold::HasFrameWraps()) return;
    log_.Warning("flood_bounds_off",
                 {{"reason",
                   "this program is not linked with gRPC 1.51.1's static "
                   "archive; put a proxy in front if strangers reach it"}});
  }

 private:
  // A flood causes only a few lines.
  void Warn(const char* event, const char* reason) {
    uint64_t left_out = 0;
    if (!lines_.Admit(left_out)) return;
    log_.Warning(event, {{"reason", reason}, {"lines_left_out", left_out}});
  }

  leasehold::ServerLog& log_;
  leasehold::LineBudget lines_;
  leasehold::FrameGuard guard_;
  leasehold::HalfSent half_sent_;
};

// The signals that end the server, or have it read files again.
sigset_t HeededSignals(const leasehold::ServerOptions& options) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  // Otherwise it ends the process, as when a terminal goes.
  if (options.heeds_hang_up()) sigaddset(&signals, SIGHUP);
  return signals;
}

// Signals, blocked in every thread and read from a descriptor.
int SignalDescriptor(const sigset_t& signals) {
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signalfd(-1, &signals, SFD_CLOEXEC);
}

// How often files are looked at that nobody announces.
constexpr int kLookAgainMs = 10'000;

// Waits for a signal that ends the server, or for Enter if `enter` is set.
// Looks after `guard` on SIGHUP and now and then, after `settings` on SIGHUP.
// `builtin` may be null.
void WaitForEnd(int signal_descriptor, bool enter,
                leasehold::ServerGuard& guard,
                leasehold::LiveSettings& settings, leasehold::ServerHost& host,
                leasehold::OrchestrationHost& orchestrations,
                leasehold::BuiltinWorker* builtin,
                leasehold::ServiceManager& manager) {
  for (;;) {
    pollfd sources[2] = {
        {.fd = signal_descriptor, .events = POLLIN, .revents = 0},
        {.fd = enter ? STDIN_FILENO : -1, .events = POLLIN, .revents = 0}};
    const int ready = poll(sources, 2, guard.has_files() ? kLookAgainMs : -1);
    if (ready < 0) continue;
    if (ready == 0) {
      guard.LookAgain(host);
    } else if (sources[0].revents == 0) {
      return;
    } else {
      // Read, so that unblocking it does not end the process.
      signalfd_siginfo signal = {};
      if (read(signal_descriptor, &signal, sizeof(signal)) < 0) {
        std::perror("leasehold-server: signalfd");
      }
      if (signal.ssi_signo != SIGHUP) return;
      manager.ReloadBegins();
      settings.ReadAgain([&](const leasehold::ServerOptions& read) {
        orchestrations.SetRetention(read.retention);
      });
      guard.OnHangUp(host);
      manager.ReloadEnds();
    }
    // It fails only if its code is wrong, which the first start has shown.
    if (builtin != nullptr) (void)builtin->Start(guard.tenants());
  }
}

// Starts the built-in worker. nullptr: it is not wanted.
absl::StatusOr<std::unique_ptr<leasehold::BuiltinWorker>> StartBuiltin(
    const leasehold::ServerOptions& options, leasehold::Clock& clock,
    leasehold::ServerLog& log, const leasehold::ServerGuard& guard,
    leasehold::ServerHost& host, leasehold::OrchestrationHost& orchestrations) {
  if (!options.builtin) return nullptr;
  auto builtin = std::make_unique<leasehold::BuiltinWorker>(
      clock, orchestrations.work(), host.InProcessChannel(),
      guard.process_token(), [&log](const leasehold::worker::LogLine& line) {
        log.Info("builtin", {{"instance_id", line.instance_id},
                             {"message", line.message}});
      });
  const absl::Status status = builtin->Start(guard.tenants());
  if (status.ok()) return builtin;
  // What serves now must not outlive what it calls.
  builtin.reset();
  host.StopAndDrain();
  return status;
}

// How much memory the server plans with, and for what.
void LogMemory(const leasehold::MemoryShares& memory,
               leasehold::ServerLog& log) {
  if (memory.limit == 0) return;  // It does not know how much there is.
  log.Info("memory_limit", {{"bytes", memory.limit},
                            {"requests_and_answers", memory.kept},
                            {"incomplete_requests", memory.incomplete},
                            {"http_bodies", memory.bodies},
                            {"reserved", memory.reserved}});
}

// Tells systemd that the server serves, and how to see that it still does.
void TellReady(leasehold::ServiceManager& manager,
               const leasehold::ServerHost& host,
               leasehold::OrchestrationHost& orchestrations) {
  manager.Ready(
      absl::StrCat("Serving on ", absl::StrJoin(host.addresses(), ", ")),
      {{"queue",
        [&host](std::function<void()> done) {
          return host.instances().AskQueues(done);
        }},
       {"writer", [&orchestrations](std::function<void()> done) {
          orchestrations.AskWriter(std::move(done));
          return size_t{1};
        }}});
}

void PrintAddresses(const leasehold::ServerHost& host,
                    leasehold::LineWriter& out) {
  for (const std::string& address : host.addresses()) {
    out.Write(absl::StrCat("address=", address));
  }
}

// A variable that nothing reads is most likely misspelt.
void WarnOfUnknownVariables(leasehold::ServerLog& log) {
  for (const std::string& name :
       leasehold::UnknownVariables(leasehold::LeaseholdVariables())) {
    log.Warning(
        "unknown_variable",
        {{"name", name}, {"nearest", leasehold::NearestVariable(name)}});
  }
}

// Serves until the server is told to end. Returns the exit code.
int Serve(int argc, char** argv, const leasehold::ServerOptions& options) {
  const sigset_t signals = HeededSignals(options);
  const int signal_descriptor = SignalDescriptor(signals);

  leasehold::RealClock clock;
  leasehold::LineWriter out(STDOUT_FILENO);
  leasehold::LineWriter err(STDERR_FILENO);
  leasehold::ServerLog log(clock, err, options.log_format, options.log_level);
  leasehold::ServiceManager manager(
      leasehold::ServiceManagerOptions::FromEnvironment(std::getenv, getpid()),
      clock, log);
  leasehold::LiveSettings settings(argc, argv, options, log);
  const LibraryLog library_log(clock, log);
  WarnOfUnknownVariables(log);
  leasehold::ServerStats stats;
  FloodBounds flood_bounds(clock, log, options, stats.floods());
  const auto console =
      options.console ? std::make_unique<leasehold::Console>(out) : nullptr;
  leasehold::HealthServer health;
  leasehold::ReflectionServer<leasehold::ReflectionV1> reflection;
  leasehold::ReflectionServer<leasehold::ReflectionV1Alpha> reflection_alpha;
  const auto guard = leasehold::ServerGuard::Open(options, clock, log);
  if (!guard.ok()) return Fail(guard.status());
  const auto traces = leasehold::TraceHost::Open(options.traces, clock, log);
  if (!traces.ok()) return Fail(traces.status());
  leasehold::AccessControl* const access = (*guard)->access();
  leasehold::ServerHost host(options, clock, log, console.get(),
                             {&stats.contexts()}, access, (*guard)->witness(),
                             (*traces)->tracer());
  (*guard)->Prepare(host);
  leasehold::HttpHost http(options, clock, log, host, **guard);
  leasehold::OrchestrationHost orchestrations(options, clock, log, host,
                                              console.get(), access, &stats);
  host.Add(health);
  host.Add(reflection);
  host.Add(reflection_alpha);
  if (const absl::Status status = orchestrations.Start(); !status.ok()) {
    return Fail(status);
  }
  const auto opened = http.Open([&] { return orchestrations.store_status(); });
  if (!opened.ok()) return Fail(opened);
  leasehold::HttpApis http_apis(options.http, clock, host, orchestrations, http,
                                access);
  stats.Serve({host, orchestrations, http, **guard, log});
  if (const absl::Status status = host.Start(); !status.ok()) {
    return Fail(status);
  }
  http_apis.Start();
  http.Start();
  orchestrations.LogOpen();
  flood_bounds.LogIfOff();
  LogMemory(options.memory, log);
  const auto builtin =
      StartBuiltin(options, clock, log, **guard, host, orchestrations);
  if (!builtin.ok()) return Fail(builtin.status());
  TellReady(manager, host, orchestrations);
  if (options.print_address) PrintAddresses(host, out);
  const bool enter = options.console && isatty(STDIN_FILENO) == 1;
  if (enter) out.Write("Press Enter to end the server.");
  WaitForEnd(signal_descriptor, enter, **guard, settings, host, orchestrations,
             builtin->get(), manager);
  manager.Stopping();
  // A second signal ends the process at once.
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
  if (*builtin != nullptr) (*builtin)->Stop();
  http_apis.Stop();
  host.StopAndDrain();
  return 0;
}

// Runs the command that the first argument names, and returns its exit code.
// nullopt: it names none, and the server is to serve.
std::optional<int> RunCommand(int argc, char** argv) {
  if (argc < 2) return std::nullopt;
  const std::string_view command = argv[1];
  const std::vector<std::string> arguments(argv + 2, argv + argc);
  leasehold::RealClock clock;
  if (command == "backup") return leasehold::RunBackupCommand(arguments, clock);
  if (command == "restore") {
    return leasehold::RunRestoreCommand(arguments, clock);
  }
  if (command == "check") return leasehold::RunCheckCommand(arguments, clock);
  if (command == "token") return leasehold::RunTokenCommand(arguments, clock);
  if (command == "config") return leasehold::RunConfigCommand(arguments);
  if (command == "url-keys") return leasehold::RunUrlKeysCommand(arguments);
  if (command == "completion") {
    return leasehold::RunCompletionCommand(arguments);
  }
  if (command == "man") return leasehold::RunManCommand(arguments);
  return std::nullopt;
}

}  // namespace

int main(int argc, char** argv) {
  // Debian's Abseil looks for deadlocks at every lock inside gRPC: 8 % of a
  // call.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGABRT, &OnAbort);

  if (const auto code = RunCommand(argc, argv); code.has_value()) return *code;
  auto parsed = leasehold::ParseServerOptions(argc, argv);
  if (!parsed.ok()) return Fail(parsed.status());
  if (const auto* help = std::get_if<leasehold::ServerHelp>(&*parsed)) {
    std::fputs(help->text.c_str(), stdout);
    return 0;
  }
  auto& options = std::get<leasehold::ServerOptions>(*parsed);
  const absl::Status shared = leasehold::ApplyMemoryLimit("", options);
  if (!shared.ok()) return Fail(shared);
  return Serve(argc, argv, options);
}
