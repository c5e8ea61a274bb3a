// ServerOptions: every setting of leasehold-server, with default, unit, meaning
// and check.
//
// A setting comes from the command line (`--idle-timeout=20s`), else from the
// environment (`LEASEHOLD_IDLE_TIMEOUT`), else from the config file
// (`idle-timeout = "20s"`), else it has its default.
//
// Thread-safety: values; callers synchronise.
#ifndef LEASEHOLD_SERVICE_SERVER_SERVER_OPTIONS_H_
#define LEASEHOLD_SERVICE_SERVER_SERVER_OPTIONS_H_

#include <cstddef>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "service/instance/instance_headers.h"
#include "service/server/listen_address.h"
#include "service/server/server_log.h"

namespace leasehold {

struct ServerOptions {
  std::vector<ListenAddress> listen;  // Empty: both loopbacks, port 4001.
  absl::Duration idle_timeout = absl::Seconds(20);
  // What single services want at least, by name (`echo`).
  std::map<std::string, absl::Duration> service_idle_timeouts;
  absl::Duration idle_timeout_min = absl::Milliseconds(10);
  absl::Duration idle_timeout_max = absl::Hours(24);
  InstanceHeaderNames instance_header;
  size_t contexts_max = 1'000'000;
  bool evict_idle = true;
  absl::Duration detach_timeout = absl::Seconds(5);
  bool console = false;
  LogFormat log_format = LogFormat::kText;
  absl::Duration drain_timeout = absl::Seconds(30);
  bool insecure = false;
  bool print_address = false;
  int queue_threads = 1;  // Set to its default by Parse: cores - 1, at least 1.
  int user_threads = 4;

  // Orchestrations.
  bool memory_store = false;  // Else in `data`.
  std::string data = "leasehold-data";
  bool allow_hub_wipe = false;
  bool builtin = true;
  size_t payload_bytes_max = 16 << 20;
  size_t history_events_max = 100'000;
  int deliveries_max = 10;

  // What a service wants at least for the contexts that it uses.
  absl::Duration IdleTimeoutOf(const std::string& service) const {
    const auto it = service_idle_timeouts.find(service);
    return it == service_idle_timeouts.end() ? idle_timeout : it->second;
  }
};

// What `--help` or `--version` asks to be printed.
struct ServerHelp {
  std::string text;
};

//   InvalidArgument: an unknown flag, a bad value, an unreadable config file;
//     the message is one line that says what and why.
absl::StatusOr<std::variant<ServerOptions, ServerHelp>> ParseServerOptions(
    int argc, const char* const* argv);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_SERVER_SERVER_OPTIONS_H_
