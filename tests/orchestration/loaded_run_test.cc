#include "service/orchestration/loaded_run.h"

#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "service/orchestration/orchestration_info.h"

namespace leasehold {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

const absl::Time kNow = absl::FromUnixSeconds(1000);

std::string Event(EventBody body) {
  return EncodeEvent({HistoryEvent::kFromOutside, {1, 0}, std::move(body)});
}

class LoadedRunTest : public testing::Test {
 protected:
  LoadedRunTest() {
    summary_.name = "Main";
    summary_.version = "2";
    summary_.execution_id = "e-1";
    stored_.row.number = 7;
    stored_.row.id = "a";
    stored_.row.status = static_cast<int32_t>(OrchestrationStatus::kRunning);
  }

  LoadedRun Load(bool id_is_taken = false) {
    stored_.row.summary = EncodeMessage(summary_);
    return LoadRun(stored_, id_is_taken, kNow);
  }
  void AddMessage(int64_t sequence, std::string event,
                  std::string execution = "") {
    stored_.messages.push_back(
        {7, sequence, std::move(execution), std::move(event)});
  }
  static std::vector<int64_t> Sequences(const LoadedRun& loaded) {
    std::vector<int64_t> sequences;
    for (const Message& message : loaded.orchestration->inbox.messages()) {
      sequences.push_back(message.sequence);
    }
    return sequences;
  }

  Summary summary_;
  OpenRun stored_;
};

TEST_F(LoadedRunTest, IsAsItsRowsSay) {
  summary_.former_executions = {"e-0"};
  summary_.turn_time = {60, 0};
  AddMessage(3, Event(EventRaised{"go", "x"}));
  TaskScheduled task;
  task.name = "Work";
  stored_.tasks.push_back({7, 2, EncodeMessage(task)});
  stored_.timers.push_back({7, 5, 9'000});
  const LoadedRun loaded = Load();
  EXPECT_EQ(loaded.damage, "");
  EXPECT_TRUE(loaded.row_is_intact);
  const Orchestration& one = *loaded.orchestration;
  EXPECT_TRUE(one.durable);
  EXPECT_EQ(one.number, 7);
  EXPECT_EQ(one.key.id, "a");
  EXPECT_EQ(one.turn.name, "Main");
  EXPECT_EQ(one.turn.version, "2");
  EXPECT_EQ(one.execution_id, "e-1");
  EXPECT_THAT(one.former_executions, ElementsAre("e-0"));
  EXPECT_EQ(one.turn_time, (Timestamp{60, 0}));
  EXPECT_EQ(one.last_sequence, 3);
  EXPECT_THAT(Sequences(loaded), ElementsAre(3));
  ASSERT_THAT(loaded.activities, SizeIs(1));
  EXPECT_EQ(loaded.activities[0].id, 2);
  EXPECT_EQ(loaded.activities[0].task.name, "Work");
  EXPECT_FALSE(loaded.activities[0].away);
  EXPECT_THAT(loaded.timers,
              ElementsAre(Timers::Entry{9'000, 7, Timers::Kind::kTimer, 5}));
}

TEST_F(LoadedRunTest, LargeMessagesAreInTheirPlaceAndAway) {
  AddMessage(1, Event(EventRaised{"small", "x"}));
  AddMessage(4, Event(ExecutionSuspended{}));
  const std::string large =
      Event(EventRaised{"large", std::string(kLargeMessageBytes, 'x')});
  stored_.large_messages.push_back(MakeLarge(2, "", large));
  stored_.large_messages.push_back(MakeLarge(6, "", large));
  const LoadedRun loaded = Load();
  EXPECT_THAT(Sequences(loaded), ElementsAre(1, 2, 4, 6));
  EXPECT_TRUE(loaded.orchestration->inbox.messages()[1].away);
  EXPECT_FALSE(loaded.orchestration->inbox.messages()[2].away);
  EXPECT_EQ(loaded.orchestration->last_sequence, 6);
  EXPECT_TRUE(loaded.orchestration->suspended);
}

TEST_F(LoadedRunTest, MessagesForAnotherExecutionAreDropped) {
  AddMessage(-1, Event(EventRaised{"go", "x"}), "e-1");
  AddMessage(2, Event(EventRaised{"go", "x"}), "e-0");
  AddMessage(3, "\xff", "e-0");  // Nobody needs to read it.
  const LoadedRun loaded = Load();
  EXPECT_EQ(loaded.damage, "");
  EXPECT_THAT(Sequences(loaded), ElementsAre(-1));
  // Their numbers are not given again.
  EXPECT_EQ(loaded.orchestration->first_sequence, -1);
  EXPECT_EQ(loaded.orchestration->last_sequence, 3);
}

TEST_F(LoadedRunTest, ATerminateIsNoted) {
  AddMessage(1, Event(ExecutionTerminated{"why", false}));
  EXPECT_TRUE(Load().orchestration->terminating);
}

TEST_F(LoadedRunTest, AScheduledStartThatIsAheadIsATimer) {
  stored_.row.status = static_cast<int32_t>(OrchestrationStatus::kPending);
  summary_.scheduled_start = Timestamp{1060, 0};
  const LoadedRun ahead = Load();
  EXPECT_EQ(ahead.orchestration->start_at, 1'060'000'000);
  EXPECT_THAT(ahead.timers, ElementsAre(Timers::Entry{
                                1'060'000'000, 7, Timers::Kind::kStart, 0}));
  summary_.scheduled_start = Timestamp{940, 0};
  const LoadedRun overdue = Load();
  EXPECT_EQ(overdue.orchestration->start_at, 0);
  EXPECT_THAT(overdue.timers, IsEmpty());
}

TEST_F(LoadedRunTest, WhatCannotBeReadDamagesIt) {
  AddMessage(1, Event(EventRaised{"go", "x"}));
  AddMessage(2, "\xff");
  EXPECT_THAT(Load().damage, HasSubstr("message 2"));
  stored_.messages.pop_back();

  stored_.tasks.push_back({7, 4, "\xff"});
  EXPECT_THAT(Load().damage, HasSubstr("activity 4"));
  stored_.tasks.clear();
  stored_.large_tasks.push_back({5, "\xff"});
  EXPECT_THAT(Load().damage, HasSubstr("activity 5"));
  EXPECT_TRUE(Load().row_is_intact);
  stored_.large_tasks.clear();

  stored_.damage = "its checksum";
  const LoadedRun by_the_store = Load();
  EXPECT_EQ(by_the_store.damage, "its checksum");
  EXPECT_FALSE(by_the_store.row_is_intact);
  EXPECT_THAT(Sequences(by_the_store), IsEmpty());
}

TEST_F(LoadedRunTest, ALargeActivityIsKnownByItsName) {
  TaskScheduled task;
  task.name = "Work";
  task.version = "3";
  task.input = std::string(kLargeTaskBytes, 'x');
  stored_.large_tasks.push_back(MakeLarge(2, EncodeMessage(task)));
  const LoadedRun loaded = Load();
  ASSERT_THAT(loaded.activities, SizeIs(1));
  EXPECT_TRUE(loaded.activities[0].away);
  EXPECT_EQ(loaded.activities[0].task.name, "Work");
  EXPECT_EQ(loaded.activities[0].task.version, "3");
  EXPECT_FALSE(loaded.activities[0].task.input.has_value());
}

TEST_F(LoadedRunTest, OneWhoseIdIsTakenIsDamagedAndHasAnotherName) {
  const LoadedRun loaded = Load(/*id_is_taken=*/true);
  EXPECT_THAT(loaded.damage, HasSubstr("two open orchestrations"));
  EXPECT_EQ(loaded.orchestration->key.id, "a (damaged, number 7)");
}

}  // namespace
}  // namespace leasehold
