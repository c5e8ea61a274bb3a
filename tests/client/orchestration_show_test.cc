// `leasehold orchestration …`: what shows orchestrations, against a server that
// does as a test says.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/client/orchestration_command_run.h"

namespace leasehold::client::cli {
namespace {

using testing::ElementsAre;
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

// ---- All of them

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
