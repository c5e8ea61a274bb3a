// What an orchestrator sends to entities: in its history, and to them.
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "service/orchestration/bounds.h"
#include "service/orchestration/turn.h"
#include "tests/orchestration/turn_conclusion_fixture.h"

namespace leasehold {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

EntityOperationCalled Call() {
  EntityOperationCalled call{.request_id = "r", .operation = "get"};
  call.input = "in";
  call.target = "@counter@a";
  return call;
}

class EntityActionsTest : public TurnConclusionTest {};

TEST_F(EntityActionsTest, ACallNamesWhoWaitsForIt) {
  const TurnOutcome outcome = Conclude({{4, Call()}});
  ASSERT_THAT(outcome.messages, SizeIs(1));
  EXPECT_EQ(outcome.messages[0].instance_id, "@counter@a");
  EXPECT_EQ(outcome.messages[0].execution_id, std::nullopt);
  EXPECT_EQ(outcome.messages[0].event.id, HistoryEvent::kFromOutside);
  const auto* sent = outcome.messages[0].event.As<EntityOperationCalled>();
  ASSERT_NE(sent, nullptr);
  EXPECT_EQ(sent->caller, "a");
  EXPECT_EQ(sent->caller_execution, "e-1");
  EXPECT_EQ(sent->request_id, "r");
  EXPECT_EQ(sent->input, "in");
  ASSERT_THAT(outcome.events, SizeIs(1));
  EXPECT_EQ(outcome.events[0].id, 4);
  EXPECT_NE(outcome.events[0].As<EntityOperationCalled>(), nullptr);
}

TEST_F(EntityActionsTest, ASignalIsSentAndRecorded) {
  const TurnOutcome outcome =
      Conclude({{4, EntityOperationSignaled{.request_id = "r",
                                            .operation = "add",
                                            .target = "@counter@a"}}});
  ASSERT_THAT(outcome.messages, SizeIs(1));
  EXPECT_NE(outcome.messages[0].event.As<EntityOperationSignaled>(), nullptr);
  ASSERT_THAT(outcome.events, SizeIs(1));
  EXPECT_NE(outcome.events[0].As<EntityOperationSignaled>(), nullptr);
}

TEST_F(EntityActionsTest, ALockRequestGoesToTheFirstOfItsSet) {
  const TurnOutcome outcome = Conclude(
      {{4, EntityLockRequested{"c", {"@counter@a", "@counter@b"}, 0}}});
  ASSERT_THAT(outcome.messages, SizeIs(1));
  EXPECT_EQ(outcome.messages[0].instance_id, "@counter@a");
  const auto* sent = outcome.messages[0].event.As<EntityLockRequested>();
  ASSERT_NE(sent, nullptr);
  EXPECT_EQ(sent->requester, "a");
  EXPECT_EQ(sent->requester_execution, "e-1");
  // The history has what the contract knows.
  ASSERT_THAT(outcome.events, SizeIs(1));
  const auto* echo = outcome.events[0].As<EntityLockRequested>();
  ASSERT_NE(echo, nullptr);
  EXPECT_EQ(echo->requester, "a");
  EXPECT_EQ(echo->requester_execution, "");
}

TEST_F(EntityActionsTest, ALockSetIsPutInOrder) {
  const TurnOutcome outcome =
      Conclude({{4, EntityLockRequested{"c",
                                        {"@counter@b", "@Counter@a",
                                         "@counter@b", "@account@z"},
                                        0}}});
  ASSERT_THAT(outcome.messages, SizeIs(1));
  EXPECT_EQ(outcome.messages[0].instance_id, "@account@z");
  EXPECT_THAT(outcome.messages[0].event.As<EntityLockRequested>()->lock_set,
              ElementsAre("@account@z", "@counter@a", "@counter@b"));
  // The history has what the orchestrator said.
  EXPECT_THAT(outcome.events[0].As<EntityLockRequested>()->lock_set, SizeIs(4));
}

TEST_F(EntityActionsTest, AnUnlockGoesToItsEntity) {
  const TurnOutcome outcome =
      Conclude({{4, EntityUnlockSent{"c", {}, "@counter@b"}}});
  ASSERT_THAT(outcome.messages, SizeIs(1));
  EXPECT_EQ(outcome.messages[0].instance_id, "@counter@b");
}

TEST_F(EntityActionsTest, AreCarriedOutWhenItContinuesAsNew) {
  CompleteExecution again;
  again.status = OrchestrationStatus::kContinuedAsNew;
  const TurnOutcome outcome =
      Conclude({{4, EntityUnlockSent{"c", {}, "@counter@b"}}, {5, again}});
  EXPECT_THAT(outcome.messages, SizeIs(1));
  EXPECT_THAT(outcome.events, IsEmpty());
  EXPECT_TRUE(outcome.next.has_value());
}

TEST_F(EntityActionsTest, SurviveTheirEncoding) {
  EntityOperationCalled call = Call();
  call.scheduled = Timestamp{7, 0};
  const auto again = DecodeEvent(EncodeEvent({4, kNow, call}));
  const auto* read = again->As<EntityOperationCalled>();
  ASSERT_NE(read, nullptr);
  EXPECT_EQ(read->scheduled, (Timestamp{7, 0}));
  EXPECT_EQ(read->target, "@counter@a");
  const auto lock = DecodeEvent(EncodeEvent(
      {4, kNow, EntityLockRequested{"c", {"@a@1", "@a@2"}, 1, "p"}}));
  EXPECT_EQ(lock->As<EntityLockRequested>()->lock_set.size(), 2u);
  EXPECT_EQ(lock->As<EntityLockRequested>()->position, 1);
}

// ---- What is refused --------------------------------------------------------

TEST_F(EntityActionsTest, ATargetThatIsNoEntityFailsTheOrchestration) {
  for (const char* id : {"", "counter", "@counter", "@@a"}) {
    EntityOperationCalled call = Call();
    call.target = id;
    EXPECT_THAT(FailureOf(Conclude({{4, call}})),
                HasSubstr("InvalidAction: action 4: its entity ID"))
        << id;
  }
  EXPECT_TRUE(CheckEntityId("id", "@counter@").ok());
  const std::string hundred = "@c@" + std::string(96, 'x') + "\u00e9";
  EXPECT_TRUE(CheckEntityId("id", hundred).ok());
  EXPECT_THAT(CheckEntityId("id", hundred + "x").message(),
              HasSubstr("is 101 characters; at most 100 are allowed"));
  EXPECT_TRUE(CheckEntityId("id", "@counter@a@b").ok());
}

TEST_F(EntityActionsTest, AnInputThatIsTooLargeFailsTheOrchestration) {
  limits_.payload_bytes_max = 1;
  EXPECT_THAT(FailureOf(Conclude({{4, Call()}})),
              HasSubstr("PayloadTooLarge: action 4"));
}

TEST_F(EntityActionsTest, ALockOfNothingFailsTheOrchestration) {
  EXPECT_THAT(FailureOf(Conclude({{4, EntityLockRequested{"c", {}, 0}}})),
              HasSubstr("its lock set names 0 entities"));
  EXPECT_THAT(FailureOf(Conclude({{4, EntityLockRequested{"c", {"@a@1"}, 1}}})),
              HasSubstr("its position is 1"));
}

}  // namespace
}  // namespace leasehold
