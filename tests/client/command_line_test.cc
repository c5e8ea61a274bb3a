#include "client/cli/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <regex>
#include <string>
#include <vector>

#include "tests/client/fake_echo_server.h"
#include "tests/client/leasehold_run.h"

namespace leasehold::client::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::MatchesRegex;
using testing::Not;
using testing::StartsWith;

using Leasehold = LeaseholdRun;

// What a run came to: it cannot be copied itself.
struct Outcome {
  int code;
  std::string out;
  std::string err;
};

Outcome Execute(const std::vector<std::string>& arguments) {
  Leasehold run;
  run.With(arguments);
  return {run.code, run.out, run.err};
}

// A command line that names the fake as its server.
std::vector<std::string> At(const FakeEchoServer& server,
                            std::vector<std::string> arguments) {
  arguments.push_back("--address=" + server.address());
  return arguments;
}

// Writes a config file that is gone with the test's temporary directory.
std::string ConfigFile(const std::string& text) {
  const std::string path =
      testing::TempDir() + "leasehold_command_line_test_" +
      testing::UnitTest::GetInstance()->current_test_info()->name();
  std::ofstream(path) << text;
  return path;
}

// Exit code 2, nothing on standard output, and one line that says `what`.
template <typename Run>
void ExpectWrongUsage(const Run& run, const std::string& what) {
  EXPECT_EQ(run.code, 2);
  EXPECT_THAT(run.out, IsEmpty());
  EXPECT_EQ(Lines(run.err).size(), 1u) << run.err;
  EXPECT_THAT(run.err, StartsWith("leasehold: "));
  EXPECT_THAT(run.err, HasSubstr(what));
}

TEST(CommandLine, HelpNamesCommandsDefaultsAndUnits) {
  const Outcome run = Execute({"--help"});
  EXPECT_EQ(run.code, 0);
  for (const char* text : {"echo", "demo", "localhost:4001", "table", "30s",
                           "500ms", "LEASEHOLD_ADDRESS", "LEASEHOLD_OUTPUT",
                           "LEASEHOLD_TIMEOUT", "--config"}) {
    EXPECT_THAT(run.out, HasSubstr(text));
  }
}

TEST(CommandLine, EachCommandHasHelp) {
  for (const std::vector<std::string>& command :
       std::vector<std::vector<std::string>>{{"echo"},
                                             {"demo"},
                                             {"join"},
                                             {"instances"},
                                             {"instances", "list"},
                                             {"instances", "get"},
                                             {"instances", "create"},
                                             {"instances", "watch"},
                                             {"instances", "keep-alive"},
                                             {"instances", "hold"},
                                             {"instances", "set-timeout"},
                                             {"instances", "release"}}) {
    std::vector<std::string> arguments = command;
    arguments.push_back("--help");
    const Outcome run = Execute(arguments);
    EXPECT_EQ(run.code, 0);
    std::string usage = "Usage: leasehold";
    for (const std::string& name : command) usage += " " + name;
    EXPECT_THAT(run.out, HasSubstr(usage + " ["));
  }
}

TEST(CommandLine, VersionIsOneLine) {
  const Outcome run = Execute({"--version"});
  EXPECT_EQ(run.code, 0);
  EXPECT_THAT(run.out, MatchesRegex("leasehold [0-9]+\\.[0-9]+\\.[0-9]+\n"));
}

TEST(CommandLine, WrongUsageIsOneLineThatSaysWhatWouldBeRight) {
  ExpectWrongUsage(Execute({}), "the commands are echo, demo, instances, join");
  ExpectWrongUsage(Execute({"ecko"}), "unknown command \"ecko\"");
  ExpectWrongUsage(Execute({"--fast"}), "unknown option --fast");
  ExpectWrongUsage(Execute({"echo"}), "TEXT is required");
  ExpectWrongUsage(Execute({"echo", "a", "--idd=3"}), "--id, --channels");
  ExpectWrongUsage(Execute({"echo", "a", "b"}), "needs quotes");
  ExpectWrongUsage(Execute({"--channels=2", "echo", "a"}), "after its command");
  ExpectWrongUsage(Execute({"echo", "a", "--id"}), "write --id=ID");
  ExpectWrongUsage(Execute({"echo", "a", "--id="}), "write --id=ID");
  ExpectWrongUsage(Execute({"echo", "a", "--id=1", "--id=2"}), "give it once");
  ExpectWrongUsage(Execute({"echo", "a", "--channels=0"}), "1 to 1000000");
  ExpectWrongUsage(Execute({"echo", "a", "--repeat=x"}), "1 to 1000000");
  ExpectWrongUsage(Execute({"echo", "a", "--idle-timeout=soon"}), "500ms");
  ExpectWrongUsage(Execute({"echo", "a", "--expect=maybe"}), "new or existing");
  ExpectWrongUsage(Execute({"echo", "a", "--timeout=5"}), "500ms");
  ExpectWrongUsage(Execute({"echo", "a", "--timeout=0s"}), "500ms");
  ExpectWrongUsage(Execute({"echo", "a", "--timeout=inf"}), "500ms");
  ExpectWrongUsage(Execute({"echo", "a", "--output=xml"}), "table or json");
  ExpectWrongUsage(Execute({"echo", "a", "--address=here"}), "HOST:PORT");
  ExpectWrongUsage(Execute({"echo", "a", "--config=/nowhere"}), "/nowhere");
  ExpectWrongUsage(Execute({"echo", "a", "--config=/"}), "cannot read /");
  ExpectWrongUsage(Execute({"demo", "now"}), "unexpected argument \"now\"");
  ExpectWrongUsage(Execute({"instances"}), "the commands of instances are");
  ExpectWrongUsage(Execute({"instances", "lst"}), "list, get, create, watch");
  ExpectWrongUsage(Execute({"instances", "get"}), "instances get: ID");
  ExpectWrongUsage(Execute({"instances", "get", ""}), "is not an ID");
  ExpectWrongUsage(Execute({"instances", "get", "\xff"}), "not UTF-8");
  ExpectWrongUsage(Execute({"instances", "get", "a", "--forse"}), "--forse");
  ExpectWrongUsage(Execute({"instances", "list", "--state=dead"}), "busy");
  ExpectWrongUsage(Execute({"instances", "set-timeout", "a"}), "DURATION");
  ExpectWrongUsage(Execute({"instances", "set-timeout", "a", "5"}), "500ms");
  ExpectWrongUsage(Execute({"join"}), "ID is required");
  ExpectWrongUsage(Execute({"join", "a", "--after=-1"}), "whole number");
}

TEST(CommandLine, GlobalOptionsStandBeforeOrAfterTheCommand) {
  FakeEchoServer server;
  const std::string address = "--address=" + server.address();
  EXPECT_EQ(Execute({address, "--output=json", "echo", "a"}).code, 0);
  EXPECT_EQ(Execute({"echo", "a", address, "--output=json"}).code, 0);
  EXPECT_EQ(Execute({"echo", address, "--timeout", "9s", "a"}).code, 0);
}

TEST(CommandLine, TheLastOfAGlobalOptionCounts) {
  FakeEchoServer server;
  EXPECT_EQ(Execute(At(server, {"--address=unix:/nowhere", "echo", "a"})).code,
            0);
}

TEST(CommandLine, EnvironmentStandsInForMissingOptions) {
  FakeEchoServer server;
  Leasehold run;
  run.environment = {{"LEASEHOLD_ADDRESS", server.address()},
                     {"LEASEHOLD_OUTPUT", "json"}};
  EXPECT_THAT(run.With({"echo", "a"}).out, StartsWith("{"));
  EXPECT_THAT(run.With({"echo", "a", "--output=table"}).out,
              StartsWith("CHANNEL"));
}

TEST(CommandLine, AWrongEnvironmentIsWrongUsageByName) {
  Leasehold run;
  run.environment = {{"LEASEHOLD_TIMEOUT", "5"}};
  ExpectWrongUsage(run.With({"echo", "a"}), "LEASEHOLD_TIMEOUT");
}

TEST(CommandLine, AFileStandsInForWhatNeitherOptionsNorEnvironmentSay) {
  FakeEchoServer server;
  const std::string config = ConfigFile("address=" + server.address() +
                                        "\noutput=table\n[echo]\nrepeat=3\n");
  Leasehold run;
  EXPECT_EQ(Lines(run.With({"echo", "a", "--config=" + config}).out).size(),
            4u);
  run.environment = {{"LEASEHOLD_OUTPUT", "json"}};
  run.With({"echo", "a", "--repeat=1", "--config", config});
  EXPECT_EQ(Lines(run.out).size(), 1u);
  EXPECT_THAT(run.out, StartsWith("{"));
}

TEST(CommandLine, AFileWithAnUnknownOptionIsWrongUsage) {
  const std::string config = ConfigFile("colour=red\n");
  ExpectWrongUsage(Execute({"echo", "a", "--config=" + config}), "colour");
}

TEST(CommandLine, AFileWithAnUnknownCommandIsWrongUsage) {
  const std::string config = ConfigFile("[ecko]\nrepeat=3\n");
  ExpectWrongUsage(Execute({"echo", "a", "--config=" + config}), "ecko");
}

TEST(CommandLine, AFileWithAWrongValueIsWrongUsageThatNamesTheFile) {
  const std::string config = ConfigFile("timeout=5\n");
  ExpectWrongUsage(Execute({"echo", "a", "--config=" + config}), config);
}

TEST(CommandLine, ACallThatFailedIsExitCode1AndCodeAndMessage) {
  FakeEchoServer server;
  server.FailNext({grpc::StatusCode::INVALID_ARGUMENT, "no such\nfruit"});
  const Outcome run = Execute(At(server, {"echo", "a"}));
  EXPECT_EQ(run.code, 1);
  EXPECT_EQ(run.err, "INVALID_ARGUMENT: no such\\nfruit\n");
  EXPECT_THAT(run.out, IsEmpty());
}

TEST(CommandLine, AServerThatIsNotThereIsUnavailableByName) {
  const Outcome run = Execute({"echo", "a", "--address=unix:/nowhere"});
  EXPECT_EQ(run.code, 4);
  EXPECT_EQ(run.err,
            "UNAVAILABLE: cannot reach a Leasehold server at unix:/nowhere (no "
            "such file or directory); is leasehold-server running?\n");
}

TEST(CommandLine, WhatIsNotThereHasAnExitCodeOfItsOwn) {
  FakeEchoServer server;
  server.FailNext({grpc::StatusCode::NOT_FOUND, "no such fruit"});
  EXPECT_EQ(Execute(At(server, {"echo", "a"})).code, 3);
}

TEST(CommandLine, HelpIsAlsoACommand) {
  EXPECT_EQ(Execute({"help"}).out, Execute({"--help"}).out);
  EXPECT_EQ(Execute({"help", "echo"}).out, Execute({"echo", "--help"}).out);
  const Outcome list = Execute({"help", "orch", "list"});
  EXPECT_EQ(list.code, 0);
  EXPECT_EQ(list.out, Execute({"orchestration", "list", "--help"}).out);
  ExpectWrongUsage(Execute({"help", "orchestration", "lst"}),
                   "unknown command \"lst\"; the commands of orchestration are "
                   "start, ");
}

TEST(EchoCommand, EchoesInTurnsOnEachChannel) {
  FakeEchoServer server;
  const Outcome run =
      Execute(At(server, {"echo", "Apple", "--id=room-1", "--channels=2",
                          "--repeat=2", "--output=json"}));
  const auto row = [](int generation, int sequence, int channel) {
    return "{\"text\":\"Apple\",\"instance_id\":\"room-1\",\"generation\":" +
           std::to_string(generation) +
           ",\"sequence\":" + std::to_string(sequence) +
           ",\"channel\":" + std::to_string(channel) +
           ",\"created\":" + (sequence == 1 ? "true}" : "false}");
  };
  EXPECT_THAT(Lines(run.out), ElementsAre(row(1001, 1, 1), row(1001, 2, 2),
                                          row(1001, 3, 1), row(1001, 4, 2)));
}

TEST(EchoCommand, TableHasAHeadingAndARowAnEcho) {
  FakeEchoServer server;
  const Outcome run =
      Execute(At(server, {"echo", "Apple", "--id=room-1", "--channels=2"}));
  EXPECT_THAT(
      Lines(run.out),
      ElementsAre(
          "CHANNEL  SEQUENCE  GENERATION        CREATED  INSTANCE  TEXT",
          "1        1         1001              yes      room-1    Apple",
          "2        2         1001              no       room-1    Apple"));
}

TEST(EchoCommand, ShowsTheIdThatTheServerMade) {
  FakeEchoServer server;
  EXPECT_THAT(Execute(At(server, {"echo", "a"})).out,
              HasSubstr("made-by-server-1000"));
}

TEST(EchoCommand, TextCannotBreakTheOutput) {
  FakeEchoServer server;
  const std::string text = "a\n\x1b[2J\"\\\u20ac\u009b";
  EXPECT_THAT(Execute(At(server, {"echo", text})).out,
              HasSubstr("a\\n\\x1b[2J\"\\\u20ac\\xc2\\x9b\n"));
  EXPECT_THAT(Execute(At(server, {"echo", text, "--output=json"})).out,
              HasSubstr("\"a\\n\\u001b[2J\\\"\\\\\u20ac\\u009b\""));
}

TEST(EchoCommand, TakesTextThatLooksLikeSomethingElse) {
  FakeEchoServer server;
  for (const std::string text : {"", "demo", "echo", "[a,b]", "{}"}) {
    const Outcome run = Execute(At(server, {"--output=json", "echo", text}));
    EXPECT_EQ(run.code, 0) << text << run.err;
    EXPECT_THAT(run.out, StartsWith("{\"text\":\"" + text + "\","));
  }
  const Outcome run = Execute(
      {"--address", server.address(), "echo", "--output=json", "--", "--id"});
  EXPECT_THAT(run.out, StartsWith("{\"text\":\"--id\","));
}

TEST(EchoCommand, SaysWhatItExpectsAndHowLongToKeepTheInstance) {
  FakeEchoServer server;
  const Outcome run = Execute(At(
      server, {"echo", "a", "--id=x", "--expect=new", "--idle-timeout=1m30s"}));
  EXPECT_EQ(run.code, 0);
  EXPECT_EQ(server.calls()[0].Header("instance-expect"), "new");
  EXPECT_EQ(server.calls()[0].Header("instance-idle-timeout"), "90s");
  EXPECT_THAT(
      Execute(At(server, {"echo", "a", "--id=y", "--expect=existing"})).err,
      StartsWith("NOT_FOUND: "));
}

TEST(EchoCommand, StopsAtTheFirstFailureAndKeepsWhatWasShown) {
  FakeEchoServer server;
  server.FailNext({grpc::StatusCode::RESOURCE_EXHAUSTED, "full"});
  const Outcome run = Execute(At(server, {"echo", "a", "--repeat=5"}));
  EXPECT_EQ(run.code, 1);
  EXPECT_EQ(server.calls().size(), 1u);
}

// The sleep of a demo: the long one is the lease's, which then is over. (The
// short ones wait for the server to see that a channel was closed.)
std::function<void(absl::Duration)> ExpireAfter(FakeEchoServer& server) {
  return [&server](absl::Duration duration) {
    if (duration >= absl::Milliseconds(500)) server.ExpireAll();
  };
}

TEST(DemoCommand, WalksThroughTwoLivesOfOneInstance) {
  FakeEchoServer server;
  Leasehold run;
  run.on_sleep = ExpireAfter(server);
  run.With(At(server, {"demo"}));
  EXPECT_EQ(run.code, 0) << run.err;
  EXPECT_EQ(run.enters, 0);
  const std::string out = std::regex_replace(
      run.out, std::regex("(Instance|Singleton) ID: [0-9a-f-]{36}\n"),
      "$1 ID: ID\n");
  const std::string address = server.address();
  EXPECT_EQ(
      out,
      "Instance ID: ID\n"
      "Channel 1 opened to " +
          address +
          ".\n"
          "Channel 1 requests: Echo(\"Apple\")\n"
          "Service returned: Apple  (sequence 1, generation 1001)\n"
          "Channel 2 opened to " +
          address +
          ".\n"
          "Channel 2 requests: Echo(\"Apple\")\n"
          "Service returned: Apple  (sequence 2, generation 1001)\n"
          "Both channels hold the instance: it is BUSY (hold 2).\n"
          "Channel 1 closed.\n"
          "Channel 2 still holds the instance: it is BUSY (hold 1), and no "
          "lease has started.\n"
          "Channel 2 closed.\n"
          "Lease started: the instance is IDLE, with 20s of 20s left.\n"
          "Waiting 20.5s for the lease to run out ...\n"
          "Lease expired: the instance is gone.\n"
          "Channel 3 opened to " +
          address +
          ".\n"
          "Channel 3 requests: Echo(\"Apple\")\n"
          "The session notices: generation 1001 has become 1002.\n"
          "Service returned: Apple  (sequence 1, generation 1002)\n"
          "The same ID, but a new instance that counts from 1.\n"
          "\n"
          "Singleton ID: ID\n"
          "This server has no orchestrations.\n");
}

TEST(DemoCommand, FastUsesALeaseOfOneSecond) {
  FakeEchoServer server;
  Leasehold run;
  absl::Duration longest;
  run.on_sleep = [&](absl::Duration duration) {
    longest = std::max(longest, duration);
    ExpireAfter(server)(duration);
  };
  EXPECT_EQ(run.With(At(server, {"demo", "--fast"})).code, 0);
  EXPECT_EQ(server.hold_calls()[0].Header("instance-idle-timeout"), "1s");
  EXPECT_EQ(longest, absl::Seconds(1.5));
}

TEST(DemoCommand, RunsUseDifferentIds) {
  FakeEchoServer server;
  Leasehold run;
  run.on_sleep = ExpireAfter(server);
  EXPECT_EQ(run.With(At(server, {"demo"})).code, 0);
  EXPECT_EQ(run.With(At(server, {"demo"})).code, 0);
  EXPECT_NE(server.calls().front().Header("instance-id"),
            server.calls().back().Header("instance-id"));
}

TEST(DemoCommand, JsonIsTheAnswersAlone) {
  FakeEchoServer server;
  Leasehold run;
  run.interactive = true;
  run.on_sleep = ExpireAfter(server);
  run.With(At(server, {"demo", "--output=json"}));
  EXPECT_EQ(run.code, 0);
  EXPECT_EQ(Lines(run.out).size(), 3u);
  for (const std::string& line : Lines(run.out)) {
    EXPECT_THAT(line, MatchesRegex("\\{.*\\}"));
  }
}

TEST(DemoCommand, OnATerminalCountsDownAndWaitsForEnter) {
  FakeEchoServer server;
  Leasehold run;
  run.interactive = true;
  run.on_sleep = ExpireAfter(server);
  run.With(At(server, {"demo", "--fast"}));
  EXPECT_EQ(run.code, 0);
  EXPECT_EQ(run.enters, 1);
  EXPECT_THAT(run.out, HasSubstr(" 2 s left"));
  EXPECT_THAT(run.out, HasSubstr(" 1 s left"));
  EXPECT_THAT(run.out, HasSubstr("Press Enter to end"));
}

TEST(DemoCommand, AnInstanceThatOutlivesItsLeaseIsAFailure) {
  FakeEchoServer server;
  const Outcome run = Execute(At(server, {"demo", "--fast"}));
  EXPECT_EQ(run.code, 1);
  EXPECT_EQ(run.err,
            "INTERNAL: expected the instance to be gone after its lease, got "
            "IDLE, generation 1001\n");
}

TEST(DemoCommand, AnInstanceThatIsNotHeldIsAFailure) {
  FakeEchoServer server;
  server.ForgetHolds();
  Leasehold run;
  run.moving = true;  // Patience ends.
  run.With(At(server, {"demo", "--fast"}));
  EXPECT_EQ(run.code, 1);
  EXPECT_EQ(run.err,
            "INTERNAL: expected the instance to be BUSY (hold 2), got IDLE "
            "()\n");
}

TEST(DemoCommand, AWrongSequenceIsAFailure) {
  FakeEchoServer server;
  server.ClaimNext(7);
  const Outcome run = Execute(At(server, {"demo", "--fast"}));
  EXPECT_EQ(run.code, 1);
  EXPECT_EQ(run.err, "INTERNAL: channel 1: expected sequence 1, got 7\n");
  EXPECT_THAT(run.out, Not(HasSubstr("closed")));
}

}  // namespace
}  // namespace leasehold::client::cli
