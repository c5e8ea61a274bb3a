#include "service/orchestration/entity_batch.h"

#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace leasehold {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr Timestamp kNow{100, 0};

// Of an entity that was sent call 1 of p, signal 2 and
// call 3 of q.
class EntityBatchTest : public testing::Test {
 protected:
  static EntityMessage Call(int64_t sequence, std::string caller) {
    return {.sequence = sequence,
            .kind = EntityMessage::Kind::kCall,
            .request_id = "r-" + caller,
            .operation = "get",
            .caller = std::move(caller),
            .caller_execution = "e"};
  }
  CommittedBatch Commit(BatchAnswer answer) {
    std::vector<const EntityMessage*> sent;
    for (const EntityMessage& message : sent_) sent.push_back(&message);
    return CommitBatch(sent, std::move(answer), limits_, kNow,
                       [this] { return "id-" + std::to_string(++ids_); });
  }
  static BatchAnswer Results(std::vector<OperationResult> results) {
    BatchAnswer answer;
    answer.results = std::move(results);
    answer.state = "2";
    return answer;
  }
  static std::string FailureOf(const TurnOutcome::Message& message) {
    const auto* failed = message.event.As<EntityOperationFailed>();
    if (failed == nullptr) return "did not fail";
    const auto details = DecodeMessage<FailureDetails>(*failed->failure.bytes);
    return details->type + ": " + details->message;
  }

  const std::vector<EntityMessage> sent_ = {
      Call(1, "p"),
      {.sequence = 2, .request_id = "r-s", .operation = "add"},
      Call(3, "q")};
  TurnLimits limits_;
  int ids_ = 0;
};

TEST_F(EntityBatchTest, CallersAreAnsweredAndSignalsAreNot) {
  const CommittedBatch batch = Commit(
      Results({{"out", {}}, {"unheard", {}}, {{}, MakeFailure("T", "why")}}));
  EXPECT_EQ(batch.state, "2");
  EXPECT_FALSE(batch.keeps_state);
  EXPECT_THAT(batch.done, ElementsAre(1, 2, 3));
  ASSERT_THAT(batch.messages, SizeIs(2));
  EXPECT_EQ(batch.messages[0].instance_id, "p");
  EXPECT_EQ(batch.messages[0].execution_id, "e");
  const auto* completed =
      batch.messages[0].event.As<EntityOperationCompleted>();
  ASSERT_NE(completed, nullptr);
  EXPECT_EQ(completed->request_id, "r-p");
  EXPECT_EQ(completed->output, "out");
  EXPECT_EQ(batch.messages[1].instance_id, "q");
  EXPECT_EQ(FailureOf(batch.messages[1]), "T: why");
}

TEST_F(EntityBatchTest, WhatHasNoResultStaysInTheQueue) {
  const CommittedBatch batch = Commit(Results({{"out", {}}}));
  EXPECT_THAT(batch.done, ElementsAre(1));
  EXPECT_THAT(batch.messages, SizeIs(1));
}

TEST_F(EntityBatchTest, ResultsOfNothingAreDropped) {
  const CommittedBatch batch = Commit(Results(std::vector<OperationResult>(9)));
  EXPECT_THAT(batch.done, ElementsAre(1, 2, 3));
}

TEST_F(EntityBatchTest, AnAbsentStateDeletesTheEntity) {
  BatchAnswer answer = Results(std::vector<OperationResult>(3));
  answer.state.reset();
  EXPECT_EQ(Commit(std::move(answer)).state, std::nullopt);
}

TEST_F(EntityBatchTest, SignalsGetAnIdOfTheirOwn) {
  BatchAnswer answer = Results(std::vector<OperationResult>(3));
  answer.actions.push_back(EntityOperationSignaled{
      .request_id = "not kept", .operation = "add", .target = "@b@1"});
  const CommittedBatch batch = Commit(std::move(answer));
  ASSERT_THAT(batch.messages, SizeIs(3));
  EXPECT_EQ(batch.messages[2].instance_id, "@b@1");
  EXPECT_EQ(batch.messages[2].execution_id, std::nullopt);
  const auto* signal = batch.messages[2].event.As<EntityOperationSignaled>();
  ASSERT_NE(signal, nullptr);
  EXPECT_EQ(signal->request_id, "id-1");
  EXPECT_EQ(signal->operation, "add");
}

TEST_F(EntityBatchTest, StartsKeepTheirIdOrGetOne) {
  BatchAnswer answer = Results(std::vector<OperationResult>(3));
  ExecutionStarted named;
  named.name = "O";
  named.orchestration.instance_id = "o";
  ExecutionStarted unnamed;
  unnamed.name = "O";
  answer.actions.push_back(EntityStart{named});
  answer.actions.push_back(EntityStart{unnamed});
  const CommittedBatch batch = Commit(std::move(answer));
  ASSERT_THAT(batch.starts, SizeIs(2));
  EXPECT_EQ(batch.starts[0].orchestration.instance_id, "o");
  EXPECT_EQ(batch.starts[1].orchestration.instance_id, "id-1");
}

// ---- Limits -----------------------------------------------------------------

TEST_F(EntityBatchTest, AResultThatIsTooLargeFailsItsCallOnly) {
  limits_.payload_bytes_max = 4;
  const CommittedBatch batch =
      Commit(Results({{"12345", {}}, {{}, {}}, {"1234", {}}}));
  EXPECT_EQ(batch.state, "2");
  EXPECT_THAT(FailureOf(batch.messages[0]),
              HasSubstr("PayloadTooLarge: the result has 5 bytes; at most 4"));
  EXPECT_NE(batch.messages[1].event.As<EntityOperationCompleted>(), nullptr);
}

TEST_F(EntityBatchTest, AStateThatIsTooLargeFailsAllAndTheOldOneStays) {
  limits_.payload_bytes_max = 4;
  BatchAnswer answer = Results(std::vector<OperationResult>(3));
  answer.state = "12345";
  answer.actions.push_back(EntityOperationSignaled{.target = "@b@1"});
  const CommittedBatch batch = Commit(std::move(answer));
  EXPECT_TRUE(batch.keeps_state);
  EXPECT_THAT(batch.done, ElementsAre(1, 2, 3));
  ASSERT_THAT(batch.messages, SizeIs(2));
  EXPECT_THAT(FailureOf(batch.messages[0]),
              HasSubstr("the state of the entity would have 5 bytes"));
  EXPECT_THAT(batch.limit, HasSubstr("--max-payload"));
}

TEST_F(EntityBatchTest, AnActionThatIsTooLargeFailsAllAndDoesNothing) {
  limits_.payload_bytes_max = 4;
  BatchAnswer answer = Results(std::vector<OperationResult>(3));
  answer.actions.push_back(
      EntityOperationSignaled{.input = "12345", .target = "@b@1"});
  answer.actions.push_back(EntityStart{});
  const CommittedBatch batch = Commit(std::move(answer));
  EXPECT_TRUE(batch.keeps_state);
  EXPECT_THAT(batch.messages, SizeIs(2));
  EXPECT_THAT(batch.starts, IsEmpty());
}

TEST_F(EntityBatchTest, FailingTheFirstLeavesTheOthersAndTheState) {
  const CommittedBatch batch =
      Commit(FailingFirst(MakeFailure("DeliveryLimit", "lost")));
  EXPECT_TRUE(batch.keeps_state);
  EXPECT_THAT(batch.done, ElementsAre(1));
  EXPECT_EQ(FailureOf(batch.messages[0]), "DeliveryLimit: lost");
}

TEST_F(EntityBatchTest, SaysWhatItChanges) {
  BatchAnswer answer = Results({{"out", {}}, {{}, {}}});
  answer.actions.push_back(EntityOperationSignaled{.target = "@b@1"});
  answer.actions.push_back(EntityStart{});
  std::ostringstream out;
  out << Commit(std::move(answer));
  EXPECT_EQ(out.str(),
            "has a state; done 1 2; tells p; tells @b@1; starts id-2");
}

}  // namespace
}  // namespace leasehold
