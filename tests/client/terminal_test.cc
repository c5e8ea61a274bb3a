// What a person at a terminal sees and types: keys, screens, orders, the ends
// of lists, errors, and what decides how output looks.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/cli/command.h"
#include "client/cli/display_width.h"
#include "client/cli/error_text.h"
#include "client/cli/instance_order.h"
#include "client/cli/key_presses.h"
#include "client/cli/list_end.h"
#include "client/cli/screen.h"
#include "client/cli/watch_screen.h"
#include "lease/base/variables.h"
#include "tests/client/leasehold_run.h"

namespace leasehold::client::cli {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

// ---- Keys

std::vector<Key> Typed(const std::string& text) {
  KeyPresses presses;
  std::vector<Key> keys;
  for (const char character : text) {
    if (const auto key = presses.Take(character)) keys.push_back(*key);
  }
  return keys;
}

TEST(KeyPresses, ArrowsAndTheirLikeAreSeveralCharacters) {
  EXPECT_THAT(Typed("\x1b[A\x1b[B\x1b[5~\x1b[6~\x1b[H\x1bOF"),
              ElementsAre(Key::kUp, Key::kDown, Key::kPageUp, Key::kPageDown,
                          Key::kHome, Key::kEnd));
}

TEST(KeyPresses, LettersDoAsInLess) {
  EXPECT_THAT(Typed("kj bgGsq"),
              ElementsAre(Key::kUp, Key::kDown, Key::kPageDown, Key::kPageUp,
                          Key::kHome, Key::kEnd, Key::kSort, Key::kQuit));
}

TEST(KeyPresses, WhatMeansNothingIsNothing) {
  // F5, and letters. Not even a part of an unknown sequence is a key.
  EXPECT_THAT(Typed("\x1b[15~xyz\x1b[1;5D"), IsEmpty());
  // Escape, and then `q`.
  EXPECT_THAT(Typed("\x1bq"), ElementsAre(Key::kQuit));
}

// ---- Scrolling

TEST(Scroll, StaysWithinTheList) {
  Scroll scroll;
  EXPECT_EQ(scroll.First(/*all=*/10, /*fit=*/4), 0u);
  scroll.Press(Key::kUp);
  EXPECT_EQ(scroll.First(10, 4), 0u);
  scroll.Press(Key::kDown);
  EXPECT_EQ(scroll.First(10, 4), 1u);
  scroll.Press(Key::kPageDown);
  EXPECT_EQ(scroll.First(10, 4), 5u);
  scroll.Press(Key::kPageDown);
  EXPECT_EQ(scroll.First(10, 4), 6u);
  scroll.Press(Key::kPageUp);
  EXPECT_EQ(scroll.First(10, 4), 2u);
  scroll.Press(Key::kHome);
  EXPECT_EQ(scroll.First(10, 4), 0u);
}

TEST(Scroll, AtTheEndItStaysThereWhileTheListGrows) {
  Scroll scroll;
  scroll.Press(Key::kEnd);
  EXPECT_EQ(scroll.First(10, 4), 6u);
  EXPECT_EQ(scroll.First(20, 4), 16u);
  EXPECT_EQ(scroll.First(2, 4), 0u);
}

// ---- Orders

Instance InstanceOf(const std::string& id, int age_s, int lease_s = 0) {
  Instance instance;
  instance.instance_id = id;
  instance.state = lease_s > 0 ? InstanceState::kIdle : InstanceState::kBusy;
  instance.create_time = absl::FromUnixSeconds(1728064000 - age_s);
  if (lease_s > 0) instance.lease_remaining = absl::Seconds(lease_s);
  return instance;
}

std::vector<std::string> Sorted(std::vector<Instance> instances,
                                InstanceOrder order) {
  SortInstances(instances, order);
  std::vector<std::string> ids;
  for (const Instance& instance : instances) {
    ids.push_back(instance.instance_id);
  }
  return ids;
}

TEST(InstanceOrder, NumbersInIdsCountAsSuch) {
  EXPECT_THAT(Sorted({InstanceOf("a-10", 0), InstanceOf("b", 0),
                      InstanceOf("a-9", 0), InstanceOf("a-09", 0),
                      InstanceOf("a", 0), InstanceOf("a-9-x", 0)},
                     InstanceOrder::kId),
              ElementsAre("a", "a-09", "a-9", "a-9-x", "a-10", "b"));
}

TEST(InstanceOrder, AgeLeaseAndState) {
  const std::vector<Instance> all = {InstanceOf("a", 3), InstanceOf("b", 1, 9),
                                     InstanceOf("c", 2, 5)};
  EXPECT_THAT(Sorted(all, InstanceOrder::kAge), ElementsAre("b", "c", "a"));
  EXPECT_THAT(Sorted(all, InstanceOrder::kLease), ElementsAre("c", "b", "a"));
  EXPECT_THAT(Sorted(all, InstanceOrder::kState), ElementsAre("a", "b", "c"));
}

// ---- The screen of `instances watch`

class WatchScreenTest : public testing::Test {
 protected:
  void Show(WatchScreen& screen, const Instance& instance) {
    screen.Apply({.kind = WatchEvent::Kind::kCreated,
                  .instance = instance,
                  .reason = ""},
                 look_.now);
  }
  // The lines of a screen with so many rows.
  std::vector<std::string> Drawn(WatchScreen& screen, int rows) {
    std::string text = screen.Draw(look_, rows);
    EXPECT_THAT(text, StartsWith("\x1b[?7l\x1b[H"));
    std::vector<std::string> lines;
    for (const std::string& line : Lines(text)) {
      if (line.ends_with("\x1b[K")) {
        lines.push_back(line.substr(0, line.size() - 3));
      }
    }
    lines[0] = lines[0].substr(8);
    return lines;
  }

  Look look_ = {.columns = 80, .now = absl::FromUnixSeconds(1728064000)};
};

TEST_F(WatchScreenTest, ScrollsAndSortsAsItIsTold) {
  WatchScreen screen({});
  for (int i = 1; i <= 12; ++i) {
    Show(screen, InstanceOf(absl::StrCat("many-", i), i));
  }
  // Of ten rows five are for instances.
  std::vector<std::string> lines = Drawn(screen, 10);
  ASSERT_EQ(lines.size(), 9u);
  EXPECT_EQ(lines[0], "12 instances, 1 to 5 of them");
  EXPECT_THAT(lines[3], StartsWith("many-1 "));
  EXPECT_THAT(lines[4], StartsWith("many-2 "));
  EXPECT_THAT(lines[8], HasSubstr("s sorts (by id)"));
  screen.Press(Key::kPageDown);
  lines = Drawn(screen, 10);
  EXPECT_EQ(lines[0], "12 instances, 6 to 10 of them");
  EXPECT_THAT(lines[3], StartsWith("many-6 "));
  screen.Press(Key::kEnd);
  EXPECT_THAT(Drawn(screen, 10)[7], StartsWith("many-12 "));
  screen.Press(Key::kHome);
  screen.Press(Key::kSort);
  lines = Drawn(screen, 10);
  EXPECT_THAT(lines[3], StartsWith("many-1 "));
  EXPECT_THAT(lines[8], HasSubstr("s sorts (by age)"));
}

TEST_F(WatchScreenTest, ShowsOnlyTheStateThatWasAskedFor) {
  WatchScreen screen(
      {.order = InstanceOrder::kId, .state = InstanceState::kIdle});
  Show(screen, InstanceOf("busy", 1));
  Show(screen, InstanceOf("idle", 1, 5));
  const std::vector<std::string> lines = Drawn(screen, 24);
  EXPECT_EQ(lines[0], "1 instance");
  EXPECT_THAT(lines[3], StartsWith("idle "));
}

TEST_F(WatchScreenTest, SaysThatTheServerWasLostUntilItIsThereAgain) {
  WatchScreen screen({});
  Show(screen, InstanceOf("a", 1));
  screen.Lose(absl::UnavailableError(
      "localhost:1: failed to connect to all addresses; last error: UNKNOWN: "
      "ipv4:127.0.0.1:1: Failed to connect to remote host: Connection "
      "refused"));
  EXPECT_EQ(Drawn(screen, 24)[1],
            "connection lost, reconnecting: cannot reach a Leasehold server at "
            "localhost:1 (\u2026");
  EXPECT_EQ(Drawn(screen, 24)[0], "1 instance");
  screen.Apply(
      {.kind = WatchEvent::Kind::kLagged, .instance = {}, .reason = ""},
      look_.now);
  EXPECT_EQ(Drawn(screen, 24)[0], "0 instances");
  EXPECT_THAT(Drawn(screen, 24)[1], Not(HasSubstr("lost, reconnecting")));
}

TEST_F(WatchScreenTest, NoLineIsWiderThanTheTerminal) {
  WatchScreen screen({});
  Show(screen, InstanceOf(std::string(300, 'x'), 1));
  Show(screen, InstanceOf("\u623f\u95f4\u4e00-\U0001F600", 1, 5));
  for (const size_t columns : {20, 80, 100, 160}) {
    look_.columns = columns;
    for (const std::string& line : Drawn(screen, 24)) {
      EXPECT_LE(DisplayWidth(line), columns) << line;
    }
  }
}

// ---- The ends of lists

TEST(ListEnd, SaysWhatWasLeftOutAndHowToSeeIt) {
  EXPECT_EQ(ListEndLine({.shown = 20,
                         .all = 43,
                         .what = "instances",
                         .which = "the newest first"}),
            "20 of 43 instances, the newest first; --all shows all of them\n");
  EXPECT_EQ(ListEndLine({.shown = 20,
                         .all = {},
                         .what = "entities",
                         .which = "in the order of their IDs",
                         .cut = true}),
            "20 entities, in the order of their IDs; there are more: --all "
            "shows them; --wide shows whole lines\n");
  EXPECT_EQ(ListEndLine({.shown = 3, .all = 3, .cut = true}),
            "--wide shows whole lines\n");
  EXPECT_EQ(ListEndLine({.shown = 3, .all = 3}), "");
}

// ---- Errors

TEST(ErrorText, SaysWhatCannotBeReachedAndWhy) {
  const CLI::App command;
  const auto text = [&command](const std::string& message) {
    return ErrorText(absl::UnavailableError(message), command);
  };
  EXPECT_EQ(text("localhost:4001: failed to connect to all addresses; last "
                 "error: UNKNOWN: ipv4:127.0.0.1:4001: Failed to connect to "
                 "remote host: Connection refused"),
            "cannot reach a Leasehold server at localhost:4001 (connection "
            "refused); is leasehold-server running?");
  EXPECT_EQ(text("[::1]:1: failed to connect to all addresses; last error: "
                 "UNAVAILABLE: ipv6:[::1]:1: Ssl handshake failed"),
            "cannot reach a Leasehold server at [::1]:1 (ssl handshake "
            "failed)");
  EXPECT_EQ(text("a:1: no connection within 30s"),
            "cannot reach a Leasehold server at a:1 (no connection within "
            "30s)");
  EXPECT_EQ(text("a:1: the server is draining"), "a:1: the server is draining");
  EXPECT_EQ(ErrorText(absl::UnknownError("a: no connection within"), command),
            "a: no connection within");
}

TEST(ErrorText, CallsFieldsAsTheCommandCallsThem) {
  CLI::App command;
  command.add_option("ID");
  command.add_option("--input");
  command.add_option("--request-id");
  const auto text = [&command](const std::string& message) {
    return ErrorText(absl::InvalidArgumentError(message), command);
  };
  EXPECT_EQ(text("input: 9 > 8"), "--input: 9 > 8");
  EXPECT_EQ(text("request_id: is too long"), "--request-id: is too long");
  EXPECT_EQ(text("a start with a request_id needs an instance_id"),
            "a start with a --request-id needs an ID");
  // What is in quotes came from somebody, and a word is a word.
  EXPECT_EQ(text("\"request_id\" has no input: none"),
            "\"request_id\" has no input: none");
  EXPECT_EQ(text("my_request_id, request_ids"), "my_request_id, request_ids");
}

TEST(ErrorText, OffersTheOptionsThatSolveIt) {
  const CLI::App command;
  EXPECT_EQ(
      ErrorText(absl::AlreadyExistsError(
                    "orchestration \"a\" is Running; at most one of an ID is "
                    "active. Or start with if_active: ATTACH (use it) or "
                    "TERMINATE (end it and start a new one)"),
                command),
      "orchestration \"a\" is RUNNING; at most one of an ID is active. Or use "
      "--if-active=attach to accept it, or --if-active=terminate to end it and "
      "start a new one");
}

// ---- How output looks

class LookTest : public testing::Test {
 protected:
  Look Of(const GlobalOptions& global) {
    return LookOf(global,
                  {.in = in_,
                   .out = out_,
                   .err = out_,
                   .sleep = nullptr,
                   .environment = [this](const char* name) -> const char* {
                     const auto found = environment_.find(name);
                     return found == environment_.end() ? nullptr
                                                        : found->second.c_str();
                   },
                   .variables = nullptr,
                   .wait_for_enter = nullptr,
                   .now = [] { return absl::FromUnixSeconds(1); },
                   .stop_on_signal = nullptr,
                   .terminal_rows = [this] { return rows_; },
                   .terminal_columns = [] { return 100; }});
  }

  std::istringstream in_;
  std::ostringstream out_;
  std::map<std::string, std::string> environment_;
  int rows_ = 24;
};

TEST_F(LookTest, OnATerminalLinesFitTimesAreRelativeAndStatesHaveColors) {
  const Look look = Of({});
  EXPECT_EQ(look.columns, 100u);
  EXPECT_TRUE(look.relative_times);
  EXPECT_TRUE(look.colors);
  EXPECT_EQ(look.now, absl::FromUnixSeconds(1));
}

TEST_F(LookTest, APipeGetsWholeLinesWithoutColors) {
  rows_ = 0;
  const Look look = Of({});
  EXPECT_EQ(look.columns, 0u);
  EXPECT_FALSE(look.relative_times);
  EXPECT_FALSE(look.colors);
  GlobalOptions always;
  always.color = ColorChoice::kAlways;
  EXPECT_TRUE(Of(always).colors);
}

TEST_F(LookTest, WideShowsAllOnATerminalToo) {
  GlobalOptions wide;
  wide.wide = true;
  const Look look = Of(wide);
  EXPECT_EQ(look.columns, 0u);
  EXPECT_FALSE(look.relative_times);
  EXPECT_TRUE(look.colors);
}

TEST_F(LookTest, NoColorADumbTerminalAndNeverTurnColorsOff) {
  environment_ = {{"NO_COLOR", "1"}};
  EXPECT_FALSE(Of({}).colors);
  GlobalOptions global;
  global.color = ColorChoice::kAlways;
  EXPECT_TRUE(Of(global).colors);
  environment_ = {{"NO_COLOR", ""}};
  EXPECT_TRUE(Of({}).colors);
  environment_ = {{"TERM", "dumb"}};
  EXPECT_FALSE(Of({}).colors);
  environment_ = {};
  global.color = ColorChoice::kNever;
  EXPECT_FALSE(Of(global).colors);
  // JSON never has any.
  global.color = ColorChoice::kAlways;
  global.output = OutputFormat::kJson;
  EXPECT_FALSE(Of(global).colors);
}

// ---- Variables

TEST(Variables, AMisspeltOneIsFoundWithWhatItMeans) {
  EXPECT_THAT(UnknownVariables({"LEASEHOLD_ADDRESS", "LEASEHOLD_IDEL_TIMEOUT",
                                "LEASEHOLD_IDLE_TIMEOUT"}),
              ElementsAre("LEASEHOLD_IDEL_TIMEOUT"));
  EXPECT_EQ(NearestVariable("LEASEHOLD_IDEL_TIMEOUT"),
            "LEASEHOLD_IDLE_TIMEOUT");
  EXPECT_EQ(NearestVariable("LEASEHOLD_ADRESS"), "LEASEHOLD_ADDRESS");
  EXPECT_EQ(NearestVariable("LEASEHOLD_XYZZY"), "");
  EXPECT_EQ(NearestVariable("LEASEHOLD_"), "");
}

TEST(Variables, ACommandSaysWhichOnesNobodyReads) {
  LeaseholdRun run;
  run.variables = {"LEASEHOLD_ADRESS", "LEASEHOLD_LISTEN", "LEASEHOLD_XYZZY"};
  run.With({"context", "show"});
  EXPECT_EQ(run.code, 0);
  EXPECT_EQ(run.err,
            "leasehold: nothing reads the environment variable "
            "LEASEHOLD_ADRESS; is it LEASEHOLD_ADDRESS?\n"
            "leasehold: nothing reads the environment variable "
            "LEASEHOLD_XYZZY\n");
}

TEST(Variables, ThoseOfAllGlobalOptionsAreKnown) {
  LeaseholdRun run;
  run.With({"--help"});
  size_t found = 0;
  for (size_t at = run.out.find("LEASEHOLD_"); at != std::string::npos;
       at = run.out.find("LEASEHOLD_", at + 1)) {
    const size_t end =
        run.out.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ_", at);
    EXPECT_TRUE(IsKnownVariable(run.out.substr(at, end - at)))
        << run.out.substr(at, end - at);
    ++found;
  }
  EXPECT_GE(found, 14u);
}

}  // namespace
}  // namespace leasehold::client::cli
