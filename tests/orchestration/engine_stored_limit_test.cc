// How many bytes a tenant may have in the store before what its callers begin
// is refused.
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "service/base/retry_after.h"
#include "tests/orchestration/entity_fixture.h"

namespace leasehold {
namespace {

using Code = absl::StatusCode;

class EngineStoredLimitTest : public EntityTest {
 protected:
  EngineStoredLimitTest() {
    options_.stored_bytes_max_of_tenant = [this](const std::string& tenant) {
      return limits_[tenant];
    };
  }

  // Has what is stored now fill the limit.
  void LimitToWhatIsThere() {
    limits_[std::string(kTestTenant)] = memory_.StoredBytes(kTestTenant);
  }
  Code StartCode(StartRequest request) {
    const auto start = Start(std::move(request));
    Settle();
    EXPECT_TRUE(start.answered());
    return start.code();
  }
  Code StartCode(std::string_view id) { return StartCode(Request(id)); }
  Code CallCode(std::string request_id) {
    Asked<OperationResult> call;
    engine().entities().Call({.key = Key(kCounter),
                              .operation = "add",
                              .input = "in",
                              .request_id = std::move(request_id)},
                             call.done());
    Settle();
    return call.answered() ? call.code() : Code::kOk;
  }
  template <typename Command>
  Code CodeOf(Command command) {
    const AskedStatus asked = command();
    Settle();
    EXPECT_TRUE(asked.answered());
    return asked.code();
  }

  std::map<std::string, uint64_t> limits_;
};

TEST_F(EngineStoredLimitTest, AtTheLimitAStartIsRefusedAndNothingIsStored) {
  EXPECT_EQ(StartCode("a"), Code::kOk);
  LimitToWhatIsThere();
  const uint64_t bytes = memory_.StoredBytes(kTestTenant);
  const auto refused = Start("b");
  Settle();
  EXPECT_EQ(refused.code(), Code::kResourceExhausted);
  EXPECT_THAT(std::string(refused.status().message()),
              testing::StartsWith(absl::StrCat(
                  "the limit stored_bytes of this tenant is reached, which is ",
                  bytes)));
  EXPECT_EQ(RetryAfter(refused.status()), absl::Seconds(1));
  EXPECT_EQ(StatusOf("b"), "none");
  EXPECT_EQ(memory_.StoredBytes(kTestTenant), bytes);
  // The other tenant has no limit.
  StartRequest other = Request("b");
  other.key.tenant = "globex";
  EXPECT_EQ(StartCode(other), Code::kOk);
  // One byte more, and there is room for one.
  limits_[std::string(kTestTenant)] = bytes + 1;
  EXPECT_EQ(StartCode("b"), Code::kOk);
  EXPECT_EQ(StartCode("c"), Code::kResourceExhausted);
}

TEST_F(EngineStoredLimitTest, EveryDoorOfCallersIsClosed) {
  FakeWorker& worker = Connect();
  Run(worker, "ended", {leasehold::Complete()});
  Run(worker, "failed", {Fail("Broken")});
  Run(worker, "a");
  LimitToWhatIsThere();
  EXPECT_EQ(CodeOf([&] { return Raise("a", "e"); }), Code::kResourceExhausted);
  EXPECT_EQ(CodeOf([&] { return Suspend("a"); }), Code::kResourceExhausted);
  EXPECT_EQ(CodeOf([&] { return Rewind("failed"); }), Code::kResourceExhausted);
  EXPECT_EQ(CodeOf([&] { return Signal(kCounter, "add"); }),
            Code::kResourceExhausted);
  EXPECT_EQ(CallCode(""), Code::kResourceExhausted);
  EXPECT_EQ(CallCode("once"), Code::kResourceExhausted);
  Asked<StartReceipt> restart;
  engine().Restart(Key("ended"), std::nullopt, {}, {}, restart.done());
  Settle();
  EXPECT_EQ(restart.code(), Code::kResourceExhausted);
  EXPECT_EQ(engine().counts().stored_refused,
            (TenantTally::Counts{{std::string(kTestTenant), 7}}));
  EXPECT_TRUE(engine().counts().open_refused.empty());
  EXPECT_EQ(memory_.StoredBytes(kTestTenant),
            limits_[std::string(kTestTenant)]);
  EXPECT_EQ(StatusOf("failed"), "Failed");
  // Each works where there is room.
  limits_.clear();
  EXPECT_EQ(CodeOf([&] { return Raise("a", "e"); }), Code::kOk);
  EXPECT_EQ(CodeOf([&] { return Suspend("a"); }), Code::kOk);
  EXPECT_EQ(CodeOf([&] { return Rewind("failed"); }), Code::kOk);
  EXPECT_EQ(CodeOf([&] { return Signal(kCounter, "add"); }), Code::kOk);
  EXPECT_EQ(CallCode("once"), Code::kOk);
}

TEST_F(EngineStoredLimitTest, WorkThatWasAcceptedGoesOnAndEnds) {
  FakeWorker& worker = Connect();
  Run(worker, "b");
  Suspend("b");
  Settle();
  Answer(worker.TakeTurn());
  Settle();
  Run(worker, "a",
      {CallChild(1, "child"), SignalTo(2, kCounter, "add"),
       TimerAt(3, Now() + absl::Hours(1))});
  limits_[std::string(kTestTenant)] = 1;
  // The child's turn and the entity's operation.
  EXPECT_EQ(StatusOf("child"), "Pending");
  while (!worker.items.empty()) {
    if (worker.items.front().kind == WorkKind::kEntity) {
      BatchAnswer answer;
      answer.results.resize(1);
      answer.state = "new state";
      Complete(worker.TakeBatch(), std::move(answer));
    } else {
      const bool child = worker.items.front().instance_id == "child";
      Answer(worker.TakeTurn(),
             child
                 ? std::vector<OrchestratorAction>{leasehold::Complete("done")}
                 : std::vector<OrchestratorAction>{});
    }
    Settle();
  }
  EXPECT_EQ(StatusOf("child"), "Completed");
  EXPECT_EQ(CodeOf([&] { return Resume("b"); }), Code::kOk);
  EXPECT_EQ(CodeOf([&] { return Terminate("b"); }), Code::kOk);
  TerminateByForce("a");
  Settle();
  EXPECT_EQ(StatusOf("a"), "Terminated");
}

TEST_F(EngineStoredLimitTest, PurgingMakesRoom) {
  FakeWorker& worker = Connect();
  Run(worker, "a", {leasehold::Complete("done")});
  Run(worker, "b", {leasehold::Complete("done")});
  LimitToWhatIsThere();
  EXPECT_EQ(StartCode("c"), Code::kResourceExhausted);
  Purge("a");
  Settle();
  EXPECT_EQ(StartCode("c"), Code::kOk);
  Purge("b");
  Settle();
  TerminateByForce("c");
  Settle();
  Purge("c");
  Settle();
  EXPECT_EQ(memory_.StoredBytes(kTestTenant), 0u);
}

TEST_F(EngineStoredLimitTest, OneThatIsThereIsFoundWithoutRoom) {
  StartRequest request = Request("a");
  request.request_id = "once";
  EXPECT_EQ(StartCode(request), Code::kOk);
  LimitToWhatIsThere();
  EXPECT_EQ(StartCode(request), Code::kOk);  // Sent again.
  request = Request("a");
  request.policy = PolicyOf(IfActive::kAttach, IfFinished::kAttach);
  EXPECT_EQ(StartCode(request), Code::kOk);
  EXPECT_EQ(StartCode("a"), Code::kAlreadyExists);
  request.policy = PolicyOf(IfActive::kTerminate, IfFinished::kReplace);
  EXPECT_EQ(StartCode(request), Code::kResourceExhausted);
}

TEST_F(EngineStoredLimitTest, WhatIsBeingStoredCounts) {
  EXPECT_EQ(StartCode("a"), Code::kOk);
  limits_[std::string(kTestTenant)] = memory_.StoredBytes(kTestTenant) + 2000;
  std::vector<Asked<StartReceipt>> starts;
  for (int i = 0; i < 10; ++i) {
    StartRequest request = Request("r-" + std::to_string(i));
    request.input = std::string(1000, 'x');
    starts.push_back(Start(std::move(request)));
  }
  Settle();
  int begun = 0;
  for (const auto& start : starts) begun += start.ok() ? 1 : 0;
  EXPECT_EQ(begun, 2);
}

TEST_F(EngineStoredLimitTest, WhatWasNotStoredDoesNotCount) {
  EXPECT_EQ(StartCode("a"), Code::kOk);
  limits_[std::string(kTestTenant)] = memory_.StoredBytes(kTestTenant) + 1;
  store_.FailCommit(0, FaultStore::Effect::kNone);
  EXPECT_EQ(StartCode("b"), Code::kUnavailable);
  Pass(absl::Seconds(3));
  EXPECT_EQ(StartCode("b"), Code::kOk);
  EXPECT_EQ(StartCode("c"), Code::kResourceExhausted);
}

}  // namespace
}  // namespace leasehold
