#include "service/host/server_options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <map>
#include <optional>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "lease/base/quote.h"
#include "service/host/config_file.h"
#include "service/host/retention_setting.h"
#include "service/host/server_text.h"
#include "service/host/setting.h"

namespace leasehold {
namespace {

using Values = std::vector<std::string>;

// Whether a service with contexts is called `option` in options.
absl::Status CheckHasContexts(const std::string& option) {
  std::string known;
  for (const ServiceName& service : kServicesWithContexts) {
    if (option == service.option) return absl::OkStatus();
    absl::StrAppend(&known, known.empty() ? "" : ", ",
                    std::string(service.option));
  }
  return InvalidSetting(
      absl::StrCat("names no service that has contexts (they are: ", known,
                   ")"),
      option);
}

// `20s`, or `20s,echo=60s`, or `echo=60s`.
absl::Status ReadIdleTimeouts(const std::string& text, ServerOptions& o) {
  for (const std::string& part : Values(absl::StrSplit(text, ','))) {
    const size_t equals = part.find('=');
    if (equals == std::string::npos) {
      if (absl::Status s = ReadDuration(part, o.idle_timeout); !s.ok()) {
        return s;
      }
      continue;
    }
    const std::string service = part.substr(0, equals);
    if (absl::Status s = CheckHasContexts(service); !s.ok()) return s;
    if (absl::Status s = ReadDuration(part.substr(equals + 1),
                                      o.service_idle_timeouts[service]);
        !s.ok()) {
      return s;
    }
  }
  return absl::OkStatus();
}

// Where it listens.
std::vector<Setting> ListeningSettings(ServerOptions& o) {
  return {
      {"listen", "HOST:PORT|unix:PATH", "127.0.0.1:4001 and [::1]:4001",
       "Where to listen; give it again for more. Port 0 takes a free one.",
       [&o](const std::string& text) {
         absl::StatusOr<ListenAddress> address = ListenAddress::Parse(text);
         if (!address.ok()) return address.status();
         o.listen.push_back(*std::move(address));
         return absl::OkStatus();
       }},
      SwitchSetting("insecure", o.insecure,
                    "Allow to listen beyond this machine without encryption."),
      PathSetting("tls-cert", "FILE", o.tls.chain,
                  "Encrypt TCP connections with this certificate chain (PEM, "
                  "the server's own first). Read again when it changes, and on "
                  "SIGHUP."),
      PathSetting("tls-key", "FILE", o.tls.key,
                  "Its private key (PEM, without a passphrase)."),
      PathSetting("tls-client-ca", "FILE", o.tls.client_ca,
                  "Ask clients for a certificate that one of these authorities "
                  "has issued (PEM)."),
      {"tls-client-auth", "require|optional", "require",
       "With --tls-client-ca: whether a client may come without one.",
       [&o](const std::string& text) {
         if (text != "require" && text != "optional") {
           return InvalidSetting("must be require or optional", text);
         }
         o.client_auth =
             text == "require" ? ClientAuth::kRequire : ClientAuth::kOptional;
         return absl::OkStatus();
       }},
      PathSetting(
          "policy", "FILE", o.policy,
          "Who may call what, and in which tenant (JSON; see the guide on "
          "security). Read again when it changes, and on SIGHUP. "
          "Without it, whoever reaches the server may do everything."),
      PathSetting(
          "audit-log", "FILE", o.audit_log,
          "Append a line of JSON for each change that somebody makes or "
          "is refused, without payloads. Opened again on SIGHUP."),
      SwitchSetting(
          "print-address", o.print_address,
          "Print `address=HOST:PORT`, a line a listener, once it serves."),
  };
}

// Instance contexts.
std::vector<Setting> ContextSettings(ServerOptions& o) {
  return {
      {"idle-timeout", "DURATION[,SERVICE=DURATION...]",
       absl::FormatDuration(o.idle_timeout),
       "How long an idle instance context is kept, if its creator asks for "
       "nothing else; the longest of the services that used it counts. "
       "Services: echo, orchestration.",
       [&o](const std::string& text) { return ReadIdleTimeouts(text, o); }},
      DurationSetting("min-idle-timeout", o.idle_timeout_min,
                      "The shortest idle timeout; requests for less get this."),
      DurationSetting("max-idle-timeout", o.idle_timeout_max,
                      "The longest idle timeout; requests for more get this."),
      {"instance-header", "NAME", o.instance_header.text,
       "The request header that carries the instance ID.",
       [&o](const std::string& text) {
         absl::StatusOr<InstanceHeaderNames> names =
             InstanceHeaderNames::Make(text);
         if (!names.ok()) return names.status();
         o.instance_header = *std::move(names);
         return absl::OkStatus();
       }},
      CountSetting("max-contexts", o.contexts_max, size_t{1'000'000'000},
                   "How many instance contexts may live at once."),
      SwitchSetting(
          "evict-idle", o.evict_idle,
          "At that bound, close an idle context to make room; off: refuse "
          "the call."),
      DurationSetting(
          "detach-timeout", o.detach_timeout,
          "How long calls wait for a context whose detach hook does not "
          "answer."),
      DurationSetting(
          "open-timeout", o.open_timeout,
          "How long calls wait for a context whose initializers do not "
          "answer."),
  };
}

// What it prints, how it ends, and its threads.
std::vector<Setting> ProcessSettings(ServerOptions& o) {
  return {
      SwitchSetting(
          "console", o.console,
          "Show on standard output what happens, a line an event. On a "
          "terminal, Enter ends the server."),
      {"log-format", "text|json", "text",
       "The form of the log lines on standard error.",
       [&o](const std::string& text) {
         if (text != "text" && text != "json") {
           return InvalidSetting("must be text or json", text);
         }
         o.log_format = text == "json" ? LogFormat::kJson : LogFormat::kText;
         return absl::OkStatus();
       }},
      {"log-level", "debug|info|warning|error",
       std::string(LogLevelName(o.log_level)),
       "Which log lines are written: these and what is graver. debug has a "
       "line "
       "for each context and orchestration that comes or goes. Read again from "
       "the config file on SIGHUP.",
       [&o](const std::string& text) {
         const std::optional<LogLevel> level = LogLevelOf(text);
         if (!level.has_value()) {
           return InvalidSetting("must be debug, info, warning or error", text);
         }
         o.log_level = *level;
         return absl::OkStatus();
       }},
      DurationSetting(
          "drain-timeout", o.drain_timeout,
          "How long calls in flight may go on when the server ends."),
      CountSetting("queue-threads", o.queue_threads, 256,
                   "Threads that serve calls, each with a completion queue."),
      CountSetting("user-threads", o.user_threads, 256,
                   "Threads that run initializers and detach hooks."),
      DurationOrNoneSetting(
          "overload-delay", o.overload_delay,
          "When calls wait longer than this for the server, it refuses some: "
          "reads first, then starts, events and calls, never workers' answers, "
          "kept leases and health. 0: none."),
  };
}

// Connections: when they are dead, and how many there may be.
std::vector<Setting> ConnectionSettings(ServerOptions& o) {
  return {
      DurationSetting("keepalive-time", o.connections.keepalive_time,
                      "A connection that is quiet for so long is pinged."),
      DurationSetting(
          "keepalive-timeout", o.connections.keepalive_timeout,
          "How long a ping may stay unanswered; then the client is gone, "
          "and what it held is let go of."),
      CountSetting(
          "max-connections", o.connections_max, size_t{10'000'000},
          "How many connections may be open at once; at most three quarters "
          "of the limit of file descriptors (ulimit -n)."),
      CountSetting(
          "max-connections-per-address", o.connections_of_address_max,
          size_t{10'000'000},
          "How many of them may come from one IPv4 address, or one /64 of "
          "IPv6. For a proxy in front, raise it to --max-connections, or let "
          "it say who its clients are (--proxy-protocol)."),
      {"proxy-protocol", "ADDRESS/PREFIX,...", "",
       "Proxies in front that say for whom they connect: each TCP connection "
       "from there must begin with a PROXY header, version 1 or 2, and none "
       "from elsewhere may. The address in it is the one that limits and log "
       "lines are about.",
       [&o](const std::string& text) { return ReadRanges(text, o.proxies); }},
      {"unix-socket-mode", "MODE", "0600",
       "The permissions of Unix sockets in octal; who may write to one may "
       "connect: 0660 lets the server's group in.",
       [&o](const std::string& text) {
         return ReadMode(text, o.unix_socket_mode);
       }},
  };
}

// What one connection may do and have.
std::vector<Setting> StreamSettings(ServerOptions& o) {
  return {
      CountSetting(
          "max-resets", o.resets_max, 1'000'000'000,
          "How many streams that are less than a second old a connection may "
          "reset at once; then it is closed. Raise it for a proxy that puts "
          "many clients on one connection."),
      CountSetting("max-resets-per-second", o.resets_per_second_max,
                   1'000'000'000,
                   "How many of them it may reset each second thereafter."),
      DurationSetting(
          "heartbeat-interval", o.heartbeat_interval,
          "A stream that has had nothing to say for so long sends an "
          "empty message, so that proxies do not take it for dead. A "
          "request may ask for less."),
      SwitchSetting(
          "compression", o.connections.compression,
          "Let clients send compressed messages. On: a message is "
          "decompressed as a whole before its size is looked at, so that "
          "a megabyte can take a gigabyte of memory; for clients that one "
          "trusts. Off: such a call gets UNIMPLEMENTED."),
      CountSetting(
          "max-connection-bytes", o.connection_bytes_max, size_t{1} << 40,
          "How many bytes of requests and unread answers the server keeps "
          "for one connection, or one larger message; what would be more is "
          "refused, or held back."),
      CountSetting("max-total-bytes", o.total_bytes_max, size_t{1} << 40,
                   "The same for all connections together."),
      {"memory-limit", "SIZE|PERCENT", MemoryLimitText(o.memory_limit),
       "How much memory the server plans with, in bytes (also as 2GiB) or as a "
       "part of what the machine or its control group has. The bounds in bytes "
       "together stay below it: --max-total-bytes is lowered, unless it is "
       "given.",
       [&o](const std::string& text) {
         const absl::StatusOr<MemoryLimit> limit = ParseMemoryLimit(text);
         if (limit.ok()) o.memory_limit = *limit;
         return limit.status();
       }},
  };
}

// Where orchestrations are kept, and how much of each.
std::vector<Setting> StoreSettings(ServerOptions& o) {
  return {
      PathSetting("data", "DIR", o.data,
                  "Where orchestrations are kept. Created if it is not there."),
      {"store", "sqlite|memory", "sqlite",
       "What keeps orchestrations: a SQLite file in --data, or memory, which "
       "forgets them when the server ends.",
       [&o](const std::string& text) {
         if (text != "sqlite" && text != "memory") {
           return InvalidSetting("must be sqlite or memory", text);
         }
         o.memory_store = text == "memory";
         return absl::OkStatus();
       }},
      CountSetting(
          "max-payload", o.payload_bytes_max, size_t{48} << 20,
          "How many bytes an input, output, event or custom status may "
          "have."),
      CountSetting(
          "max-history-events", o.history_events_max, size_t{10'000'000},
          "How many events the history of an orchestration may have; one "
          "that would have more fails."),
      RetentionSetting(o.retention),
      CountSetting(
          "max-inbox-bytes", o.inbox_bytes_max, size_t{1} << 40,
          "How many bytes of events one orchestration may have that no turn "
          "of it has taken; what would be more is refused."),
  };
}

// Orchestrators and activities on workers.
std::vector<Setting> WorkSettings(ServerOptions& o) {
  return {
      CountSetting(
          "max-deliveries", o.deliveries_max, 1'000'000,
          "How often in a row a turn or an activity is handed to workers "
          "that go away with it or have it for too long, or is in the "
          "server's hands when that ends; then it has failed."),
      DurationOrNoneSetting(
          "turn-timeout-on-worker", o.turn_timeout,
          "How long a worker may have a turn of an orchestrator; "
          "then it is handed out again, rather to another worker, "
          "and counts for --max-deliveries. 0: for ever."),
      DurationOrNoneSetting("activity-timeout", o.activity_timeout,
                            "The same of an activity. 0: for ever."),
      DurationOrNoneSetting(
          "entity-lock-timeout", o.entity_lock_timeout,
          "How long an orchestration may have a critical section over "
          "entities; then the next in line gets their locks. 0: for ever."),
      {"unknown-work", "wait|fail", "wait",
       "What becomes of an orchestration or activity that every connected "
       "worker says it does not know: it waits for one that does, or fails.",
       [&o](const std::string& text) {
         if (text != "wait" && text != "fail") {
           return InvalidSetting("must be wait or fail", text);
         }
         o.unknown_work_fails = text == "fail";
         return absl::OkStatus();
       }},
      SwitchSetting("allow-hub-wipe", o.allow_hub_wipe,
                    "Let callers erase all orchestrations and entities of "
                    "their tenant (CreateTaskHub with recreateIfExists, "
                    "DeleteTaskHub); a policy lets operators only."),
      SwitchSetting(
          "builtin", o.builtin,
          "Run the orchestrators Counter, EchoSequence, FanOutEcho and Ping "
          "where no other worker would."),
  };
}

// All settings, in the order of --help.
std::vector<Setting> Settings(ServerOptions& o) {
  std::vector<Setting> all;
  for (const auto group :
       {ListeningSettings, ContextSettings, ProcessSettings, ConnectionSettings,
        StreamSettings, StoreSettings, WorkSettings}) {
    for (Setting& setting : group(o)) all.push_back(std::move(setting));
  }
  for (Setting& setting : HttpSettings(o.http)) {
    all.push_back(std::move(setting));
  }
  for (Setting& setting : TraceSettings(o.traces)) {
    all.push_back(std::move(setting));
  }
  return all;
}

std::string Variable(const std::string& name) {
  return absl::StrCat("LEASEHOLD_", absl::AsciiStrToUpper(absl::StrReplaceAll(
                                        name, {{"-", "_"}})));
}

absl::Status Read(const Setting& setting, const std::string& source,
                  const Values& values) {
  for (const std::string& value : values) {
    if (const absl::Status status = setting.read(value); !status.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat(source, ": ", status.message()));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckTls(const ServerOptions& o) {
  if (o.tls.chain.empty() != o.tls.key.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        o.tls.chain.empty() ? "--tls-key" : "--tls-cert",
        " is given alone: a certificate and its key go together (--tls-cert, "
        "--tls-key)"));
  }
  if (!o.tls.client_ca.empty() && !o.uses_tls()) {
    return absl::InvalidArgumentError(
        "--tls-client-ca is given without --tls-cert and --tls-key: there is "
        "no TLS to ask clients in");
  }
  if (o.client_auth == ClientAuth::kOptional && o.tls.client_ca.empty()) {
    return absl::InvalidArgumentError(
        "--tls-client-auth=optional is given without --tls-client-ca: clients "
        "are not asked for certificates");
  }
  return absl::OkStatus();
}

absl::Status CheckTogether(const ServerOptions& o) {
  if (absl::Status status = CheckTls(o); !status.ok()) return status;
  if (o.idle_timeout_min > o.idle_timeout_max) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--min-idle-timeout=", absl::FormatDuration(o.idle_timeout_min),
        " is longer than --max-idle-timeout=",
        absl::FormatDuration(o.idle_timeout_max)));
  }
  if (o.idle_timeout < o.idle_timeout_min ||
      o.idle_timeout > o.idle_timeout_max) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--idle-timeout=", absl::FormatDuration(o.idle_timeout),
        " is not between --min-idle-timeout=",
        absl::FormatDuration(o.idle_timeout_min),
        " and --max-idle-timeout=", absl::FormatDuration(o.idle_timeout_max)));
  }
  for (const auto& [service, timeout] : o.service_idle_timeouts) {
    if (timeout < o.idle_timeout_min || timeout > o.idle_timeout_max) {
      return absl::InvalidArgumentError(absl::StrCat(
          "--idle-timeout=", service, "=", absl::FormatDuration(timeout),
          " is not between --min-idle-timeout=",
          absl::FormatDuration(o.idle_timeout_min), " and --max-idle-timeout=",
          absl::FormatDuration(o.idle_timeout_max)));
    }
  }
  for (const ListenAddress& address : o.listen) {
    if (!address.IsLoopback() && !o.insecure && !o.uses_tls()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "--listen=", address.ToString(),
          ": not a loopback address, and the server does not encrypt; give it "
          "--tls-cert and --tls-key, or add --insecure to listen there all the "
          "same"));
    }
  }
  return CheckHttp(o.http, o.insecure, o.uses_tls());
}

// The parser's message, on one line.
std::string Explain(const CLI::App& app, const CLI::ParseError& error) {
  const std::vector<std::string> unknown = app.remaining();
  if (!unknown.empty()) {
    const bool flag = absl::StartsWith(unknown.front(), "-");
    return absl::StrCat(flag ? "unknown flag " : "unexpected argument ",
                        QuoteForMessage(unknown.front()),
                        "; --help lists the flags");
  }
  return absl::StrReplaceAll(error.what(), {{"\n", " "}});
}

// The values of flags, by the name of the setting.
struct Flags {
  std::map<std::string, CLI::Option*> given;
  std::map<std::string, Values> values;
};

void AddFlags(CLI::App& app, const std::vector<Setting>& settings,
              Flags& flags) {
  for (const Setting& setting : settings) {
    const std::string flag = absl::StrCat("--", setting.name);
    CLI::Option* option;
    if (setting.value.empty()) {
      option = app.add_flag(
          flag, flags.values[setting.name],
          absl::StrCat(setting.help, " Default: ", setting.fallback, "."));
    } else {
      option = app.add_option(flag, flags.values[setting.name], setting.help);
      option->type_name(setting.value)->default_str(setting.fallback);
      option->expected(1)->multi_option_policy(
          setting.name == "listen" ? CLI::MultiOptionPolicy::TakeAll
                                   : CLI::MultiOptionPolicy::TakeLast);
    }
    flags.given[setting.name] = option;
  }
}

// The command line, without the commands that stand alone.
struct ServerFlags {
  CLI::App app{
      "Serves shared, leased instances over gRPC.\n"
      "A flag left out is taken from the environment, then from the config "
      "file:"
      "\n--idle-timeout is LEASEHOLD_IDLE_TIMEOUT there (several values of "
      "LEASEHOLD_LISTEN stand\nbetween commas), and idle-timeout here. "
      "Durations "
      "have a unit: ns, us, ms, s, m, h, d.\n"
      "`leasehold-server check` says whether a data directory is whole; check "
      "--help\nsays how. `leasehold-server token` makes, lists and revokes "
      "tokens.\n`leasehold-server config` prints which settings are in force, "
      "and where each\ncomes from.",
      "leasehold-server"};
  Flags flags;
  std::string config_path;

  explicit ServerFlags(const std::vector<Setting>& settings) {
    app.set_version_flag("--version",
                         std::string("leasehold-server " LEASEHOLD_VERSION));
    AddFlags(app, settings, flags);
    app.add_option("--config", config_path,
                   "A file of `name = value` lines; else "
                   "LEASEHOLD_CONFIG names one.")
        ->type_name("FILE");
  }
};

// What a setting is given as, and where; no values: nowhere.
struct Given {
  std::string source;
  Values values;
  std::string from = source;  // For who looks for the place.
};

// Looks at the flag, the environment and the config file, in this order.
Given FindGiven(const Setting& setting, const CLI::Option& flag,
                const ConfigFile& config) {
  if (flag.count() > 0) {
    return {absl::StrCat("--", setting.name), flag.results()};
  }
  const std::string variable = Variable(setting.name);
  const char* environment = std::getenv(variable.c_str());
  if (environment != nullptr && *environment != '\0') {
    return {variable, setting.name == "listen"
                          ? Values(absl::StrSplit(environment, ','))
                          : Values{environment}};
  }
  if (const auto it = config.values.find(setting.name);
      it != config.values.end()) {
    const auto line = config.lines.find(setting.name);
    return {absl::StrCat(config.path, ": ", setting.name), it->second,
            line == config.lines.end()
                ? config.path
                : absl::StrCat(config.path, ", line ", line->second)};
  }
  return {"default", {}};
}

}  // namespace

CommandText DescribeServer() {
  ServerOptions options;
  std::vector<Setting> settings = Settings(options);
  for (Setting& setting : settings) {
    // Not that of the machine on which the pages are made.
    if (setting.name == "queue-threads") {
      setting.fallback = "one less than there are cores, at least 1";
    }
  }
  return DescribeCommand(ServerFlags(settings).app, "leasehold-server");
}

absl::StatusOr<std::variant<ServerOptions, ServerHelp>> ParseServerOptions(
    int argc, const char* const* argv) {
  ServerOptions options;
  options.queue_threads =
      std::max(1, static_cast<int>(std::thread::hardware_concurrency()) - 1);
  const std::vector<Setting> settings = Settings(options);

  ServerFlags command_line(settings);
  CLI::App& app = command_line.app;
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    return ServerHelp{app.help()};
  } catch (const CLI::CallForVersion& version) {
    return ServerHelp{absl::StrCat(version.what(), "\n")};
  } catch (const CLI::ParseError& error) {
    return absl::InvalidArgumentError(Explain(app, error));
  }

  const absl::StatusOr<ConfigFile> config =
      ReadConfigFile(std::move(command_line.config_path), settings);
  if (!config.ok()) return config.status();
  for (const Setting& setting : settings) {
    Given given =
        FindGiven(setting, *command_line.flags.given[setting.name], *config);
    options.in_force.push_back({setting.name,
                                given.values.empty()
                                    ? setting.fallback
                                    : absl::StrJoin(given.values, ","),
                                given.from});
    if (given.values.empty()) continue;
    const absl::Status status = Read(setting, given.source, given.values);
    if (!status.ok()) return status;
    options.given[setting.name] = std::move(given.values);
  }
  options.config = config->path;
  if (const absl::Status status = CheckTogether(options); !status.ok()) {
    return status;
  }
  return options;
}

}  // namespace leasehold
