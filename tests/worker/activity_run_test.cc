// Activities by values, with every signature that they may have.
#include "client/worker/activity_run.h"

#include <atomic>
#include <exception>
#include <stdexcept>
#include <string>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace leasehold::worker {
namespace {

using internal::RunActivity;
using ::testing::HasSubstr;

std::string Shout(const std::string& text) { return text + "!"; }
int Seven() noexcept { return 7; }

class ActivityRunTest : public ::testing::Test {
 protected:
  // The response of an activity, called with `input`.
  template <typename Activity>
  ActivityResponse Run(Activity activity, const Payload& input = {}) {
    Registry registry;
    registry.AddActivity("X", std::move(activity));
    return RunActivity(registry, Request(input), stopping_);
  }
  static ActivityRequest Request(const Payload& input) {
    ActivityRequest request;
    request.set_name("X");
    request.set_taskid(5);
    request.mutable_orchestrationinstance()->set_instanceid("a");
    request.mutable_orchestrationinstance()->mutable_executionid()->set_value(
        "e");
    (*request.mutable_tags())["k"] = "v";
    if (input.has_value()) request.mutable_input()->set_value(*input);
    return request;
  }

  std::atomic<bool> stopping_ = false;
};

TEST_F(ActivityRunTest, ActivityMayTakeContextOrInputOrBothOrNone) {
  EXPECT_EQ(Run(&Shout, R"("a")").result().value(), R"("a!")");
  EXPECT_EQ(Run(&Seven).result().value(), "7");
  EXPECT_EQ(Run([](int n) { return n + 1; }, "1").result().value(), "2");
  EXPECT_EQ(
      Run([](ActivityContext& ctx) { return ctx.name(); }).result().value(),
      R"("X")");
  EXPECT_EQ(
      Run([](ActivityContext& ctx, int n) { return ctx.task_id() + n; }, "1")
          .result()
          .value(),
      "6");
}

// Text in Latin-1, from an old library: a message with it could not be sent.
constexpr char kLatin1[] = "caf\xe9";

TEST_F(ActivityRunTest, TextThatIsNotUtf8IsSentAsFarAsItCanBeRead) {
  ActivityResponse response = Run([]() -> std::string { return kLatin1; });
  EXPECT_EQ(response.result().value(), "\"caf\uFFFD\"");
  response = Run([] { throw std::runtime_error(kLatin1); });
  EXPECT_EQ(response.failuredetails().errormessage(), "caf\uFFFD");
  EXPECT_TRUE(ActivityResponse().ParseFromString(response.SerializeAsString()));
}

TEST_F(ActivityRunTest, FailuresAreNestedOnlySoDeep) {
  const ActivityResponse response = Run([] {
    std::exception_ptr inner = std::make_exception_ptr(std::runtime_error("0"));
    for (int i = 1; i < 1000; ++i) {
      try {
        try {
          std::rethrow_exception(inner);
        } catch (...) {
          std::throw_with_nested(std::runtime_error(std::to_string(i)));
        }
      } catch (...) {
        inner = std::current_exception();
      }
    }
    std::rethrow_exception(inner);
  });
  int depth = 1;
  const TaskFailureDetails* at = &response.failuredetails();
  EXPECT_EQ(at->errormessage(), "999");
  for (; at->has_innerfailure(); ++depth) at = &at->innerfailure();
  EXPECT_EQ(depth, kFailuresNested);
}

TEST_F(ActivityRunTest, ActivityKnowsItsCall) {
  EXPECT_EQ(Run([](ActivityContext& ctx) {
              return ctx.instance_id() + ctx.execution_id() +
                     ctx.tags().at("k") + (ctx.stopping() ? "stopping" : "");
            })
                .result()
                .value(),
            R"("aev")");
  stopping_ = true;
  EXPECT_EQ(
      Run([](ActivityContext& ctx) { return ctx.stopping(); }).result().value(),
      "true");
}

TEST_F(ActivityRunTest, ResponseSaysWhichCallItAnswers) {
  const ActivityResponse response = Run(&Seven);
  EXPECT_EQ(response.instanceid(), "a");
  EXPECT_EQ(response.taskid(), 5);
}

TEST_F(ActivityRunTest, ActivityWithoutResultHasNone) {
  const ActivityResponse response = Run([](int) {}, "1");
  EXPECT_FALSE(response.has_result());
  EXPECT_FALSE(response.has_failuredetails());
  EXPECT_FALSE(Run([] { return absl::OkStatus(); }).has_result());
}

TEST_F(ActivityRunTest, StatusThatIsNotOkIsAFailure) {
  const ActivityResponse response = Run(
      [](int n) -> absl::StatusOr<int> {
        if (n > 1) return absl::OutOfRangeError("too many");
        return n;
      },
      "2");
  EXPECT_EQ(response.failuredetails().errortype(), "OUT_OF_RANGE");
  EXPECT_EQ(response.failuredetails().errormessage(), "too many");
  EXPECT_FALSE(response.has_result());
  EXPECT_EQ(
      Run([](int n) -> absl::StatusOr<int> { return n; }, "2").result().value(),
      "2");
}

TEST_F(ActivityRunTest, ExceptionIsAFailure) {
  const ActivityResponse response =
      Run([] { throw std::domain_error("no square"); });
  EXPECT_EQ(response.failuredetails().errortype(), "std::domain_error");
  EXPECT_EQ(response.failuredetails().errormessage(), "no square");
}

TEST_F(ActivityRunTest, InputOfAnotherTypeIsAFailureThatIsNotRetried) {
  const ActivityResponse response = Run([](int n) { return n; }, R"("one")");
  EXPECT_THAT(response.failuredetails().errormessage(), HasSubstr("\"one\""));
  EXPECT_TRUE(response.failuredetails().isnonretriable());
}

TEST_F(ActivityRunTest, UnknownNameIsAFailureThatIsNotRetried) {
  Registry registry;
  registry.AddActivity("Y", &Seven);
  const ActivityResponse response =
      RunActivity(registry, Request("1"), stopping_);
  EXPECT_EQ(response.failuredetails().errortype(), "ActivityTaskNotFound");
  EXPECT_EQ(response.failuredetails().errormessage(),
            R"(this worker has no activity "X", but "Y")");
  EXPECT_TRUE(response.failuredetails().isnonretriable());
}

TEST(Registry, NameThatIsGivenTwiceOrEmptyIsAnError) {
  Registry registry;
  EXPECT_TRUE(registry.status().ok());
  registry.AddActivity("X", &Seven);
  registry.AddOrchestrator("X",
                           [](OrchestrationContext&) -> Task<> { co_return; });
  EXPECT_TRUE(registry.status().ok()) << "no two of them are of one kind";
  registry.AddActivity("X", &Shout);
  EXPECT_EQ(registry.status(),
            absl::AlreadyExistsError("activity \"X\" was added twice"));
  Registry nameless;
  nameless.AddActivity("", &Seven);
  EXPECT_EQ(nameless.status(),
            absl::InvalidArgumentError("activity without a name"));
}

}  // namespace
}  // namespace leasehold::worker
