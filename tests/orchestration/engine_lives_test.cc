// What the engine reports of the starts and ends of orchestrations.
#include "gmock/gmock.h"
#include "tests/orchestration/engine_fixture.h"

namespace leasehold {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class EngineLivesTest : public EngineTest {
 protected:
  // What was told of starts and ends since the last time.
  std::vector<std::string> Lives() {
    std::vector<std::string> lives;
    for (const WorkEvent& event : std::exchange(told_, {})) {
      if (event.kind < WorkEventKind::kOrchestrationStarted) continue;
      std::string life =
          absl::StrCat(std::string(WorkEventName(event.kind)), " ",
                       event.tenant, " ", event.instance_id, " ", event.name);
      for (const std::string& more :
           {std::string(event.status), event.reason}) {
        if (!more.empty()) absl::StrAppend(&life, " ", more);
      }
      lives.push_back(std::move(life));
    }
    return lives;
  }
  static OrchestratorAction FailWith(std::string type, std::string message) {
    CompleteExecution completion;
    completion.status = OrchestrationStatus::kFailed;
    completion.failure = MakeFailure(std::move(type), std::move(message));
    return {100, std::move(completion)};
  }
  static std::string Line(std::string_view what) {
    return absl::StrCat(std::string(what.substr(0, what.find(' '))), " ",
                        std::string(kTestTenant),
                        std::string(what.substr(what.find(' '))));
  }
};

TEST_F(EngineLivesTest, StartsAndEndsAreForThoseWhoWantThem) {
  FakeWorker& worker = Connect();
  Run(worker, "a", {Complete()});
  EXPECT_THAT(Lives(), IsEmpty());
  wants_lives_ = true;
  Run(worker, "b", {Complete()});
  EXPECT_THAT(Lives(), ElementsAre(Line("orchestration_started b Main"),
                                   Line("orchestration_ended b Main "
                                        "Completed")));
}

TEST_F(EngineLivesTest, AFailureIsToldToEverybody) {
  FakeWorker& worker = Connect();
  Run(worker, "a", {Fail("ValueError")});
  EXPECT_THAT(Lives(), ElementsAre(Line("orchestration_failed a Main "
                                        "ValueError: it failed")));
}

TEST_F(EngineLivesTest, NothingIsToldBeforeItIsDurable) {
  wants_lives_ = true;
  FakeWorker& worker = Connect();
  Start("a");
  readers_.RunAll();
  EXPECT_THAT(Lives(), IsEmpty());
  Settle();
  EXPECT_THAT(Lives(), ElementsAre(Line("orchestration_started a Main")));
  const AskedStatus answer =
      Answer(worker.TakeTurn(), {FailWith("ValueError", "no")});
  EXPECT_THAT(Lives(), IsEmpty());
  Settle();
  EXPECT_THAT(Lives(),
              ElementsAre(Line("orchestration_failed a Main ValueError: no")));
}

TEST_F(EngineLivesTest, OfAFailureThereIsOneLineThatIsNotTooLong) {
  FakeWorker& worker = Connect();
  Run(worker, "a", {FailWith("", "first\r\nsecond")});
  Run(worker, "b", {FailWith("E", "")});
  Run(worker, "c", {FailWith("E", "\nsecond")});
  std::string euros;
  for (int i = 0; i < 100; ++i) euros += "€";
  Run(worker, "d", {FailWith("E", euros)});
  EXPECT_THAT(Lives(),
              ElementsAre(Line("orchestration_failed a Main first"),
                          Line("orchestration_failed b Main E"),
                          Line("orchestration_failed c Main E"),
                          Line(absl::StrCat("orchestration_failed d Main E: ",
                                            euros.substr(0, 252), "..."))));
}

TEST_F(EngineLivesTest, EndsWithoutAWorkerAreToldToo) {
  wants_lives_ = true;
  FakeWorker& worker = Connect();
  Run(worker, "a");
  const AskedStatus forced = TerminateByForce("a");
  Settle();
  EXPECT_TRUE(forced.ok());
  EXPECT_THAT(Lives(), ElementsAre(Line("orchestration_started a Main"),
                                   Line("orchestration_ended a Main "
                                        "Terminated")));
  Run(worker, "b");
  StartRequest again = Request("b");
  again.policy = PolicyOf(IfActive::kTerminate, IfFinished::kReplace);
  const auto replaced = Start(std::move(again));
  Settle();
  EXPECT_TRUE(replaced.ok()) << replaced.status();
  EXPECT_THAT(Lives(), ElementsAre(Line("orchestration_started b Main"),
                                   Line("orchestration_ended b Main "
                                        "Terminated"),
                                   Line("orchestration_started b Main")));
}

TEST_F(EngineLivesTest, ContinueAsNewIsOneLife) {
  wants_lives_ = true;
  FakeWorker& worker = Connect();
  Run(worker, "a", {AsNew("1")});
  const AskedStatus answer = Answer(worker.TakeTurn(), {Complete()});
  Settle();
  EXPECT_TRUE(answer.ok());
  EXPECT_THAT(Lives(), ElementsAre(Line("orchestration_started a Main"),
                                   Line("orchestration_ended a Main "
                                        "Completed")));
}

TEST_F(EngineLivesTest, ALostFailureIsToldOnce) {
  options_.deliveries_max = 1;
  FakeWorker& worker = Connect();
  Start("a");
  Settle();
  worker.TakeTurn();
  work().Disconnect(worker.id);
  Settle();
  EXPECT_EQ(StatusOf("a"), "Failed");
  const std::vector<std::string> lives = Lives();
  ASSERT_EQ(lives.size(), 1u);
  EXPECT_THAT(lives.front(),
              testing::StartsWith(Line("orchestration_failed a Main "
                                       "DeliveryLimit: a turn was handed")));
}

TEST_F(EngineLivesTest, StartsEndsAndStatusesAreCountedOnceTheyAreDurable) {
  FakeWorker& worker = Connect();
  Start("a");
  readers_.RunAll();
  EXPECT_EQ(engine().counts().started, 0u);
  Settle();
  EXPECT_EQ(engine().counts().started, 1u);
  using Status = OrchestrationStatus;
  EXPECT_EQ(engine().counts().by_status.at(Status::kPending), 1u);
  EXPECT_EQ(engine().counts().begun_by_callers.at(std::string(kTestTenant)),
            1u);
  Answer(worker.TakeTurn(), {Complete()});
  Settle();
  EXPECT_EQ(engine().counts().ended.at(Status::kCompleted), 1u);
  EXPECT_EQ(engine().counts().by_status.at(Status::kPending), 0u);
  EXPECT_TRUE(engine().counts().begun_by_callers.empty());
  EXPECT_GT(engine().counts().commits.sizes.sum, 0u);

  Run(worker, "b", {Fail("ValueError")});
  EXPECT_EQ(engine().counts().started, 2u);
  EXPECT_EQ(engine().counts().ended.at(Status::kFailed), 1u);
}

}  // namespace
}  // namespace leasehold
