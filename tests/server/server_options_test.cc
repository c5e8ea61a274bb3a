#include "service/host/server_options.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <ostream>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "service/host/retention_setting.h"

namespace leasehold {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using Parsed = absl::StatusOr<std::variant<ServerOptions, ServerHelp>>;

// What a test sees of the options: all of them as text.
using Shown = std::map<std::string, std::string>;

Shown Show(const ServerOptions& o) {
  const auto on = [](bool value) { return value ? "on" : "off"; };
  const auto listen = [](std::string* out, const ListenAddress& address) {
    out->append(address.ToString());
  };
  return {
      {"listen", absl::StrJoin(o.listen, " ", listen)},
      {"insecure", on(o.insecure)},
      {"print-address", on(o.print_address)},
      {"idle-timeout", absl::FormatDuration(o.idle_timeout)},
      {"min-idle-timeout", absl::FormatDuration(o.idle_timeout_min)},
      {"max-idle-timeout", absl::FormatDuration(o.idle_timeout_max)},
      {"instance-header", o.instance_header.text},
      {"max-contexts", absl::StrCat(o.contexts_max)},
      {"console", on(o.console)},
      {"log-format", o.log_format == LogFormat::kJson ? "json" : "text"},
      {"log-level", std::string(LogLevelName(o.log_level))},
      {"drain-timeout", absl::FormatDuration(o.drain_timeout)},
      {"queue-threads", absl::StrCat(o.queue_threads)},
      {"user-threads", absl::StrCat(o.user_threads)},
      {"max-connections", absl::StrCat(o.connections_max)},
      {"max-connections-per-address",
       absl::StrCat(o.connections_of_address_max)},
      {"unix-socket-mode",
       absl::StrCat("0", o.unix_socket_mode >> 6, o.unix_socket_mode >> 3 & 7,
                    o.unix_socket_mode & 7)},
      {"max-resets", absl::StrCat(o.resets_max)},
      {"max-resets-per-second", absl::StrCat(o.resets_per_second_max)},
      {"heartbeat-interval", absl::FormatDuration(o.heartbeat_interval)},
      {"overload-delay", absl::FormatDuration(o.overload_delay)},
      {"keepalive-time", absl::FormatDuration(o.connections.keepalive_time)},
      {"keepalive-timeout",
       absl::FormatDuration(o.connections.keepalive_timeout)},
      {"compression", on(o.connections.compression)},
      {"data", o.data},
      {"store", o.memory_store ? "memory" : "sqlite"},
      {"max-connection-bytes", absl::StrCat(o.connection_bytes_max)},
      {"max-total-bytes", absl::StrCat(o.total_bytes_max)},
      {"memory-limit", MemoryLimitText(o.memory_limit)},
      {"max-payload", absl::StrCat(o.payload_bytes_max)},
      {"retention", RetentionText(o.retention)},
      {"max-inbox-bytes", absl::StrCat(o.inbox_bytes_max)},
      {"max-deliveries", absl::StrCat(o.deliveries_max)},
      {"turn-timeout-on-worker", absl::FormatDuration(o.turn_timeout)},
      {"activity-timeout", absl::FormatDuration(o.activity_timeout)},
      {"unknown-work", o.unknown_work_fails ? "fail" : "wait"},
      {"entity-lock-timeout", absl::FormatDuration(o.entity_lock_timeout)},
      {"max-history-events", absl::StrCat(o.history_events_max)},
      {"allow-hub-wipe", on(o.allow_hub_wipe)},
      {"builtin", on(o.builtin)}};
}

Shown Defaults() {
  Shown defaults = Show(ServerOptions());
  defaults["queue-threads"] = absl::StrCat(
      std::max(1, static_cast<int>(std::thread::hardware_concurrency()) - 1));
  return defaults;
}

// A setting, with two good values and a bad one.
struct Setting {
  std::string name;
  std::string one;
  std::string other;
  std::string bad;
  std::string rule;  // That the bad value breaks.
};

void PrintTo(const Setting& setting, std::ostream* out) {
  *out << setting.name;
}

constexpr char kDurationRule[] =
    "must be a duration above zero with its unit, such as 500ms, 20s or 1h30m";

constexpr char kDurationOrNoneRule[] =
    "must be a duration with its unit, such as 500ms, 20s or 1h30m, or 0 for "
    "none";

const std::vector<Setting>& AllSettings() {
  static const auto& settings = *new std::vector<Setting>{
      {"listen", "127.0.0.1:5001", "[::1]:5002", "localhost", "has no port"},
      {"insecure", "on", "off", "maybe", "must be on or off"},
      {"print-address", "on", "off", "2", "must be on or off"},
      {"idle-timeout", "1m30s", "30s", "20", kDurationRule},
      {"min-idle-timeout", "15ms", "1s", "-1s", kDurationRule},
      {"max-idle-timeout", "30h", "1h", "inf", kDurationRule},
      {"instance-header", "x-room", "session", "x-room-bin",
       "must not end in -bin"},
      {"max-contexts", "7", "1000000000", "0",
       "must be a whole number from 1 to 1000000000"},
      {"console", "on", "off", "yes", "must be on or off"},
      {"log-format", "json", "text", "xml", "must be text or json"},
      {"log-level", "debug", "error", "loud",
       "must be debug, info, warning or error"},
      {"drain-timeout", "1ms", "2m", "0s", kDurationRule},
      {"heartbeat-interval", "5s", "1s", "0s", kDurationRule},
      {"queue-threads", "3", "256", "257",
       "must be a whole number from 1 to 256"},
      {"user-threads", "2", "9", "1.5", "must be a whole number from 1 to 256"},
      {"keepalive-time", "1s", "2h", "0", kDurationRule},
      {"keepalive-timeout", "500ms", "1m", "soon", kDurationRule},
      {"max-connections", "7", "10000000", "0",
       "must be a whole number from 1 to 10000000"},
      {"max-connections-per-address", "1", "10000000", "many",
       "must be a whole number from 1 to 10000000"},
      {"unix-socket-mode", "0660", "0777", "0860",
       "must be permissions in octal"},
      {"max-resets", "7", "1000000000", "0",
       "must be a whole number from 1 to 1000000000"},
      {"max-resets-per-second", "1", "1000000000", "-1",
       "must be a whole number from 1 to 1000000000"},
      {"compression", "on", "off", "gzip", "must be on or off"},
      {"data", "/var/lib/leasehold", "here", "-x",
       "must not begin with a dash"},
      {"store", "memory", "sqlite", "disk", "must be sqlite or memory"},
      {"max-connection-bytes", "1", "65536", "0",
       "must be a whole number from 1 to 1099511627776"},
      {"max-total-bytes", "1", "65536", "much",
       "must be a whole number from 1 to 1099511627776"},
      {"memory-limit", "1073741824", "50%", "lots", "must be a size"},
      {"max-payload", "1", "50331648", "50331649",
       "must be a whole number from 1 to 50331648"},
      {"max-history-events", "10", "10000000", "none",
       "must be a whole number from 1 to 10000000"},
      {"retention", "completed=24h,failed=720h", "off", "7",
       "must be a duration above zero with its unit, such as 12h or 7d, or "
       "off"},
      {"max-inbox-bytes", "1", "65536", "none",
       "must be a whole number from 1 to 1099511627776"},
      {"max-deliveries", "3", "1000000", "0",
       "must be a whole number from 1 to 1000000"},
      {"turn-timeout-on-worker", "0", "2s", "2", kDurationOrNoneRule},
      {"activity-timeout", "24h", "0", "-1s", kDurationOrNoneRule},
      {"overload-delay", "1s", "0", "50", kDurationOrNoneRule},
      {"unknown-work", "fail", "wait", "drop", "must be wait or fail"},
      {"entity-lock-timeout", "30s", "0", "soon", kDurationOrNoneRule},
      {"allow-hub-wipe", "on", "off", "perhaps", "must be on or off"},
      {"builtin", "off", "on", "perhaps", "must be on or off"},
  };
  return settings;
}

std::string Variable(const std::string& name) {
  return absl::StrCat("LEASEHOLD_", absl::AsciiStrToUpper(absl::StrReplaceAll(
                                        name, {{"-", "_"}})));
}

// Parses with an environment of its own, and at most one file.
class ServerOptionsTest : public testing::TestWithParam<Setting> {
 protected:
  ServerOptionsTest() { ClearEnvironment(); }
  ~ServerOptionsTest() override {
    ClearEnvironment();
    std::remove(path_.c_str());
  }

  static void ClearEnvironment() {
    unsetenv("LEASEHOLD_CONFIG");
    for (const Setting& setting : AllSettings()) {
      unsetenv(Variable(setting.name).c_str());
    }
  }
  static void SetVariable(const std::string& name, const std::string& value) {
    setenv(Variable(name).c_str(), value.c_str(), /*overwrite=*/1);
  }
  // The flag that has the file read.
  std::string File(const std::string& content) {
    std::ofstream(path_) << content;
    return absl::StrCat("--config=", path_);
  }

  static Parsed Parse(const std::vector<std::string>& arguments) {
    std::vector<const char*> argv = {"leasehold-server"};
    for (const std::string& argument : arguments) {
      argv.push_back(argument.c_str());
    }
    return ParseServerOptions(static_cast<int>(argv.size()), argv.data());
  }
  static Shown ParseGood(const std::vector<std::string>& arguments) {
    const Parsed parsed = Parse(arguments);
    if (!parsed.ok()) {
      ADD_FAILURE() << parsed.status();
      return {};
    }
    return Show(std::get<ServerOptions>(*parsed));
  }
  static std::string ParseBad(const std::vector<std::string>& arguments) {
    const Parsed parsed = Parse(arguments);
    EXPECT_EQ(parsed.status().code(), absl::StatusCode::kInvalidArgument);
    std::string message(parsed.status().message());
    EXPECT_THAT(message, Not(HasSubstr("\n")));
    return message;
  }
  static std::string ParseHelp(const std::string& flag) {
    const Parsed parsed = Parse({flag});
    if (!parsed.ok()) {
      ADD_FAILURE() << parsed.status();
      return "";
    }
    return std::get<ServerHelp>(*parsed).text;
  }

  const std::string path_ =
      absl::StrCat(testing::TempDir(), "server_options_", getpid(), ".conf");
};

// ---- Each setting

TEST_P(ServerOptionsTest, SettingComesFromTheCommandLine) {
  const Setting& setting = GetParam();
  Shown expected = Defaults();
  expected[setting.name] = setting.one;
  EXPECT_EQ(ParseGood({absl::StrCat("--", setting.name, "=", setting.one)}),
            expected);
}

TEST_P(ServerOptionsTest, SettingComesFromTheEnvironment) {
  const Setting& setting = GetParam();
  SetVariable(setting.name, setting.one);
  Shown expected = Defaults();
  expected[setting.name] = setting.one;
  EXPECT_EQ(ParseGood({}), expected);
}

TEST_P(ServerOptionsTest, SettingComesFromTheFile) {
  const Setting& setting = GetParam();
  const std::string file =
      File(absl::StrCat("# why\n", setting.name, " = \"", setting.one, "\"\n"));
  Shown expected = Defaults();
  expected[setting.name] = setting.one;
  EXPECT_EQ(ParseGood({file}), expected);
}

TEST_P(ServerOptionsTest, CommandLineWinsOverEnvironment) {
  const Setting& setting = GetParam();
  SetVariable(setting.name, setting.other);
  Shown expected = Defaults();
  expected[setting.name] = setting.one;
  EXPECT_EQ(ParseGood({absl::StrCat("--", setting.name, "=", setting.one)}),
            expected);
}

TEST_P(ServerOptionsTest, EnvironmentWinsOverFile) {
  const Setting& setting = GetParam();
  SetVariable(setting.name, setting.one);
  const std::string file =
      File(absl::StrCat(setting.name, " = \"", setting.other, "\"\n"));
  Shown expected = Defaults();
  expected[setting.name] = setting.one;
  EXPECT_EQ(ParseGood({file}), expected);
}

TEST_P(ServerOptionsTest, CommandLineWinsOverFile) {
  const Setting& setting = GetParam();
  const std::string file =
      File(absl::StrCat(setting.name, " = \"", setting.other, "\"\n"));
  Shown expected = Defaults();
  expected[setting.name] = setting.one;
  EXPECT_EQ(
      ParseGood({file, absl::StrCat("--", setting.name, "=", setting.one)}),
      expected);
}

TEST_P(ServerOptionsTest, EmptyVariableCountsAsNone) {
  const Setting& setting = GetParam();
  SetVariable(setting.name, "");
  EXPECT_EQ(ParseGood({}), Defaults());
}

TEST_P(ServerOptionsTest, BadValueIsToldWithSourceRuleAndValue) {
  const Setting& setting = GetParam();
  const auto says = [&setting](const std::string& message,
                               const std::string& source) {
    EXPECT_THAT(message, StartsWith(absl::StrCat(source, ": ")));
    EXPECT_THAT(message, HasSubstr(setting.rule));
    EXPECT_THAT(message, HasSubstr(absl::StrCat("\"", setting.bad, "\"")));
  };
  says(ParseBad({absl::StrCat("--", setting.name, "=", setting.bad)}),
       absl::StrCat("--", setting.name));
  says(ParseBad(
           {File(absl::StrCat(setting.name, " = \"", setting.bad, "\"\n"))}),
       absl::StrCat(path_, ": ", setting.name));
  SetVariable(setting.name, setting.bad);
  says(ParseBad({}), Variable(setting.name));
}

TEST_P(ServerOptionsTest, HelpShowsTheSettingWithItsDefault) {
  const Setting& setting = GetParam();
  const std::string text =
      absl::StrReplaceAll(ParseHelp("--help"), {{"\n   ", " "}});
  const size_t begin = text.find(absl::StrCat("\n  --", setting.name, " "));
  ASSERT_NE(begin, std::string::npos) << text;
  const std::string entry =
      text.substr(begin + 1, text.find('\n', begin + 1) - begin - 1);
  const bool is_switch = setting.one == "on" || setting.one == "off";
  const std::string fallback = setting.name == "listen"
                                   ? "127.0.0.1:4001 and [::1]:4001"
                                   : Defaults()[setting.name];
  EXPECT_THAT(entry,
              HasSubstr(is_switch ? absl::StrCat("Default: ", fallback, ".")
                                  : absl::StrCat("=", fallback)));
}

INSTANTIATE_TEST_SUITE_P(Each, ServerOptionsTest,
                         testing::ValuesIn(AllSettings()),
                         [](const testing::TestParamInfo<Setting>& info) {
                           std::string name;
                           for (const char c : info.param.name)
                             name += c == '-' ? '_' : c;
                           return name;
                         });

// ---- Together

class ServerOptionsTogether : public ServerOptionsTest {};

TEST_F(ServerOptionsTogether, NothingGivenIsTheDefaults) {
  EXPECT_EQ(ParseGood({}), Defaults());
  const Shown documented = {{"listen", ""},
                            {"insecure", "off"},
                            {"print-address", "off"},
                            {"idle-timeout", "20s"},
                            {"min-idle-timeout", "10ms"},
                            {"max-idle-timeout", "24h"},
                            {"instance-header", "instance-id"},
                            {"max-contexts", "1000000"},
                            {"console", "off"},
                            {"log-format", "text"},
                            {"log-level", "info"},
                            {"drain-timeout", "30s"},
                            {"queue-threads", Defaults()["queue-threads"]},
                            {"user-threads", "4"},
                            {"heartbeat-interval", "20s"},
                            {"overload-delay", "50ms"},
                            {"keepalive-time", "30s"},
                            {"keepalive-timeout", "10s"},
                            {"max-connections", "10000"},
                            {"max-connections-per-address", "1000"},
                            {"unix-socket-mode", "0600"},
                            {"max-resets", "500"},
                            {"max-resets-per-second", "200"},
                            {"compression", "off"},
                            {"data", "leasehold-data"},
                            {"store", "sqlite"},
                            {"max-connection-bytes", "67108864"},
                            {"max-total-bytes", "536870912"},
                            {"memory-limit", "75%"},
                            {"max-payload", "16777216"},
                            {"retention", "off"},
                            {"max-inbox-bytes", "268435456"},
                            {"max-deliveries", "10"},
                            {"turn-timeout-on-worker", "1m"},
                            {"activity-timeout", "0"},
                            {"unknown-work", "wait"},
                            {"entity-lock-timeout", "0"},
                            {"max-history-events", "100000"},
                            {"allow-hub-wipe", "off"},
                            {"builtin", "on"}};
  EXPECT_EQ(Defaults(), documented);
}

TEST_F(ServerOptionsTogether, EverySettingIsTestedHere) {
  EXPECT_EQ(AllSettings().size(), Defaults().size());
  for (const Setting& setting : AllSettings()) {
    EXPECT_TRUE(Defaults().contains(setting.name)) << setting.name;
  }
}

TEST_F(ServerOptionsTogether, SettingsMayComeFromAllSourcesAtOnce) {
  SetVariable("user-threads", "2");
  const std::string file = File("max-contexts = 7\nconsole = true\n");
  Shown expected = Defaults();
  expected["user-threads"] = "2";
  expected["max-contexts"] = "7";
  expected["console"] = "on";
  expected["log-format"] = "json";
  EXPECT_EQ(ParseGood({file, "--log-format", "json"}), expected);
}

TEST_F(ServerOptionsTogether, SwitchNeedsNoValue) {
  const Shown shown = ParseGood({"--console", "--insecure"});
  EXPECT_EQ(shown.at("console"), "on");
  EXPECT_EQ(shown.at("insecure"), "on");
}

TEST_F(ServerOptionsTogether, SwitchCanBeTurnedOffOverTheEnvironment) {
  SetVariable("console", "ON");
  EXPECT_EQ(ParseGood({}).at("console"), "on");
  EXPECT_EQ(ParseGood({"--console=false"}).at("console"), "off");
}

TEST_F(ServerOptionsTogether, ListenMayBeGivenAgainInEverySource) {
  const std::string both = "127.0.0.1:1 unix:/tmp/s";
  EXPECT_EQ(
      ParseGood({"--listen=127.0.0.1:1", "--listen=unix:/tmp/s"}).at("listen"),
      both);
  EXPECT_EQ(ParseGood({File("listen = [\"127.0.0.1:1\", \"unix:/tmp/s\"]\n")})
                .at("listen"),
            both);
  EXPECT_EQ(ParseGood({File("listen = 127.0.0.1:1\nconsole = on\n"
                            "listen = unix:/tmp/s\n")})
                .at("listen"),
            both);
  SetVariable("listen", "127.0.0.1:1,unix:/tmp/s");
  EXPECT_EQ(ParseGood({}).at("listen"), both);
}

TEST_F(ServerOptionsTogether, ListenOfAStrongerSourceReplacesTheWeakerOnes) {
  SetVariable("listen", "127.0.0.1:1,127.0.0.1:2");
  EXPECT_EQ(ParseGood({File("listen = 127.0.0.1:3\n")}).at("listen"),
            "127.0.0.1:1 127.0.0.1:2");
  EXPECT_EQ(ParseGood({"--listen=127.0.0.1:4"}).at("listen"), "127.0.0.1:4");
}

TEST_F(ServerOptionsTogether, LastValueOfAnyOtherSettingCounts) {
  EXPECT_EQ(
      ParseGood({"--max-contexts=1", "--max-contexts=2"}).at("max-contexts"),
      "2");
  EXPECT_EQ(ParseGood({File("max-contexts = 1\nuser-threads = 3\n"
                            "max-contexts = 2\n")})
                .at("max-contexts"),
            "2");
}

TEST_F(ServerOptionsTogether, InstanceHeaderNamesItsBinaryTwin) {
  const Parsed parsed = Parse({"--instance-header=x-room"});
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(std::get<ServerOptions>(*parsed).instance_header.binary,
            "x-room-bin");
}

// ---- What does not go together

TEST_F(ServerOptionsTogether, MinimumMayNotExceedMaximum) {
  EXPECT_EQ(ParseBad({"--min-idle-timeout=2s", "--max-idle-timeout=1s"}),
            "--min-idle-timeout=2s is longer than --max-idle-timeout=1s");
}

TEST_F(ServerOptionsTogether, IdleTimeoutMustLieBetweenItsBounds) {
  EXPECT_EQ(ParseBad({"--idle-timeout=5ms"}),
            "--idle-timeout=5ms is not between --min-idle-timeout=10ms and "
            "--max-idle-timeout=24h");
  EXPECT_EQ(ParseBad({"--idle-timeout=25h"}),
            "--idle-timeout=25h is not between --min-idle-timeout=10ms and "
            "--max-idle-timeout=24h");
  SetVariable("max-idle-timeout", "10s");
  EXPECT_EQ(ParseBad({}),
            "--idle-timeout=20s is not between --min-idle-timeout=10ms and "
            "--max-idle-timeout=10s");
}

TEST_F(ServerOptionsTogether, BoundsThemselvesAreAllowed) {
  EXPECT_EQ(ParseGood({"--idle-timeout=10ms"}).at("idle-timeout"), "10ms");
  EXPECT_EQ(ParseGood({"--idle-timeout=24h"}).at("idle-timeout"), "24h");
  EXPECT_EQ(ParseGood({"--min-idle-timeout=20s", "--max-idle-timeout=20s"})
                .at("idle-timeout"),
            "20s");
}

TEST_F(ServerOptionsTogether, AddressBeyondThisMachineNeedsTlsOrInsecure) {
  for (const char* address : {"0.0.0.0:1", "[::]:1", "10.0.0.1:1", "host:1"}) {
    const std::string flag = absl::StrCat("--listen=", address);
    EXPECT_EQ(ParseBad({"--listen=127.0.0.1:1", flag}),
              absl::StrCat(flag,
                           ": not a loopback address, and the server does not "
                           "encrypt; give it --tls-cert and --tls-key, or add "
                           "--insecure to listen there all the same"));
    EXPECT_EQ(ParseGood({flag, "--insecure"}).at("listen"), address);
    EXPECT_EQ(ParseGood({flag, "--tls-cert=c", "--tls-key=k"}).at("listen"),
              address);
  }
}

TEST_F(ServerOptionsTogether, LoopbackNeedsNoInsecure) {
  for (const char* address :
       {"127.0.0.1:1", "[::1]:1", "localhost:1", "unix:/tmp/s"}) {
    EXPECT_EQ(ParseGood({absl::StrCat("--listen=", address)}).at("listen"),
              address);
  }
}

// ---- What is not a setting

TEST_F(ServerOptionsTogether, UnknownFlagIsNamed) {
  EXPECT_EQ(ParseBad({"--idle-timout=1s"}),
            "unknown flag \"--idle-timout=1s\"; --help lists the flags");
  EXPECT_EQ(ParseBad({"-x"}), "unknown flag \"-x\"; --help lists the flags");
}

TEST_F(ServerOptionsTogether, StrayArgumentIsNamed) {
  EXPECT_EQ(ParseBad({"--console", "on"}),
            "unexpected argument \"on\"; --help lists the flags");
}

TEST_F(ServerOptionsTogether, FlagWithoutItsValueIsNamed) {
  EXPECT_THAT(ParseBad({"--idle-timeout"}), StartsWith("--idle-timeout: "));
  EXPECT_THAT(ParseBad({"--idle-timeout="}), StartsWith("--idle-timeout: "));
}

TEST_F(ServerOptionsTogether, ErrorIsOneLineWhateverWasGiven) {
  EXPECT_THAT(ParseBad({"--listen=a\nb"}), HasSubstr("\"a\\x0ab\""));
  EXPECT_THAT(ParseBad({"--idle-timeout=a\nb"}), HasSubstr("\"a\\x0ab\""));
  EXPECT_THAT(ParseBad({"--instance-header=a\nb"}), HasSubstr("\"a\\x0ab\""));
  EXPECT_THAT(ParseBad({"--config=a\nb"}), HasSubstr("\"a\\x0ab\""));
  EXPECT_THAT(ParseBad({"a\nb"}), HasSubstr("\"a\\x0ab\""));
}

// ---- The file itself

TEST_F(ServerOptionsTogether, FileCanBeNamedByTheEnvironment) {
  File("max-contexts = 7\n");
  SetVariable("config", path_);
  EXPECT_EQ(ParseGood({}).at("max-contexts"), "7");
}

TEST_F(ServerOptionsTogether,
       FileOfTheCommandLineWinsOverThatOfTheEnvironment) {
  SetVariable("config", "/no/such/file");
  EXPECT_EQ(ParseGood({File("max-contexts = 7\n")}).at("max-contexts"), "7");
}

TEST_F(ServerOptionsTogether, FileThatCannotBeReadIsToldWithWhoNamedIt) {
  EXPECT_EQ(ParseBad({"--config=/no/such/file"}),
            "--config: cannot read the file \"/no/such/file\"");
  EXPECT_EQ(ParseBad({"--config=/"}), "--config: cannot read the file \"/\"");
  SetVariable("config", "/no/such/file");
  EXPECT_EQ(ParseBad({}),
            "LEASEHOLD_CONFIG: cannot read the file \"/no/such/file\"");
}

TEST_F(ServerOptionsTogether, UnknownSettingInTheFileIsNamed) {
  EXPECT_EQ(ParseBad({File("idle_timeout = 1s\n")}),
            absl::StrCat(path_,
                         ": unknown setting \"idle_timeout\"; the settings are "
                         "the flags of --help, without dashes"));
}

TEST_F(ServerOptionsTogether, SectionInTheFileIsRefused) {
  EXPECT_THAT(ParseBad({File("[server]\nidle-timeout = 1s\n")}),
              StartsWith(absl::StrCat(path_, ": unknown setting \"server.")));
}

TEST_F(ServerOptionsTogether, EmptyFileAndCommentsSetNothing) {
  EXPECT_EQ(ParseGood({File("")}), Defaults());
  EXPECT_EQ(ParseGood({File("\n# idle-timeout = 1s\n   \n")}), Defaults());
}

// ---- Help

TEST_F(ServerOptionsTogether, HelpAndVersionAreText) {
  EXPECT_EQ(ParseHelp("-h"), ParseHelp("--help"));
  EXPECT_THAT(ParseHelp("--help"), HasSubstr("LEASEHOLD_IDLE_TIMEOUT"));
  EXPECT_THAT(ParseHelp("--help"), HasSubstr("LEASEHOLD_CONFIG"));
  EXPECT_THAT(ParseHelp("--version"), StartsWith("leasehold-server "));
  EXPECT_THAT(ParseHelp("--version"), EndsWith("\n"));
}

TEST_F(ServerOptionsTogether, HelpIsGivenEvenWhereTheRestIsBad) {
  SetVariable("idle-timeout", "bad");
  EXPECT_THAT(ParseHelp("--help"), HasSubstr("--idle-timeout"));
}

}  // namespace
}  // namespace leasehold
