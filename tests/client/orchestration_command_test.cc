// `leasehold orchestration …`: what starts, tells and erases orchestrations,
// against a server that does as a test says.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/client/orchestration_command_run.h"

namespace leasehold::client::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;
using testing::StartsWith;
using testing::UnorderedElementsAre;

class OrchestrationCommand : public OrchestrationCommandRun {};

// ---- Start

TEST_F(OrchestrationCommand, StartShowsTheReceipt) {
  EXPECT_EQ(Done({"start", "Greet", "--id=a"}),
            "INSTANCE  CREATED  EXECUTION\n"
            "a         yes      run-of-a\n");
  EXPECT_EQ(Done({"start", "Greet", "--output=json"}),
            "{\"instance_id\":\"made-by-server\","
            "\"execution_id\":\"run-of-made-by-server\",\"created\":true}\n");
}

TEST_F(OrchestrationCommand, StartShowsTheUrlsThatComeWithTheReceipt) {
  server_.ServeUrls();
  EXPECT_THAT(Done({"start", "Greet", "--id=a"}),
              HasSubstr("\nid                     a\n"
                        "statusQueryGetUri      http://here/a\n"));
  EXPECT_THAT(Done({"start", "Greet", "--id=b", "--output=json"}),
              HasSubstr(",\"urls\":{\"id\":\"b\",\"statusQueryGetUri\":"
                        "\"http://here/b\"}}\n"));
}

TEST_F(OrchestrationCommand, StartSaysAllThatItIsGiven) {
  Done({"start", "Greet", "--id=a", R"(--input={"who":"Ada"})", "--version=1.2",
        "--at=2024-10-04T20:00:00.5+02:00", "--tag=team=blue", "--tag", "x=y=z",
        "--if-active=terminate", "--if-finished=replace", "--request-id=r-1"});
  const auto asked = Asked<v1::StartOrchestrationRequest>();
  EXPECT_EQ(asked.name(), "Greet");
  EXPECT_EQ(asked.instance_id(), "a");
  EXPECT_EQ(asked.input(), R"({"who":"Ada"})");
  EXPECT_EQ(asked.version(), "1.2");
  EXPECT_EQ(asked.scheduled_start_time().seconds(), 1728064800);
  EXPECT_EQ(asked.scheduled_start_time().nanos(), 500000000);
  EXPECT_THAT(asked.tags(),
              UnorderedElementsAre(Pair("team", "blue"), Pair("x", "y=z")));
  EXPECT_EQ(asked.if_active(), v1::IfActive::TERMINATE);
  EXPECT_EQ(asked.if_finished(), v1::IfFinished::REPLACE);
  EXPECT_EQ(asked.request_id(), "r-1");
}

TEST_F(OrchestrationCommand, StartOfATakenIdFailsUnlessToldOtherwise) {
  server_.Put(Fake::StateOf("a", State::RUNNING));
  ExpectFailure(Execute({"start", "Greet", "--id=a"}),
                "ALREADY_EXISTS: a is taken\n");
  EXPECT_THAT(Done({"start", "Greet", "--id=a", "--if-active=attach"}),
              HasSubstr("a         no "));
}

TEST_F(OrchestrationCommand, AStartMayBeRelativeToNow) {
  Done({"start", "Greet", "--at=+1m30s"});
  EXPECT_EQ(
      Asked<v1::StartOrchestrationRequest>().scheduled_start_time().seconds(),
      absl::ToUnixSeconds(now_) + 90);
}

TEST_F(OrchestrationCommand, AnInputIsWhatAFileHolds) {
  const std::string path = testing::TempDir() + "orchestration_command_input";
  std::ofstream(path) << " {\"a\": [1]}\n";
  Done({"start", "Greet", "--input=@" + path});
  EXPECT_EQ(Asked<v1::StartOrchestrationRequest>().input(), "{\"a\": [1]}");
}

TEST_F(OrchestrationCommand, AnInputIsWhatStandardInputHolds) {
  in_ = "\"Ada\"\n";
  Done({"start", "Greet", "--input", "-"});
  EXPECT_EQ(Asked<v1::StartOrchestrationRequest>().input(), "\"Ada\"");
}

TEST_F(OrchestrationCommand, WithoutInputNoneIsSent) {
  Done({"start", "Greet"});
  EXPECT_FALSE(Asked<v1::StartOrchestrationRequest>().has_input());
}

TEST_F(OrchestrationCommand, InputThatIsNotJsonIsRefusedWithWhatAndWhere) {
  ExpectWrongUsage({"start", "Greet", "--input=Ada"},
                   "--input is not valid JSON: line 1, column 1: ");
  ExpectWrongUsage(
      {"start", "Greet", "--input=Ada"},
      "a JSON string needs quotes of its own, as in --input='\"Ada\"'");
  ExpectWrongUsage({"start", "Greet", "--input={\"a\":1,}"},
                   "line 1, column 8: ");
  ExpectWrongUsage({"start", "Greet", "--input=[1] 2"}, "line 1, column 5: ");
  ExpectWrongUsage({"start", "Greet", "--input=1e999"}, "number overflow");
  ExpectWrongUsage({"start", "Greet", "--input=@/nowhere"},
                   "--input: cannot read /nowhere: No such file or directory");
  ExpectWrongUsage({"start", "Greet", "--input=@/"},
                   "cannot read /: it is a directory");
  in_ = "{\n  a: 1\n}";
  ExpectWrongUsage(
      {"start", "Greet", "--input=-"},
      "--input: standard input is not valid JSON: line 2, column 3: ");
  in_ = "";
  ExpectWrongUsage({"start", "Greet", "--input=-"}, "not valid JSON: line 1");
  EXPECT_THAT(server_.Asked<v1::StartOrchestrationRequest>(), IsEmpty());
}

TEST_F(OrchestrationCommand, InputThatIsTooDeepIsRefused) {
  constexpr size_t kDepth = 100000;
  in_ = std::string(kDepth, '[') + std::string(kDepth, ']');
  ExpectWrongUsage({"start", "Greet", "--input=-"},
                   "--input: standard input: the JSON is nested deeper than "
                   "128 arrays and objects");
  EXPECT_THAT(server_.Asked<v1::StartOrchestrationRequest>(), IsEmpty());
}

TEST_F(OrchestrationCommand, InputThatDoesNotEndIsRefused) {
  ExpectWrongUsage({"start", "Greet", "--input=@/dev/zero"},
                   "--input: /dev/zero is larger than 48 MiB");
  ExpectWrongUsage({"raise-event", "a", "go", "--input=@/dev/zero"}, "48 MiB");
  ExpectWrongUsage({"terminate", "a", "--result=@/dev/zero"},
                   "--result: /dev/zero is larger than 48 MiB");
  ExpectWrongUsage({"list", "--config=/dev/zero"},
                   "--config: /dev/zero is larger than 1 MiB");
  in_ = std::string((size_t{48} << 20) + 1, ' ');
  ExpectWrongUsage({"start", "Greet", "--input=-"},
                   "--input: standard input is larger than 48 MiB");
  EXPECT_THAT(server_.Asked<v1::StartOrchestrationRequest>(), IsEmpty());
}

TEST_F(OrchestrationCommand, StartCanWaitForTheEnd) {
  StreamingRun start(At({"start", "Greet", "--id=a", "--wait"}));
  start.Await("run-of-a");
  State last = Fake::StateOf("a", State::COMPLETED);
  last.set_output("\"Hello\"");
  server_.Put(last);
  const Outcome run = start.End();
  EXPECT_EQ(run.code, 0) << run.err;
  EXPECT_THAT(run.out, StartsWith("INSTANCE  CREATED  EXECUTION\n"));
  EXPECT_THAT(run.out, HasSubstr("\nOutput         \"Hello\"\n"));
}

// ---- Ensure

TEST_F(OrchestrationCommand, EnsureSaysThatItCreatesASingleton) {
  EXPECT_EQ(Done({"ensure", "Greet", "--id=a"}),
            "Creating singleton instance with ID = a\n");
  const auto asked = Asked<v1::StartOrchestrationRequest>();
  EXPECT_EQ(asked.if_active(), v1::IfActive::ATTACH);
  EXPECT_EQ(asked.if_finished(), v1::IfFinished::ATTACH);
}

TEST_F(OrchestrationCommand, EnsureShowsTheOneThatIsThere) {
  server_.Put(Fake::StateOf("a", State::RUNNING));
  EXPECT_THAT(Done({"ensure", "Greet", "--id=a"}),
              HasSubstr("\nStatus         RUNNING\n"));
  server_.Put(Fake::StateOf("a", State::COMPLETED));
  EXPECT_THAT(Done({"ensure", "Greet", "--id=a"}),
              testing::AllOf(
                  HasSubstr("\nStatus         COMPLETED\n"),
                  testing::EndsWith("\nIt has ended: it is COMPLETED. "
                                    "--if-finished=replace starts a new one in "
                                    "its place.\n")));
}

TEST_F(OrchestrationCommand, EnsureAsJsonIsTheStateAndWhetherItWasCreated) {
  const std::string created =
      Done({"ensure", "Greet", "--id=a", "--output=json"});
  EXPECT_THAT(created, HasSubstr("\"status\":\"PENDING\""));
  EXPECT_THAT(created, HasSubstr(",\"created\":true}\n"));
  EXPECT_THAT(Done({"ensure", "Greet", "--id=a", "--output=json"}),
              HasSubstr(",\"created\":false}\n"));
}

TEST_F(OrchestrationCommand, EnsureCanBeToldOtherwise) {
  server_.Put(Fake::StateOf("a", State::COMPLETED));
  EXPECT_EQ(Done({"ensure", "Greet", "--id=a", "--if-finished=replace"}),
            "Creating singleton instance with ID = a\n");
  ExpectFailure(Execute({"ensure", "Greet", "--id=a", "--if-active=fail"}),
                "ALREADY_EXISTS: a is taken\n");
}

TEST_F(OrchestrationCommand, EnsureNeedsAnId) {
  ExpectWrongUsage({"ensure", "Greet"}, "--id is required");
}

// ---- Commands to one

TEST_F(OrchestrationCommand, RaiseEventSendsIt) {
  server_.Put(Fake::StateOf("a", State::RUNNING));
  EXPECT_EQ(Done({"raise-event", "a", "go", "--input=[1,2]"}),
            "Raised go for a.\n");
  const auto asked = Asked<v1::RaiseOrchestrationEventRequest>();
  EXPECT_EQ(asked.instance_id(), "a");
  EXPECT_EQ(asked.name(), "go");
  EXPECT_EQ(asked.input(), "[1,2]");
}

TEST_F(OrchestrationCommand, SuspendAndResumeSayWhy) {
  server_.Put(Fake::StateOf("a", State::RUNNING));
  EXPECT_EQ(Done({"suspend", "a", "--reason=lunch"}), "Suspended a.\n");
  EXPECT_EQ(Asked<v1::SuspendOrchestrationRequest>().reason(), "lunch");
  EXPECT_EQ(server_.Find("a")->status(), State::SUSPENDED);
  EXPECT_EQ(Done({"resume", "a", "--output=json"}),
            "{\"instance_id\":\"a\",\"done\":\"resume\"}\n");
  EXPECT_EQ(server_.Find("a")->status(), State::RUNNING);
}

TEST_F(OrchestrationCommand, TerminateMayLeaveAResult) {
  server_.Put(Fake::StateOf("a", State::RUNNING));
  EXPECT_EQ(Done({"terminate", "a", "--result=\"over\"", "--recursive"}),
            "Terminated a; it ends with its next turn.\n");
  const auto asked = Asked<v1::TerminateOrchestrationRequest>();
  EXPECT_EQ(asked.output(), "\"over\"");
  EXPECT_TRUE(asked.recursive());
  EXPECT_FALSE(asked.force());
  ExpectWrongUsage({"terminate", "a", "--result=over"},
                   "--result is not valid JSON");
}

TEST_F(OrchestrationCommand, TerminateByForceDoesNotWaitForATurn) {
  server_.Put(Fake::StateOf("a", State::RUNNING));
  EXPECT_EQ(Done({"terminate", "a", "--force"}),
            "Terminated a; it has ended.\n");
  EXPECT_TRUE(Asked<v1::TerminateOrchestrationRequest>().force());
}

TEST_F(OrchestrationCommand, CommandsToOneThatHasEndedFail) {
  server_.Put(Fake::StateOf("a", State::COMPLETED));
  for (const std::vector<std::string>& command :
       std::vector<std::vector<std::string>>{{"raise-event", "a", "go"},
                                             {"suspend", "a"},
                                             {"resume", "a"},
                                             {"terminate", "a"}}) {
    ExpectFailure(Execute(command),
                  "FAILED_PRECONDITION: orchestration \"a\" has ended\n");
  }
}

TEST_F(OrchestrationCommand, RestartShowsTheReceipt) {
  server_.Put(Fake::StateOf("a", State::COMPLETED));
  EXPECT_THAT(Done({"restart", "a"}), HasSubstr("\na         yes "));
  EXPECT_THAT(Done({"restart", "a", "--new-id", "--output=json"}),
              HasSubstr("\"instance_id\":\"made-by-server\""));
}

// ---- Purge

TEST_F(OrchestrationCommand, PurgeErasesOne) {
  server_.Put(Fake::StateOf("a", State::COMPLETED));
  EXPECT_EQ(Done({"purge", "a", "--recursive"}), "Purged 1 orchestration.\n");
  EXPECT_TRUE(Asked<v1::PurgeOrchestrationRequest>().recursive());
  EXPECT_FALSE(server_.Find("a").has_value());
  EXPECT_EQ(Execute({"purge", "a"}).err,
            "NOT_FOUND: there is no orchestration \"a\"\n");
}

TEST_F(OrchestrationCommand, PurgeErasesThoseThatMatch) {
  server_.Put(Fake::StateOf("a-1", State::COMPLETED));
  server_.Put(Fake::StateOf("a-2", State::FAILED));
  server_.Put(Fake::StateOf("b", State::FAILED));
  EXPECT_EQ(Done({"purge", "--status=failed,terminated", "--id-prefix=a-",
                  "--created-from=-1h", "--created-to=2030-01-01T00:00:00Z",
                  "--output=json"}),
            "{\"purged\":1}\n");
  const auto filter = Asked<v1::PurgeOrchestrationsRequest>().filter();
  EXPECT_THAT(filter.statuses(), ElementsAre(State::FAILED, State::TERMINATED));
  EXPECT_EQ(filter.created_from().seconds(), absl::ToUnixSeconds(now_) - 3600);
  EXPECT_EQ(filter.created_to().seconds(), 1893456000);
  EXPECT_FALSE(server_.Find("a-2").has_value());
  EXPECT_TRUE(server_.Find("b").has_value());
}

TEST_F(OrchestrationCommand, PurgeGoesOnUntilItIsComplete) {
  for (int i = 0; i < 5; ++i) {
    server_.Put(Fake::StateOf(absl::StrCat(i), State::COMPLETED));
  }
  server_.HurryNextPurge(2);
  EXPECT_EQ(Done({"purge", "--all"}), "Purged 5 orchestrations.\n");
}

TEST_F(OrchestrationCommand, APurgeThatGetsNoFurtherSaysSo) {
  server_.Put(Fake::StateOf("a", State::COMPLETED));
  server_.HurryNextPurge(0);
  const Outcome run = Execute({"purge", "--all"});
  EXPECT_EQ(run.code, 4);
  EXPECT_THAT(run.err, StartsWith("UNAVAILABLE: the server purged 0 "));
}

TEST_F(OrchestrationCommand, PurgeOfEverythingHasToBeSaid) {
  server_.Put(Fake::StateOf("a", State::COMPLETED));
  ExpectWrongUsage({"purge"},
                   "say what to purge: an ID, or a filter (--status, "
                   "--id-prefix, --name, --tag, ");
  ExpectWrongUsage({"purge", "--recursive"}, "or --all");
  ExpectWrongUsage({"purge", "a", "--all"}, "say one");
  ExpectWrongUsage({"purge", "a", "--status=failed"}, "say one");
  ExpectWrongUsage({"purge", "--all", "--status=failed"}, "say one");
  EXPECT_TRUE(server_.Find("a").has_value());
}

TEST_F(OrchestrationCommand, AFilterThatCanMatchNothingIsAMistake) {
  server_.Put(Fake::StateOf("a", State::COMPLETED));
  ExpectWrongUsage({"purge", "--status=running,pending"},
                   "only completed, failed and terminated");
  ExpectWrongUsage({"purge", "--dry-run", "--status=suspended"},
                   "only completed, failed and terminated");
  ExpectWrongUsage({"purge", "--created-from=-1h", "--created-to=-2h"},
                   "--created-from is later than --created-to");
  ExpectWrongUsage({"purge", "--created-from=2024-10-04T17:46:41Z",
                    "--created-to=2024-10-04T17:46:40Z"},
                   "nothing can match");
  EXPECT_TRUE(server_.Find("a").has_value());
  // One that can match something may have more than that.
  EXPECT_EQ(Done({"purge", "--status=running,completed"}),
            "Purged 1 orchestration.\n");
  EXPECT_EQ(Done({"purge", "--created-from=2024-10-04T17:46:40Z",
                  "--created-to=2024-10-04T17:46:40Z"}),
            "Purged 0 orchestrations.\n");
}

TEST_F(OrchestrationCommand, ADryRunErasesNothingAndShowsTheFirst) {
  for (int i = 10; i < 22; ++i) {
    server_.Put(Fake::StateOf(absl::StrCat("a-", i), State::COMPLETED));
  }
  server_.Put(Fake::StateOf("a-99", State::RUNNING));
  server_.Put(Fake::StateOf("b\x1b", State::FAILED));
  EXPECT_EQ(Done({"purge", "--id-prefix=a-", "--dry-run"}),
            "Would purge 12 orchestrations. The first of them:\n"
            "a-10\na-11\na-12\na-13\na-14\na-15\na-16\na-17\na-18\na-19\n");
  EXPECT_EQ(Done({"purge", "--status=failed", "--dry-run", "--recursive"}),
            "Would purge 1 orchestration, with all sub-orchestrations:\n"
            "b\\x1b\n");
  EXPECT_EQ(Done({"purge", "--all", "--dry-run", "--output=json"}),
            "{\"would_purge\":13,\"first_ids\":[\"a-10\",\"a-11\",\"a-12\","
            "\"a-13\",\"a-14\",\"a-15\",\"a-16\",\"a-17\",\"a-18\",\"a-19\"]}"
            "\n");
  EXPECT_EQ(Done({"purge", "--id-prefix=c", "--dry-run"}),
            "Would purge 0 orchestrations.\n");
  EXPECT_THAT(server_.Asked<v1::PurgeOrchestrationsRequest>(), IsEmpty());
  EXPECT_TRUE(server_.Find("a-10").has_value());
}

TEST_F(OrchestrationCommand, ADryRunOfOneSaysWhatThePurgeWould) {
  server_.Put(Fake::StateOf("done", State::COMPLETED));
  server_.Put(Fake::StateOf("open", State::RUNNING));
  EXPECT_EQ(Done({"purge", "done", "--dry-run"}),
            "Would purge 1 orchestration:\ndone\n");
  ExpectFailure(Execute({"purge", "open", "--dry-run"}),
                "FAILED_PRECONDITION: orchestration \"open\" is RUNNING; only "
                "one that has ended can be purged\n");
  ExpectFailure(Execute({"purge", "none", "--dry-run"}),
                "NOT_FOUND: there is no orchestration \"none\"\n");
  EXPECT_THAT(server_.Asked<v1::PurgeOrchestrationRequest>(), IsEmpty());
}

TEST_F(OrchestrationCommand, APersonIsAskedBeforeAllIsErased) {
  interactive_ = true;
  server_.Put(Fake::StateOf("a", State::COMPLETED));
  server_.Put(Fake::StateOf("b", State::COMPLETED));
  server_.Put(Fake::StateOf("open", State::RUNNING));
  const std::string question =
      "Purge all 2 orchestrations that have ended? [y/N] ";
  for (const char* no : {"", "\n", "n\n", "yep\n", " no\n"}) {
    in_ = no;
    ExpectFailure(Execute({"purge", "--all"}),
                  question + "CANCELLED: nothing was purged\n");
  }
  EXPECT_THAT(server_.Asked<v1::PurgeOrchestrationsRequest>(), IsEmpty());
  in_ = "no\n";
  EXPECT_THAT(Execute({"purge", "--all", "--recursive"}).err,
              StartsWith("Purge all 2 orchestrations that have ended, with "
                         "all sub-orchestrations? [y/N] "));
  in_ = " Yes \n";
  const Outcome run = Execute({"purge", "--all"});
  EXPECT_EQ(run.code, 0);
  EXPECT_EQ(run.out, "Purged 2 orchestrations.\n");
  EXPECT_EQ(run.err, question);
}

TEST_F(OrchestrationCommand, NobodyIsAskedWhoHasSaidYesOrNamesWhatToPurge) {
  interactive_ = true;
  server_.Put(Fake::StateOf("a", State::COMPLETED));
  EXPECT_EQ(Done({"purge", "--all", "--yes"}), "Purged 1 orchestration.\n");
  server_.Put(Fake::StateOf("a", State::COMPLETED));
  EXPECT_EQ(Done({"purge", "--id-prefix=a"}), "Purged 1 orchestration.\n");
  server_.Put(Fake::StateOf("a", State::COMPLETED));
  EXPECT_EQ(Done({"purge", "--all", "--dry-run"}),
            "Would purge 1 orchestration:\na\n");
}

// ---- Usage and errors

TEST_F(OrchestrationCommand, EachCommandHasHelpWithItsOptions) {
  const std::map<std::string, std::vector<std::string>> commands = {
      {"start",
       {"NAME", "--id", "--input", "@FILE", "--version", "--at", "+30s",
        "--tag", "fail|attach|terminate=fail", "fail|attach|replace=fail",
        "--request-id", "--wait"}},
      {"ensure", {"NAME", "fail|attach|terminate=attach", "--wait"}},
      {"status", {"ID"}},
      {"wait", {"ID", "--started", "exit code 1"}},
      {"watch", {"ID"}},
      {"raise-event", {"ID", "NAME", "--input"}},
      {"suspend", {"ID", "--reason"}},
      {"resume", {"ID", "--reason"}},
      {"terminate", {"ID", "--result", "--recursive", "--force"}},
      {"restart", {"ID", "--new-id"}},
      {"purge",
       {"ID", "--status", "--id-prefix", "--created-from", "--created-to",
        "--name", "--tag", "--all", "--recursive"}},
      {"list",
       {"--status", "--id-prefix", "--created-from", "--created-to", "--name",
        "--tag", "--order", "--limit", "--payloads"}},
      {"history", {"ID", "--execution", "--export"}}};
  const std::string group = Done({"--help"});
  for (const auto& [command, words] : commands) {
    EXPECT_THAT(group, HasSubstr("\n  " + command + " "));
    const std::string help = Done({command, "--help"});
    EXPECT_THAT(help, HasSubstr("Usage: leasehold orchestration " + command));
    for (const std::string& word : words) EXPECT_THAT(help, HasSubstr(word));
  }
}

TEST_F(OrchestrationCommand, WrongUsageSaysWhatWouldBeRight) {
  ExpectWrongUsage({}, "the commands of orchestration are start, ensure");
  ExpectWrongUsage({"strt"}, "unknown command \"strt\"");
  ExpectWrongUsage({"start"}, "orchestration start: NAME is required");
  ExpectWrongUsage({"start", ""}, "is not a name");
  ExpectWrongUsage({"start", "a", "b"}, "unexpected argument \"b\"");
  ExpectWrongUsage({"start", "a", "--id="}, "write --id=ID");
  ExpectWrongUsage({"start", "a", "--idd=b"}, "unknown option --idd=b");
  ExpectWrongUsage({"start", "a", "--if-active=replace"},
                   "fail, attach or terminate");
  ExpectWrongUsage({"start", "a", "--if-finished=terminate"},
                   "fail, attach or replace");
  for (const char* at : {"soon", "30s", "+30", "+inf", "2024-10-04",
                         "infinite-future", "2024-10-04T17:46:40"}) {
    ExpectWrongUsage({"start", "a", absl::StrCat("--at=", at)},
                     "2024-10-04T17:46:40Z");
  }
  ExpectWrongUsage({"start", "a", "--tag=blue"}, "KEY=VALUE");
  ExpectWrongUsage({"start", "a", "--tag=a=1", "--tag=a=2"},
                   "\"a\" is given more than once");
  ExpectWrongUsage({"start", "a", "--version"}, "write --version=VERSION");
  ExpectWrongUsage({"start", "a", "--version=\xff"}, "not UTF-8");
  for (const char* command :
       {"status", "wait", "watch", "raise-event", "suspend", "resume",
        "terminate", "restart", "history"}) {
    ExpectWrongUsage({command}, "ID is required");
    ExpectWrongUsage({command, ""}, "is not an ID");
  }
  ExpectWrongUsage({"raise-event", "a"}, "NAME is required");
  ExpectWrongUsage({"raise-event", "a", ""}, "is not a name");
  ExpectWrongUsage({"raise-event", "a", "go", "--input=x"}, "not valid JSON");
  ExpectWrongUsage({"list", "--status=done"}, "pending, running, suspended");
  ExpectWrongUsage({"list", "--status=failed,done"}, "\"done\"");
  ExpectWrongUsage({"list", "--limit=0"}, "1 to 1000000");
  ExpectWrongUsage({"list", "--created-to=today"}, "-1h");
}

TEST_F(OrchestrationCommand, AFileMayReplaceOptionsAndIsCheckedLikeThem) {
  const std::string path = testing::TempDir() + "orchestration_command_config";
  std::ofstream(path) << "[orchestration.ensure]\nid=a\n"
                         "[orchestration.purge]\nall=true\n";
  EXPECT_EQ(Done({"ensure", "Greet", "--config=" + path}),
            "Creating singleton instance with ID = a\n");
  EXPECT_EQ(Done({"purge", "--config=" + path}), "Purged 0 orchestrations.\n");
}

TEST_F(OrchestrationCommand, WhatTheServerRefusesIsShownAsItSaysIt) {
  server_.FailNext({grpc::StatusCode::RESOURCE_EXHAUSTED, "input: 9 > 8"});
  ExpectFailure(Execute({"start", "Greet"}),
                "RESOURCE_EXHAUSTED: --input: 9 > 8\n");
  server_.FailNext({grpc::StatusCode::NOT_FOUND, "no such execution"});
  ExpectFailure(Execute({"history", "a", "--execution=x"}),
                "NOT_FOUND: no such execution\n");
}

TEST_F(OrchestrationCommand, AServerThatIsNotThereIsUnavailable) {
  for (const std::vector<std::string>& command :
       std::vector<std::vector<std::string>>{{"start", "a"},
                                             {"status", "a"},
                                             {"wait", "a"},
                                             {"watch", "a"},
                                             {"history", "a"},
                                             {"list"}}) {
    std::vector<std::string> arguments = command;
    arguments.push_back("--address=unix:/nowhere");
    const Outcome run = Execute(arguments);
    EXPECT_EQ(run.code, 4);
    EXPECT_EQ(run.err,
              "UNAVAILABLE: cannot reach a Leasehold server at unix:/nowhere "
              "(no such file or directory); is leasehold-server running?\n");
  }
}

}  // namespace
}  // namespace leasehold::client::cli
