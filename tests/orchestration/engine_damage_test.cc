// An orchestration whose rows cannot be read is set aside; the others are
// served, and it can be read and purged.
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/orchestration/engine_fixture.h"
#include "tests/support/test_key.h"

namespace leasehold {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

using Code = absl::StatusCode;

constexpr char kNoise[] = "\xff\xff\xff";

class EngineDamageTest : public EngineTest {
 protected:
  // The log lines about it.
  std::vector<std::string> SetAside() {
    std::vector<std::string> lines;
    for (const WorkEvent& event : told_) {
      if (event.kind != WorkEventKind::kSetAside) continue;
      lines.push_back(event.instance_id + ": " + event.reason);
    }
    return lines;
  }

  RunNumber NumberOf(std::string_view id) {
    return (*store_.Find(std::string(kTestTenant), id))->number;
  }
  // Starts two orchestrations that wait for an event, `good` and `bad`.
  void StartBoth(std::vector<OrchestratorAction> actions = {}) {
    FakeWorker& worker = Connect();
    Run(worker, "good", actions);
    Run(worker, "bad", actions);
    work().Disconnect(worker.id);
    Settle();
  }
  void Write(const Change& change) {
    ASSERT_TRUE(store_.Commit({store_.fence()}, {change}).done());
  }
  // Checks that `bad` is damaged, and `good` is served.
  void ExpectSetAside(std::string_view why) {
    EXPECT_THAT(SetAside(),
                ElementsAre(AllOf(HasSubstr("bad"), HasSubstr(why))));
    EXPECT_EQ(StatusOf("bad"), "Damaged");
    const AskedInfo bad = Get("bad");
    FakeWorker& worker = Connect();
    const AskedStatus raised = Raise("good", "e");
    Settle();
    EXPECT_THAT(bad.value()->failure.bytes.value_or(""),
                AllOf(HasSubstr("Damaged"), HasSubstr(why)));
    EXPECT_TRUE(raised.ok());
    ASSERT_THAT(worker.items, SizeIs(1));
    Answer(worker.TakeTurn(), {Complete("done")});
    Settle();
    EXPECT_EQ(StatusOf("good"), "Completed");
    work().Disconnect(worker.id);
    Settle();
  }
};

TEST_F(EngineDamageTest, AMessageThatIsNotAnEvent) {
  StartBoth();
  Write(PutMessage{{NumberOf("bad"), 77, "", kNoise}});
  Reopen();
  ExpectSetAside("message 77");
}

TEST_F(EngineDamageTest, AnActivityThatCannotBeParsed) {
  StartBoth();
  Write(PutTask{{NumberOf("bad"), 5, kNoise}});
  Reopen();
  ExpectSetAside("activity 5");
}

TEST_F(EngineDamageTest, ASummaryThatCannotBeParsed) {
  StartBoth();
  Write(UpdateRun{NumberOf("bad"), 0, std::nullopt, kNoise});
  Reopen();
  ExpectSetAside("summary");
}

TEST_F(EngineDamageTest, AHistoryIsFoundDamagedWhenItIsRead) {
  StartBoth();
  Write(AppendHistory{NumberOf("bad"), 0, kNoise});
  Reopen();
  EXPECT_THAT(SetAside(), IsEmpty());
  FakeWorker& worker = Connect();
  Raise("bad", "e");
  Settle();
  EXPECT_THAT(worker.items, IsEmpty());
  EXPECT_EQ(pins("bad"), 0u);
  work().Disconnect(worker.id);
  ExpectSetAside("history");
}

TEST_F(EngineDamageTest, AHistoryThatHasLostAChunkIsFoundDamaged) {
  StartBoth();
  FakeWorker& worker = Connect();
  Raise("bad", "one");
  Settle();
  Answer(worker.TakeTurn());
  Settle();
  work().Disconnect(worker.id);
  const RunNumber number = NumberOf("bad");
  const std::string first = store_.ReadHistory(number)->front();
  Write(ClearExecution{number});
  Write(AppendHistory{number, 0, first});
  Reopen();
  FakeWorker& next = Connect();
  Raise("bad", "two");
  Settle();
  EXPECT_THAT(next.items, IsEmpty());
  work().Disconnect(next.id);
  ExpectSetAside("1 chunks and should have 2");
}

TEST_F(EngineDamageTest, WhatTheStoreSaysIsDamagedIsSetAside) {
  StartBoth();
  store_.FailRead(6, absl::DataLossError("chunk 0 lacks its checksum"));
  Reopen();
  FakeWorker& worker = Connect();
  const int64_t before = store_.reads();
  Raise("bad", "e");
  writer_.RunAll();
  tasks_.RunAll();
  // The row, then the history.
  store_.FailRead(1, absl::DataLossError("chunk 0 lacks its checksum"));
  Settle();
  EXPECT_GE(store_.reads(), before + 2);
  work().Disconnect(worker.id);
  ExpectSetAside("chunk 0 lacks its checksum");
}

TEST_F(EngineDamageTest, NothingIsDoneToItButLookingAndPurging) {
  StartBoth();
  Write(PutMessage{{NumberOf("bad"), 77, "", kNoise}});
  Reopen();
  const AskedStatus raised = Raise("bad", "e");
  const AskedStatus ended = Terminate("bad");
  StartRequest again = Request("bad");
  again.policy = PolicyOf(IfActive::kTerminate, IfFinished::kReplace);
  const Asked<StartReceipt> started = Start(std::move(again));
  const AskedInfo waited = Wait("bad", Until::kFinished);
  Asked<std::vector<InstanceKey>> not_open;
  engine().TerminateNow({Key("bad")}, std::nullopt, not_open.done());
  Asked<OrchestrationPage> page;
  engine().Query({.filter = {.tenant = std::string(kTestTenant)}}, page.done());
  Settle();
  for (const absl::Status& status :
       {raised.status(), ended.status(), started.status()}) {
    EXPECT_EQ(status.code(), Code::kDataLoss) << status;
    EXPECT_THAT(std::string(status.message()),
                AllOf(HasSubstr("\"bad\""), HasSubstr("message 77"),
                      HasSubstr("purge")));
  }
  ASSERT_TRUE(waited.ok());
  EXPECT_EQ(waited.value()->status, OrchestrationStatus::kDamaged);
  EXPECT_THAT(not_open.value(), SizeIs(1));
  ASSERT_THAT(page.value().orchestrations, SizeIs(2));
  EXPECT_EQ(page.value().orchestrations[0].status,
            OrchestrationStatus::kRunning);
  EXPECT_EQ(page.value().orchestrations[1].status,
            OrchestrationStatus::kDamaged);

  const Asked<PurgeResult> purged = Purge("bad");
  Settle();
  EXPECT_EQ(purged.value().erased, 1);
  EXPECT_EQ(StatusOf("bad"), "none");
  const Asked<StartReceipt> anew = Start("bad");
  Settle();
  EXPECT_TRUE(anew.ok());
  Reopen();
  EXPECT_THAT(SetAside(), SizeIs(1));
}

TEST_F(EngineDamageTest, ItsTimersAndWhatOthersSendItDoNothing) {
  StartBoth({TimerAt(1, Now() + absl::Seconds(5)), CallTask(2, "Work")});
  Write(PutMessage{{NumberOf("bad"), 77, "", kNoise}});
  Reopen();
  FakeWorker& worker = Connect();
  Settle();
  Pass(absl::Minutes(1));
  EXPECT_EQ(worker.TakeTurn().instance_id, "good");
  EXPECT_EQ(worker.TakeActivity().instance_id, "good");
  EXPECT_THAT(worker.items, IsEmpty());
  EXPECT_EQ(StatusOf("bad"), "Damaged");
}

TEST_F(EngineDamageTest, AFinishedOneIsShownAndPurged) {
  FakeWorker& worker = Connect();
  Run(worker, "bad", {Complete("out")});
  const RunRow row = **store_.Find(std::string(kTestTenant), "bad");
  Write(UpdateRun{row.number, row.status, row.finished, kNoise});
  EXPECT_EQ(StatusOf("bad"), "Damaged");
  StartRequest again = Request("bad");
  again.policy = PolicyOf(IfActive::kFail, IfFinished::kFail);
  const Asked<StartReceipt> started = Start(std::move(again));
  Settle();
  EXPECT_EQ(started.code(), Code::kDataLoss) << started.status();
  const Asked<PurgeResult> purged = Purge("bad");
  Settle();
  EXPECT_EQ(purged.value().erased, 1);
  EXPECT_EQ(StatusOf("bad"), "none");
}

TEST_F(EngineDamageTest, AnEventThatCannotBeReadIsNotCarriedOver) {
  FakeWorker& worker = Connect();
  Run(worker, "a", {AsNew("in", {kNoise})});
  EXPECT_EQ(StatusOf("a"), "Failed");
  const AskedInfo info = Get("a");
  Settle();
  EXPECT_THAT(info.value()->failure.bytes.value_or(""),
              HasSubstr("UnreadableEvent"));
}

TEST_F(EngineDamageTest, AnUnknownGroupInACarriedOverEventIsRead) {
  FakeWorker& worker = Connect();
  std::string event =
      EncodeEvent({HistoryEvent::kFromOutside, {}, EventRaised{"e", "in"}});
  // Field 100 as a group, after the event and inside of it.
  event += "\xa3\x06\x08\x01\xa4\x06";
  Run(worker, "a", {AsNew("in", {event})});
  Reopen();
  EXPECT_THAT(SetAside(), IsEmpty());
  FakeWorker& next = Connect();
  Settle();
  const FakeItem turn = next.TakeTurn();
  EXPECT_THAT(Words(turn.events),
              ElementsAre("turn", "started(in)", "raised e"));
  Answer(turn, {Complete()});
  Settle();
  EXPECT_THAT(History("a"), Not(IsEmpty()));
  EXPECT_EQ(StatusOf("a"), "Completed");
}

}  // namespace
}  // namespace leasehold
