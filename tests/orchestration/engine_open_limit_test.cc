// How many orchestrations that its callers began a tenant may have open.
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "service/base/retry_after.h"
#include "tests/orchestration/entity_fixture.h"

namespace leasehold {
namespace {

using testing::HasSubstr;
using Code = absl::StatusCode;

class EngineOpenLimitTest : public EntityTest {
 protected:
  EngineOpenLimitTest() {
    options_.open_max_of_tenant = [this](const std::string& tenant) {
      return limits_[tenant];
    };
    limits_[std::string(kTestTenant)] = 2;
  }

  // The code of a start that has been answered.
  Code StartCode(StartRequest request) {
    const auto start = Start(std::move(request));
    Settle();
    EXPECT_TRUE(start.answered());
    return start.code();
  }
  Code StartCode(std::string_view id) { return StartCode(Request(id)); }
  Code RestartCode(std::string_view id, std::optional<std::string> new_id) {
    Asked<StartReceipt> restart;
    engine().Restart(Key(id), std::move(new_id), {}, {}, restart.done());
    Settle();
    return restart.code();
  }
  // Checks that there is room for exactly `count`, and uses it.
  void ExpectRoomFor(int count) {
    for (int i = 0; i < count; ++i) {
      EXPECT_EQ(StartCode("new-" + std::to_string(++last_)), Code::kOk);
    }
    const std::string other = "new-" + std::to_string(++last_);
    EXPECT_EQ(StartCode(other), Code::kResourceExhausted);
    EXPECT_EQ(StatusOf(other), "none");
  }
  void AnswerAll(FakeWorker& worker) {
    while (!worker.items.empty()) {
      Answer(worker.TakeTurn());
      Settle();
    }
  }
  void Fill(FakeWorker& worker) {
    Run(worker, "a");
    Run(worker, "b");
  }

  std::map<std::string, uint64_t> limits_;
  int last_ = 0;
};

TEST_F(EngineOpenLimitTest, OneTooManyIsRefusedAndNothingIsStored) {
  FakeWorker& worker = Connect();
  Fill(worker);
  const int64_t last_number = *memory_.ReadLastNumber(kOnlyPartition);
  StartRequest request = Request("c");
  request.request_id = "once";
  const auto third = Start(request);
  Settle();
  EXPECT_EQ(third.code(), Code::kResourceExhausted);
  EXPECT_EQ(std::string(third.status().message()),
            "the limit open_orchestrations of this tenant is reached, which "
            "is 2");
  EXPECT_EQ(RetryAfter(third.status()), absl::Seconds(1));
  EXPECT_EQ(engine().counts().open_refused,
            (TenantTally::Counts{{std::string(kTestTenant), 1}}));
  EXPECT_EQ(StatusOf("c"), "none");
  EXPECT_EQ(*memory_.ReadLastNumber(kOnlyPartition), last_number);
  EXPECT_FALSE(
      memory_.FindRequest(std::string(kTestTenant), "once")->has_value());
  EXPECT_EQ(pins("c"), 0u);

  // The other tenant has no limit.
  for (const char* id : {"a", "b", "c", "d"}) {
    StartRequest other = Request(id);
    other.key.tenant = "globex";
    EXPECT_EQ(StartCode(other), Code::kOk);
  }
  // The same request is done once there is room.
  TerminateByForce("a");
  Settle();
  EXPECT_EQ(StartCode(request), Code::kOk);
  EXPECT_EQ(StartCode(request), Code::kOk);
  ExpectRoomFor(0);
}

TEST_F(EngineOpenLimitTest, RacingStartsAreCountedOneByOne) {
  std::vector<Asked<StartReceipt>> starts;
  for (int i = 0; i < 10; ++i) {
    StartRequest request = Request("r-" + std::to_string(i));
    // Each is looked for first.
    if (i % 2 == 0)
      request.policy = PolicyOf(IfActive::kFail, IfFinished::kFail);
    starts.push_back(Start(std::move(request)));
  }
  Settle();
  int begun = 0;
  for (const auto& start : starts) begun += start.ok() ? 1 : 0;
  EXPECT_EQ(begun, 2);
}

TEST_F(EngineOpenLimitTest, WhatEndsMakesRoomHoweverItDoes) {
  FakeWorker& worker = Connect();
  Run(worker, "completed", {leasehold::Complete("done")});
  Run(worker, "failed", {Fail("Broken")});
  Run(worker, "forced");
  TerminateByForce("forced");
  Settle();
  Run(worker, "terminated");
  Terminate("terminated");
  Settle();
  Answer(worker.TakeTurn(), {leasehold::Complete()});
  Settle();
  Run(worker, "gone", {leasehold::Complete()});
  Purge("gone");
  Settle();
  ExpectRoomFor(2);
  const AskedStatus wipe = Wipe();
  Settle();
  ASSERT_TRUE(wipe.ok());
  ExpectRoomFor(2);
}

TEST_F(EngineOpenLimitTest, OneThatIsThereIsFoundWithoutRoom) {
  FakeWorker& worker = Connect();
  Run(worker, "ended", {leasehold::Complete()});
  StartRequest first = Request("a");
  first.request_id = "once";
  EXPECT_EQ(StartCode(first), Code::kOk);
  EXPECT_EQ(StartCode("b"), Code::kOk);
  ExpectRoomFor(0);

  EXPECT_EQ(StartCode(first), Code::kOk);  // Sent again.
  EXPECT_EQ(StartCode("b"), Code::kAlreadyExists);
  StartRequest request = Request("b");
  request.policy = PolicyOf(IfActive::kAttach, IfFinished::kAttach);
  EXPECT_EQ(StartCode(request), Code::kOk);
  request = Request("ended");
  request.policy = PolicyOf(IfActive::kAttach, IfFinished::kAttach);
  EXPECT_EQ(StartCode(request), Code::kOk);
  request.policy = PolicyOf(IfActive::kFail, IfFinished::kFail);
  EXPECT_EQ(StartCode(request), Code::kAlreadyExists);
  // It would be one more.
  request.policy = PolicyOf(IfActive::kFail, IfFinished::kReplace);
  EXPECT_EQ(StartCode(request), Code::kResourceExhausted);
  EXPECT_EQ(StatusOf("ended"), "Completed");
}

TEST_F(EngineOpenLimitTest, AReplacementTakesThePlaceOfWhatItReplaces) {
  FakeWorker& worker = Connect();
  Fill(worker);
  StartRequest request = Request("a");
  request.policy = PolicyOf(IfActive::kTerminate, IfFinished::kReplace);
  EXPECT_EQ(StartCode(request), Code::kOk);
  ExpectRoomFor(0);
  // Also when the limit was lowered.
  limits_[std::string(kTestTenant)] = 1;
  EXPECT_EQ(StartCode(request), Code::kOk);
  TerminateByForce("b");
  Settle();
  ExpectRoomFor(0);
  limits_[std::string(kTestTenant)] = 0;
  EXPECT_EQ(StartCode("c"), Code::kOk);
  EXPECT_EQ(StartCode("d"), Code::kOk);
}

TEST_F(EngineOpenLimitTest, ARestartIsAStart) {
  FakeWorker& worker = Connect();
  Run(worker, "ended", {leasehold::Complete()});
  Fill(worker);
  EXPECT_EQ(RestartCode("ended", std::nullopt), Code::kResourceExhausted);
  EXPECT_EQ(RestartCode("ended", "again"), Code::kResourceExhausted);
  EXPECT_EQ(RestartCode("a", "again"), Code::kResourceExhausted);
  EXPECT_EQ(StatusOf("ended"), "Completed");
  EXPECT_EQ(StatusOf("again"), "none");
  TerminateByForce("a");
  Settle();
  EXPECT_EQ(RestartCode("ended", std::nullopt), Code::kOk);
  ExpectRoomFor(0);
}

TEST_F(EngineOpenLimitTest, WhatAcceptedWorkBeginsNeitherCountsNorIsRefused) {
  FakeWorker& worker = Connect();
  Run(worker, "parent", {CallChild(1, "child-1"), CallChild(2, "child-2")});
  Signal(kCounter, "go");
  Settle();
  ExecutionStarted started;
  started.name = "Main";
  started.orchestration.instance_id = "of-entity";
  BatchAnswer answer;
  answer.results.resize(1);
  answer.actions.push_back(EntityStart{started});
  Complete(worker.TakeBatch(), std::move(answer));
  for (const char* id : {"child-1", "child-2", "of-entity"}) {
    EXPECT_EQ(StatusOf(id), "Pending") << id;
  }
  // Each has been a turn, and each is packed and read again.
  AnswerAll(worker);
  Pass(kLease);
  ExpectRoomFor(1);
  Reopen();
  ExpectRoomFor(0);
  TerminateByForce("child-1");
  TerminateByForce("of-entity");
  Settle();
  ExpectRoomFor(0);
  // A child has an ID that a caller then takes.
  StartRequest request = Request("child-2");
  request.policy = PolicyOf(IfActive::kTerminate, IfFinished::kReplace);
  EXPECT_EQ(StartCode(request), Code::kResourceExhausted);
  EXPECT_EQ(StatusOf("child-2"), "Running");
}

TEST_F(EngineOpenLimitTest, ContinuingAsNewAndGoingOnAreNoStarts) {
  FakeWorker& worker = Connect();
  Run(worker, "failed", {Fail("Broken")});
  Fill(worker);
  Raise("a", "e");
  Settle();
  EXPECT_TRUE([&] {
    const AskedStatus renewed = Answer(worker.TakeTurn(), {AsNew("again")});
    Settle();
    return renewed.ok();
  }());
  EXPECT_EQ(StatusOf("a"), "Running");
  // What is rewound is open again, and counts.
  const AskedStatus rewound = Rewind("failed");
  Settle();
  EXPECT_TRUE(rewound.ok()) << rewound.status();
  TerminateByForce("a");
  Settle();
  ExpectRoomFor(0);
  TerminateByForce("b");
  Settle();
  ExpectRoomFor(1);
}

TEST_F(EngineOpenLimitTest, ThoseThatAreParkedCountAndSoDoThoseOfTheStore) {
  FakeWorker& worker = Connect();
  Run(worker, "a", {TimerAt(1, Now() + absl::Hours(1))});
  Suspend("a");
  Settle();
  AnswerAll(worker);
  StartRequest scheduled = Request("b");
  scheduled.scheduled_start = ToTimestamp(Now() + absl::Hours(1));
  EXPECT_EQ(StartCode(scheduled), Code::kOk);
  Pass(kLease);
  ExpectRoomFor(0);
  for (int i = 0; i < 2; ++i) {
    Reopen();
    ExpectRoomFor(0);
  }
  Connect();
  TerminateByForce("a");
  Settle();
  ExpectRoomFor(1);
}

TEST_F(EngineOpenLimitTest, AStartThatMayNotBeStoredCountsIfItIs) {
  using Effect = FaultStore::Effect;
  for (const Effect effect : {Effect::kNone, Effect::kWhole}) {
    engine();
    store_.FailCommit(0, effect);
    const auto start = Start("a");
    Settle();
    EXPECT_EQ(start.code(), Code::kUnavailable);
    Pass(absl::Seconds(3));
    ExpectRoomFor(effect == Effect::kWhole ? 1 : 2);
    const AskedStatus wipe = Wipe();
    Settle();
    ASSERT_TRUE(wipe.ok());
  }
}

TEST_F(EngineOpenLimitTest, WhatIsSetAsideDoesNotCount) {
  FakeWorker& worker = Connect();
  Fill(worker);
  const RunNumber number =
      (*store_.Find(std::string(kTestTenant), "a"))->number;
  ASSERT_TRUE(
      store_
          .Commit({store_.fence()}, {PutMessage{{number, 77, "", "\xff\xff"}}})
          .done());
  Reopen();
  EXPECT_EQ(StatusOf("a"), "Damaged");
  ExpectRoomFor(1);
  Purge("a");
  Settle();
  EXPECT_EQ(StatusOf("a"), "none");
  ExpectRoomFor(0);
}

}  // namespace
}  // namespace leasehold
