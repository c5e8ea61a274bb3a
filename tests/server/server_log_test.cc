#include "service/host/server_log.h"

#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/pipe.h"
#include "tests/support/simulated_clock.h"

namespace leasehold {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class ServerLogTest : public testing::Test {
 protected:
  // Opens the log; it writes until Lines.
  ServerLog& Open(LogFormat format, LogLevel level = LogLevel::kDebug) {
    writer_ = std::make_unique<LineWriter>(pipe_.writer());
    log_ = std::make_unique<ServerLog>(clock_, *writer_, format, level);
    return *log_;
  }
  // What was logged.
  std::vector<std::string> Lines() {
    writer_.reset();
    pipe_.CloseWriter();
    return pipe_.ReadAll();
  }

  // One of each kind.
  static std::vector<InstanceEvent> AllEvents() {
    using Kind = InstanceEventKind;
    std::vector<InstanceEvent> events;
    for (const Kind kind : {Kind::kCreated, Kind::kIdle, Kind::kBusy,
                            Kind::kExpired, Kind::kClosing, Kind::kDetachFailed,
                            Kind::kClosed, Kind::kOpenFailed}) {
      events.push_back({.kind = kind,
                        .tenant = "default",
                        .instance_id = "room-1",
                        .generation = 7,
                        .idle_timeout = absl::Seconds(20),
                        .reason = DetachReason::kReleased,
                        .status = absl::DataLossError("disk \"a\" is gone"),
                        .extension = "Counter"});
    }
    return events;
  }

  SimulatedClock clock_;
  Pipe pipe_;
  std::unique_ptr<LineWriter> writer_;
  std::unique_ptr<ServerLog> log_;
};

TEST_F(ServerLogTest, TextLineHasTimeSeverityEventAndFields) {
  ServerLog& log = Open(LogFormat::kText);
  log.Info("listening", {{"address", "[::1]:4001"}, {"count", uint64_t{3}}});
  clock_.Advance(absl::Milliseconds(1234));
  log.Warning("hm", {});
  log.Error("oh", {{"big", uint64_t{1} << 63}});
  EXPECT_THAT(
      Lines(),
      ElementsAre(
          "2020-01-01T00:00:00.000Z INFO listening address=[::1]:4001 count=3",
          "2020-01-01T00:00:01.234Z WARNING hm",
          "2020-01-01T00:00:01.234Z ERROR oh big=9223372036854775808"));
}

TEST_F(ServerLogTest, JsonLineHasTimeSeverityEventAndFields) {
  ServerLog& log = Open(LogFormat::kJson);
  log.Info("listening", {{"address", "[::1]:4001"}, {"count", uint64_t{3}}});
  log.Error("oh", {});
  EXPECT_THAT(
      Lines(),
      ElementsAre("{\"time\":\"2020-01-01T00:00:00.000Z\",\"severity\":\"INFO\""
                  ",\"event\":\"listening\",\"address\":\"[::1]:4001\","
                  "\"count\":3}",
                  "{\"time\":\"2020-01-01T00:00:00.000Z\","
                  "\"severity\":\"ERROR\",\"event\":\"oh\"}"));
}

// A value must neither end its line nor look like another field.
TEST_F(ServerLogTest, TextValueIsQuotedUnlessItIsAPlainWord) {
  ServerLog& log = Open(LogFormat::kText);
  for (const char* value :
       {"plain-word/1.2:3", "", "two words", "a=b", "say \"hi\"", "back\\slash",
        "two\nlines", "tab\tbell\x07 del\x7f", "grün"}) {
    log.Info("e", {{"v", value}});
  }
  std::vector<std::string> values;
  for (const std::string& line : Lines()) {
    values.push_back(line.substr(line.find("v=")));
  }
  EXPECT_THAT(
      values,
      ElementsAre("v=plain-word/1.2:3", "v=\"\"", "v=\"two words\"",
                  "v=\"a=b\"", "v=\"say \\\"hi\\\"\"", "v=\"back\\\\slash\"",
                  "v=\"two\\nlines\"", "v=\"tab\\u0009bell\\u0007 del\\u007f\"",
                  "v=\"grün\""));
}

TEST(JsonQuote, EscapesWhatJsonAndTerminalsWouldMistake) {
  EXPECT_EQ(JsonQuote(""), "\"\"");
  EXPECT_EQ(JsonQuote("plain"), "\"plain\"");
  EXPECT_EQ(JsonQuote("\"\\\n"), "\"\\\"\\\\\\n\"");
  EXPECT_EQ(JsonQuote({"\0\r\t\x1b\x1f\x7f", 6}),
            "\"\\u0000\\u000d\\u0009\\u001b\\u001f\\u007f\"");
}

TEST(JsonQuote, LeavesUtf8AsItIs) {
  EXPECT_EQ(JsonQuote("grün 東京 🙂"), "\"grün 東京 🙂\"");
}

// With these a line looks as if it said something else.
TEST(JsonQuote, EscapesWhatNobodySees) {
  EXPECT_EQ(JsonQuote("gpj.\u202Eexe"), "\"gpj.\\u202eexe\"");
  EXPECT_EQ(JsonQuote("room\u200B-1\u2066"), "\"room\\u200b-1\\u2066\"");
  EXPECT_EQ(JsonQuote("\u2028\u0085\u009B"), "\"\\u2028\\u0085\\u009b\"");
  EXPECT_EQ(JsonQuote("\U000E0041\uFEFF"), "\"\\udb40\\udc41\\ufeff\"");
}

// A parser refuses a line that is not UTF-8 as a whole.
TEST(JsonQuote, ReplacesWhatIsNotUtf8) {
  EXPECT_EQ(JsonQuote("a\xff"
                      "b"),
            "\"a\\ufffdb\"");
  EXPECT_EQ(JsonQuote("\xc3"), "\"\\ufffd\"");               // Cut short.
  EXPECT_EQ(JsonQuote("\xc0\xaf"), "\"\\ufffd\\ufffd\"");    // Overlong.
  EXPECT_EQ(JsonQuote("\xe2\x82x"), "\"\\ufffd\\ufffdx\"");  // Cut short.
  EXPECT_EQ(JsonQuote("\xed\xa0\x80"),                       // A surrogate.
            "\"\\ufffd\\ufffd\\ufffd\"");
  EXPECT_EQ(JsonQuote("\xf4\x90\x80\x80"),  // Past U+10FFFF.
            "\"\\ufffd\\ufffd\\ufffd\\ufffd\"");
}

TEST_F(ServerLogTest, LifecycleEventsBecomeLines) {
  ServerLog& log = Open(LogFormat::kText);
  for (const InstanceEvent& event : AllEvents()) log.OnEvent(event);
  const std::string time = "2020-01-01T00:00:00.000Z ";
  EXPECT_THAT(
      Lines(),
      ElementsAre(
          time + "DEBUG context_created tenant=default instance_id=room-1 "
                 "generation=7 idle_timeout=20s",
          time + "WARNING detach_failed tenant=default instance_id=room-1 "
                 "generation=7 extension=Counter "
                 "error=\"DATA_LOSS: disk \\\"a\\\" is gone\"",
          time + "DEBUG context_removed tenant=default instance_id=room-1 "
                 "generation=7 reason=released",
          time + "WARNING context_open_failed tenant=default "
                 "instance_id=room-1 "
                 "error=\"DATA_LOSS: disk \\\"a\\\" is gone\""));
}

TEST_F(ServerLogTest, ContextsThatComeAndGoAreOnlyForDebugging) {
  ServerLog& log = Open(LogFormat::kJson, LogLevel::kInfo);
  for (const InstanceEvent& event : AllEvents()) log.OnEvent(event);
  const std::string begin =
      "{\"time\":\"2020-01-01T00:00:00.000Z\",\"severity\":\"WARNING\",";
  const std::string error = "\"error\":\"DATA_LOSS: disk \\\"a\\\" is gone\"}";
  EXPECT_THAT(
      Lines(),
      ElementsAre(begin +
                      "\"event\":\"detach_failed\",\"tenant\":\"default\","
                      "\"instance_id\":\"room-1\",\"generation\":7,"
                      "\"extension\":\"Counter\"," +
                      error,
                  begin +
                      "\"event\":\"context_open_failed\","
                      "\"tenant\":\"default\",\"instance_id\":\"room-1\"," +
                      error));
}

TEST_F(ServerLogTest, LinesBelowTheLevelAreNotWritten) {
  ServerLog& log = Open(LogFormat::kText, LogLevel::kError);
  const auto all = [&log](const char* event) {
    log.Write(LogLevel::kDebug, event, {});
    log.Info(event, {});
    log.Warning(event, {});
    log.Error(event, {});
  };
  all("error");
  log.SetLevel(LogLevel::kWarning);
  all("warning");
  log.SetLevel(LogLevel::kDebug);
  all("debug");
  log.SetLevel(LogLevel::kInfo);
  all("info");
  std::vector<std::string> lines = Lines();
  for (std::string& line : lines) line.erase(0, line.find(' ') + 1);
  EXPECT_THAT(lines, ElementsAre("ERROR error", "WARNING warning",
                                 "ERROR warning", "DEBUG debug", "INFO debug",
                                 "WARNING debug", "ERROR debug", "INFO info",
                                 "WARNING info", "ERROR info"));
}

TEST_F(ServerLogTest, LevelsHaveTheNamesOfTheOption) {
  for (const LogLevel level : {LogLevel::kDebug, LogLevel::kInfo,
                               LogLevel::kWarning, LogLevel::kError}) {
    EXPECT_EQ(LogLevelOf(LogLevelName(level)), level);
  }
  EXPECT_EQ(LogLevelName(LogLevel::kWarning), "warning");
  EXPECT_EQ(LogLevelOf("WARNING"), std::nullopt);
  EXPECT_EQ(LogLevelOf(""), std::nullopt);
}

TEST_F(ServerLogTest, InstanceIdCannotForgeALine) {
  ServerLog& log = Open(LogFormat::kText);
  log.OnEvent({.kind = InstanceEventKind::kCreated,
               .tenant = "default",
               .instance_id = "a reason=x\n2020 INFO forged",
               .generation = 1,
               .idle_timeout = absl::Seconds(1)});
  EXPECT_THAT(Lines(),
              ElementsAre("2020-01-01T00:00:00.000Z DEBUG context_created "
                          "tenant=default "
                          "instance_id=\"a reason=x\\n2020 INFO forged\" "
                          "generation=1 idle_timeout=1s"));
}

TEST_F(ServerLogTest, NorCanItTurnOneAround) {
  ServerLog& log = Open(LogFormat::kText);
  log.Info("x", {{"v", "a\u202E"}, {"w", "\u200B"}});
  EXPECT_THAT(Lines(), ElementsAre("2020-01-01T00:00:00.000Z INFO x "
                                   "v=\"a\\u202e\" w=\"\\u200b\""));
}

}  // namespace
}  // namespace leasehold
