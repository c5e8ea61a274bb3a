// Activities, sub-orchestrations, timers and what a context knows, by values:
// each history is replayed over every prefix (turn_history.h).
#include "client/worker/turn.h"

#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "tests/worker/turn_history.h"

namespace leasehold::worker {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Names = std::vector<std::string>;

Task<Names> Greetings(OrchestrationContext& ctx, Names names) {
  Names said;
  for (const std::string& name : names) {
    said.push_back(co_await ctx.CallActivity<std::string>("Hello", name));
  }
  co_return said;
}

TEST(WorkerTurn, FirstTurnCallsTheFirstActivity) {
  Registry registry;
  registry.AddOrchestrator("Main", &Greetings);
  const TurnHistory history = TurnHistory()
                                  .Turn(1)                            // 1
                                  .Started("Main", R"(["a", "b"])");  // 2
  EXPECT_THAT(Actions(Replay(registry, history)),
              ElementsAre("1: activity Hello \"a\""));
}

TEST(WorkerTurn, ChainOfActivitiesEndsWithTheirResults) {
  Registry registry;
  registry.AddOrchestrator("Main", &Greetings);
  const TurnHistory history = TurnHistory()
                                  .Turn(1)                           // 1
                                  .Started("Main", R"(["a", "b"])")  // 2
                                  .Scheduled(1, "Hello")             // 3
                                  .Turn(2)                           // 4
                                  .Done(1, R"("Hi a")")              // 5
                                  .Scheduled(2, "Hello")             // 6
                                  .Turn(3)                           // 7
                                  .Done(2, R"("Hi b")");             // 8
  const OrchestratorResponse response = Replay(registry, history);
  EXPECT_THAT(response, CompletesWith(R"(["Hi a","Hi b"])"));
  EXPECT_EQ(response.actions(0).id(), 3);
  EXPECT_EQ(response.instanceid(), kInstance);
}

TEST(WorkerTurn, OrchestratorWithoutInputAndResultCompletesWithNothing) {
  Registry registry;
  registry.AddOrchestrator("Main",
                           [](OrchestrationContext&) -> Task<> { co_return; });
  const OrchestratorResponse response =
      Replay(registry, TurnHistory().Turn(1).Started("Main"));
  EXPECT_EQ(Completion(response).orchestrationstatus(),
            ORCHESTRATION_STATUS_COMPLETED);
  EXPECT_FALSE(Completion(response).has_result());
}

TEST(WorkerTurn, CallsWithoutInputSendNone) {
  Registry registry;
  registry.AddOrchestrator("Main", [](OrchestrationContext& ctx) -> Task<> {
    co_await WhenAll(
        ctx.CallActivity("A"), ctx.CallSubOrchestrator("B"),
        ctx.CallActivity("C", NoInput(), ActivityOptions().Tag("k", "v")));
  });
  const OrchestratorResponse response =
      Replay(registry, TurnHistory().Turn(1).Started("Main"));
  EXPECT_THAT(Actions(response),
              ElementsAre("1: activity A -", "2: child B e0:0002 -",
                          "3: activity C -"));
  EXPECT_EQ(response.actions(2).scheduletask().tags().at("k"), "v");
}

TEST(WorkerTurn, AFailedActivityThrowsWhereItIsAwaited) {
  Registry registry;
  registry.AddOrchestrator(
      "Main", [](OrchestrationContext& ctx) -> Task<std::string> {
        try {
          co_await ctx.CallActivity("Pay");
        } catch (const TaskFailedError& error) {
          co_return std::string(error.what()) + "|" +
              std::to_string(error.task_id()) + "|" +
              error.failure().error_type + "|" + error.failure().error_message;
        }
        co_return "";
      });
  const TurnHistory history = TurnHistory()
                                  .Turn(1)               // 1
                                  .Started("Main")       // 2
                                  .Scheduled(1, "Pay")   // 3
                                  .Turn(2)               // 4
                                  .Broke(1, "NoMoney");  // 5
  EXPECT_THAT(
      Replay(registry, history),
      CompletesWith(R"("task 1, activity \"Pay\", failed: NoMoney: it broke)"
                    R"(|1|NoMoney|it broke")"));
}

TEST(WorkerTurn, FailureThatNobodyCatchesFailsTheOrchestrationAndStandsWithin) {
  Registry registry;
  registry.AddOrchestrator("Main", [](OrchestrationContext& ctx) -> Task<> {
    co_await ctx.CallSubOrchestrator("Ship");
  });
  const TurnHistory history = TurnHistory()
                                  .Turn(1)           // 1
                                  .Started("Main")   // 2
                                  .Child(1, "Ship")  // 3
                                  .Turn(2)           // 4
                                  .ChildBroke(1);    // 5
  const OrchestratorResponse response = Replay(registry, history);
  EXPECT_THAT(response,
              FailsWith("leasehold::worker::TaskFailedError",
                        HasSubstr("task 1, sub-orchestration \"Ship\"")));
  const TaskFailureDetails inner =
      Completion(response).failuredetails().innerfailure();
  EXPECT_EQ(inner.errortype(), "Broken");
  EXPECT_EQ(inner.errormessage(), "it broke");
}

TEST(WorkerTurn, ExceptionOfTheCodeFailsTheOrchestration) {
  Registry registry;
  registry.AddOrchestrator("Main", [](OrchestrationContext&) -> Task<> {
    throw std::out_of_range("no such shelf");
    co_return;
  });
  EXPECT_THAT(Replay(registry, TurnHistory().Turn(1).Started("Main")),
              FailsWith("std::out_of_range", "no such shelf"));
}

TEST(WorkerTurn, WhatWasStartedBeforeAFailureIsStarted) {
  Registry registry;
  registry.AddOrchestrator("Main", [](OrchestrationContext& ctx) -> Task<> {
    ctx.SendEvent("boss", "trouble", 7);
    throw std::runtime_error("fire");
    co_return;
  });
  EXPECT_THAT(Actions(Replay(registry, TurnHistory().Turn(1).Started("Main"))),
              ElementsAre("1: event trouble to boss 7", "2: end"));
}

TEST(WorkerTurn, InputThatIsNotOfTheTypeFailsTheOrchestration) {
  Registry registry;
  registry.AddOrchestrator("Main", &Greetings);
  const OrchestratorResponse response =
      Replay(registry, TurnHistory().Turn(1).Started("Main", "17"));
  EXPECT_THAT(response,
              FailsWith("leasehold::worker::PayloadError", HasSubstr("17: ")));
}

TEST(WorkerTurn, AResultOfAnotherTypeThrowsWhereItIsAwaited) {
  Registry registry;
  registry.AddOrchestrator("Main",
                           [](OrchestrationContext& ctx) -> Task<std::string> {
                             try {
                               co_await ctx.CallActivity<int>("Count");
                             } catch (const PayloadError&) {
                               co_return "caught";
                             }
                             co_return "";
                           });
  const TurnHistory history = TurnHistory()
                                  .Turn(1)                // 1
                                  .Started("Main")        // 2
                                  .Scheduled(1, "Count")  // 3
                                  .Turn(2)                // 4
                                  .Done(1, R"("many")");  // 5
  EXPECT_THAT(Replay(registry, history), CompletesWith(R"("caught")"));
}

struct Picky {};
// NOLINTNEXTLINE(readability-identifier-naming): as the library calls it.
void from_json(const nlohmann::json&, Picky&) {
  throw std::domain_error("not this one");
}

TEST(WorkerTurn, WhatAUsersConversionThrowsIsThrownWhereItIsAwaited) {
  Registry registry;
  registry.AddOrchestrator("Main", [](OrchestrationContext& ctx) -> Task<> {
    co_await ctx.CallActivity<Picky>("Pick");
  });
  const TurnHistory history = TurnHistory()
                                  .Turn(1)               // 1
                                  .Started("Main")       // 2
                                  .Scheduled(1, "Pick")  // 3
                                  .Turn(2)               // 4
                                  .Done(1, "1");         // 5
  EXPECT_THAT(Replay(registry, history),
              FailsWith("std::domain_error", "not this one"));
}

TEST(WorkerTurn, OrchestratorOfAnUnknownNameFailsAndSaysWhatThereIs) {
  Registry registry;
  registry.AddOrchestrator("Main", &Greetings);
  const OrchestratorResponse response =
      RunLastTurn(registry, TurnHistory().Turn(1).Started("Mian"));
  EXPECT_THAT(
      response,
      FailsWith("OrchestratorTaskNotFound",
                R"(this worker has no orchestrator "Mian", but "Main")"));
  EXPECT_TRUE(Completion(response).failuredetails().isnonretriable());
}

TEST(WorkerTurn, AnOrchestratorThatTheWorkerNoLongerHasFailsInLaterTurnsToo) {
  const TurnHistory history = TurnHistory()
                                  .Turn(1)            // 1
                                  .Started("Main")    // 2
                                  .Scheduled(1, "A")  // 3
                                  .Turn(2)            // 4
                                  .Done(1);           // 5
  EXPECT_THAT(
      RunLastTurn(Registry(), history),
      FailsWith("OrchestratorTaskNotFound",
                R"(this worker has no orchestrator "Main", and none at all)"));
}

TEST(WorkerTurn, ChildGetsAnIdOfItsExecutionAndNumber) {
  Registry registry;
  registry.AddOrchestrator("Main", [](OrchestrationContext& ctx) -> Task<int> {
    co_return co_await ctx.CallSubOrchestrator<int>("Ship", std::string("tea"));
  });
  const TurnHistory history = TurnHistory()
                                  .Turn(1)                      // 1
                                  .Started("Main")              // 2
                                  .Child(1, "Ship", "e0:0001")  // 3
                                  .Turn(2)                      // 4
                                  .ChildDone(1, "42");          // 5
  EXPECT_THAT(Replay(registry, history), CompletesWith("42"));
}

TEST(WorkerTurn, ChildGetsTheIdThatIsAskedFor) {
  Registry registry;
  registry.AddOrchestrator("Main", [](OrchestrationContext& ctx) -> Task<> {
    co_await ctx.CallSubOrchestrator(
        "Ship", 1, SubOrchestrationOptions().Id("ship-7").Version("2.0"));
  });
  const OrchestratorResponse response =
      Replay(registry, TurnHistory().Turn(1).Started("Main"));
  EXPECT_THAT(Actions(response), ElementsAre("1: child Ship ship-7 1"));
  EXPECT_EQ(response.actions(0).createsuborchestration().version().value(),
            "2.0");
}

TEST(WorkerTurn, TimerIsCountedFromTheTurn) {
  Registry registry;
  registry.AddOrchestrator(
      "Main", [](OrchestrationContext& ctx) -> Task<int64_t> {
        co_await ctx.CreateTimer(absl::Seconds(30));
        co_await ctx.CreateTimer(ctx.Now() + absl::Seconds(5));
        co_return absl::ToUnixSeconds(ctx.Now());
      });
  const TurnHistory history = TurnHistory()
                                  .Turn(100)        // 1
                                  .Started("Main")  // 2
                                  .Timer(1, 130)    // 3
                                  .Turn(131)        // 4
                                  .Fired(1, 130)    // 5
                                  .Timer(2, 136)    // 6
                                  .Turn(140)        // 7
                                  .Fired(2, 136);   // 8
  EXPECT_THAT(Replay(registry, history), CompletesWith("140"));
}

TEST(WorkerTurn, TimersBeyondAllTimeAreTheLastThereCanBe) {
  Registry registry;
  registry.AddOrchestrator("Main", [](OrchestrationContext& ctx) -> Task<> {
    co_await ctx.CreateTimer(absl::InfiniteDuration());
  });
  EXPECT_THAT(Actions(Replay(registry, TurnHistory().Turn(1).Started("Main"))),
              ElementsAre("1: timer 253402300799"));
}

TEST(WorkerTurn, WhatIsCalledRunsSideBySide) {
  Registry registry;
  registry.AddOrchestrator(
      "Main", [](OrchestrationContext& ctx) -> Task<std::string> {
        Task<std::string> a = ctx.CallActivity<std::string>("A");
        Task<std::string> b = ctx.CallActivity<std::string>("B");
        const std::string second = co_await b;
        const std::string first = co_await a;
        co_return first + second;
      });
  const TurnHistory history = TurnHistory()
                                  .Turn(1)             // 1
                                  .Started("Main")     // 2
                                  .Scheduled(1, "A")   // 3
                                  .Scheduled(2, "B")   // 4
                                  .Turn(2)             // 5
                                  .Done(1, R"("a")")   // 6
                                  .Turn(3)             // 7
                                  .Done(2, R"("b")");  // 8
  EXPECT_THAT(Replay(registry, history), CompletesWith(R"("ab")"));
}

TEST(WorkerTurn, AllOfManyAreAwaitedInOneTurn) {
  Registry registry;
  registry.AddOrchestrator(
      "Main", [](OrchestrationContext& ctx, int count) -> Task<int> {
        std::vector<Task<int>> squares;
        for (int i = 1; i <= count; ++i) {
          squares.push_back(ctx.CallActivity<int>("Square", i));
        }
        int sum = 0;
        for (const int square : co_await WhenAll(std::move(squares))) {
          sum += square;
        }
        co_return sum;
      });
  const TurnHistory history = TurnHistory()
                                  .Turn(1)                 // 1
                                  .Started("Main", "3")    // 2
                                  .Scheduled(1, "Square")  // 3
                                  .Scheduled(2, "Square")  // 4
                                  .Scheduled(3, "Square")  // 5
                                  .Turn(2)                 // 6
                                  .Done(3, "9")            // 7
                                  .Done(1, "1")            // 8
                                  .Turn(3)                 // 9
                                  .Done(2, "4");           // 10
  EXPECT_THAT(Replay(registry, history), CompletesWith("14"));
}

TEST(WorkerTurn, FirstOfSeveralDecides) {
  Registry registry;
  registry.AddOrchestrator(
      "Main", [](OrchestrationContext& ctx) -> Task<std::string> {
        Task<std::string> slow = ctx.CallActivity<std::string>("Slow");
        Task<> deadline = ctx.CreateTimer(absl::Seconds(10));
        const size_t first = co_await WhenAny(slow, deadline);
        if (first == 1) co_return "late";
        co_return co_await slow;
      });
  const TurnHistory begun = TurnHistory()
                                .Turn(1)               // 1
                                .Started("Main")       // 2
                                .Scheduled(1, "Slow")  // 3
                                .Timer(2, 11);         // 4
  TurnHistory in_time = begun;
  in_time.Turn(5).Done(1, R"("here")").Fired(2, 11);  // 5, 6, 7
  EXPECT_THAT(Replay(registry, in_time), CompletesWith(R"("here")"));
  TurnHistory late = begun;
  late.Turn(12).Fired(2, 11).Done(1, R"("here")");  // 5, 6, 7
  EXPECT_THAT(Replay(registry, late), CompletesWith(R"("late")"));
}

TEST(WorkerTurn, CoroutinesOfTheUserRunSideBySide) {
  Registry registry;
  struct Steps {
    static Task<int> Two(OrchestrationContext& ctx, std::string name) {
      const int first = co_await ctx.CallActivity<int>(name + "1");
      co_return first + co_await ctx.CallActivity<int>(name + "2");
    }
  };
  registry.AddOrchestrator("Main", [](OrchestrationContext& ctx) -> Task<int> {
    const std::tuple<int, int> sums =
        co_await WhenAll(Steps::Two(ctx, "a"), Steps::Two(ctx, "b"));
    co_return std::get<0>(sums) * std::get<1>(sums);
  });
  const TurnHistory history = TurnHistory()
                                  .Turn(1)             // 1
                                  .Started("Main")     // 2
                                  .Scheduled(1, "a1")  // 3
                                  .Scheduled(2, "b1")  // 4
                                  .Turn(2)             // 5
                                  .Done(2, "10")       // 6
                                  .Done(1, "1")        // 7
                                  .Scheduled(3, "b2")  // 8
                                  .Scheduled(4, "a2")  // 9
                                  .Turn(3)             // 10
                                  .Done(3, "20")       // 11
                                  .Done(4, "2");       // 12
  EXPECT_THAT(Replay(registry, history), CompletesWith("90"));
}

TEST(WorkerTurn, ContextKnowsWhatRuns) {
  Registry registry;
  registry.AddOrchestrator(
      "Main", [](OrchestrationContext& ctx) -> Task<std::string> {
        co_return ctx.name() + " " + ctx.instance_id() + " " +
            ctx.execution_id() + " " + ctx.version().value_or("-") + " " +
            ctx.parent_instance_id().value_or("-");
      });
  EXPECT_THAT(Replay(registry, TurnHistory().Turn(1).Started("Main")),
              CompletesWith(R"("Main order-1 e0 - -")"));
  EXPECT_THAT(
      Replay(registry, TurnHistory().Turn(1).Started("Main").Parent("boss")),
      CompletesWith(R"("Main order-1 e0 - boss")"));
}

TEST(WorkerTurn, TimeAndUuidsAreTheSameOnReplay) {
  Registry registry;
  registry.AddOrchestrator(
      "Main", [](OrchestrationContext& ctx) -> Task<Names> {
        Names seen = {absl::FormatTime(ctx.Now(), absl::UTCTimeZone()),
                      ctx.NewUuid(), ctx.NewUuid()};
        co_await ctx.CallActivity("A");
        seen.push_back(absl::FormatTime(ctx.Now(), absl::UTCTimeZone()));
        seen.push_back(ctx.NewUuid());
        co_return seen;
      });
  const TurnHistory history = TurnHistory()
                                  .Turn(1'600'000'000)  // 1
                                  .Started("Main")      // 2
                                  .Scheduled(1, "A")    // 3
                                  .Turn(1'600'000'005)  // 4
                                  .Done(1);             // 5
  // As Python's uuid.uuid5 has them.
  EXPECT_THAT(Replay(registry, history),
              CompletesWith(R"(["2020-09-13T12:26:40+00:00",)"
                            R"("f007f204-1942-5c30-aabb-ef6a889b7fa3",)"
                            R"("07c81412-ad47-5cab-9612-f7eee82ec0c3",)"
                            R"("2020-09-13T12:26:45+00:00",)"
                            R"("d2cc15ff-9976-5da4-97a0-a7eef16df4b8"])"));
}

TEST(WorkerTurn, LogIsSaidOnce) {
  Registry registry;
  registry.AddOrchestrator(
      "Main", [](OrchestrationContext& ctx) -> Task<Names> {
        ctx.Log("begins");
        Names replayed = {ctx.IsReplaying() ? "replaying" : "new"};
        co_await ctx.CallActivity("A");
        ctx.Log("goes on");
        replayed.push_back(ctx.IsReplaying() ? "replaying" : "new");
        co_return replayed;
      });
  const TurnHistory history = TurnHistory()
                                  .Turn(1)            // 1
                                  .Started("Main")    // 2
                                  .Scheduled(1, "A")  // 3
                                  .Turn(2)            // 4
                                  .Done(1);           // 5
  Names said;
  const LogSink log = [&said](const LogLine& line) {
    said.push_back(line.instance_id + ": " + line.message);
  };
  internal::RunTurn(registry, history.Request(0, 2), log);
  EXPECT_THAT(said, ElementsAre("order-1: begins"));
  said.clear();
  EXPECT_THAT(RunLastTurn(registry, history, log),
              CompletesWith(R"(["replaying","new"])"));
  EXPECT_THAT(said, ElementsAre("order-1: goes on"));
}

TEST(WorkerTurn, CustomStatusIsToldByTheTurnThatSetsIt) {
  Registry registry;
  registry.AddOrchestrator("Main", [](OrchestrationContext& ctx) -> Task<> {
    ctx.SetCustomStatus("packing");
    ctx.SetCustomStatus("paying");
    co_await ctx.CallActivity("A");
    co_await ctx.CallActivity("B");
    ctx.SetCustomStatus(3);
    co_return;
  });
  const TurnHistory history = TurnHistory()
                                  .Turn(1)            // 1
                                  .Started("Main")    // 2
                                  .Scheduled(1, "A")  // 3
                                  .Turn(2)            // 4
                                  .Done(1)            // 5
                                  .Scheduled(2, "B")  // 6
                                  .Turn(3)            // 7
                                  .Done(2);           // 8
  EXPECT_EQ(internal::RunTurn(registry, history.Request(0, 2), nullptr)
                .customstatus()
                .value(),
            R"("paying")");
  EXPECT_FALSE(internal::RunTurn(registry, history.Request(3, 5), nullptr)
                   .has_customstatus());
  EXPECT_EQ(Replay(registry, history).customstatus().value(), "3");
}

TEST(WorkerTurn, TextThatIsNotUtf8IsSentAsFarAsItCanBeRead) {
  Registry registry;
  registry.AddOrchestrator("Main", [](OrchestrationContext& ctx) -> Task<> {
    const std::string latin1 = "caf\xe9";
    ctx.Log(latin1);
    ctx.SetCustomStatus(latin1);
    ctx.SendEvent("b", "go", latin1);
    co_await ctx.CallActivity("A", latin1);
    throw std::runtime_error(latin1);
  });
  TurnHistory history = TurnHistory().Turn(1).Started("Main");
  std::string said;
  const OrchestratorResponse first = RunLastTurn(
      registry, history, [&said](const LogLine& line) { said = line.message; });
  EXPECT_EQ(said, "caf\uFFFD");
  EXPECT_EQ(first.customstatus().value(), "\"caf\uFFFD\"");
  EXPECT_THAT(Actions(first), ElementsAre("1: event go to b \"caf\uFFFD\"",
                                          "2: activity A \"caf\uFFFD\""));
  history.Sent(1, "b", "go").Scheduled(2, "A").Turn(2).Done(2);
  const OrchestratorResponse last = Replay(registry, history);
  EXPECT_THAT(last, FailsWith("std::runtime_error", "caf\uFFFD"));
  // A server that reads either would refuse it if any text were not UTF-8.
  for (const OrchestratorResponse& sent : {first, last}) {
    EXPECT_TRUE(
        OrchestratorResponse().ParseFromString(sent.SerializeAsString()));
  }
}

TEST(WorkerTurn, NamesAndIdsThatAreNotUtf8AreRefusedWhereTheyAreGiven) {
  using Code = std::function<void(OrchestrationContext&)>;
  const std::string bad = "caf\xe9";
  const std::vector<std::pair<std::string, Code>> refused = {
      {"the name of the activity",
       [&](auto& ctx) { (void)ctx.CallActivity(bad); }},
      {"the version",
       [&](auto& ctx) {
         (void)ctx.CallActivity("A", 1, ActivityOptions().Version(bad));
       }},
      {"the key of a tag",
       [&](auto& ctx) {
         (void)ctx.CallActivity("A", 1, ActivityOptions().Tag(bad, "v"));
       }},
      {"the tag",
       [&](auto& ctx) {
         (void)ctx.CallActivity("A", 1, ActivityOptions().Tag("k", bad));
       }},
      {"the name of the sub-orchestration",
       [&](auto& ctx) { (void)ctx.CallSubOrchestrator(bad); }},
      {"the instance ID",
       [&](auto& ctx) {
         (void)ctx.CallSubOrchestrator("C", 1,
                                       SubOrchestrationOptions().Id(bad));
       }},
      {"the name of the event",
       [&](auto& ctx) { (void)ctx.WaitForEvent(bad); }},
      {"the name of the event", [&](auto& ctx) { ctx.SendEvent("b", bad); }},
      {"the instance ID", [&](auto& ctx) { ctx.SendEvent(bad, "go", 1); }}};
  for (const auto& [what, code] : refused) {
    const Code& run = code;  // Clang captures no structured binding.
    Registry registry;
    registry.AddOrchestrator("Main",
                             [&run](OrchestrationContext& ctx) -> Task<> {
                               run(ctx);
                               co_return;
                             });
    const OrchestratorResponse response =
        RunLastTurn(registry, TurnHistory().Turn(1).Started("Main"));
    EXPECT_THAT(response, FailsWith("std::invalid_argument",
                                    what + R"( "caf\xe9" is not UTF-8)"));
    EXPECT_EQ(response.actions_size(), 1);  // The end alone.
  }
}

TEST(WorkerTurn, SentEventsAreActionsOfTheirOwn) {
  Registry registry;
  registry.AddOrchestrator("Main", [](OrchestrationContext& ctx) -> Task<> {
    ctx.SendEvent("b", "go");
    co_await ctx.CallActivity("A");
    ctx.SendEvent("c", "stop", Names{"now"});
  });
  const TurnHistory history = TurnHistory()
                                  .Turn(1)             // 1
                                  .Started("Main")     // 2
                                  .Sent(1, "b", "go")  // 3
                                  .Scheduled(2, "A")   // 4
                                  .Turn(2)             // 5
                                  .Done(2);            // 6
  EXPECT_THAT(Actions(Replay(registry, history)),
              ElementsAre(R"(3: event stop to c ["now"])", "4: end"));
}

TEST(WorkerTurn, ResultsThatComeTwiceOrUnaskedAreIgnored) {
  Registry registry;
  registry.AddOrchestrator("Main", &Greetings);
  const TurnHistory history = TurnHistory()
                                  .Turn(1)                           // 1
                                  .Started("Main", R"(["a", "b"])")  // 2
                                  .Scheduled(1, "Hello")             // 3
                                  .Turn(2)                           // 4
                                  .Done(1, R"("Hi a")")              // 5
                                  .Done(1, R"("Hi again")")          // 6
                                  .Done(9, R"("Who?")")              // 7
                                  .Fired(8, 2);                      // 8
  EXPECT_THAT(Actions(Replay(registry, history)),
              ElementsAre("2: activity Hello \"b\""));
}

TEST(WorkerTurn, TurnWithoutNewsStartsNothing) {
  Registry registry;
  registry.AddOrchestrator("Main", &Greetings);
  const TurnHistory history = TurnHistory()
                                  .Turn(1)                      // 1
                                  .Started("Main", R"(["a"])")  // 2
                                  .Scheduled(1, "Hello")        // 3
                                  .Turn(2)                      // 4
                                  .Raised("noise");             // 5
  EXPECT_THAT(Actions(Replay(registry, history)), IsEmpty());
}

}  // namespace
}  // namespace leasehold::worker
