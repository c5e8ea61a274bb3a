// `leasehold instances …` and `leasehold join`, against the real server.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/instances/instances_client.h"
#include "client/session/shared_session.h"
#include "tests/client/leasehold_run.h"
#include "tests/client/local_server.h"
#include "tests/client/streaming_run.h"
#include "tests/server/events.h"

namespace leasehold::client::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::MatchesRegex;
using testing::SizeIs;
using testing::StartsWith;

class InstancesCommand : public testing::Test {
 protected:
  std::vector<std::string> At(std::vector<std::string> arguments) {
    arguments.push_back("--address=" + server_.address());
    return arguments;
  }
  Outcome Execute(std::vector<std::string> arguments) {
    LeaseholdRun run;
    run.now = server_.clock().WallNow();
    run.With(At(std::move(arguments)));
    return {run.code, run.out, run.err};
  }
  void AwaitState(const std::string& id, InstanceState state) {
    while (true) {
      const auto instance = *client_->Get(id);
      if (instance.has_value() && instance->state == state) return;
    }
  }
  void Create(const std::string& id) {
    ASSERT_TRUE(client_->Create({.instance_id = id, .idle_timeout = {}}).ok());
    AwaitState(id, InstanceState::kIdle);
  }
  static HoldOptions HoldOf(const std::string& id) {
    HoldOptions options;
    options.instance_id = id;
    return options;
  }
  std::string Generation(const std::string& id) {
    return absl::StrCat((**client_->Get(id)).generation);
  }

  LocalServer server_;
  std::unique_ptr<InstancesClient> client_ =
      *InstancesClient::Connect(server_.address());
};

// ---- Calls

TEST_F(InstancesCommand, CreateShowsTheInstanceAndWhetherItMadeIt) {
  const Outcome run =
      Execute({"instances", "create", "room-1", "--idle-timeout=1m30s"});
  EXPECT_EQ(run.code, 0) << run.err;
  EXPECT_THAT(Lines(run.out),
              ElementsAre(MatchesRegex("INSTANCE  STATE .* CREATED"),
                          MatchesRegex("room-1 .* 1m30s .* yes")));
  EXPECT_THAT(Execute({"instances", "create", "room-1", "--output=json"}).out,
              HasSubstr("\"created\":false}"));
}

TEST_F(InstancesCommand, CreateWithoutAnIdShowsTheOneThatTheServerMade) {
  EXPECT_THAT(
      Execute({"instances", "create", "--output=json"}).out,
      MatchesRegex(
          "\\{\"instance_id\":\"[0-9a-f-]{36}\",.*\"created\":true\\}\n"));
}

TEST_F(InstancesCommand, GetShowsWhatIsKnown) {
  Create("a");
  server_.clock().Advance(absl::Seconds(5.5));
  const Outcome table = Execute({"instances", "get", "a"});
  EXPECT_EQ(table.code, 0) << table.err;
  EXPECT_THAT(Lines(table.out),
              ElementsAre(MatchesRegex("INSTANCE +STATE +LEASE +TIMEOUT +PINS "
                                       "+GENERATION +AGE +EXTENSIONS"),
                          MatchesRegex("a +IDLE +14.5s +20s +- +" +
                                       Generation("a") + " +5.5s +.*")));
  EXPECT_THAT(
      Execute({"instances", "get", "a", "--output=json"}).out,
      MatchesRegex(absl::StrCat(
          "\\{\"instance_id\":\"a\",\"generation\":", Generation("a"),
          ",\"state\":\"IDLE\",\"idle_timeout_ms\":20000,"
          "\"lease_remaining_ms\":14500,\"held_by_provider\":false,\"pins\":\\{"
          "\\},\"extensions\":\\[.*\\]"
          ","
          "\"create_time\":\".*\",\"last_use_time\":\".*\",\"age_ms\":5500\\}"
          "\n")));
}

TEST_F(InstancesCommand, GetShowsWhatKeepsAnInstanceBusy) {
  const auto one = client_->StartHold(HoldOf("a"));
  const auto two = client_->StartHold(HoldOf("a"));
  while (true) {
    const auto instance = *client_->Get("a");
    if (instance.has_value() && instance->pin_count("hold") == 2) break;
  }
  EXPECT_THAT(Execute({"instances", "get", "a"}).out,
              HasSubstr("a         BUSY   -      20s      hold 2"));
  EXPECT_THAT(Execute({"instances", "get", "a", "--output=json"}).out,
              HasSubstr("\"lease_remaining_ms\":null,"
                        "\"held_by_provider\":false,\"pins\":{\"hold\":2}"));
}

TEST_F(InstancesCommand, GetOfAnUnknownInstanceIsNotFound) {
  const Outcome run = Execute({"instances", "get", "list"});
  EXPECT_EQ(run.code, 3);
  EXPECT_EQ(run.err, "NOT_FOUND: there is no instance \"list\"\n");
  EXPECT_THAT(run.out, IsEmpty());
}

TEST_F(InstancesCommand, TakesAnyIdOfUtf8) {
  for (const std::string id :
       {"Gr\u00fc\u00dfe", "a b", "[a,b]", "{}", "get"}) {
    EXPECT_EQ(Execute({"instances", "create", id}).code, 0) << id;
    EXPECT_THAT(Execute({"instances", "get", id, "--output=json"}).out,
                HasSubstr("\"instance_id\":\"" + id + "\""));
  }
  LeaseholdRun run;
  run.With(
      {"--address=" + server_.address(), "instances", "create", "--", "--a"});
  EXPECT_EQ(run.code, 0) << run.err;
}

TEST_F(InstancesCommand, ListShowsAllAsATableOrOneObjectALine) {
  for (int i = 0; i < 150; ++i) Create(absl::StrCat("a-", i));
  Create("b");
  EXPECT_THAT(Lines(Execute({"instances", "list"}).out), SizeIs(152));
  EXPECT_THAT(Lines(Execute({"instances", "list", "--output=json"}).out),
              SizeIs(151));
  EXPECT_THAT(Lines(Execute({"instances", "list", "--prefix=b"}).out),
              SizeIs(2));
  EXPECT_THAT(
      Lines(
          Execute({"instances", "list", "--state=BUSY", "--output=json"}).out),
      SizeIs(0));
}

TEST_F(InstancesCommand, OnATerminalListShowsTheNewestAndWhatIsLeftOut) {
  for (int i = 10; i < 40; ++i) {
    Create(absl::StrCat("a-", i));
    server_.clock().Advance(absl::Milliseconds(10));
  }
  LeaseholdRun run;
  run.now = server_.clock().WallNow();
  run.terminal_rows = 24;
  run.terminal_columns = 200;
  std::vector<std::string> lines =
      Lines(run.With(At({"instances", "list"})).out);
  ASSERT_THAT(lines, SizeIs(22));
  EXPECT_THAT(lines[1], StartsWith("a-39 "));
  EXPECT_THAT(lines[20], StartsWith("a-20 "));
  EXPECT_EQ(lines[21],
            "20 of 30 instances, the newest first; --all shows all of them");
  lines = Lines(run.With(At({"instances", "list", "--all"})).out);
  ASSERT_THAT(lines, SizeIs(31));
  EXPECT_THAT(lines[30], StartsWith("a-10 "));
  EXPECT_THAT(Lines(run.With(At({"instances", "list", "--last=2"})).out)[3],
              StartsWith("2 of 30 instances"));
  // A program gets all, the oldest first, or what it asks for.
  run.terminal_rows = 0;
  EXPECT_THAT(Lines(run.With(At({"instances", "list"})).out)[1],
              StartsWith("a-10 "));
  EXPECT_THAT(
      Lines(
          run.With(At({"instances", "list", "--last=1", "--output=json"})).out),
      ElementsAre(HasSubstr("\"a-39\"")));
  EXPECT_EQ(run.With(At({"instances", "list", "--last=1", "--all"})).code, 2);
}

TEST_F(InstancesCommand, SetTimeoutShowsWhatCameOfIt) {
  Create("a");
  EXPECT_THAT(Execute({"instances", "set-timeout", "a", "5s"}).out,
              HasSubstr(" 5s "));
  EXPECT_EQ((*client_->Get("a"))->idle_timeout, absl::Seconds(5));
  EXPECT_THAT(Execute({"instances", "set-timeout", "b", "5s"}).err,
              StartsWith("NOT_FOUND: "));
}

TEST_F(InstancesCommand, ReleaseOfABusyInstanceNeedsForce) {
  Mailbox<int> held;
  HoldOptions options = HoldOf("a");
  options.on_held = [&](const OpenedInstance&) { held.Put(0); };
  const auto hold = client_->StartHold(std::move(options));
  held.Take("the hold");
  const Outcome refused = Execute({"instances", "release", "a"});
  EXPECT_EQ(refused.code, 1);
  EXPECT_THAT(refused.err, StartsWith("FAILED_PRECONDITION: "));
  const Outcome forced = Execute({"instances", "release", "a", "--force"});
  EXPECT_EQ(forced.code, 0);
  EXPECT_THAT(forced.out, HasSubstr("hold 1"));
  EXPECT_EQ(*client_->Get("a"), std::nullopt);
}

TEST_F(InstancesCommand, AServerThatIsNotThereIsUnavailable) {
  server_.Stop();
  for (const std::vector<std::string>& command :
       std::vector<std::vector<std::string>>{{"instances", "list"},
                                             {"instances", "watch"},
                                             {"instances", "hold", "a"},
                                             {"instances", "keep-alive", "a"},
                                             {"join", "a"}}) {
    const Outcome run = Execute(command);
    EXPECT_EQ(run.code, 4);
    EXPECT_EQ(run.err, "UNAVAILABLE: cannot reach a Leasehold server at " +
                           server_.address() +
                           " (connection refused); is leasehold-server "
                           "running?\n");
  }
}

// ---- Streams

TEST_F(InstancesCommand, HoldKeepsAnInstanceBusyUntilItIsInterrupted) {
  StreamingRun hold(At({"instances", "hold", "a", "--idle-timeout=7s"}));
  hold.Await("yes");
  EXPECT_EQ((*client_->Get("a"))->pin_count("hold"), 1u);
  server_.clock().Advance(absl::Hours(1));
  const Outcome run = hold.Interrupt();
  EXPECT_EQ(run.code, 0) << run.err;
  EXPECT_THAT(Lines(run.out), SizeIs(2));
  AwaitState("a", InstanceState::kIdle);
}

TEST_F(InstancesCommand, HoldEndsWithTheInstance) {
  StreamingRun hold(At({"instances", "hold", "a", "--output=json"}));
  hold.Await("\"created\":true}\n");
  ASSERT_TRUE(client_->Release("a", /*force=*/true).ok());
  const Outcome run = hold.End();
  EXPECT_EQ(run.code, 1);
  EXPECT_THAT(run.err, StartsWith("ABORTED: "));
}

TEST_F(InstancesCommand, KeepAliveShowsEachRenewal) {
  Create("a");
  StreamingRun keep_alive(
      At({"instances", "keep-alive", "a", "--interval=1ms"}));
  keep_alive.Await("a         " + Generation("a") + "  20s\n" + "a  ");
  const Outcome run = keep_alive.Interrupt();
  EXPECT_EQ(run.code, 0) << run.err;
  EXPECT_THAT(run.out, StartsWith("INSTANCE  GENERATION "));
}

TEST_F(InstancesCommand, KeepAliveOfAnUnknownInstanceIsNotFound) {
  const Outcome run = Execute({"instances", "keep-alive", "a"});
  EXPECT_EQ(run.code, 3);
  EXPECT_EQ(run.err, "NOT_FOUND: there is no instance \"a\"\n");
}

TEST_F(InstancesCommand, WatchIsOneLineAnEvent) {
  Create("a");
  StreamingRun watch(At({"instances", "watch"}));
  watch.Await("SNAPSHOT_DONE");
  ASSERT_TRUE(client_->Release("a").ok());
  watch.Await("CLOSED");
  watch.Await("released");
  const Outcome run = watch.Interrupt();
  EXPECT_EQ(run.code, 0) << run.err;
  const std::vector<std::string> lines = Lines(run.out);
  EXPECT_THAT(lines[0], MatchesRegex("EVENT +GENERATION +LEASE +PINS +REASON "
                                     "+INSTANCE"));
  EXPECT_THAT(lines[1], MatchesRegex("SNAPSHOT +[0-9]+ +20s +- +- +a"));
  EXPECT_THAT(lines[2], MatchesRegex("SNAPSHOT_DONE +- +- +- +- +-"));
}

TEST_F(InstancesCommand, WatchAsJsonIsOneObjectALine) {
  Create("a-1");
  StreamingRun watch(At({"instances", "watch", "--prefix=a-", "--output=json"}),
                     {.terminal_rows = 24, .err_is_terminal = false});
  watch.Await("{\"event\":\"SNAPSHOT_DONE\"}\n");
  Create("b");
  Create("a-2");
  ASSERT_TRUE(client_->Release("a-2").ok());
  watch.Await("\"reason\":\"released\"}\n");
  watch.Await("{\"event\":\"CLOSED\",\"instance\":{\"instance_id\":\"a-2\",");
  const Outcome run = watch.Interrupt();
  EXPECT_EQ(run.code, 0);
  for (const std::string& line : Lines(run.out)) {
    EXPECT_THAT(line, MatchesRegex("\\{\"event\":.*\\}"));
    EXPECT_THAT(line, testing::Not(HasSubstr("\"b\"")));
  }
}

TEST_F(InstancesCommand, WatchOnATerminalRedrawsATable) {
  Create("a");
  StreamingRun watch(At({"instances", "watch"}),
                     {.terminal_rows = 24, .err_is_terminal = false});
  watch.Await("1 instance\x1b[K\n");
  Create("b");
  watch.Await("2 instances\x1b[K\n");
  ASSERT_TRUE(client_->Release("a").ok());
  watch.Await("CLOSED a (released)\x1b[K\n");
  const Outcome run = watch.Interrupt();
  EXPECT_EQ(run.code, 0) << run.err;
  // On another screen than the terminal's own, which comes back.
  EXPECT_THAT(run.out, StartsWith("\x1b[?1049h"));
  EXPECT_THAT(run.out, testing::EndsWith("\x1b[?1049l"));
}

TEST_F(InstancesCommand, ALongIdOnATerminalPushesNothingOffTheScreen) {
  const std::string id(300, 'x');
  Create(id);
  Create("a");
  StreamingRun watch(At({"instances", "watch"}),
                     {.terminal_rows = 24, .err_is_terminal = false});
  // Of 80 columns.
  watch.Await("xxxx\u2026xxxx");
  watch.Interrupt();
  const Outcome piped = Execute({"instances", "list"});
  // They are of one time, so their IDs decide; and the short one is not padded
  // to the length of the other.
  const std::vector<std::string> lines = Lines(piped.out);
  ASSERT_THAT(lines, SizeIs(3));
  EXPECT_THAT(lines[1], StartsWith("a "));
  EXPECT_LT(lines[1].size(), 200u);
  EXPECT_THAT(lines[2], StartsWith(id + "  IDLE "));
}

TEST_F(InstancesCommand, AStreamReconnectsToALostServerAndSaysSo) {
  StreamingRun watch(At({"instances", "watch"}));
  watch.Await("SNAPSHOT_DONE");
  server_.Stop();
  watch.AwaitError("leasehold: connection lost, reconnecting: UNAVAILABLE: ");
  const Outcome run = watch.Interrupt();
  EXPECT_EQ(run.code, 0);
}

TEST_F(InstancesCommand, JoinShowsEveryEcho) {
  StreamingRun join(At({"join", "room \u20ac"}));
  join.Await("Joined room \u20ac: generation ");
  SharedSessionOptions options;
  options.instance_id = "room \u20ac";
  const auto session = *SharedSession::Connect({server_.address()}, options);
  ASSERT_TRUE(session->Echo("Apple\n", 0).ok());
  ASSERT_TRUE(session->Echo("Pear", 0).ok());
  join.Await("2         Pear\n");
  StreamingRun late(At({"join", "room \u20ac", "--after=1", "--output=json"}));
  late.Await("\"sequence\":2,\"text\":\"Pear\"}\n");
  const Outcome late_run = late.Interrupt();
  EXPECT_THAT(Lines(late_run.out),
              ElementsAre(StartsWith("{\"event\":\"joined\",\"instance_id\":"),
                          StartsWith("{\"event\":\"echo\",\"instance_id\":")));
  const Outcome run = join.Interrupt();
  EXPECT_EQ(run.code, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr(": generation " + Generation("room \u20ac") +
                                 ", 0 echoes so far.\n"
                                 "1         Apple\\n\n"
                                 "2         Pear\n"));
}

}  // namespace
}  // namespace leasehold::client::cli
