// The worker as a host: streams, limits, deliveries and its end, against a
// server that does what the test says.
#include "client/worker/worker.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "client/wire/channel.h"
#include "gmock/gmock.h"
#include "grpc/grpc.h"
#include "gtest/gtest.h"
#include "tests/client/manual_timers.h"
#include "tests/worker/fake_task_hub.h"

namespace leasehold::worker {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Where activities wait until the test lets them go on.
class Hall {
 public:
  // Waits to be let out.
  void Enter() {
    std::unique_lock<std::mutex> lock(mu_);
    most_ = std::max(most_, ++within_);
    changed_.notify_all();
    changed_.wait(lock, [this] { return tickets_ > 0; });
    --tickets_;
    --within_;
  }
  void LetOut(int count) {
    const std::lock_guard<std::mutex> lock(mu_);
    tickets_ += count;
    changed_.notify_all();
  }
  void AwaitWithin(int count) {
    std::unique_lock<std::mutex> lock(mu_);
    changed_.wait(lock, [&] { return within_ == count; });
  }
  // The most that have been within at once.
  int most() {
    const std::lock_guard<std::mutex> lock(mu_);
    return most_;
  }

 private:
  std::mutex mu_;
  std::condition_variable changed_;
  int within_ = 0;
  int most_ = 0;
  int tickets_ = 0;
};

// Keeps what the worker says.
class Said {
 public:
  LogSink sink() {
    return [this](const LogLine& line) {
      const std::lock_guard<std::mutex> lock(mu_);
      lines_.push_back(line.message);
      changed_.notify_all();
    };
  }
  void Await(const std::string& part) {
    std::unique_lock<std::mutex> lock(mu_);
    changed_.wait(lock, [&] {
      return std::any_of(lines_.begin(), lines_.end(),
                         [&](const std::string& line) {
                           return line.find(part) != std::string::npos;
                         });
    });
  }
  std::vector<std::string> lines() {
    const std::lock_guard<std::mutex> lock(mu_);
    return lines_;
  }

 private:
  std::mutex mu_;
  std::condition_variable changed_;
  std::vector<std::string> lines_;
};

class WorkerTest : public ::testing::Test {
 protected:
  // gRPC ends with its last object, which may take ten seconds; so it does not
  // end with each test.
  static void SetUpTestSuite() { grpc_init(); }

  // The worker that the test is about, not yet started.
  Worker& Make(WorkerOptions options = {}) {
    options.log = said_.sink();
    options.run_after = [this](absl::Duration delay,
                               std::function<void()> then) {
      if (delay == kSilence) {
        silences_.run_after()(delay, std::move(then));
      } else if (at_once_) {
        then();
      } else {
        waits_.run_after()(delay, std::move(then));
      }
    };
    worker_.emplace(hub_.address(), std::move(options));
    worker_->AddActivity("Seven", [] { return 7; });
    worker_->AddActivity("Wait", [this] { hall_.Enter(); });
    worker_->AddOrchestrator("Main", [](OrchestrationContext& ctx) -> Task<> {
      co_await ctx.CallActivity("Seven");
    });
    return *worker_;
  }
  void Start(WorkerOptions options = {}) {
    const absl::Status status = Make(std::move(options)).Start();
    ASSERT_TRUE(status.ok()) << status;
  }

  static constexpr absl::Duration kSilence = absl::Seconds(120);

  // What the worker waits for: to look for silence; to try again.
  client::ManualTimers silences_;
  client::ManualTimers waits_;
  std::atomic<bool> at_once_ = false;  // It does not wait to try again.
  Said said_;
  Hall hall_;
  FakeTaskHub hub_;
  std::optional<Worker> worker_;
};

TEST_F(WorkerTest, DoesTurnsAndActivitiesUnderTheirTokens) {
  Start();
  hub_.SendTurn("Main", "turn 1");
  const OrchestratorResponse turn = hub_.AwaitTurn();
  EXPECT_EQ(turn.completiontoken(), "turn 1");
  EXPECT_EQ(turn.actions(0).scheduletask().name(), "Seven");
  hub_.SendActivity("Seven", "activity 1");
  const ActivityResponse activity = hub_.AwaitActivity();
  EXPECT_EQ(activity.completiontoken(), "activity 1");
  EXPECT_EQ(activity.result().value(), "7");
}

TEST_F(WorkerTest, WorkOfAnUnknownNameFails) {
  Start();
  hub_.SendTurn("Other", "t");
  EXPECT_EQ(hub_.AwaitTurn()
                .actions(0)
                .completeorchestration()
                .failuredetails()
                .errortype(),
            "OrchestratorTaskNotFound");
  hub_.SendActivity("Other", "a");
  EXPECT_EQ(hub_.AwaitActivity().failuredetails().errortype(),
            "ActivityTaskNotFound");
}

TEST_F(WorkerTest, TellsTheServerItsLimits) {
  WorkerOptions options;
  options.max_concurrent_turns = 3;
  options.max_concurrent_activities = 4;
  Start(options);
  const GetWorkItemsRequest request = hub_.AwaitStream();
  EXPECT_EQ(request.maxconcurrentorchestrationworkitems(), 3);
  EXPECT_EQ(request.maxconcurrentactivityworkitems(), 4);
  EXPECT_THAT(request.capabilities(), IsEmpty());
}

TEST_F(WorkerTest, AsksForNothingOfAKindThatItHasNothingOf) {
  Worker worker(hub_.address());
  worker.AddActivity("Seven", [] { return 7; });
  ASSERT_TRUE(worker.Start().ok());
  const GetWorkItemsRequest request = hub_.AwaitStream();
  ASSERT_TRUE(request.has_workitemfilters());
  EXPECT_TRUE(request.workitemfilters().orchestrations().empty());
  EXPECT_EQ(request.workitemfilters().activities_size(), 1);
}

TEST_F(WorkerTest, AsksForEverythingIfItIsToldTo) {
  WorkerOptions options;
  options.only_registered = false;
  Start(options);
  EXPECT_FALSE(hub_.AwaitStream().has_workitemfilters());
}

TEST_F(WorkerTest, AsksForItsNamesOnly) {
  Start();
  const GetWorkItemsRequest request = hub_.AwaitStream();
  const WorkItemFilters& filters = request.workitemfilters();
  ASSERT_EQ(filters.orchestrations_size(), 1);
  EXPECT_EQ(filters.orchestrations(0).name(), "Main");
  ASSERT_EQ(filters.activities_size(), 2);
  EXPECT_EQ(filters.activities(0).name(), "Seven");
  EXPECT_EQ(filters.activities(1).name(), "Wait");
  EXPECT_TRUE(filters.entities().empty());
}

TEST_F(WorkerTest, RunsNoMoreActivitiesAtOnceThanItMay) {
  WorkerOptions options;
  options.max_concurrent_activities = 2;
  Start(options);
  for (const char* token : {"1", "2", "3", "4", "5"}) {
    hub_.SendActivity("Wait", token);
  }
  hall_.AwaitWithin(2);
  hall_.LetOut(5);
  for (int i = 0; i < 5; ++i) hub_.AwaitActivity();
  EXPECT_EQ(hall_.most(), 2);
}

TEST_F(WorkerTest, SlowActivitiesDoNotDelayTurns) {
  WorkerOptions options;
  options.max_concurrent_activities = 1;
  Start(options);
  hub_.SendActivity("Wait", "1");
  hall_.AwaitWithin(1);
  hub_.SendTurn("Main", "t");
  EXPECT_EQ(hub_.AwaitTurn().completiontoken(), "t");
  hall_.LetOut(1);
}

TEST_F(WorkerTest, ReconnectsToALostServerAndContinues) {
  Start();
  hub_.AwaitStream();
  hub_.Stop();
  said_.Await("cannot reach the server, reconnecting: UNAVAILABLE");
  const absl::Duration first = waits_.Fire();
  EXPECT_GT(waits_.Fire(), first) << "it tries again, more and more seldom";
  waits_.Await();
  at_once_ = true;
  hub_.Restart();
  waits_.Fire();
  hub_.SendActivity("Seven", "after");
  EXPECT_EQ(hub_.AwaitActivity().completiontoken(), "after");
  EXPECT_THAT(said_.lines(), ElementsAre(HasSubstr("cannot reach the server"),
                                         "reconnected to the server"))
      << "each is said once";
}

TEST_F(WorkerTest, OpensAStreamThatWasEndedAgain) {
  Start();
  hub_.AwaitStream();
  hub_.EndStream(grpc::Status::OK);
  waits_.Fire();
  hub_.AwaitStream();
  hub_.SendActivity("Seven", "after");
  EXPECT_EQ(hub_.AwaitActivity().completiontoken(), "after");
}

TEST_F(WorkerTest, ForgetsWhatHadNotBegunWhenItsStreamEnds) {
  WorkerOptions options;
  options.max_concurrent_activities = 1;
  Start(options);
  hub_.SendActivity("Wait", "1");
  hub_.SendActivity("Seven", "2");
  hub_.SendTurn("Main", "t");
  hub_.AwaitTurn();  // So the others have arrived too.
  hall_.AwaitWithin(1);
  hub_.AwaitStream();
  hub_.EndStream(grpc::Status(grpc::StatusCode::UNAVAILABLE, "over"));
  EXPECT_EQ(hub_.AwaitAbandoned(), "2");
  hall_.LetOut(1);
  EXPECT_EQ(hub_.AwaitActivity().completiontoken(), "1");
}

TEST_F(WorkerTest, TakesAServerForLostThatHasPingedAndIsSilent) {
  Start();
  hub_.AwaitStream();
  hub_.SendPing();
  hub_.SendActivity("Seven", "a");
  hub_.AwaitActivity();  // So the ping has arrived too.
  silences_.Fire();      // It has heard something since.
  silences_.Fire();
  hub_.AwaitNoStream();
  waits_.Fire();
  hub_.AwaitStream();
}

TEST_F(WorkerTest, WaitsForEverForAServerThatNeverPings) {
  Start();
  hub_.AwaitStream();
  hub_.SendActivity("Seven", "a");
  hub_.AwaitActivity();
  for (int i = 0; i < 3; ++i) silences_.Fire();
  hub_.SendActivity("Seven", "b");
  EXPECT_EQ(hub_.AwaitActivity().completiontoken(), "b");
  EXPECT_THAT(said_.lines(), IsEmpty());
}

TEST_F(WorkerTest, DeliversAgainWhatFailedForAMoment) {
  Start();
  hub_.FailNext({grpc::Status(grpc::StatusCode::UNAVAILABLE, "not now"),
                 grpc::Status(grpc::StatusCode::UNKNOWN, "hm"),
                 grpc::Status(grpc::StatusCode::UNAUTHENTICATED, "expired")});
  hub_.SendActivity("Seven", "a");
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(hub_.AwaitActivity().result().value(), "7");
    if (i < 3) waits_.Fire();
  }
  ASSERT_TRUE(worker_->Stop().ok());
  EXPECT_THAT(said_.lines(), IsEmpty());
}

TEST_F(WorkerTest, GivesUpWhatIsNoLongerWanted) {
  Start();
  hub_.FailNext({grpc::Status(grpc::StatusCode::NOT_FOUND, "no such item")});
  hub_.SendActivity("Seven", "a");
  said_.Await("a result could not be delivered: NOT_FOUND: no such item");
  ASSERT_TRUE(worker_->Stop().ok());
}

TEST_F(WorkerTest, ResultThatIsRefusedBecomesAFailure) {
  Start();
  const grpc::Status refusal(grpc::StatusCode::RESOURCE_EXHAUSTED, "too large");
  hub_.FailNext({refusal});
  hub_.SendActivity("Seven", "a");
  hub_.AwaitActivity();
  const ActivityResponse activity = hub_.AwaitActivity();
  EXPECT_EQ(activity.completiontoken(), "a");
  EXPECT_EQ(activity.failuredetails().errortype(), "ResultRefused");
  EXPECT_EQ(activity.failuredetails().errormessage(),
            "the server refused the result of this activity: "
            "RESOURCE_EXHAUSTED: too large");
  hub_.FailNext({refusal});
  hub_.SendTurn("Main", "t");
  hub_.AwaitTurn();
  const OrchestratorResponse turn = hub_.AwaitTurn();
  EXPECT_EQ(turn.completiontoken(), "t");
  ASSERT_EQ(turn.actions_size(), 1);
  EXPECT_EQ(turn.actions(0).completeorchestration().orchestrationstatus(),
            ORCHESTRATION_STATUS_FAILED);
  EXPECT_EQ(
      turn.actions(0).completeorchestration().failuredetails().errortype(),
      "ResultRefused");
}

TEST_F(WorkerTest, BatchThatIsRefusedBecomesFailuresAndKeepsTheState) {
  Worker& worker = Make();
  worker.AddEntity("Tally", [](EntityContext& entity) { entity.SetState(2); });
  ASSERT_TRUE(worker.Start().ok());
  hub_.FailNext({{grpc::StatusCode::RESOURCE_EXHAUSTED, "too large"}});
  hub_.SendBatch("@tally@a", "add", "b");
  EXPECT_EQ(hub_.AwaitBatch().entitystate().value(), "2");
  const EntityBatchResult batch = hub_.AwaitBatch();
  EXPECT_EQ(batch.completiontoken(), "b");
  EXPECT_EQ(batch.entitystate().value(), "1");
  ASSERT_EQ(batch.results_size(), 1);
  EXPECT_EQ(batch.results(0).failure().failuredetails().errormessage(),
            "the server refused the result of this batch: "
            "RESOURCE_EXHAUSTED: too large");
}

TEST_F(WorkerTest, RunsBatchesOfItsEntities) {
  Worker& worker = Make();
  worker.AddEntity("Tally", [](EntityContext& entity) {
    entity.SetState(entity.State<int>() + 1);
    return entity.operation();
  });
  ASSERT_TRUE(worker.Start().ok());
  const GetWorkItemsRequest request = hub_.AwaitStream();
  ASSERT_EQ(request.workitemfilters().entities_size(), 1);
  EXPECT_EQ(request.workitemfilters().entities(0).name(), "tally");
  hub_.SendBatch("@tally@a", "add", "b");
  const EntityBatchResult batch = hub_.AwaitBatch();
  EXPECT_EQ(batch.completiontoken(), "b");
  EXPECT_EQ(batch.entitystate().value(), "2");
  EXPECT_EQ(batch.results(0).success().result().value(), "\"add\"");
}

TEST_F(WorkerTest, RunsNoMoreBatchesAtOnceThanItMay) {
  WorkerOptions options;
  options.max_concurrent_batches = 2;
  Worker& worker = Make(options);
  worker.AddEntity("Wait", [this](EntityContext&) { hall_.Enter(); });
  ASSERT_TRUE(worker.Start().ok());
  EXPECT_EQ(hub_.AwaitStream().maxconcurrententityworkitems(), 2);
  for (const char* token : {"1", "2", "3"}) {
    hub_.SendBatch(std::string("@wait@") + token, "go", token);
  }
  hall_.AwaitWithin(2);
  hall_.LetOut(3);
  for (int i = 0; i < 3; ++i) hub_.AwaitBatch();
  EXPECT_EQ(hall_.most(), 2);
}

TEST_F(WorkerTest, GivesBackWhatItCannotDo) {
  Start();
  hub_.SendBatch("@unknown@a", "add", "entity");
  EXPECT_EQ(hub_.AwaitAbandoned(), "entity");
  WorkItem streamed;
  streamed.mutable_orchestratorrequest()->set_requireshistorystreaming(true);
  streamed.set_completiontoken("streamed");
  hub_.Send(streamed);
  EXPECT_EQ(hub_.AwaitAbandoned(), "streamed");
}

TEST_F(WorkerTest, TakesTurnsOfAnySize) {
  Start();
  WorkItem item;
  OrchestratorRequest& request = *item.mutable_orchestratorrequest();
  request.add_newevents()->mutable_orchestratorstarted();
  request.add_newevents()->mutable_executionstarted()->set_name("Main");
  request.add_newevents()->mutable_eventraised()->mutable_input()->set_value(
      std::string(10 << 20, 'x'));
  item.set_completiontoken("large");
  hub_.Send(item);
  EXPECT_EQ(hub_.AwaitTurn().completiontoken(), "large");
}

TEST_F(WorkerTest, StopWaitsForWhatRunsAndGivesBackTheRest) {
  WorkerOptions options;
  options.max_concurrent_activities = 1;
  Start(options);
  hub_.SendActivity("Wait", "runs");
  hub_.SendActivity("Wait", "waits");
  hub_.SendTurn("Main", "t");
  hub_.AwaitTurn();  // So the others have arrived too.
  hall_.AwaitWithin(1);
  absl::Status stopped;
  std::thread stopping([&] { stopped = worker_->Stop(absl::Hours(1)); });
  EXPECT_EQ(hub_.AwaitAbandoned(), "waits");
  hub_.SendActivity("Seven", "too late");
  EXPECT_EQ(hub_.AwaitAbandoned(), "too late");
  hall_.LetOut(1);
  EXPECT_EQ(hub_.AwaitActivity().completiontoken(), "runs");
  stopping.join();
  EXPECT_TRUE(stopped.ok()) << stopped;
  hub_.AwaitNoStream();
  EXPECT_TRUE(worker_->Stop().ok()) << "and again";
}

TEST_F(WorkerTest, StopGivesUpWhatRunsTooLong) {
  Make();
  std::atomic<bool> was_told = false;
  worker_->AddActivity("Long", [&](ActivityContext& ctx) {
    hall_.Enter();
    was_told = ctx.stopping();
  });
  ASSERT_TRUE(worker_->Start().ok());
  hub_.SendActivity("Long", "a");
  hall_.AwaitWithin(1);
  EXPECT_EQ(worker_->Stop(absl::ZeroDuration()),
            absl::DeadlineExceededError(
                "1 work items had not ended after 0 and were given up"));
  hub_.AwaitNoStream();
  EXPECT_FALSE(was_told);
  hall_.LetOut(1);
  worker_.reset();  // Waits for it.
  EXPECT_TRUE(was_told);
}

TEST_F(WorkerTest, WorksOverAnyChannel) {
  WorkerOptions options;
  options.log = said_.sink();
  Worker worker(hub_.InProcessChannel(), options);
  worker.AddActivity("Seven", [] { return 7; });
  ASSERT_TRUE(worker.Start().ok());
  hub_.SendActivity("Seven", "a");
  EXPECT_EQ(hub_.AwaitActivity().result().value(), "7");
  EXPECT_TRUE(worker.Stop().ok());
}

TEST_F(WorkerTest, StartSaysWhatIsWrong) {
  EXPECT_THAT(Worker("nowhere").Start().ToString(),
              HasSubstr("INVALID_ARGUMENT: \"nowhere\" is not an address"));
  WorkerOptions none;
  none.max_concurrent_turns = 0;
  EXPECT_EQ(Worker(hub_.address(), none).Start().code(),
            absl::StatusCode::kInvalidArgument);
  Make().AddActivity("Seven", [] { return 8; });
  EXPECT_EQ(worker_->Start(),
            absl::AlreadyExistsError("activity \"Seven\" was added twice"));
  Worker unreadable(hub_.address());
  unreadable.AddActivity("caf\xe9", [] { return 8; });
  EXPECT_EQ(unreadable.Start(),
            absl::InvalidArgumentError(
                R"(the name of the activity "caf\xe9" is not UTF-8)"));
  Start();
  EXPECT_EQ(worker_->Start().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(WorkerTest, MayGoWithoutHavingBegun) {
  Make();
  EXPECT_TRUE(worker_->Stop().ok());
  worker_.reset();
}

}  // namespace
}  // namespace leasehold::worker
