// What may stand in a co_await expression. g++ 12 destroys some temporaries
// twice there; AddressSanitizer tells. Built with it by worker_gcc_asan_test.
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/worker/turn_history.h"

namespace leasehold::worker {

// An aggregate that owns memory.
struct Order {
  std::string item;
  int count = 0;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Order, item, count)

// One that owns nothing.
struct Point {
  int x = 0;
  int y = 0;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Point, x, y)

namespace {

using ::testing::ElementsAre;

constexpr char kOrder[] =
    R"({"count":2,"item":"a text that is too long for a string to keep inside"})";

Order MakeOrder() { return {kLong, 2}; }

// What the first turn of `code` calls. It is run to its end too.
template <typename Code>
std::vector<std::string> Called(Code code, const Payload& result = "0") {
  Registry registry;
  registry.AddOrchestrator("Main", std::move(code));
  TurnHistory history = TurnHistory().Turn(1).Started("Main");
  std::vector<std::string> called = Actions(Replay(registry, history));
  history.Scheduled(1, "X").Turn(2).Done(1, result);
  EXPECT_EQ(Completion(Replay(registry, history)).orchestrationstatus(),
            ORCHESTRATION_STATUS_COMPLETED);
  return called;
}

std::string Call(const std::string& json) { return "1: activity X " + json; }

TEST(Temporaries, StringsAreSafe) {
  EXPECT_THAT(Called([](OrchestrationContext& ctx) -> Task<int> {
                co_return co_await ctx.CallActivity<int>(std::string("X"),
                                                         std::string(kLong));
              }),
              ElementsAre(Call("\"" + std::string(kLong) + "\"")));
}

TEST(Temporaries, LiteralsAndNumbersAreSafe) {
  EXPECT_THAT(Called([](OrchestrationContext& ctx) -> Task<int> {
                co_return co_await ctx.CallActivity<int>("X", "y");
              }),
              ElementsAre(Call("\"y\"")));
  EXPECT_THAT(Called([](OrchestrationContext& ctx) -> Task<int> {
                co_return co_await ctx.CallActivity<int>("X", 1 + 1);
              }),
              ElementsAre(Call("2")));
}

TEST(Temporaries, PairsAndContainersAreSafe) {
  EXPECT_THAT(Called([](OrchestrationContext& ctx) -> Task<int> {
                co_return co_await ctx.CallActivity<int>(
                    "X", std::vector<std::pair<std::string, int>>(
                             2, std::make_pair(std::string("k"), 1)));
              }),
              ElementsAre(Call(R"([["k",1],["k",1]])")));
}

TEST(Temporaries, AggregatesThatOwnNothingAreSafe) {
  EXPECT_THAT(Called([](OrchestrationContext& ctx) -> Task<int> {
                co_return co_await ctx.CallActivity<int>("X", Point{1, 2});
              }),
              ElementsAre(Call(R"({"x":1,"y":2})")));
}

TEST(Temporaries, AggregatesWithANameAreSafe) {
  EXPECT_THAT(Called([](OrchestrationContext& ctx) -> Task<int> {
                const Order order{kLong, 2};
                co_return co_await ctx.CallActivity<int>("X", order);
              }),
              ElementsAre(Call(kOrder)));
}

// What is not safe does not compile.
TEST(Temporaries, TemporaryAggregatesThatOwnMemoryAreRefusedByGcc12) {
#if defined(__clang__) || __GNUC__ > 12
  EXPECT_TRUE(internal::kMayBeTemporary<Order>);
#else
  EXPECT_FALSE(internal::kMayBeTemporary<Order>);
#endif
  EXPECT_TRUE(internal::kMayBeTemporary<Order&>);
  EXPECT_TRUE(internal::kMayBeTemporary<const Order&>);
  EXPECT_TRUE(internal::kMayBeTemporary<Point>);
  EXPECT_TRUE(internal::kMayBeTemporary<std::string>);
  EXPECT_TRUE(internal::kMayBeTemporary<std::vector<Order>>);
}

TEST(Temporaries, TaskThatIsMadeFirstIsSafe) {
  EXPECT_THAT(Called([](OrchestrationContext& ctx) -> Task<int> {
                const Order order = MakeOrder();
                Task<int> task = ctx.CallActivity<int>("X", order);
                co_return co_await task;
              }),
              ElementsAre(Call(kOrder)));
}

TEST(Temporaries, PoliciesAndOptionsAreSafe) {
  EXPECT_THAT(Called([](OrchestrationContext& ctx) -> Task<int> {
                co_return co_await ctx.CallActivity<int>(
                    "X", 1,
                    RetryPolicy(3, absl::Seconds(1))
                        .Backoff(2)
                        .RetryIf([](const TaskFailure&) { return true; }));
              }),
              ElementsAre(Call("1")));
  EXPECT_THAT(Called([](OrchestrationContext& ctx) -> Task<int> {
                co_return co_await ctx.CallActivity<int>(
                    "X", 1,
                    ActivityOptions()
                        .Version(kLong)
                        .Tag(kLong, kLong)
                        .Retry(RetryPolicy(3, absl::Seconds(1))));
              }),
              ElementsAre(Call("1")));
}

TEST(Temporaries, HandlerThatCapturesIsSafeInAPolicyWithAName) {
  EXPECT_THAT(Called([](OrchestrationContext& ctx) -> Task<int> {
                const std::string only = kLong;
                const auto matches = [only](const TaskFailure& failure) {
                  return failure.error_type == only;
                };
                const RetryPolicy retry =
                    RetryPolicy(3, absl::Seconds(1)).RetryIf(matches);
                co_return co_await ctx.CallActivity<int>("X", 1, retry);
              }),
              ElementsAre(Call("1")));
}

// g++ 12 refuses these (traps_test.py).
#if defined(__clang__) || __GNUC__ > 12
Task<int> CountOf(Order order) { co_return order.count; }

TEST(Temporaries, AggregatesAreSafeElsewhere) {
  EXPECT_THAT(Called([](OrchestrationContext& ctx) -> Task<int> {
                co_return co_await ctx.CallActivity<int>("X", Order{kLong, 2});
              }),
              ElementsAre(Call(kOrder)));
  EXPECT_THAT(Called([](OrchestrationContext& ctx) -> Task<int> {
                co_return co_await CountOf({kLong, 2}) +
                    co_await ctx.CallActivity<int>("X", 1);
              }),
              ElementsAre(Call("1")));
}

TEST(Temporaries, LambdasThatCaptureAreSafeElsewhere) {
  EXPECT_THAT(Called([](OrchestrationContext& ctx) -> Task<int> {
                const std::string only = kLong;
                co_return co_await ctx.CallActivity<int>(
                    "X", 1,
                    RetryPolicy(3, absl::Seconds(1))
                        .RetryIf([only](const TaskFailure& failure) {
                          return failure.error_type == only;
                        }));
              }),
              ElementsAre(Call("1")));
}

// g++ 13 and 14 do not compile this either: they give up (in
// gimple_add_tmp_var).
#ifdef __clang__
TEST(Temporaries, BracedListsAreSafeWithClang) {
  EXPECT_THAT(Called([](OrchestrationContext& ctx) -> Task<int> {
                co_return co_await ctx.CallActivity<int>(
                    "X", std::vector<std::string>{"a", kLong});
              }),
              ElementsAre(Call("[\"a\",\"" + std::string(kLong) + "\"]")));
}
#endif
#endif

TEST(Temporaries, ResultsThatAreAggregatesAreSafe) {
  EXPECT_THAT(Called(
                  [](OrchestrationContext& ctx) -> Task<int> {
                    std::vector<Order> orders;
                    orders.push_back(co_await ctx.CallActivity<Order>("X", 1));
                    co_return orders[0].count;
                  },
                  kOrder),
              ElementsAre(Call("1")));
  EXPECT_THAT(Called(
                  [](OrchestrationContext& ctx) -> Task<int> {
                    co_return (co_await ctx.CallActivity<Order>("X", 1)).count;
                  },
                  kOrder),
              ElementsAre(Call("1")));
}

TEST(Temporaries, AggregatesAsInputAndResultOfOrchestratorsAreSafe) {
  Registry registry;
  registry.AddOrchestrator(
      "Main", [](OrchestrationContext&, Order order) -> Task<Order> {
        ++order.count;
        co_return order;
      });
  registry.AddOrchestrator(
      "ByReference",
      [](OrchestrationContext& ctx, const Order& order) -> Task<Order> {
        co_await ctx.CallActivity("X");
        co_return order;
      });
  EXPECT_THAT(Replay(registry, TurnHistory().Turn(1).Started(
                                   "Main", R"({"item":"i","count":1})")),
              CompletesWith(R"({"count":2,"item":"i"})"));
  const TurnHistory history =
      TurnHistory()
          .Turn(1)                                              // 1
          .Started("ByReference", R"({"item":"i","count":1})")  // 2
          .Scheduled(1, "X")                                    // 3
          .Turn(2)                                              // 4
          .Done(1);                                             // 5
  EXPECT_THAT(Replay(registry, history),
              CompletesWith(R"({"count":1,"item":"i"})"));
}

TEST(Temporaries, OrchestratorMayBeALambdaThatCaptures) {
  const auto greeting = std::make_shared<std::string>(kLong);
  EXPECT_THAT(Called([greeting](OrchestrationContext& ctx) -> Task<int> {
                co_await ctx.CallActivity<int>("X", *greeting);
                co_return greeting->size();
              }),
              ElementsAre(Call("\"" + std::string(kLong) + "\"")));
}

TEST(Temporaries, CombinationsOfTemporariesAreSafe) {
  Registry registry;
  registry.AddOrchestrator("Main", [](OrchestrationContext& ctx) -> Task<int> {
    const auto both =
        co_await WhenAll(ctx.CallActivity<int>("X", std::string(kLong)),
                         ctx.WaitForEvent<std::string>("e", absl::Seconds(10)));
    co_return std::get<0>(both) + co_await WhenAny(ctx.CallActivity("Y"));
  });
  const TurnHistory history = TurnHistory()
                                  .Turn(1)                // 1
                                  .Started("Main")        // 2
                                  .Scheduled(1, "X")      // 3
                                  .Timer(2, 11)           // 4
                                  .Turn(2)                // 5
                                  .Raised("e", R"("!")")  // 6
                                  .Done(1, "4")           // 7
                                  .Scheduled(3, "Y")      // 8
                                  .Turn(3)                // 9
                                  .Done(3);               // 10
  EXPECT_THAT(Replay(registry, history), CompletesWith("4"));
}

// As the condition of a loop too, but not behind && or || there: g++ awaits
// that in any case.
TEST(Temporaries, AwaitInConditionsIsSafeInABlockWithAVariable) {
  EXPECT_THAT(
      Called([](OrchestrationContext& ctx) -> Task<int> {
        int tries = 0;
        if (co_await ctx.CallActivity<int>("X", std::string(kLong)) == 0) {
          co_return ++tries;
        }
        co_return 0;
      }),
      ElementsAre(Call("\"" + std::string(kLong) + "\"")));
  EXPECT_THAT(Called([](OrchestrationContext& ctx) -> Task<int> {
                int count = 0;
                while (co_await ctx.CallActivity<int>("X", 1) == 0) {
                  ++count;
                  break;
                }
                co_return count;
              }),
              ElementsAre(Call("1")));
}

}  // namespace
}  // namespace leasehold::worker
