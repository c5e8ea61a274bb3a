// The built-in orchestrators, through a real server.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/wire/channel.h"
#include "client/worker/entity_id.h"
#include "client/worker/log.h"
#include "client/worker/orchestration_context.h"
#include "client/worker/worker.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "service/builtin/builtin_worker.h"
#include "service/builtin/counter.h"
#include "service/builtin/counter_entity.h"
#include "tests/support/test_key.h"
#include "tests/worker/task_hub.h"

namespace leasehold {
namespace {

using nlohmann::json;

// ---- The counter's operations -----------------------------------------------

TEST(CounterOperations, AreIncrDecrResetAndAdd) {
  EXPECT_EQ(builtin::Apply("incr", 5), 6);
  EXPECT_EQ(builtin::Apply("decr", 5), 4);
  EXPECT_EQ(builtin::Apply("reset", 5), 0);
  EXPECT_EQ(builtin::Apply({{"add", 10}}, 5), 15);
  EXPECT_EQ(builtin::Apply({{"add", -10}}, 5), -5);
}

TEST(CounterOperations, OthersAreNone) {
  for (const json& operation :
       {json("end"), json("INCR"), json(""), json(1), json(nullptr),
        json::array({"incr"}), json::object(), json{{"add", "1"}},
        json{{"add", 1.5}}, json{{"add", nullptr}}, json{{"sub", 1}},
        json{{"add", 1}, {"sub", 1}}, json{{"add", UINT64_MAX}}}) {
    EXPECT_EQ(builtin::Apply(operation, 5), std::nullopt) << operation;
  }
}

TEST(CounterOperations, SumsThatOverflowAreRefused) {
  EXPECT_EQ(builtin::Apply("incr", INT64_MAX), std::nullopt);
  EXPECT_EQ(builtin::Apply("decr", INT64_MIN), std::nullopt);
  EXPECT_EQ(builtin::Apply({{"add", INT64_MIN}}, -1), std::nullopt);
  EXPECT_EQ(builtin::Apply({{"add", INT64_MAX}}, 0), INT64_MAX);
}

// ---- The counter as an entity -----------------------------------------------

TEST(CounterEntityTest, AddsResetsAndAnswersWithTheValue) {
  builtin::CounterEntity counter;
  EXPECT_EQ(*counter.Add(5), 5);
  EXPECT_EQ(*counter.Add(nullptr), 6);
  EXPECT_EQ(*counter.Add(-7), -1);
  EXPECT_EQ(counter.Get(), -1);
  EXPECT_EQ(*counter.Reset(10), 10);
  EXPECT_EQ(*counter.Reset(nullptr), 0);
}

TEST(CounterEntityTest, SumThatOverflowsIsRefused) {
  builtin::CounterEntity counter;
  ASSERT_TRUE(counter.Reset(INT64_MAX).ok());
  EXPECT_EQ(counter.Add(1).status(),
            absl::OutOfRangeError(
                "the counter is at 9223372036854775807; with 1 more it would "
                "not fit into 64 bits"));
  EXPECT_EQ(counter.Get(), INT64_MAX);
  EXPECT_EQ(*counter.Add(INT64_MIN), -1);
  ASSERT_TRUE(counter.Reset(INT64_MIN).ok());
  EXPECT_TRUE(absl::IsOutOfRange(counter.Add(-1).status()));
}

TEST(CounterEntityTest, InputThatIsNotAWholeNumberIsRefused) {
  builtin::CounterEntity counter;
  for (const json& input : {json("1"), json(1.5), json::array({1}),
                            json::object(), json(true), json(UINT64_MAX)}) {
    EXPECT_TRUE(absl::IsInvalidArgument(counter.Add(input).status())) << input;
    EXPECT_TRUE(absl::IsInvalidArgument(counter.Reset(input).status()))
        << input;
  }
  EXPECT_EQ(counter.Add("1").status().message(),
            "the input is \"1\"; it must be a whole number of 64 bits, or "
            "absent");
}

// ---- Through a server -------------------------------------------------------

class BuiltinTest : public testing::Test {
 protected:
  void SetUp() override {
    worker_ = std::make_unique<BuiltinWorker>(
        hub_.clock(), hub_.work(), client::OpenChannel(hub_.address()),
        /*token=*/"", [](const worker::LogLine&) {});
    const absl::Status status = worker_->Start({std::string(kTestTenant)});
    ASSERT_TRUE(status.ok()) << status;
  }
  void Operate(const json& operation) {
    hub_.Raise("a", "operation", operation.dump());
  }
  json Output(const std::string& name, const std::optional<std::string>& input,
              const std::string& id = "a") {
    hub_.Start(id, name, input);
    const OrchestrationState state = hub_.Await(id);
    EXPECT_EQ(state.orchestrationstatus(), ORCHESTRATION_STATUS_COMPLETED)
        << state.failuredetails().errormessage();
    return json::parse(state.output().value(), nullptr, false);
  }

  // Batches of entities that the worker does not know go back first.
  json OutputWhileTimePasses(const std::string& name,
                             const std::string& input) {
    hub_.Start("a", name, input);
    const OrchestrationState state = hub_.AwaitWhileTimePasses("a");
    EXPECT_EQ(state.orchestrationstatus(), ORCHESTRATION_STATUS_COMPLETED)
        << state.failuredetails().errormessage();
    return json::parse(state.output().value(), nullptr, false);
  }

  worker::TaskHub hub_;
  std::unique_ptr<BuiltinWorker> worker_;
};

TEST_F(BuiltinTest, CounterCountsUntilItIsEnded) {
  hub_.Start("a", "Counter", "10");
  Operate({{"add", 5}});
  Operate("incr");
  Operate("decr");
  Operate("decr");
  Operate("end");
  const OrchestrationState state = hub_.Await("a");
  EXPECT_EQ(state.orchestrationstatus(), ORCHESTRATION_STATUS_COMPLETED);
  EXPECT_EQ(state.output().value(), "14");
  EXPECT_EQ(state.customstatus().value(), "14");
}

TEST_F(BuiltinTest, CounterBeginsWithZero) {
  hub_.Start("a", "Counter");
  Operate("incr");
  Operate("end");
  EXPECT_EQ(hub_.Await("a").output().value(), "1");
}

TEST_F(BuiltinTest, CounterIgnoresWhatIsNotAnOperation) {
  hub_.Start("a", "Counter", "1");
  Operate("more");
  hub_.Raise("a", "other", "1");
  Operate("incr");
  Operate("end");
  EXPECT_EQ(hub_.Await("a").output().value(), "2");
}

// Text nested so deep that whatever recurses into it overflows its stack.
std::string DeepJson() {
  constexpr size_t kDepth = 100000;
  return std::string(kDepth, '[') + std::string(kDepth, ']');
}

TEST_F(BuiltinTest, CounterPassesOverEventsThatCannotBeRead) {
  hub_.Start("a", "Counter", "1");
  hub_.Raise("a", "operation", DeepJson());
  hub_.Raise("a", "operation", "{");
  Operate("incr");
  Operate("end");
  EXPECT_EQ(hub_.Await("a").output().value(), "2");
}

TEST_F(BuiltinTest, DeepInputFailsTheOrchestrationAlone) {
  for (const char* const name :
       {"Ping", "Counter", "EchoSequence", "FanOutEcho"}) {
    hub_.Start(name, name, DeepJson());
    const OrchestrationState state = hub_.Await(name);
    EXPECT_EQ(state.orchestrationstatus(), ORCHESTRATION_STATUS_FAILED);
    EXPECT_THAT(
        state.failuredetails().errormessage(),
        testing::HasSubstr("nested deeper than 128 arrays and objects"));
  }
  EXPECT_EQ(Output("Ping", "7", "b"), 7);
}

TEST_F(BuiltinTest, CounterWithAnInputThatIsNotANumberFails) {
  hub_.Start("a", "Counter", R"("many")");
  const OrchestrationState state = hub_.Await("a");
  EXPECT_EQ(state.orchestrationstatus(), ORCHESTRATION_STATUS_FAILED);
  EXPECT_FALSE(state.failuredetails().errormessage().empty());
}

TEST_F(BuiltinTest, CounterContinuesAsNewAndLosesNoOperation) {
  hub_.Start("a", "Counter", "0");
  const std::string first = hub_.AwaitStart("a").executionid().value();
  constexpr int kOperations = 3 * builtin::kOperationsOfARun + 7;
  for (int i = 0; i < kOperations; ++i) Operate("incr");
  Operate("end");
  const OrchestrationState state = hub_.Await("a");
  EXPECT_EQ(state.output().value(), absl::StrCat(kOperations));
  EXPECT_NE(state.executionid().value(), first);
}

TEST_F(BuiltinTest, EchoSequenceMovesTheSequenceOfItsOwnContext) {
  const json echoes = Output("EchoSequence", R"(["x","y"])");
  ASSERT_EQ(echoes.size(), 2u);
  EXPECT_EQ(echoes[0]["text"], "x");
  EXPECT_EQ(echoes[0]["sequence"], 1);
  EXPECT_EQ(echoes[1]["text"], "y");
  EXPECT_EQ(echoes[1]["sequence"], 2);
  EXPECT_EQ(echoes[0]["generation"], echoes[1]["generation"]);
}

TEST_F(BuiltinTest, EchoSequenceHasTextsOfItsOwn) {
  EXPECT_EQ(Output("EchoSequence", std::nullopt).size(), 3u);
  EXPECT_EQ(Output("EchoSequence", "[]", "none").size(), 0u);
}

TEST_F(BuiltinTest, FanOutEchoAwaitsAllItsChildren) {
  const json echoes = Output("FanOutEcho", R"(["x","y","z"])");
  ASSERT_EQ(echoes.size(), 3u);
  EXPECT_EQ(echoes[2]["text"], "z");
  // Each child has an instance of its own.
  EXPECT_EQ(echoes[2]["sequence"], 1);
  EXPECT_NE(echoes[0]["generation"], echoes[2]["generation"]);
}

TEST_F(BuiltinTest, PingReturnsItsInput) {
  EXPECT_EQ(Output("Ping", R"({"n":[1,2]})"), (json{{"n", {1, 2}}}));
  EXPECT_EQ(Output("Ping", std::nullopt, "b"), nullptr);
}

// An operation is an array of its name and, if it has one, its input.
struct Calls {
  std::string counter;
  std::vector<std::vector<json>> operations;

  friend void from_json(const json& json, Calls& calls) {
    json.at("counter").get_to(calls.counter);
    json.at("operations").get_to(calls.operations);
  }
};

// What a caller of the entity Counter gets, one operation after the other.
worker::Task<json> Operations(worker::OrchestrationContext& context,
                              Calls calls) {
  const worker::EntityId counter("Counter", calls.counter);
  json answers = json::array();
  for (const std::vector<json>& operation : calls.operations) {
    const auto name = operation.at(0).get<std::string>();
    try {
      if (operation.size() == 1) {
        answers.push_back(co_await context.CallEntity<json>(counter, name));
      } else {
        const json& input = operation.at(1);
        answers.push_back(
            co_await context.CallEntity<json>(counter, name, input));
      }
    } catch (const worker::TaskFailedError& error) {
      answers.push_back(error.failure().error_type);
    }
  }
  co_return answers;
}

TEST_F(BuiltinTest, CounterIsAnEntityToo) {
  worker::Worker callers(hub_.address());
  callers.AddOrchestrator("Operations", &Operations);
  ASSERT_TRUE(callers.Start().ok());
  EXPECT_EQ(OutputWhileTimePasses("Operations",
                                  R"({"counter": "visits", "operations": [
                 ["get"], ["add", 5], ["Add"], ["add", "x"], ["get"],
                 ["reset", 9223372036854775807], ["add"], ["delete"], ["get"],
                 ["sub", 1]]})"),
            json({0, 5, 6, "INVALID_ARGUMENT", 6, INT64_MAX, "OUT_OF_RANGE",
                  nullptr, 0, "leasehold::worker::UnknownOperationError"}));
}

TEST_F(BuiltinTest, OnlyTheFirstCounterWaitsForAWorkerThatMayConnect) {
  worker::Worker callers(hub_.address());
  callers.AddOrchestrator("Operations", &Operations);
  ASSERT_TRUE(callers.Start().ok());
  const std::string add = R"({"counter":"visits","operations":[["add",5]]})";
  EXPECT_EQ(OutputWhileTimePasses("Operations", add), json::array({5}));
  // Time stands still.
  EXPECT_EQ(Output("Operations", add, "b"), json::array({10}));
  const std::string other = R"({"counter":"other","operations":[["add",5]]})";
  EXPECT_EQ(Output("Operations", other, "c"), json::array({5}));
}

}  // namespace
}  // namespace leasehold
