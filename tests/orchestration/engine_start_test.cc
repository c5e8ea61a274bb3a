// What a start costs until its turn is with a worker.
#include <optional>
#include <string>

#include "gtest/gtest.h"
#include "tests/orchestration/engine_fixture.h"

namespace leasehold {
namespace {

class EngineStartTest : public EngineTest {
 protected:
  // As clients of the Durable Task protocol ask to replace what has ended.
  StartRequest Replacing(std::string_view id) {
    StartRequest request = Request(id);
    request.policy.replaceable = {OrchestrationStatus::kCompleted,
                                  OrchestrationStatus::kTerminated};
    return request;
  }

  // Starts it, and returns what that took until its turn was sent.
  EngineCounts CostOf(FakeWorker& worker, StartRequest request) {
    const EngineCounts before = engine().counts();
    const auto start = Start(std::move(request));
    Settle();
    EXPECT_TRUE(start.ok()) << start.status();
    EXPECT_EQ(worker.items.size(), 1u);
    worker.items.clear();
    EngineCounts cost = engine().counts();
    cost.holds -= before.holds + 1;  // The last one is that of counts().
    cost.acquires -= before.acquires;
    return cost;
  }
};

TEST_F(EngineStartTest, TakesTheLockThreeTimesAtMostAndTheContextOnce) {
  FakeWorker& worker = Connect();
  const EngineCounts plain = CostOf(worker, Request("a"));
  EXPECT_LE(plain.holds, 2u);
  EXPECT_EQ(plain.acquires, 1u);

  // Looks for one that has ended.
  const EngineCounts with_a_policy = CostOf(worker, Replacing("b"));
  EXPECT_LE(with_a_policy.holds, 3u);
  EXPECT_EQ(with_a_policy.acquires, 1u);
}

TEST_F(EngineStartTest, AndNoMoreIfItReplacesOneThatHasEnded) {
  FakeWorker& worker = Connect();
  Run(worker, "a", {Complete("done")});
  const EngineCounts cost = CostOf(worker, Replacing("a"));
  EXPECT_LE(cost.holds, 3u);
  EXPECT_EQ(cost.acquires, 1u);
}

TEST_F(EngineStartTest, WorkThatFollowsWorkGoesOutWithTheSameContext) {
  FakeWorker& worker = Connect();
  const EngineCounts before = engine().counts();
  Run(worker, "a", {CallTask(1, "Work")});
  const AskedStatus task = Done(worker.TakeActivity());
  Settle();
  ASSERT_TRUE(task.ok());
  const AskedStatus turn = Answer(worker.TakeTurn(), {Complete("done")});
  Settle();
  ASSERT_TRUE(turn.ok());
  EXPECT_EQ(engine().counts().acquires - before.acquires, 1u);
  EXPECT_EQ(pins("a"), 0u);
}

TEST_F(EngineStartTest, ItsTurnKeepsTheContextAndItsAnswerGivesItBack) {
  FakeWorker& worker = Connect();
  const auto start = Start("a");
  Settle();
  EXPECT_EQ(pins("a"), 1u);
  Pass(2 * kLease);
  EXPECT_EQ(registry_->size(), 1u);
  ASSERT_TRUE(Answer(worker.TakeTurn()).code() == absl::StatusCode::kUnknown);
  Settle();
  EXPECT_EQ(pins("a"), 0u);
  Pass(2 * kLease);
  EXPECT_EQ(registry_->size(), 0u);
}

TEST_F(EngineStartTest, ATurnThatWaitsForAWorkerKeepsNothing) {
  const auto start = Start("a");
  Settle();
  ASSERT_TRUE(start.ok());
  EXPECT_EQ(pins("a"), 0u);
  Pass(2 * kLease);
  EXPECT_EQ(registry_->size(), 0u);
  // It acquires the context again.
  FakeWorker& worker = Connect();
  Settle();
  EXPECT_EQ(worker.TakeTurn().instance_id, "a");
  EXPECT_EQ(pins("a"), 1u);
}

TEST_F(EngineStartTest, OneThatIsRefusedNeitherCreatesAContextNorRenewsOne) {
  engine().Wait({.key = Key("x")}, [](absl::StatusOr<Engine::SharedInfo>) {});
  const auto first = Start("a");
  Settle();
  ASSERT_TRUE(first.ok());
  const auto before = registry_->Describe(Key("a"));
  ASSERT_TRUE(before.has_value());
  clock_.Advance(absl::Seconds(1));

  engine().Drain();
  const EngineCounts counted = engine().counts();
  const auto again = Start("a");
  const auto other = Start("b");
  Settle();
  EXPECT_EQ(again.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(other.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(engine().counts().acquires, counted.acquires);
  EXPECT_FALSE(registry_->Describe(Key("b")).has_value());
  const auto after = registry_->Describe(Key("a"));
  ASSERT_TRUE(after.has_value());
  EXPECT_EQ(after->last_use_time, before->last_use_time);
}

}  // namespace
}  // namespace leasehold
