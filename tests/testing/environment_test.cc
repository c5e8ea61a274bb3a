// What a test can do with a TestEnvironment, and what it is told if something
// else happens than it expected.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "client/testing/test_environment.h"
#include "tests/testing/testing_code.h"

namespace leasehold::testkit {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string Echo(int i) { return std::to_string(i); }

TEST(TestEnvironment, RunsAnOrchestrationToItsOutput) {
  TestEnvironment env;
  env.AddOrchestrator("Chain", &Chain);
  env.AddActivity("Step", &Echo);
  const TestOrchestration chain = env.Start("Chain", 3);
  EXPECT_EQ(chain.id(), "Chain-1");
  EXPECT_EQ(chain.Status(), "PENDING");
  EXPECT_EQ(chain.Output<std::string>(), "123");
  EXPECT_EQ(chain.Status(), "COMPLETED");
  EXPECT_EQ(env.Elapsed(), absl::ZeroDuration());
}

TEST(TestEnvironment, AFakeTakesThePlaceOfAnActivity) {
  TestEnvironment env;
  env.AddOrchestrator("Chain", &Chain);
  const ActivityScript& step =
      env.FakeActivity("Step", [](int i) { return std::string(i, 'x'); });
  env.AddActivity("Step", &Echo);
  EXPECT_EQ(env.Start("Chain", 3).Output<std::string>(), "xxxxxx");
  EXPECT_THAT(step.Inputs<int>(), ElementsAre(1, 2, 3));
}

TEST(TestEnvironment, AFakeTakesThePlaceOfASubOrchestrator) {
  TestEnvironment env;
  env.AddOrchestrator("Parent", &Parent);
  env.FakeOrchestrator("Child", [](int i) { return Echo(i * 2); });
  EXPECT_EQ(env.Start("Parent").Output<std::string>(), "14");
  EXPECT_EQ(env.Find("the-child").Status(), "COMPLETED");
}

TEST(TestEnvironment, AFakeThatThrowsFailsItsSubOrchestration) {
  TestEnvironment env;
  env.AddOrchestrator("Parent", &Parent);
  env.FakeOrchestrator(
      "Child", [](int) -> std::string { throw std::runtime_error("no"); });
  EXPECT_THAT(env.Start("Parent").Failure().error_message, HasSubstr("no"));
}

TEST(TestEnvironment, OneIdCanBeChosenAndFound) {
  TestEnvironment env;
  env.AddOrchestrator("Waiting", &Waiting);
  env.Start("Waiting", nullptr, {.id = "w", .tags = {{"team", "blue"}}});
  env.Settle();
  EXPECT_EQ(env.Find("w").Status(), "RUNNING");
  EXPECT_THAT(
      ErrorOf([&] { env.Start("Waiting", nullptr, {.id = "w"}); }),
      AllOf(HasSubstr("refused to start \"Waiting\""), HasSubstr("\"w\"")));
  EXPECT_THAT(ErrorOf([&] { env.Find("x"); }),
              HasSubstr("there is no orchestration \"x\""));
}

TEST(TestEnvironment, EventsReachTheOrchestration) {
  TestEnvironment env;
  env.AddOrchestrator("Approval", &Approval);
  const TestOrchestration approval = env.Start("Approval", 24);
  env.Advance(absl::Hours(23));
  EXPECT_EQ(approval.CustomStatus<std::string>(), "asked");
  EXPECT_EQ(approval.Status(), "RUNNING");
  approval.RaiseEvent("approved", true);
  EXPECT_EQ(approval.Output<std::string>(), "approved");
  EXPECT_EQ(env.Elapsed(), absl::Hours(23));
}

TEST(TestEnvironment, WhatIsSuspendedWaitsUntilItIsResumed) {
  TestEnvironment env;
  env.AddOrchestrator("Approval", &Approval);
  const TestOrchestration approval = env.Start("Approval", 24);
  env.Settle();
  approval.Suspend("lunch");
  env.Advance(absl::Hours(48));
  EXPECT_EQ(approval.Status(), "SUSPENDED");
  EXPECT_EQ(approval.WaitsFor(), "to be resumed: it is suspended");
  approval.Resume();
  EXPECT_EQ(approval.Output<std::string>(), "nobody answered");
}

TEST(TestEnvironment, WhatIsTerminatedEnds) {
  TestEnvironment env;
  env.AddOrchestrator("Waiting", &Waiting);
  const TestOrchestration waiting = env.Start("Waiting");
  env.Settle();
  waiting.Terminate("enough");
  waiting.AwaitEnd();
  EXPECT_EQ(waiting.Status(), "TERMINATED");
  EXPECT_EQ(waiting.WaitsFor(), "");
  EXPECT_THAT(ErrorOf([&] { waiting.Output<int>(); }),
              HasSubstr("orchestration \"Waiting-1\" (Waiting) was expected to "
                        "complete, but it was terminated with \"enough\""));
}

TEST(TestEnvironment, WhatHasFailedCanBeRewound) {
  TestEnvironment env;
  env.AddOrchestrator("Chain", &Chain);
  env.FakeActivity("Step", &Echo).FailNext(1, "not yet");
  const TestOrchestration chain = env.Start("Chain", 2);
  EXPECT_THAT(chain.Failure().error_message, HasSubstr("not yet"));
  chain.Rewind("again");
  EXPECT_EQ(chain.Output<std::string>(), "12");
}

TEST(TestEnvironment, AFailureIsToldWithTheHistoryAndTheSeed) {
  TestEnvironment env({.seed = 7});
  env.AddOrchestrator("Chain", &Chain);
  env.FakeActivity("Step", &Echo).FailNext(1, "the till is empty");
  const TestOrchestration chain = env.Start("Chain", 2);
  EXPECT_THAT(
      ErrorOf([&] { chain.Output<std::string>(); }),
      AllOf(StartsWith("orchestration \"Chain-1\" (Chain) was expected to "
                       "complete, but it failed: "),
            HasSubstr("\nits history:\n  +0  a turn began\n  +0  \"Chain\" was "
                      "started, input 2\n"),
            HasSubstr("\n  +0  task 1: activity \"Step\" was scheduled, input "
                      "1\n"),
            HasSubstr("TestFailure: the till is empty"),
            HasSubstr("\n(seed 7, 0 after the beginning)")));
  EXPECT_THAT(ErrorOf([&] { env.Start("Chain", 1).Failure(); }),
              HasSubstr("was expected to fail, but it completed with \"1\""));
  EXPECT_THAT(ErrorOf([&] { env.Start("Chain", 1).Output<int>(); }),
              HasSubstr("was expected to complete with another type ("));
}

TEST(TestEnvironment, AStuckOrchestrationIsToldWithWhatItWaitsFor) {
  TestEnvironment env;
  env.AddOrchestrator("Waiting", &Waiting);
  EXPECT_THAT(
      ErrorOf([&] { env.Start("Waiting").AwaitEnd(); }),
      HasSubstr("orchestration \"Waiting-1\" (Waiting) was expected to end, "
                "but it waits for event \"go\", and nothing is due that could "
                "bring that\n"));
  env.AddOrchestrator("Parent", &Parent);
  env.AddOrchestrator(
      "Child", [](OrchestrationContext& context, int) -> Task<std::string> {
        co_return co_await context.WaitForEvent<std::string>("Answer");
      });
  EXPECT_THAT(ErrorOf([&] { env.Start("Parent").Output<std::string>(); }),
              HasSubstr("but it waits for sub-orchestration \"Child\" (task "
                        "1), which waits for event \"answer\", and nothing"));
}

TEST(TestEnvironment, WhatIsOutstandingCanBeAskedFor) {
  TestEnvironment env;
  env.AddOrchestrator("Race", &Race);
  env.FakeActivity("Step", &Echo).Takes(absl::Hours(1));
  const TestOrchestration race = env.Start("Race", 2);
  EXPECT_EQ(race.WaitsFor(), "its first turn");
  env.Settle();
  EXPECT_EQ(race.WaitsFor(),
            "activity \"Step\" (task 1), and activity \"Step\" (task 2)");
}

TEST(TestEnvironment, MissingCodeIsNamed) {
  TestEnvironment env;
  env.AddOrchestrator("Chain", &Chain);
  EXPECT_THAT(ErrorOf([&] { env.Start("Chian", 1); }),
              HasSubstr("this test has no orchestrator \"Chian\"; it has "
                        "Chain. Add it with AddOrchestrator"));
  EXPECT_THAT(ErrorOf([&] { env.Start("Chain", 1).AwaitEnd(); }),
              HasSubstr("orchestration \"Chain-1\" has called the activity "
                        "\"Step\", which this test does not have; it has none. "
                        "Replace it with FakeActivity"));
}

TEST(TestEnvironment, NamesThatAreAddedTwiceAreNamed) {
  TestEnvironment env;
  env.AddOrchestrator("Chain", &Chain);
  env.AddOrchestrator("Chain", &Race);
  EXPECT_THAT(ErrorOf([&] { env.Start("Chain", 1); }),
              HasSubstr("orchestrator \"Chain\" was added twice"));
}

TEST(TestEnvironment, WhatTheServerRefusesIsTold) {
  TestEnvironment env;
  env.AddOrchestrator("Chain", &Chain);
  const TestOrchestration chain = env.Start("Chain", 0);
  chain.AwaitEnd();
  EXPECT_THAT(ErrorOf([&] { chain.RaiseEvent("late"); }),
              AllOf(HasSubstr("refused to send an event to orchestration "
                              "\"Chain-1\": "),
                    HasSubstr("is Completed")));
}

TEST(TestEnvironment, LogLinesGoToTheTest) {
  std::vector<std::string> lines;
  TestEnvironment env({.log = [&](const worker::LogLine& line) {
    lines.push_back(line.instance_id + ": " + line.message);
  }});
  env.AddOrchestrator("Log", [](OrchestrationContext& context) -> Task<void> {
    context.Log("begins");
    co_await context.CreateTimer(absl::Hours(1));
    context.Log("ends");
  });
  env.Start("Log").AwaitEnd();
  EXPECT_THAT(lines, ElementsAre("Log-1: begins", "Log-1: ends"));
}

}  // namespace
}  // namespace leasehold::testkit
