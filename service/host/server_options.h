// ServerOptions: every setting of leasehold-server, with default, unit, meaning
// and check.
//
// A setting comes from the command line (`--idle-timeout=20s`); if it is not
// there, from the environment (`LEASEHOLD_IDLE_TIMEOUT`); if not there either,
// from the config file (`idle-timeout = "20s"`). Otherwise it has its default.
//
// Thread-safety: values; callers synchronise.
#ifndef LEASEHOLD_SERVICE_HOST_SERVER_OPTIONS_H_
#define LEASEHOLD_SERVICE_HOST_SERVER_OPTIONS_H_

#include <cstddef>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "service/doors/service_names.h"
#include "service/host/http_options.h"
#include "service/host/listen_address.h"
#include "service/host/memory_limit.h"
#include "service/host/server_log.h"
#include "service/host/trace_options.h"
#include "service/instance/instance_headers.h"
#include "service/network/address_range.h"
#include "service/network/tls_credentials.h"
#include "service/network/tls_material.h"
#include "service/orchestration/retention_rules.h"
#include "service/rpc/connection_policy.h"
#include "service/rpc/heartbeat.h"
#include "service/rpc/overload.h"

namespace leasehold {

// A setting as it is in force.
struct SettingInForce {
  std::string name;
  std::string value;  // As it was given, or the default; empty: none.
  // `--data`, `LEASEHOLD_DATA`, `FILE, line 3` or `default`.
  std::string from;
};

struct ServerOptions {
  std::vector<ListenAddress> listen;  // Empty: both loopbacks, port 4001.
  HttpOptions http;
  TraceOptions traces;
  absl::Duration idle_timeout = absl::Seconds(20);
  // The least that single services ask for, by name (`echo`).
  std::map<std::string, absl::Duration> service_idle_timeouts;
  absl::Duration idle_timeout_min = absl::Milliseconds(10);
  absl::Duration idle_timeout_max = absl::Hours(24);
  InstanceHeaderNames instance_header;
  size_t contexts_max = 1'000'000;
  bool evict_idle = true;
  absl::Duration detach_timeout = absl::Seconds(5);
  absl::Duration open_timeout = absl::Seconds(30);
  bool console = false;
  LogFormat log_format = LogFormat::kText;
  LogLevel log_level = LogLevel::kInfo;  // May change (LiveSettings).
  absl::Duration drain_timeout = absl::Seconds(30);
  bool insecure = false;
  TlsFiles tls;  // Without a chain and a key: no TLS.
  ClientAuth client_auth = ClientAuth::kRequire;  // With a client CA.
  std::string policy;     // Empty: everybody may do everything.
  std::string audit_log;  // Empty: none is written.
  bool print_address = false;
  int queue_threads = 1;  // Set to its default by Parse: cores - 1, at least 1.
  int user_threads = 4;
  ConnectionPolicy connections;
  // Requests that are served and answers that are not read.
  size_t connection_bytes_max = size_t{64} << 20;
  size_t total_bytes_max = size_t{512} << 20;
  // What those and other bounds in bytes may come to together; and how they
  // share it, once that is known (ApplyMemoryLimit).
  MemoryLimit memory_limit;
  MemoryShares memory;
  size_t connections_max = 10'000;  // Fewer if descriptors are.
  size_t connections_of_address_max = 1'000;
  std::vector<AddressRange> proxies;  // They send PROXY headers.
  unsigned unix_socket_mode = 0600;
  int resets_max = 500;  // Of streams under a second old, of a connection.
  int resets_per_second_max = 200;
  absl::Duration heartbeat_interval = kHeartbeatInterval;
  // How long what arrives may wait before calls are refused; 0: for ever.
  absl::Duration overload_delay = OverloadLimits().queue_delay_max;

  // Orchestrations.
  bool memory_store = false;  // Otherwise in `data`.
  std::string data = "leasehold-data";
  bool allow_hub_wipe = false;
  bool builtin = true;
  size_t payload_bytes_max = 16 << 20;
  size_t history_events_max = 100'000;
  size_t inbox_bytes_max = size_t{256} << 20;
  int deliveries_max = 10;
  // How long a worker may have work before others get it; 0: for ever.
  absl::Duration turn_timeout = absl::Seconds(60);
  absl::Duration activity_timeout = absl::ZeroDuration();
  bool unknown_work_fails = false;
  // How long orchestrations are kept that have ended. May change, as above.
  RetentionRules retention;
  // How long somebody may have the lock of an entity; 0: for ever.
  absl::Duration entity_lock_timeout = absl::ZeroDuration();

  // The file that was read; empty: none.
  std::string config;
  // The settings that do not have their defaults because somebody said so: the
  // texts that were given, by name.
  std::map<std::string, std::vector<std::string>> given;
  // All settings, in the order of --help.
  std::vector<SettingInForce> in_force;

  bool uses_tls() const { return !tls.chain.empty(); }
  bool knows_callers() const { return !policy.empty(); }
  // Whether there is something to do on SIGHUP.
  bool heeds_hang_up() const {
    return uses_tls() || knows_callers() || !audit_log.empty() ||
           !config.empty();
  }

  // The least idle timeout that a service asks for the contexts that it uses.
  absl::Duration IdleTimeoutOf(const ServiceName& service) const {
    const auto it = service_idle_timeouts.find(std::string(service.option));
    return it == service_idle_timeouts.end() ? idle_timeout : it->second;
  }
};

// The text that `--help` or `--version` prints.
struct ServerHelp {
  std::string text;
};

//   InvalidArgument: an unknown flag, a bad value, an unreadable config file;
//     the message is one line that says what and why.
absl::StatusOr<std::variant<ServerOptions, ServerHelp>> ParseServerOptions(
    int argc, const char* const* argv);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HOST_SERVER_OPTIONS_H_
