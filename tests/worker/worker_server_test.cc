// Each feature of the worker SDK, through a real server.
#include <atomic>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "client/worker/worker.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/worker/task_hub.h"

namespace leasehold::worker {

struct Order {
  std::string item;
  int count = 0;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Order, item, count)

namespace {

using ::testing::HasSubstr;
using Names = std::vector<std::string>;

class WorkerServerTest : public ::testing::Test {
 protected:
  template <typename Code>
  void Main(Code code) {
    worker_->AddOrchestrator("Main", std::move(code));
  }
  template <typename Code>
  void Activity(const std::string& name, Code code) {
    worker_->AddActivity(name, std::move(code));
  }
  void Serve() {
    const absl::Status status = worker_->Start();
    ASSERT_TRUE(status.ok()) << status;
  }
  // Starts orchestration "a" of "Main".
  void Begin(const std::optional<std::string>& input = {}) {
    Serve();
    hub_.Start("a", "Main", input);
  }
  // Runs it to its end; meanwhile time passes.
  OrchestrationState Run(const std::optional<std::string>& input = {}) {
    Begin(input);
    return hub_.AwaitWhileTimePasses("a");
  }
  static void ExpectOutput(const OrchestrationState& state,
                           const std::string& output) {
    EXPECT_EQ(state.orchestrationstatus(), ORCHESTRATION_STATUS_COMPLETED)
        << state.failuredetails().ShortDebugString();
    EXPECT_EQ(state.output().value(), output);
  }

  TaskHub hub_;
  std::optional<Worker> worker_{std::in_place, hub_.address()};
};

TEST_F(WorkerServerTest, ActivitiesAreCalledInAChain) {
  Activity("Hello", [](std::string name) { return "Hello, " + name + "!"; });
  Main([](OrchestrationContext& ctx, Names names) -> Task<Names> {
    Names said;
    for (const std::string& name : names) {
      said.push_back(co_await ctx.CallActivity<std::string>("Hello", name));
    }
    co_return said;
  });
  ExpectOutput(Run(R"(["Tokyo","Seattle"])"),
               R"(["Hello, Tokyo!","Hello, Seattle!"])");
}

TEST_F(WorkerServerTest, TypesOfTheUserGoThroughAsJson) {
  Activity("Double", [](Order order) {
    order.count *= 2;
    return order;
  });
  Main([](OrchestrationContext& ctx, Order order) -> Task<Order> {
    co_return co_await ctx.CallActivity<Order>("Double", order);
  });
  ExpectOutput(Run(R"({"item":"tea","count":4})"),
               R"({"count":8,"item":"tea"})");
}

TEST_F(WorkerServerTest, ActivityThatFailsIsTriedAgain) {
  const auto attempts = std::make_shared<std::atomic<int>>(0);
  Activity("Flaky", [attempts]() -> absl::StatusOr<int> {
    if (++*attempts < 3) return absl::UnavailableError("not yet");
    return attempts->load();
  });
  Main([](OrchestrationContext& ctx) -> Task<int> {
    const absl::Time begun = ctx.Now();
    const int result = co_await ctx.CallActivity<int>(
        "Flaky", NoInput(), RetryPolicy(5, absl::Seconds(10)).Backoff(2));
    const bool waited = ctx.Now() - begun >= absl::Seconds(30);
    co_return waited ? result : -1;
  });
  ExpectOutput(Run(), "3");
}

TEST_F(WorkerServerTest, AFailureIsShownToCallersOfGet) {
  Activity("Pay", [] { throw NonRetriableError("no money"); });
  Main([](OrchestrationContext& ctx) -> Task<> {
    co_await ctx.CallActivity("Pay", NoInput(),
                              RetryPolicy(5, absl::Seconds(1)));
  });
  const OrchestrationState state = Run();
  EXPECT_EQ(state.orchestrationstatus(), ORCHESTRATION_STATUS_FAILED);
  EXPECT_EQ(state.failuredetails().errortype(),
            "leasehold::worker::TaskFailedError");
  EXPECT_EQ(state.failuredetails().innerfailure().errortype(),
            "leasehold::worker::NonRetriableError");
  EXPECT_EQ(state.failuredetails().innerfailure().errormessage(), "no money");
}

TEST_F(WorkerServerTest, ChildrenRunAndAreAwaited) {
  worker_->AddOrchestrator(
      "Square",
      [](OrchestrationContext&, int n) -> Task<int> { co_return n* n; });
  Main([](OrchestrationContext& ctx, int count) -> Task<int> {
    std::vector<Task<int>> squares;
    for (int i = 1; i <= count; ++i) {
      squares.push_back(ctx.CallSubOrchestrator<int>("Square", i));
    }
    int sum = 0;
    for (const int square : co_await WhenAll(std::move(squares))) sum += square;
    co_return sum;
  });
  ExpectOutput(Run("10"), "385");
}

TEST_F(WorkerServerTest, ChildMayHaveAKnownId) {
  worker_->AddOrchestrator("Child",
                           [](OrchestrationContext& ctx) -> Task<std::string> {
                             co_return ctx.instance_id() + " of " +
                                 ctx.parent_instance_id().value_or("nobody");
                           });
  Main([](OrchestrationContext& ctx) -> Task<std::string> {
    co_return co_await ctx.CallSubOrchestrator<std::string>(
        "Child", NoInput(), SubOrchestrationOptions().Id("ship-7"));
  });
  ExpectOutput(Run(), R"("ship-7 of a")");
  ExpectOutput(hub_.Get("ship-7"), R"("ship-7 of a")");
}

TEST_F(WorkerServerTest, ChildThatFailsIsTriedAgainUnderItsId) {
  Activity("Count", [count = std::make_shared<std::atomic<int>>(0)] {
    return ++*count;
  });
  worker_->AddOrchestrator("Child", [](OrchestrationContext& ctx) -> Task<int> {
    const int count = co_await ctx.CallActivity<int>("Count");
    if (count < 2) throw std::runtime_error("the first one fails");
    co_return count;
  });
  Main([](OrchestrationContext& ctx) -> Task<int> {
    co_return co_await ctx.CallSubOrchestrator<int>(
        "Child", NoInput(),
        SubOrchestrationOptions(RetryPolicy(2, absl::Seconds(1))).Id("c"));
  });
  ExpectOutput(Run(), "2");
}

TEST_F(WorkerServerTest, TimerEndsWhenItIsDue) {
  Main([](OrchestrationContext& ctx) -> Task<bool> {
    const absl::Time due = ctx.Now() + absl::Hours(1);
    co_await ctx.CreateTimer(due);
    const bool is_due = ctx.Now() >= due;
    co_return is_due;
  });
  ExpectOutput(Run(), "true");
}

TEST_F(WorkerServerTest, EventsAreTakenInOrder) {
  Main([](OrchestrationContext& ctx) -> Task<Names> {
    Names got;
    for (int i = 0; i < 3; ++i) {
      got.push_back(co_await ctx.WaitForEvent<std::string>("Say"));
    }
    co_return got;
  });
  Begin();
  hub_.Raise("a", "say", R"("a")");
  hub_.Raise("a", "SAY", R"("b")");
  hub_.AwaitStart("a");
  hub_.Raise("a", "Say", R"("c")");
  ExpectOutput(hub_.Await("a"), R"(["a","b","c"])");
}

TEST_F(WorkerServerTest, WaitForAnEventMayEnd) {
  Main([](OrchestrationContext& ctx) -> Task<Names> {
    const std::optional<int> none =
        co_await ctx.WaitForEvent<int>("x", absl::Seconds(5));
    ctx.SetCustomStatus("gave up");
    const std::optional<int> some =
        co_await ctx.WaitForEvent<int>("y", absl::Hours(1000));
    co_return Names{none ? "some" : "none",
                    some ? std::to_string(*some) : "none"};
  });
  worker_->AddOrchestrator("Other", [](OrchestrationContext& ctx) -> Task<> {
    co_await ctx.CreateTimer(absl::Seconds(60));
    ctx.SendEvent("a", "y", 7);
  });
  Serve();
  hub_.Start("a", "Main");
  hub_.AwaitStart("a");
  hub_.Start("b", "Other");
  ExpectOutput(hub_.AwaitWhileTimePasses("a"), R"(["none","7"])");
}

TEST_F(WorkerServerTest, DifferentTasksAreAwaitedTogether) {
  Activity("One", [] { return 1; });
  Activity("Two", [] { return std::string("two"); });
  Main([](OrchestrationContext& ctx) -> Task<std::string> {
    const std::tuple<int, std::string, std::monostate> all = co_await WhenAll(
        ctx.CallActivity<int>("One"), ctx.CallActivity<std::string>("Two"),
        ctx.CreateTimer(absl::Seconds(1)));
    co_return std::to_string(std::get<0>(all)) + std::get<1>(all);
  });
  ExpectOutput(Run(), R"("1two")");
}

TEST_F(WorkerServerTest, FirstOfSeveralDecides) {
  Main([](OrchestrationContext& ctx) -> Task<size_t> {
    Task<> never = ctx.WaitForEvent("never");
    Task<> soon = ctx.CreateTimer(absl::Seconds(5));
    Task<> later = ctx.CreateTimer(absl::Hours(5));
    const size_t first = co_await WhenAny(never, later, soon);
    co_return first;
  });
  ExpectOutput(Run(), "2");
}

TEST_F(WorkerServerTest, OrchestrationMayLiveForEverAndLosesNoEvent) {
  Main([](OrchestrationContext& ctx, int sum) -> Task<int> {
    const std::optional<int> added =
        co_await ctx.WaitForEvent<std::optional<int>>("add");
    if (!added.has_value()) co_return sum;
    ctx.SetCustomStatus(sum + *added);
    ctx.ContinueAsNew(sum + *added);
    co_return 0;
  });
  Begin("0");
  for (int i = 1; i <= 20; ++i) hub_.Raise("a", "add", std::to_string(i));
  hub_.Raise("a", "add", "null");
  const OrchestrationState state = hub_.Await("a");
  ExpectOutput(state, "210");
  EXPECT_EQ(state.customstatus().value(), "210");
}

TEST_F(WorkerServerTest, CustomStatusIsSeenWhileItRuns) {
  Main([](OrchestrationContext& ctx) -> Task<> {
    ctx.SetCustomStatus(Names{"waits"});
    co_await ctx.WaitForEvent("go");
    ctx.SetCustomStatus("went");
  });
  Begin();
  EXPECT_EQ(hub_.AwaitStart("a").customstatus().value(), R"(["waits"])");
  hub_.Raise("a", "go", "null");
  EXPECT_EQ(hub_.Await("a").customstatus().value(), R"("went")");
}

TEST_F(WorkerServerTest, EventIsSentToAnotherOrchestration) {
  Main([](OrchestrationContext& ctx) -> Task<std::string> {
    co_return co_await ctx.WaitForEvent<std::string>("letter");
  });
  worker_->AddOrchestrator("Sender", [](OrchestrationContext& ctx) -> Task<> {
    ctx.SendEvent("a", "letter", "from " + ctx.instance_id());
    co_return;
  });
  Begin();
  hub_.Start("b", "Sender");
  ExpectOutput(hub_.Await("a"), R"("from b")");
}

TEST_F(WorkerServerTest, TimeAndUuidsAreTheSameInEveryTurn) {
  Main([](OrchestrationContext& ctx) -> Task<bool> {
    const std::string uuid = ctx.NewUuid();
    const absl::Time time = ctx.Now();
    ctx.SetCustomStatus(uuid + absl::FormatTime(time));
    const auto seen = co_await ctx.CallActivity<std::string>(
        "Echo", uuid + absl::FormatTime(time));
    const bool same = seen == uuid + absl::FormatTime(time);
    const bool other = ctx.NewUuid() != uuid;
    co_return same&& other;
  });
  Activity("Echo", [](std::string text) { return text; });
  ExpectOutput(Run(), "true");
}

TEST_F(WorkerServerTest, LogIsSaidOnce) {
  const auto said = std::make_shared<std::vector<std::string>>();
  WorkerOptions options;
  // Turns of one orchestration run one after the other.
  options.log = [said](const LogLine& line) { said->push_back(line.message); };
  worker_.emplace(hub_.address(), options);
  Main([](OrchestrationContext& ctx) -> Task<> {
    for (const char* step : {"one", "two", "three"}) {
      co_await ctx.CreateTimer(absl::Seconds(1));
      ctx.Log(step);
    }
  });
  Run();
  EXPECT_TRUE(worker_->Stop().ok());
  EXPECT_EQ(*said, (Names{"one", "two", "three"}));
}

TEST_F(WorkerServerTest, SuspendedOrchestrationGoesOnWhenItIsResumed) {
  Main([](OrchestrationContext& ctx) -> Task<int> {
    ctx.SetCustomStatus("begun");
    const int value = co_await ctx.WaitForEvent<int>("x");
    co_return value;
  });
  Begin();
  hub_.AwaitStart("a");
  hub_.Suspend("a");
  hub_.Raise("a", "x", "5");
  hub_.Resume("a");
  ExpectOutput(hub_.Await("a"), "5");
}

TEST_F(WorkerServerTest, TerminatedOrchestrationEnds) {
  Main([](OrchestrationContext& ctx) -> Task<> {
    co_await ctx.WaitForEvent("never");
  });
  Begin();
  hub_.AwaitStart("a");
  hub_.Terminate("a", R"("enough")");
  const OrchestrationState state = hub_.Await("a");
  EXPECT_EQ(state.orchestrationstatus(), ORCHESTRATION_STATUS_TERMINATED);
  EXPECT_EQ(state.output().value(), R"("enough")");
}

TEST_F(WorkerServerTest, CodeThatHasChangedUnderARunningOrchestrationIsFound) {
  Main([](OrchestrationContext& ctx) -> Task<> {
    co_await ctx.CallActivity("Pay");
    co_await ctx.WaitForEvent("go");
  });
  Activity("Pay", [] {});
  Begin();
  hub_.AwaitStart("a");
  EXPECT_TRUE(worker_->Stop().ok());
  worker_.emplace(hub_.address());
  Main([](OrchestrationContext& ctx) -> Task<> {
    co_await ctx.CallActivity("Bill");
    co_await ctx.WaitForEvent("go");
  });
  Activity("Pay", [] {});
  Serve();
  hub_.Raise("a", "go", "null");
  // What the first worker gave back when it stopped waits for a moment.
  const OrchestrationState state = hub_.AwaitWhileTimePasses("a");
  EXPECT_EQ(state.orchestrationstatus(), ORCHESTRATION_STATUS_FAILED);
  EXPECT_EQ(state.failuredetails().errortype(), "NonDeterminismError");
  EXPECT_EQ(
      state.failuredetails().errormessage(),
      "the history has \"task 1: activity \"Pay\" was scheduled\", the code "
      "now calls activity \"Bill\"; orchestrator code must do the same on each "
      "replay");
}

TEST_F(WorkerServerTest, WorkersOfDifferentNamesShareTheWork) {
  Main([](OrchestrationContext& ctx) -> Task<std::string> {
    co_return co_await ctx.CallActivity<std::string>("Elsewhere");
  });
  Worker other(hub_.address());
  other.AddActivity("Elsewhere", [] { return "done there"; });
  ASSERT_TRUE(other.Start().ok());
  ExpectOutput(Run(), R"("done there")");
}

TEST_F(WorkerServerTest, WorkOfAWorkerThatStopsIsDoneByAnother) {
  Activity("Wait", [](ActivityContext& ctx) {
    while (!ctx.stopping()) std::this_thread::yield();
  });
  Main([](OrchestrationContext& ctx) -> Task<> {
    ctx.SetCustomStatus("waits");
    co_await ctx.CallActivity("Wait");
  });
  Begin();
  hub_.AwaitStart("a");
  worker_->Stop(absl::ZeroDuration()).IgnoreError();
  worker_.emplace(hub_.address());
  Activity("Wait", [] {});
  Main([](OrchestrationContext& ctx) -> Task<> {
    ctx.SetCustomStatus("waits");
    co_await ctx.CallActivity("Wait");
  });
  Serve();
  EXPECT_EQ(hub_.AwaitWhileTimePasses("a").orchestrationstatus(),
            ORCHESTRATION_STATUS_COMPLETED);
}

}  // namespace
}  // namespace leasehold::worker
