// `leasehold orchestration …`: what shows orchestrations, against a server that
// does as a test says.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tests/client/orchestration_command_run.h"
#include "tests/support/temporary_directory.h"

namespace leasehold::client::cli {
namespace {

using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::MatchesRegex;
using testing::Not;
using testing::SizeIs;
using testing::StartsWith;

class OrchestrationShow : public OrchestrationCommandRun {};

// ---- Status

TEST_F(OrchestrationShow, StatusShowsWhatIsKnown) {
  State known = Fake::StateOf("a", State::FAILED);
  known.set_version("1.2");
  known.set_custom_status("\"half\n\"");
  known.mutable_scheduled_start_time()->set_seconds(1728064001);
  known.set_parent_instance_id("parent");
  (*known.mutable_tags())["team"] = "blue";
  known.set_input("1");
  known.mutable_failure()->set_type("Oops");
  known.mutable_failure()->set_message("no");
  known.mutable_failure()->set_stack_trace("at f\nat g\n");
  known.mutable_failure()->mutable_cause()->set_message("deeper");
  server_.Put(known);
  EXPECT_EQ(Done({"status", "a"}),
            "Instance       a\n"
            "Execution      run-of-a\n"
            "Name           Greet\n"
            "Version        1.2\n"
            "Status         FAILED\n"
            "Custom status  \"half\\n\"\n"
            "Created        2024-10-04T17:46:40.000Z\n"
            "Not before     2024-10-04T17:46:41.000Z\n"
            "Updated        2024-10-04T17:46:41.000Z\n"
            "Ended          2024-10-04T17:46:42.000Z\n"
            "Parent         parent\n"
            "Tags           team=blue\n"
            "Input          1\n"
            "Failure        Oops: no, because of deeper\n"
            "               at f\n"
            "               at g\n");
  EXPECT_EQ(
      Done({"status", "a", "--output=json"}),
      "{\"instance_id\":\"a\",\"execution_id\":\"run-of-a\",\"name\":\"Greet\","
      "\"version\":\"1.2\",\"status\":\"FAILED\","
      "\"create_time\":\"2024-10-04T17:46:40.000000000Z\","
      "\"update_time\":\"2024-10-04T17:46:41.000000000Z\","
      "\"end_time\":\"2024-10-04T17:46:42.000000000Z\","
      "\"scheduled_start_time\":\"2024-10-04T17:46:41.000000000Z\","
      "\"custom_status\":\"\\\"half\\n\\\"\",\"tags\":{\"team\":\"blue\"},"
      "\"parent_instance_id\":\"parent\",\"input\":1,\"failure\":{\"type\":"
      "\"Oops\",\"message\":\"no\",\"stack_trace\":\"at f\\nat "
      "g\\n\",\"cause\":{\"type\":\"\",\"message\":\"deeper\"}}}\n");
}

TEST_F(OrchestrationShow, WhatIsNotThereIsNotShown) {
  server_.Put(Fake::StateOf("a", State::PENDING));
  EXPECT_THAT(Lines(Done({"status", "a"})), SizeIs(6));
  EXPECT_THAT(Done({"status", "a", "--output=json"}),
              MatchesRegex(".*\"update_time\":\"[^\"]*\"\\}\n"));
}

TEST_F(OrchestrationShow, StatusOfTheUnknownIsNotFound) {
  ExpectFailure(Execute({"status", "list"}),
                "NOT_FOUND: there is no orchestration \"list\"\n");
}

TEST_F(OrchestrationShow, IdsAndNamesMayBeAnyText) {
  for (const std::string text :
       {"Gr\u00fc\u00dfe", "a b", "[a,b]", "{}", "echo", "status"}) {
    Done({"start", text, "--id", text});
    EXPECT_THAT(Done({"status", text, "--output=json"}),
                HasSubstr("\"name\":\"" + text + "\""));
  }
  Done({"start", "--id=-x", "--", "--name"});
  EXPECT_EQ(server_.Find("-x")->name(), "--name");
}

// ---- Wait

TEST_F(OrchestrationShow, WaitShowsTheEnd) {
  server_.Put(Fake::StateOf("a", State::RUNNING));
  StreamingRun wait(At({"wait", "a", "--output=json"}));
  server_.AwaitWatches(1);
  server_.Put(Fake::StateOf("a", State::SUSPENDED));
  State last = Fake::StateOf("a", State::COMPLETED);
  last.set_output("1");
  server_.Put(last);
  const Outcome run = wait.End();
  EXPECT_EQ(run.code, 0) << run.err;
  EXPECT_THAT(Lines(run.out),
              ElementsAre(HasSubstr("\"status\":\"COMPLETED\"")));
  EXPECT_THAT(run.out, HasSubstr("\"output\":1"));
  EXPECT_THAT(run.err, IsEmpty());
}

TEST_F(OrchestrationShow, WaitFailsUnlessItCompleted) {
  State failed = Fake::StateOf("a", State::FAILED);
  failed.mutable_failure()->set_type("Oops");
  failed.mutable_failure()->set_message("no");
  server_.Put(failed);
  Outcome run = Execute({"wait", "a"});
  EXPECT_EQ(run.code, 1);
  EXPECT_THAT(run.out, HasSubstr("\nFailure        Oops: no\n"));
  EXPECT_EQ(run.err, "UNKNOWN: orchestration \"a\" FAILED: Oops: no\n");
  server_.Put(Fake::StateOf("a", State::TERMINATED));
  run = Execute({"wait", "a"});
  EXPECT_EQ(run.code, 1);
  EXPECT_THAT(run.out, HasSubstr("TERMINATED"));
  EXPECT_EQ(run.err, "ABORTED: orchestration \"a\" was TERMINATED\n");
}

TEST_F(OrchestrationShow, WaitCanBeForTheStartOnly) {
  server_.Put(Fake::StateOf("a", State::PENDING));
  StreamingRun wait(At({"wait", "a", "--started"}));
  server_.AwaitWatches(1);
  server_.Put(Fake::StateOf("a", State::RUNNING));
  const Outcome run = wait.End();
  EXPECT_EQ(run.code, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("\nStatus         RUNNING\n"));
}

TEST_F(OrchestrationShow, WaitHasATimeoutIfOneWasGiven) {
  server_.Put(Fake::StateOf("a", State::RUNNING));
  StreamingRun endless(At({"wait", "a"}));
  server_.AwaitWatches(1);
  EXPECT_FALSE(server_.WatchHasDeadline());
  StreamingRun wait(At({"wait", "a", "--timeout=9h"}));
  server_.AwaitWatches(2);
  EXPECT_TRUE(server_.WatchHasDeadline());
  // As if it had passed.
  server_.EndWatches({grpc::StatusCode::DEADLINE_EXCEEDED, "Deadline"});
  ExpectFailure(wait.End(),
                "DEADLINE_EXCEEDED: orchestration \"a\" has not ended within "
                "9h\n");
  endless.Interrupt();  // It reconnects: nothing that it asked for has passed.
}

TEST_F(OrchestrationShow, AWaitThatHearsNothingInTimeIsUnavailable) {
  server_.FailNext({grpc::StatusCode::DEADLINE_EXCEEDED, "Deadline"});
  ExpectFailure(
      Execute({"wait", "a", "--timeout=9h"}),
      "UNAVAILABLE: " + server_.address() + ": no answer within 9h\n");
}

TEST_F(OrchestrationShow, WaitOfTheUnknownIsNotFound) {
  ExpectFailure(Execute({"wait", "a"}),
                "NOT_FOUND: there is no orchestration \"a\"\n");
}

TEST_F(OrchestrationShow, AWaitThatIsInterruptedIsNotDone) {
  server_.Put(Fake::StateOf("a", State::RUNNING));
  StreamingRun wait(At({"wait", "a"}));
  server_.AwaitWatches(1);
  ExpectFailure(wait.Interrupt(),
                "CANCELLED: orchestration \"a\" has not ended yet\n");
}

TEST_F(OrchestrationShow, AWaitGoesOnWhenTheServerWasLost) {
  server_.Put(Fake::StateOf("a", State::RUNNING));
  StreamingRun wait(At({"wait", "a"}));
  server_.AwaitWatches(1);
  server_.EndWatches({grpc::StatusCode::UNAVAILABLE, "draining"});
  wait.AwaitError("leasehold: connection lost, reconnecting: UNAVAILABLE: " +
                  server_.address());
  server_.Put(Fake::StateOf("a", State::COMPLETED));
  const Outcome run = wait.End();
  EXPECT_EQ(run.code, 0) << run.err;
}

TEST_F(OrchestrationShow, OnATerminalAWaitSaysHowFarItIs) {
  State half = Fake::StateOf("a", State::RUNNING);
  half.set_custom_status("\"step 1\"");
  server_.Put(half);
  StreamingRun wait(At({"wait", "a"}),
                    {.terminal_rows = 0, .err_is_terminal = true});
  wait.AwaitError("a  RUNNING  \"step 1\"  0");
  half.set_custom_status("\"step 2\"");
  server_.Put(half);
  wait.AwaitError("\r\x1b[?7la  RUNNING  \"step 2\"  0\x1b[K\x1b[?7h");
  server_.Put(Fake::StateOf("a", State::COMPLETED));
  const Outcome run = wait.End();
  EXPECT_EQ(run.code, 0);
  // The line is gone, and what is on standard output is as always.
  EXPECT_THAT(run.err, testing::EndsWith("\r\x1b[K"));
  EXPECT_THAT(run.err, Not(HasSubstr("\n")));
  EXPECT_THAT(run.out, StartsWith("Instance       a\n"));
}

// ---- Watch

TEST_F(OrchestrationShow, WatchIsARowAStateUntilTheEnd) {
  server_.Put(Fake::StateOf("a", State::PENDING));
  StreamingRun watch(At({"watch", "a"}));
  watch.Await("PENDING");
  State half = Fake::StateOf("a", State::RUNNING);
  half.set_custom_status("\"half\"");
  server_.Put(half);
  watch.Await("\"half\"");
  State last = Fake::StateOf("a", State::COMPLETED);
  last.set_output("1");
  server_.Put(last);
  const Outcome run = watch.End();
  EXPECT_EQ(run.code, 0) << run.err;
  EXPECT_EQ(run.out,
            "UPDATED                   STATUS      CUSTOM STATUS  RESULT\n"
            "2024-10-04T17:46:41.000Z  PENDING     -              -\n"
            "2024-10-04T17:46:41.000Z  RUNNING     \"half\"         -\n"
            "2024-10-04T17:46:41.000Z  COMPLETED   -              1\n");
}

TEST_F(OrchestrationShow, WatchAsJsonIsOneObjectALine) {
  server_.Put(Fake::StateOf("a", State::RUNNING));
  StreamingRun watch(At({"watch", "a", "--output=json"}));
  watch.Await("RUNNING");
  const Outcome run = watch.Interrupt();
  EXPECT_EQ(run.code, 0) << run.err;
  EXPECT_THAT(Lines(run.out),
              ElementsAre(StartsWith("{\"instance_id\":\"a\",")));
}

TEST_F(OrchestrationShow, WatchOfOneThatFailedIsDoneAndShowsWhy) {
  State failed = Fake::StateOf("a", State::FAILED);
  failed.mutable_failure()->set_message(std::string(100, 'x'));
  server_.Put(failed);
  EXPECT_THAT(Done({"watch", "a"}), HasSubstr(std::string(60, 'x') + "\u2026"));
}

TEST_F(OrchestrationShow, WatchOfTheUnknownIsNotFound) {
  ExpectFailure(Execute({"watch", "a"}),
                "NOT_FOUND: there is no orchestration \"a\"\n");
}

// ---- List

TEST_F(OrchestrationShow, ListShowsAllAsATableOrOneObjectALine) {
  for (int i = 100; i < 350; ++i) {
    server_.Put(Fake::StateOf(absl::StrCat("a-", i), State::RUNNING));
  }
  State last = Fake::StateOf("b", State::COMPLETED);
  last.set_custom_status("\"done\"");
  last.set_output("1");
  server_.Put(last);
  const std::vector<std::string> lines = Lines(Done({"list"}));
  ASSERT_THAT(lines, SizeIs(252));
  EXPECT_EQ(lines[0],
            "INSTANCE  NAME   STATUS   CREATED                   "
            "UPDATED                   CUSTOM STATUS");
  EXPECT_EQ(lines[1],
            "a-100     Greet  RUNNING  2024-10-04T17:46:40.000Z  "
            "2024-10-04T17:46:41.000Z  -");
  EXPECT_THAT(Lines(Done({"list", "--output=json"})), SizeIs(251));
  EXPECT_EQ(Lines(Done({"list", "--id-prefix=b"})),
            Lines("INSTANCE  NAME   STATUS     CREATED                   "
                  "UPDATED                   CUSTOM STATUS\n"
                  "b         Greet  COMPLETED  2024-10-04T17:46:40.000Z  "
                  "2024-10-04T17:46:41.000Z  \"done\"\n"));
  EXPECT_THAT(Done({"list", "--id-prefix=b", "--output=json"}),
              Not(HasSubstr("\"output\"")));
  EXPECT_THAT(Done({"list", "--id-prefix=b", "--output=json", "--payloads"}),
              HasSubstr("\"output\":1"));
}

TEST_F(OrchestrationShow, ListHasTheNewestFirstIfAsked) {
  for (int i = 100; i < 350; ++i) {
    server_.Put(Fake::StateOf(absl::StrCat(i), State::RUNNING));
  }
  EXPECT_THAT(
      Lines(Done({"list", "--order=newest", "--limit=2", "--output=json"})),
      ElementsAre(HasSubstr("\"349\""), HasSubstr("\"348\"")));
  EXPECT_THAT(Lines(Done({"list", "--order=newest", "--output=json"})),
              SizeIs(250));
  EXPECT_THAT(
      Lines(Done({"list", "--order=oldest", "--limit=1", "--output=json"})),
      ElementsAre(HasSubstr("\"100\"")));
  ExpectWrongUsage({"list", "--order=size"}, "write oldest or newest");
}

TEST_F(OrchestrationShow, LastIsThatManyOfTheNewest) {
  for (int i = 100; i < 350; ++i) {
    server_.Put(Fake::StateOf(absl::StrCat(i), State::RUNNING));
  }
  EXPECT_THAT(Lines(Done({"list", "--last=2", "--output=json"})),
              ElementsAre(HasSubstr("\"349\""), HasSubstr("\"348\"")));
  ExpectWrongUsage({"list", "--last=2", "--order=oldest"},
                   "leave out --all, --limit and --order");
  ExpectWrongUsage({"list", "--all", "--limit=3"}, "not both");
}

TEST_F(OrchestrationShow, OnATerminalListShowsTheNewestAndWhatIsLeftOut) {
  for (int i = 100; i < 350; ++i) {
    server_.Put(Fake::StateOf(absl::StrCat(i), State::RUNNING));
  }
  LeaseholdRun run;
  run.now = now_ + absl::Minutes(2);
  run.terminal_rows = 24;
  run.environment = {{"NO_COLOR", "1"}};
  std::vector<std::string> lines = Lines(run.With(At({"list"})).out);
  ASSERT_THAT(lines, SizeIs(22));
  EXPECT_EQ(lines[0],
            "INSTANCE  NAME   STATUS   CREATED  UPDATED  CUSTOM STATUS");
  EXPECT_EQ(lines[1], "349       Greet  RUNNING  2m ago   1m ago   -");
  EXPECT_EQ(
      lines[21],
      "20 of 250 orchestrations, the newest first; --all shows all of them");
  lines = Lines(run.With(At({"list", "--all", "--wide"})).out);
  ASSERT_THAT(lines, SizeIs(251));
  EXPECT_THAT(lines[250], HasSubstr("2024-10-04T17:46:40.000Z"));
  EXPECT_THAT(Lines(run.With(At({"list", "--order=oldest"})).out)[1],
              StartsWith("100 "));
  EXPECT_EQ(Lines(run.With(At({"list", "--limit=250"})).out).size(), 251u);
}

TEST_F(OrchestrationShow, PayloadsAreValuesInJsonUnlessTheyAreWantedRaw) {
  State state = Fake::StateOf("a", State::COMPLETED);
  state.set_input("{\n  \"b\": [1.0, 12345678901234567890]\n}");
  state.set_output("not JSON");
  state.set_custom_status("\"\x7f\"");
  server_.Put(state);
  const std::string values = Done({"status", "a", "--output=json"});
  EXPECT_THAT(values,
              testing::AllOf(
                  HasSubstr("\"input\":{  \"b\": [1.0, 12345678901234567890]}"),
                  HasSubstr("\"output\":\"not JSON\""),
                  HasSubstr("\"custom_status\":\"\\u007f\"")));
  EXPECT_THAT(Lines(values), SizeIs(1));
  EXPECT_THAT(
      Done({"status", "a", "--output=json", "--raw"}),
      HasSubstr("\"input\":\"{\\n  \\\"b\\\": [1.0, 12345678901234567890]"
                "\\n}\""));
}

TEST_F(OrchestrationShow, ListAsksForNamesAndTags) {
  server_.Put(Fake::StateOf("a", State::RUNNING, "Other"));
  server_.Put(Fake::StateOf("b", State::RUNNING));
  EXPECT_THAT(Lines(Done({"list", "--name=Other", "--tag=team=blue",
                          "--tag=urgent", "--output=json"})),
              ElementsAre(HasSubstr("\"a\"")));
  const auto asked = server_.Asked<v1::ListOrchestrationsRequest>();
  ASSERT_THAT(asked, SizeIs(1));
  EXPECT_EQ(asked[0].filter().name(), "Other");
  EXPECT_THAT(asked[0].filter().tags(), ElementsAre("team=blue", "urgent"));
}

TEST_F(OrchestrationShow, ListOfNoneIsAHeadingOrNothing) {
  EXPECT_THAT(Lines(Done({"list"})), SizeIs(1));
  EXPECT_THAT(Done({"list", "--output=json"}), IsEmpty());
}

TEST_F(OrchestrationShow, ListShowsTheFirstSoMany) {
  for (int i = 1000; i < 2500; ++i) {
    server_.Put(Fake::StateOf(absl::StrCat(i), State::RUNNING));
  }
  EXPECT_THAT(Lines(Done({"list", "--limit=3", "--output=json"})),
              ElementsAre(HasSubstr("\"1000\""), HasSubstr("\"1001\""),
                          HasSubstr("\"1002\"")));
  EXPECT_THAT(server_.Asked<v1::ListOrchestrationsRequest>(), SizeIs(1));
  EXPECT_THAT(Lines(Done({"list", "--limit=1200", "--output=json"})),
              SizeIs(1200));
}

TEST_F(OrchestrationShow, ListChoosesByStatusGivenOnceOrAgain) {
  server_.Put(Fake::StateOf("a", State::RUNNING));
  server_.Put(Fake::StateOf("b", State::FAILED));
  server_.Put(Fake::StateOf("c", State::PENDING));
  const auto both = ElementsAre(HasSubstr("\"a\""), HasSubstr("\"b\""));
  EXPECT_THAT(Lines(Done({"list", "--status=running,FAILED", "--output=json"})),
              both);
  EXPECT_THAT(Lines(Done({"list", "--status=running", "--status", "failed",
                          "--output=json"})),
              both);
}

// ---- History

TEST_F(OrchestrationShow, HistoryIsATimeline) {
  std::vector<v1::OrchestrationEvent> events(12);
  for (size_t i = 0; i < events.size(); ++i) {
    events[i].set_id(-1);
    events[i].mutable_time()->set_seconds(1728064000 + static_cast<int64_t>(i));
  }
  auto& started = *events[0].mutable_execution_started();
  started.set_name("Greet");
  started.set_version("1");
  started.set_input("\"Ada\"");
  started.set_parent_instance_id("parent");
  events[1].mutable_turn_started();
  events[2].set_id(1);
  events[2].mutable_activity_scheduled()->set_name("SayHello");
  events[2].mutable_activity_scheduled()->set_input(std::string(200, 'x'));
  events[3].mutable_activity_completed()->set_scheduled_id(1);
  events[3].mutable_activity_completed()->set_output("\"Hello\"");
  events[4].set_id(2);
  events[4].mutable_timer_created()->mutable_fire_time()->set_seconds(
      1728064060);
  events[5].mutable_timer_fired()->set_scheduled_id(2);
  events[6].mutable_event_raised()->set_name("go");
  events[7].set_id(3);
  events[7].mutable_event_sent()->set_name("go");
  events[7].mutable_event_sent()->set_instance_id("b");
  events[8].mutable_execution_suspended()->set_reason("lunch");
  events[9].mutable_execution_terminated()->set_recursive(true);
  events[10].mutable_other()->set_number(18);
  events[11].set_id(4);
  events[11].mutable_execution_completed()->set_status(State::FAILED);
  events[11].mutable_execution_completed()->mutable_failure()->set_message(
      "no");
  server_.PutHistory("a", events);
  const std::vector<std::string> lines =
      Lines(Done({"history", "a", "--execution=run-1"}));
  EXPECT_EQ(Asked<v1::GetOrchestrationHistoryRequest>().execution_id(),
            "run-1");
  // Columns: ELAPSED, TURN, ID, EVENT, DETAIL.
  const auto row = [](const std::string& time, const std::string& elapsed,
                      const std::string& turn, const std::string& id,
                      const std::string& event, const std::string& detail) {
    return absl::StrCat(
        "2024-10-04T17:46:", time, ".000Z  ",
        absl::StrFormat("%-9s%-6s%-4s%-22s", elapsed, turn, id, event), detail);
  };
  EXPECT_THAT(
      lines,
      ElementsAre(
          "TIME                      ELAPSED  TURN  ID  EVENT                 "
          "DETAIL",
          row("40", "+0", "-", "-", "execution_started",
              "Greet, version 1, input \"Ada\", child of parent"),
          row("41", "+1s", "1", "-", "turn_started", "-"),
          row("42", "+2s", "1", "1", "activity_scheduled",
              "SayHello, input " + std::string(100, 'x') + "\u2026"),
          row("43", "+3s", "1", "1", "activity_completed",
              "SayHello, output \"Hello\""),
          row("44", "+4s", "1", "2", "timer_created",
              "until 2024-10-04T17:47:40.000Z"),
          row("45", "+5s", "1", "2", "timer_fired", "-"),
          row("46", "+6s", "1", "-", "event_raised", "go"),
          row("47", "+7s", "1", "3", "event_sent", "go, to b"),
          row("48", "+8s", "1", "-", "execution_suspended", "lunch"),
          row("49", "+9s", "1", "-", "execution_terminated",
              "with sub-orchestrations"),
          row("50", "+10s", "1", "-", "other",
              "number 18 in the Durable Task contract"),
          row("51", "+11s", "1", "4", "execution_completed",
              "FAILED, failure no")));
}

TEST_F(OrchestrationShow, HistoryStandsInTheOrderOfTimeWithTheTurnOfEachEvent) {
  // As it is recorded: a turn, and after it what had come before it; and what
  // came while the turn was out, after that.
  std::vector<v1::OrchestrationEvent> events(6);
  const auto at = [&events](size_t i, int millisecond) -> auto& {
    events[i].set_id(-1);
    events[i].mutable_time()->set_seconds(1728064000);
    events[i].mutable_time()->set_nanos(millisecond * 1'000'000);
    return events[i];
  };
  at(0, 9).mutable_turn_started();
  at(1, 2).mutable_execution_started()->set_name("Greet");
  at(2, 20).mutable_turn_completed();
  at(3, 30).mutable_turn_started();
  at(4, 15).mutable_event_raised()->set_name("go");
  at(5, 40).mutable_turn_completed();
  server_.PutHistory("a", events);
  std::vector<std::string> rows;
  for (const std::string& line : Lines(Done({"history", "a"}))) {
    rows.push_back(line.substr(line.find("  ") + 2));
  }
  EXPECT_THAT(std::vector<std::string>(rows.begin() + 1, rows.end()),
              ElementsAre(StartsWith("+0       1     -   execution_started"),
                          StartsWith("+7ms     1     -   turn_started"),
                          StartsWith("+13ms    2     -   event_raised"),
                          StartsWith("+18ms    1     -   turn_completed"),
                          StartsWith("+28ms    2     -   turn_started"),
                          StartsWith("+38ms    2     -   turn_completed")));
  // A program gets it as it was recorded, with the same turns.
  EXPECT_THAT(Lines(Done({"history", "a", "--output=json"}))[4],
              StartsWith("{\"turn\":2,\"time\":\"2024-10-04T17:46:40."
                         "015000000Z\",\"event\":\"event_raised\""));
}

TEST_F(OrchestrationShow, HistoryOfNothingIsAHeadingOrNothing) {
  server_.PutHistory("a", {});
  EXPECT_THAT(Lines(Done({"history", "a"})), ElementsAre(StartsWith("TIME ")));
  EXPECT_THAT(Done({"history", "a", "--output=json"}), IsEmpty());
}

TEST_F(OrchestrationShow, HistoryAsJsonHasItAll) {
  v1::OrchestrationEvent scheduled;
  scheduled.set_id(1);
  scheduled.mutable_time()->set_seconds(1728064000);
  scheduled.mutable_activity_scheduled()->set_name("SayHello");
  scheduled.mutable_activity_scheduled()->set_input(std::string(200, 'x'));
  v1::OrchestrationEvent failed;
  failed.set_id(-1);
  failed.mutable_time()->set_seconds(1728064001);
  failed.mutable_activity_failed()->set_scheduled_id(1);
  failed.mutable_activity_failed()->mutable_failure()->set_type("Oops");
  server_.PutHistory("a", {scheduled, failed});
  EXPECT_EQ(Done({"history", "a", "--output=json"}),
            "{\"id\":1,\"time\":\"2024-10-04T17:46:40.000000000Z\","
            "\"event\":\"activity_scheduled\",\"name\":\"SayHello\",\"input\":"
            "\"" +
                std::string(200, 'x') +
                "\"}\n"
                "{\"time\":\"2024-10-04T17:46:41.000000000Z\","
                "\"event\":\"activity_failed\",\"scheduled_id\":1,\"failure\":{"
                "\"type\":\"Oops\",\"message\":\"\"}}\n");
}

// What an orchestration did with entities: two calls, a signal and a lock.
std::vector<v1::OrchestrationEvent> EventsOfEntities() {
  std::vector<v1::OrchestrationEvent> events(8);
  for (size_t i = 0; i < events.size(); ++i) {
    events[i].set_id(-1);
    events[i].mutable_time()->set_seconds(1728064000 + static_cast<int64_t>(i));
  }
  events[0].set_id(1);
  auto& lock = *events[0].mutable_entity_lock_requested();
  lock.add_instance_ids("@a@1");
  lock.add_instance_ids("@a@2");
  lock.set_section_id("c");
  events[1].mutable_entity_lock_granted()->set_section_id("c");
  events[2].set_id(2);
  auto& call = *events[2].mutable_entity_called();
  call.set_instance_id("@a@1");
  call.set_operation("add");
  call.set_input("5");
  call.set_request_id("r");
  events[3].mutable_entity_call_completed()->set_request_id("r");
  events[3].mutable_entity_call_completed()->set_output("7");
  events[4].set_id(3);
  events[4].mutable_entity_unlocked()->set_instance_id("@a@1");
  events[4].mutable_entity_unlocked()->set_section_id("c");
  events[5].set_id(4);
  auto& signal = *events[5].mutable_entity_signaled();
  signal.set_instance_id("@b@1");
  signal.set_operation("log");
  signal.set_request_id("s");
  signal.mutable_scheduled_time()->set_seconds(1728064060);
  events[6].mutable_entity_call_failed()->set_request_id("r");
  events[6].mutable_entity_call_failed()->mutable_failure()->set_message("no");
  events[7].mutable_entity_call_completed()->set_request_id("of no call");
  return events;
}

TEST_F(OrchestrationShow, HistoryHasWhatWasAskedOfEntities) {
  server_.PutHistory("a", EventsOfEntities());
  EXPECT_THAT(
      Lines(Done({"history", "a"})),
      ElementsAre(
          StartsWith("TIME "),
          EndsWith("  1   entity_lock_requested  @a@1 @a@2"),
          EndsWith("  1   entity_lock_granted    @a@1 @a@2"),
          EndsWith("  2   entity_called          add of @a@1, input 5"),
          EndsWith("  2   entity_call_completed  add of @a@1, output 7"),
          EndsWith("  3   entity_unlocked        @a@1"),
          EndsWith("  4   entity_signaled        log of @b@1, not before "
                   "2024-10-04T17:47:40.000Z"),
          EndsWith("  2   entity_call_failed     add of @a@1, failure no"),
          EndsWith("  -   entity_call_completed  -")));
}

TEST_F(OrchestrationShow, HistoryAsJsonHasWhatWasAskedOfEntities) {
  server_.PutHistory("a", EventsOfEntities());
  const auto lines = Lines(Done({"history", "a", "--output=json"}));
  ASSERT_THAT(lines, SizeIs(8));
  EXPECT_THAT(lines[0],
              EndsWith("\"event\":\"entity_lock_requested\",\"section_id\":"
                       "\"c\",\"instance_ids\":[\"@a@1\",\"@a@2\"]}"));
  EXPECT_THAT(lines[1], EndsWith("\"event\":\"entity_lock_granted\","
                                 "\"section_id\":\"c\"}"));
  EXPECT_THAT(lines[2],
              EndsWith("\"event\":\"entity_called\",\"instance_id\":\"@a@1\","
                       "\"operation\":\"add\",\"request_id\":\"r\","
                       "\"input\":5}"));
  EXPECT_THAT(lines[3],
              EndsWith("\"event\":\"entity_call_completed\",\"request_id\":"
                       "\"r\",\"output\":7}"));
  EXPECT_THAT(lines[4],
              EndsWith("\"event\":\"entity_unlocked\",\"instance_id\":"
                       "\"@a@1\",\"section_id\":\"c\"}"));
  EXPECT_THAT(
      lines[5],
      EndsWith("\"operation\":\"log\",\"request_id\":\"s\","
               "\"scheduled_time\":\"2024-10-04T17:47:40.000000000Z\"}"));
  EXPECT_THAT(lines[6], EndsWith("\"request_id\":\"r\",\"failure\":{\"type\":"
                                 "\"\",\"message\":\"no\"}}"));
}

std::string ReadWhole(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST_F(OrchestrationShow, HistoryIsExportedToAFile) {
  v1::OrchestrationEvent turn;
  turn.set_id(-1);
  turn.mutable_time()->set_seconds(1728064000);
  turn.mutable_turn_started();
  server_.PutHistory("a", {turn, turn});
  const TemporaryDirectory folder;
  const std::string path = folder.path() + "/a.history";
  EXPECT_EQ(Done({"history", "a", "--export=" + path}),
            "Exported 2 events to " + path + ".\n");
  const std::string line =
      "{\"id\":-1,\"time\":\"2024-10-04T17:46:40.000000000Z\",\"event\":"
      "\"turn_started\"}\n";
  EXPECT_EQ(ReadWhole(path),
            "{\"format\":\"leasehold.history.v1\",\"instance_id\":\"a\"}\n" +
                line + line);
  server_.PutHistory("a", {turn});
  EXPECT_EQ(Done({"history", "a", "--export", path, "--output=json"}),
            "{\"instance_id\":\"a\",\"file\":\"" + path + "\",\"events\":1}\n");
  EXPECT_THAT(Lines(ReadWhole(path)), SizeIs(2));
}

TEST_F(OrchestrationShow, AnExportThatFailsLeavesTheFileAsItWas) {
  const TemporaryDirectory folder;
  const std::string path = folder.path() + "/a.history";
  std::ofstream(path) << "before";
  EXPECT_EQ(Execute({"history", "unknown", "--export=" + path}).code, 3);
  EXPECT_EQ(ReadWhole(path), "before");
  EXPECT_FALSE(std::ifstream(path + ".part").good());
  server_.PutHistory("a", {});
  ExpectFailure(
      Execute({"history", "a", "--export=" + folder.path() + "/no/a"}),
      "UNKNOWN: --export: cannot write " + folder.path() +
          "/no/a: No such file or directory\n");
  ExpectWrongUsage({"history", "a", "--export="}, "write --export=FILE");
  ExpectWrongUsage({"history", "a", "--export", ""}, "not the path of a file");
}

TEST_F(OrchestrationShow, TextCannotBreakTheOutput) {
  State known = Fake::StateOf("a\x1b[2J", State::RUNNING, "Gr\neet");
  known.set_custom_status("\x1b[2J");
  server_.Put(known);
  v1::OrchestrationEvent event;
  event.mutable_event_raised()->set_name("\x1b[2J");
  server_.PutHistory("a\x1b[2J", {event});
  for (const std::vector<std::string>& command :
       std::vector<std::vector<std::string>>{{"list"},
                                             {"status", "a\x1b[2J"},
                                             {"history", "a\x1b[2J"},
                                             {"suspend", "a\x1b[2J"}}) {
    for (const char* format : {"--output=table", "--output=json"}) {
      std::vector<std::string> arguments = command;
      arguments.push_back(format);
      EXPECT_THAT(Done(arguments), Not(HasSubstr("\x1b")));
    }
  }
}

}  // namespace
}  // namespace leasehold::client::cli
