// Lines that people write: a co_await as a condition, an operand, an argument.
// g++ 12 lays the frame of some such coroutines out in an order of its own
// (Frame in task_state.h). Each orchestrator here is run turn by turn, so its
// frame is also destroyed where it waits. Built without optimisation, with it,
// and with AddressSanitizer.
#include <cstddef>
#include <deque>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "tests/worker/turn_history.h"

namespace leasehold::worker {
namespace {

// What `Main`, which is `code`, comes to if its activities give `results`, one
// after the other: its output and how many it called, as in "7 after 2".
template <typename Code>
std::string Outcome(Code code, std::deque<std::string> results) {
  Registry registry;
  registry.AddOrchestrator("Main", std::move(code));
  TurnHistory history = TurnHistory().Turn(1).Started("Main");
  int called = 0;
  for (int turn = 2; turn < 20; ++turn) {
    const OrchestratorResponse response = RunLastTurn(registry, history);
    const CompleteOrchestrationAction end = Completion(response);
    if (end.orchestrationstatus() != 0) {
      return absl::StrCat(end.result().value(),
                          end.failuredetails().errormessage(), " after ",
                          called);
    }
    std::vector<int> ids;
    for (const OrchestratorAction& action : response.actions()) {
      history.Scheduled(action.id(), action.scheduletask().name());
      ids.push_back(action.id());
    }
    history.Turn(turn);
    for (const int id : ids) {
      ++called;
      if (results.empty()) return "a call too many";
      history.Done(id, results.front());
      results.pop_front();
    }
  }
  return "no end";
}

// In each of these coroutines the outermost block has no variable.

TEST(NaturalLines, If) {
  const auto code = [](OrchestrationContext& ctx) -> Task<int> {
    if (co_await ctx.CallActivity<bool>("X", std::string(kLong))) co_return 1;
    co_return 2;
  };
  EXPECT_EQ(Outcome(code, {"true"}), "1 after 1");
  EXPECT_EQ(Outcome(code, {"false"}), "2 after 1");
}

TEST(NaturalLines, IfWithAComparison) {
  const auto code = [](OrchestrationContext& ctx) -> Task<std::string> {
    if (co_await ctx.CallActivity<std::string>("X", kLong) == kLong) {
      co_return std::string(kLong);
    } else if (co_await ctx.CallActivity<int>("X") > 3) {
      co_return "more than 3";
    }
    co_return "neither";
  };
  EXPECT_EQ(Outcome(code, {"\"" + std::string(kLong) + "\""}),
            "\"" + std::string(kLong) + "\" after 1");
  EXPECT_EQ(Outcome(code, {"\"\"", "4"}), "\"more than 3\" after 2");
  EXPECT_EQ(Outcome(code, {"\"\"", "3"}), "\"neither\" after 2");
}

TEST(NaturalLines, IfWithinABlock) {
  const auto code = [](OrchestrationContext& ctx) -> Task<int> {
    for (const std::string item : {kLong, kLong}) {
      if (co_await ctx.CallActivity<bool>("X", item)) {
        if (!co_await ctx.CallActivity<bool>("Y", item)) co_return 1;
      }
    }
    if (co_await ctx.CallActivity<bool>("Z")) co_return 2;
    co_return 3;
  };
  EXPECT_EQ(Outcome(code, {"true", "false"}), "1 after 2");
  EXPECT_EQ(Outcome(code, {"false", "true", "true", "true"}), "2 after 4");
}

TEST(NaturalLines, IfWithAnd) {
  const auto code = [](OrchestrationContext& ctx) -> Task<int> {
    if (!ctx.parent_instance_id().has_value() &&
        co_await ctx.CallActivity<bool>("X", std::string(kLong))) {
      co_return 1;
    }
    if (ctx.parent_instance_id().has_value() &&
        co_await ctx.CallActivity<bool>("X", std::string(kLong))) {
      co_return 2;
    }
    if (ctx.instance_id() == kInstance ||
        co_await ctx.CallActivity<bool>("X")) {
      co_return 3;
    }
    co_return 4;
  };
  EXPECT_EQ(Outcome(code, {"true"}), "1 after 1");
  EXPECT_EQ(Outcome(code, {"false"}), "3 after 1");
}

TEST(NaturalLines, IfWithTwo) {
  const auto code = [](OrchestrationContext& ctx) -> Task<int> {
    if (co_await ctx.CallActivity<bool>("X") &&
        co_await ctx.CallActivity<bool>("Y")) {
      co_return 1;
    }
    co_return 2;
  };
  EXPECT_EQ(Outcome(code, {"true", "true"}), "1 after 2");
  EXPECT_EQ(Outcome(code, {"true", "false"}), "2 after 2");
  EXPECT_EQ(Outcome(code, {"false"}), "2 after 1");
}

TEST(NaturalLines, IfWithAnInitializer) {
  const auto code = [](OrchestrationContext& ctx) -> Task<int> {
    if (const int got = co_await ctx.CallActivity<int>("X"); got > 3) {
      co_return got;
    }
    if (const bool got = co_await ctx.CallActivity<bool>("X")) co_return got;
    co_return 0;
  };
  EXPECT_EQ(Outcome(code, {"4"}), "4 after 1");
  EXPECT_EQ(Outcome(code, {"3", "true"}), "1 after 2");
}

TEST(NaturalLines, Switch) {
  const auto code = [](OrchestrationContext& ctx) -> Task<std::string> {
    switch (co_await ctx.CallActivity<int>("X", std::string(kLong))) {
      case 1:
        co_return "one";
      case 2:
        if (co_await ctx.CallActivity<bool>("Y")) co_return "two";
        [[fallthrough]];
      default:
        co_return "many";
    }
  };
  EXPECT_EQ(Outcome(code, {"1"}), "\"one\" after 1");
  EXPECT_EQ(Outcome(code, {"2", "true"}), "\"two\" after 2");
  EXPECT_EQ(Outcome(code, {"2", "false"}), "\"many\" after 2");
  EXPECT_EQ(Outcome(code, {"7"}), "\"many\" after 1");
}

TEST(NaturalLines, Loops) {
  const auto with_while = [](OrchestrationContext& ctx) -> Task<std::string> {
    while (co_await ctx.CallActivity<int>("X", std::string(kLong)) != 0) {
      co_await ctx.CallActivity("Y");
    }
    co_return "done";
  };
  EXPECT_EQ(Outcome(with_while, {"1", "0", "1", "0", "0"}), "\"done\" after 5");
  const auto with_for = [](OrchestrationContext& ctx) -> Task<int> {
    for (int i = 0; co_await ctx.CallActivity<bool>("X", i); ++i) {
      if (i == 2) co_return i;
    }
    co_return -1;
  };
  EXPECT_EQ(Outcome(with_for, {"true", "true", "true"}), "2 after 3");
  EXPECT_EQ(Outcome(with_for, {"true", "false"}), "-1 after 2");
  const auto with_do = [](OrchestrationContext& ctx) -> Task<int> {
    do {
      co_await ctx.CallActivity("Y");
    } while (co_await ctx.CallActivity<bool>("X"));
    co_return 5;
  };
  EXPECT_EQ(Outcome(with_do, {"0", "true", "0", "false"}), "5 after 4");
}

TEST(NaturalLines, Initializers) {
  const auto code = [](OrchestrationContext& ctx) -> Task<int> {
    const bool child = ctx.parent_instance_id().has_value();
    const bool both = child && co_await ctx.CallActivity<bool>("X");
    const bool one = !child || co_await ctx.CallActivity<bool>("X");
    const int none = child ? co_await ctx.CallActivity<int>("X") : 3;
    const int some = child ? 3 : co_await ctx.CallActivity<int>("X");
    co_return (both ? 1000 : 0) + (one ? 100 : 0) + none * 10 + some;
  };
  EXPECT_EQ(Outcome(code, {"4"}), "134 after 1");
}

int Sum(int a, int b) { return 10 * a + b; }

TEST(NaturalLines, ArgumentsAndOperands) {
  const auto code = [](OrchestrationContext& ctx) -> Task<std::string> {
    if (Sum(co_await ctx.CallActivity<int>("X"),
            co_await ctx.CallActivity<int>("Y")) == 12) {
      co_return "<" + co_await ctx.CallActivity<std::string>("Z", kLong) + ">";
    }
    co_return std::to_string(co_await ctx.CallActivity<int>("X")) + kLong;
  };
  EXPECT_EQ(Outcome(code, {"1", "2", "\"z\""}), "\"<z>\" after 3");
  EXPECT_EQ(Outcome(code, {"1", "3", "5"}),
            "\"5" + std::string(kLong) + "\" after 3");
}

TEST(NaturalLines, ConditionThatThrows) {
  const auto code = [](OrchestrationContext& ctx) -> Task<int> {
    try {
      if (co_await ctx.CallActivity<bool>("X")) co_return 1;
    } catch (const PayloadError&) {
      co_return 2;
    }
    if (co_await ctx.CallActivity<bool>("X")) throw std::runtime_error("over");
    co_return 3;
  };
  EXPECT_EQ(Outcome(code, {"true"}), "1 after 1");
  EXPECT_EQ(Outcome(code, {"\"no\""}), "2 after 1");
  EXPECT_EQ(Outcome(code, {"false", "true"}), "over after 2");
  EXPECT_EQ(Outcome(code, {"false", "false"}), "3 after 2");
}

// A coroutine of the user's, whose value is aligned more than a pointer is.
Task<long double> Half(OrchestrationContext& ctx) {
  if (co_await ctx.CallActivity<bool>("X")) co_return 0.5L;
  co_return 0.25L;
}

TEST(NaturalLines, CoroutineWithinACondition) {
  const auto code = [](OrchestrationContext& ctx) -> Task<int> {
    if (co_await Half(ctx) == 0.5L) co_return 1;
    co_return 2;
  };
  EXPECT_EQ(Outcome(code, {"true"}), "1 after 1");
  EXPECT_EQ(Outcome(code, {"false"}), "2 after 1");
}

TEST(NaturalLines, CombinationsAsConditions) {
  const auto code = [](OrchestrationContext& ctx) -> Task<int> {
    switch (co_await WhenAny(ctx.WaitForEvent("never"),
                             ctx.CallActivity("X", std::string(kLong)))) {
      case 1:
        if (std::get<1>(co_await WhenAll(ctx.CallActivity<int>("Y"),
                                         ctx.CallActivity<int>("Z"))) == 2) {
          co_return 1;
        }
        co_return 2;
      default:
        co_return 3;
    }
  };
  EXPECT_EQ(Outcome(code, {"0", "1", "2"}), "1 after 3");
  EXPECT_EQ(Outcome(code, {"0", "1", "1"}), "2 after 3");
}

// g++ (12, 13 and 14 were tried) awaits what is behind these in any case, which
// is why it is refused unless somebody says that the code has none of them.
#ifdef __clang__
TEST(NaturalLines, WhatIsBehindIsAwaitedOnlyWhenTheCodeComesThere) {
  const auto loop = [](OrchestrationContext& ctx) -> Task<int> {
    // NOLINTNEXTLINE(gcc-traps)
    while (ctx.parent_instance_id().has_value() &&
           co_await ctx.CallActivity<bool>("X")) {
      co_return 1;
    }
    co_return 2;
  };
  EXPECT_EQ(Outcome(loop, {}), "2 after 0");
  const auto chosen = [](OrchestrationContext& ctx) -> Task<int> {
    // NOLINTNEXTLINE(gcc-traps)
    co_return ctx.parent_instance_id().has_value()
        ? co_await ctx.CallActivity<int>("X")
        : 2;
  };
  EXPECT_EQ(Outcome(chosen, {}), "2 after 0");
}
#endif

// ---- What waits for nothing -------------------------------------------------

Task<> AwaitsTheTaskAt(const Task<>* const* place) { co_await **place; }

TEST(StuckOrchestrator, FailsRatherThanBeRunningForEver) {
  Registry registry;
  registry.AddOrchestrator("Main", [](OrchestrationContext&) -> Task<> {
    const Task<>* place = nullptr;
    const Task<> itself = AwaitsTheTaskAt(&place);
    place = &itself;
    co_await itself;
  });
  EXPECT_THAT(RunLastTurn(registry, TurnHistory().Turn(1).Started("Main")),
              FailsWith("StuckOrchestratorError",
                        testing::HasSubstr("a task that waits for itself")));
}

TEST(StuckOrchestrator, AnOrchestratorThatWaitsForSomethingIsNotStuck) {
  Registry registry;
  registry.AddOrchestrator("Main", [](OrchestrationContext& ctx) -> Task<> {
    co_await ctx.WaitForEvent("go");
    co_await ctx.CreateTimer(absl::Seconds(1));
    co_await ctx.CallSubOrchestrator("Child");
  });
  TurnHistory history = TurnHistory().Turn(1).Started("Main");
  EXPECT_TRUE(RunLastTurn(registry, history).actions().empty());
  history.Turn(2).Suspended().Raised("go");
  EXPECT_TRUE(RunLastTurn(registry, history).actions().empty());
  history.Resumed();
  EXPECT_EQ(RunLastTurn(registry, history).actions_size(), 1);
  history.Timer(1, 3).Turn(3).Fired(1, 3);
  EXPECT_TRUE(
      RunLastTurn(registry, history).actions(0).has_createsuborchestration());
}

}  // namespace
}  // namespace leasehold::worker
