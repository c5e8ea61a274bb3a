// Entities of workers that send them events, and expect events.
#include <string>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/orchestration/entity_fixture.h"

namespace leasehold {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

template <typename Message>
OrchestratorAction Legacy(int32_t id, std::string name, Message message) {
  LegacyEntityMessage legacy;
  legacy.sent = {"@c@1", std::move(name), "{}"};
  legacy.message = std::move(message);
  return {id, std::move(legacy)};
}

OrchestratorAction LegacyCall(int32_t id) {
  EntityOperationCalled call{.request_id = "r", .operation = "get"};
  call.target = "@c@1";
  call.legacy = true;
  return Legacy(id, "op", std::move(call));
}

class LegacyEntityTest : public EntityTest {};

TEST_F(LegacyEntityTest, ACallIsAnEventInTheHistoryAndIsAnsweredByOne) {
  FakeWorker& worker = Connect();
  Run(worker, "p", {LegacyCall(1)});
  const FakeItem batch = worker.TakeBatch();
  EXPECT_THAT(Operations(batch), ElementsAre("get?"));
  EXPECT_EQ(batch.events[0].As<EntityOperationCalled>()->caller, "p");
  Complete(batch, "7");
  const FakeItem turn = worker.TakeTurn();
  EXPECT_THAT(Words(turn.past), ElementsAre("turn", "started()", "sent op"));
  EXPECT_THAT(Words(turn.events), ElementsAre("turn", "raised r"));
  EXPECT_EQ(turn.events[1].As<EventRaised>()->input, R"({"result":"7"})");
}

TEST_F(LegacyEntityTest, AFailedCallIsAnsweredByAnEvent) {
  FakeWorker& worker = Connect();
  Run(worker, "p", {LegacyCall(1)});
  BatchAnswer answer;
  answer.results = {{std::nullopt, MakeFailure("Bad", "it broke")}};
  Complete(worker.TakeBatch(), std::move(answer));
  const FakeItem turn = worker.TakeTurn();
  EXPECT_THAT(Words(turn.events), ElementsAre("turn", "raised r"));
  EXPECT_THAT(*turn.events[1].As<EventRaised>()->input,
              testing::StartsWith(R"({"exceptionType":"Bad")"));
}

TEST_F(LegacyEntityTest, AnAnswerIsForTheExecutionThatCalled) {
  FakeWorker& worker = Connect();
  Run(worker, "p", {LegacyCall(1), AsNew("again")});
  Complete(worker.TakeBatch(), "7");
  EXPECT_THAT(Words(worker.TakeTurn().events),
              ElementsAre("turn", "started(again)"));
  EXPECT_THAT(worker.items, IsEmpty());
}

TEST_F(LegacyEntityTest, ALockIsGrantedByAnEventAndReleased) {
  FakeWorker& worker = Connect();
  EntityLockRequested lock{.section_id = "s", .lock_set = {"@c@1", "@c@2"}};
  lock.legacy = true;
  Run(worker, "p", {Legacy(1, "op", std::move(lock))});
  const FakeItem turn = worker.TakeTurn();
  EXPECT_THAT(Words(turn.events), ElementsAre("turn", "raised s"));
  EXPECT_EQ(turn.events[1].As<EventRaised>()->input,
            R"({"result":"Lock Acquisition Completed"})");
  EXPECT_EQ(HolderOf("@c@1"), "p");
  EXPECT_EQ(HolderOf("@c@2"), "p");
  EntityUnlockSent unlock{.section_id = "s"};
  unlock.target = "@c@1";
  Answer(turn, {Legacy(2, "release", std::move(unlock))});
  Settle();
  EXPECT_EQ(HolderOf("@c@1"), "nobody");
  EXPECT_EQ(HolderOf("@c@2"), "p");
}

TEST_F(LegacyEntityTest, ACallThatWaitsIsAnsweredByAnEventAfterARestart) {
  FakeWorker& worker = Connect();
  Run(worker, "p", {LegacyCall(1)});
  Crash();
  FakeWorker& next = Connect();
  Settle();
  Complete(next.TakeBatch(), "7");
  EXPECT_THAT(Words(next.TakeTurn().events), ElementsAre("turn", "raised r"));
}

TEST_F(LegacyEntityTest, WhatIsNoMessageFailsTheOrchestration) {
  FakeWorker& worker = Connect();
  LegacyEntityMessage legacy;
  legacy.sent = {"@c@1", "go", "{"};
  legacy.problem = "it is none";
  Run(worker, "p", {{1, std::move(legacy)}});
  EXPECT_EQ(StatusOf("p"), "Failed");
  EXPECT_EQ(Entity("@c@1"), std::nullopt);
}

}  // namespace
}  // namespace leasehold
