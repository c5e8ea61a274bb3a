#include "service/orchestration/packed_orchestration.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "service/orchestration/directory.h"

namespace leasehold {
namespace {

constexpr char kId[] = "0f8fad5b-d9cb-469f-a165-70867728950e";
constexpr char kExecution[] = "0123456789abcdef0123456789abcdef";

OrchestrationPtr Parked(RunNumber number = 70'000, const std::string& id = kId,
                        const std::string& execution = kExecution) {
  auto one = std::make_shared<Orchestration>(number, InstanceKey{"default", id},
                                             "Load", std::nullopt, execution);
  one->durable = true;
  one->revision = 90'000;
  one->status = OrchestrationStatus::kRunning;
  one->turn_time = {1'790'000'000, 123'456'789};
  one->last_sequence = 2;
  return one;
}

TEST(PackedOrchestration, IsSmall) {
  const PackedOrchestration packed = Pack(*Parked());
  EXPECT_LE(PackedBytes(packed.get()), 96);
}

TEST(PackedOrchestration, KeepsWhatAParkedOneHas) {
  const OrchestrationPtr one = Parked();
  one->turn.version = "1.2";
  one->status = OrchestrationStatus::kSuspended;
  one->suspended = true;
  one->begun_by_work = true;
  one->former_executions = {"before", std::string(300, 'x')};
  one->start_at = 5;
  one->first_sequence = -3;
  const PackedOrchestration packed = Pack(*one);
  EXPECT_EQ(NumberOf(packed.get()), 70'000);
  EXPECT_EQ(TenantOf(packed.get()), "default");
  EXPECT_EQ(IdOf(packed.get()), kId);
  EXPECT_TRUE(IsBegunByWork(packed.get()));

  const OrchestrationPtr again = Unpack(packed.get());
  EXPECT_EQ(again->number, 70'000);
  EXPECT_EQ(again->key, one->key);
  EXPECT_EQ(again->turn.name, "Load");
  EXPECT_EQ(again->turn.version, "1.2");
  EXPECT_EQ(again->execution_id, kExecution);
  EXPECT_EQ(again->former_executions, one->former_executions);
  EXPECT_EQ(again->revision, 90'000);
  EXPECT_EQ(again->status, OrchestrationStatus::kSuspended);
  EXPECT_EQ(again->turn_time, one->turn_time);
  EXPECT_EQ(again->start_at, 5);
  EXPECT_EQ(again->last_sequence, 2);
  EXPECT_EQ(again->first_sequence, -3);
  EXPECT_TRUE(again->suspended);
  EXPECT_TRUE(again->begun_by_work);
  EXPECT_TRUE(again->durable);
  EXPECT_TRUE(MayPack(*again));
}

TEST(PackedOrchestration, KeepsExecutionIdsOfAnyForm) {
  for (const std::string& id :
       {std::string(), std::string("short"), std::string(kId),
        std::string("0123456789ABCDEF0123456789abcdef"),
        std::string("zz23456789abcdef0123456789abcdef")}) {
    const PackedOrchestration packed = Pack(*Parked(1, "a", id));
    EXPECT_EQ(Unpack(packed.get())->execution_id, id);
  }
}

TEST(PackedOrchestration, WhatHasSomethingUnderWayIsNotPacked) {
  EXPECT_TRUE(MayPack(*Parked()));
  const auto may_pack_after = [](auto change) {
    const OrchestrationPtr one = Parked();
    change(*one);
    return MayPack(*one);
  };
  using One = Orchestration;
  EXPECT_FALSE(may_pack_after([](One& one) { one.durable = false; }));
  EXPECT_FALSE(may_pack_after([](One& one) { one.gone = true; }));
  EXPECT_FALSE(may_pack_after([](One& one) { one.held = true; }));
  EXPECT_FALSE(may_pack_after([](One& one) { one.ending = true; }));
  EXPECT_FALSE(may_pack_after([](One& one) { one.terminating = true; }));
  EXPECT_FALSE(may_pack_after([](One& one) { one.committing = true; }));
  EXPECT_FALSE(may_pack_after([](One& one) { one.pins = 1; }));
  EXPECT_FALSE(may_pack_after([](One& one) { one.pinning = true; }));
  EXPECT_FALSE(may_pack_after([](One& one) { one.turn.lost = 1; }));
  EXPECT_FALSE(may_pack_after([](One& one) { one.turn.token = "t"; }));
  EXPECT_FALSE(may_pack_after(
      [](One& one) { one.sent = std::make_unique<SentTurn>(); }));
  EXPECT_FALSE(may_pack_after(
      [](One& one) { one.fresh = std::make_unique<HotState>(); }));
  EXPECT_FALSE(may_pack_after([](One& one) {
    one.damage = std::make_unique<const std::string>("its row is torn");
  }));
  EXPECT_FALSE(may_pack_after([](One& one) { one.inbox.Add({.event = "e"}); }));
  EXPECT_FALSE(
      may_pack_after([](One& one) { one.inbox.Announce({.event = "e"}); }));
  EXPECT_FALSE(may_pack_after([](One& one) {
    one.former_executions.assign(3000, std::string(32, 'x'));
  }));
  EXPECT_FALSE(
      may_pack_after([](One& one) { one.turn_time.seconds = 1LL << 62; }));
}

}  // namespace
}  // namespace leasehold
