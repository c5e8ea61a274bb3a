#include "service/orchestration/reuse_policy.h"

#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace leasehold {
namespace {

using testing::HasSubstr;

using Status = OrchestrationStatus;

// In column order: no orchestration, or one with this status.
const std::vector<std::optional<Status>> kPresent = {
    std::nullopt,       Status::kPending,   Status::kRunning,
    Status::kSuspended, Status::kCompleted, Status::kFailed,
    Status::kTerminated};

const std::set<Status> kActive = {Status::kPending, Status::kRunning,
                                  Status::kSuspended};
const std::set<Status> kEnded = {Status::kCompleted, Status::kFailed,
                                 Status::kTerminated};
const std::set<Status> kAll = {Status::kPending,   Status::kRunning,
                               Status::kSuspended, Status::kCompleted,
                               Status::kFailed,    Status::kTerminated};

ReusePolicy Policy(std::optional<std::set<Status>> replaceable,
                   std::set<Status> attachable = {}) {
  return {std::move(replaceable), std::move(attachable)};
}

// A row of the table: C creates, R replaces, A attaches, x refuses.
std::string Row(const ReusePolicy& policy) {
  std::string row;
  for (const auto& present : kPresent) {
    switch (DecideStart(present, policy)) {
      case StartDecision::kCreate:
        row += 'C';
        break;
      case StartDecision::kReplace:
        row += 'R';
        break;
      case StartDecision::kAttach:
        row += 'A';
        break;
      case StartDecision::kRefuse:
        row += 'x';
        break;
    }
  }
  return row;
}

TEST(ReusePolicy, TruthTable) {
  const struct {
    const char* policy;
    ReusePolicy value;
    const char* row;  // none, Pending, Running, Suspended; C'ed, F'ed, T'ed
  } table[] = {
      {"none given", {}, "CxxxRRR"},
      {"replaces nothing", Policy(std::set<Status>()), "Cxxxxxx"},
      {"replaces all", Policy(kAll), "CRRRRRR"},
      {"replaces the active", Policy(kActive), "CRRRxxx"},
      {"replaces the ended", Policy(kEnded), "CxxxRRR"},
      {"attaches to all", Policy(std::nullopt, kAll), "CAAAAAA"},
      {"attaches to the active, the ended are replaced",
       Policy(std::nullopt, kActive), "CAAARRR"},
      {"attaches to the ended", Policy(std::nullopt, kEnded), "CxxxAAA"},
      {"attaches to the active, replaces nothing",
       Policy(std::set<Status>(), kActive), "CAAAxxx"},
      {"attaching goes before replacing", Policy(kAll, {Status::kFailed}),
       "CRRRRAR"},
  };
  for (const auto& row : table) {
    EXPECT_EQ(Row(row.value), row.row) << row.policy;
  }
}

TEST(ReusePolicy, TruthTableOfTheTwoChoices) {
  const struct {
    IfActive if_active;
    IfFinished if_finished;
    const char* row;
  } table[] = {
      {IfActive::kFail, IfFinished::kFail, "Cxxxxxx"},
      {IfActive::kFail, IfFinished::kAttach, "CxxxAAA"},
      {IfActive::kFail, IfFinished::kReplace, "CxxxRRR"},
      {IfActive::kAttach, IfFinished::kFail, "CAAAxxx"},
      {IfActive::kAttach, IfFinished::kAttach, "CAAAAAA"},
      {IfActive::kAttach, IfFinished::kReplace, "CAAARRR"},
      {IfActive::kTerminate, IfFinished::kFail, "CRRRxxx"},
      {IfActive::kTerminate, IfFinished::kAttach, "CRRRAAA"},
      {IfActive::kTerminate, IfFinished::kReplace, "CRRRRRR"},
  };
  for (const auto& row : table) {
    const ReusePolicy policy = PolicyOf(row.if_active, row.if_finished);
    EXPECT_EQ(Row(policy), row.row)
        << static_cast<int>(row.if_active) << " and "
        << static_cast<int>(row.if_finished);
    EXPECT_TRUE(AsksForEnded(policy));
  }
}

TEST(ReusePolicy, EachStatusAloneIsReplacedAloneAndAttachedToAlone) {
  for (size_t i = 1; i < kPresent.size(); ++i) {
    std::string replaced = "Cxxxxxx";
    replaced[i] = 'R';
    EXPECT_EQ(Row(Policy(std::set<Status>{*kPresent[i]})), replaced);
    std::string attached = "CxxxRRR";
    attached[i] = 'A';
    EXPECT_EQ(Row(Policy(std::nullopt, {*kPresent[i]})), attached);
  }
}

TEST(ReusePolicy, OnlyWithoutOneTheEndedNeedNotBeKnown) {
  EXPECT_FALSE(AsksForEnded({}));
  EXPECT_TRUE(AsksForEnded(Policy(std::set<Status>())));
  EXPECT_TRUE(AsksForEnded(Policy(kEnded)));
  EXPECT_TRUE(AsksForEnded(Policy(std::nullopt, kActive)));
}

TEST(ReusePolicy, RefusalNamesTheIdAndTheStatus) {
  const absl::Status status = AlreadyExists("a-1", Status::kSuspended, {});
  EXPECT_EQ(status.code(), absl::StatusCode::kAlreadyExists);
  // Users of one client look for these words.
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("orchestration instance already exists"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("\"a-1\""));
  EXPECT_THAT(std::string(status.message()), HasSubstr("Suspended"));
}

TEST(ReusePolicy, RefusalOfTheTwoChoicesNamesThoseThatWouldDo) {
  const ReusePolicy policy = PolicyOf(IfActive::kFail, IfFinished::kFail);
  EXPECT_EQ(AlreadyExists("a-1", Status::kRunning, policy),
            absl::AlreadyExistsError(
                "orchestration \"a-1\" is Running; at most one of an ID is "
                "active. Or start with if_active: ATTACH (use it) or "
                "TERMINATE (end it and start a new one)"));
  EXPECT_EQ(AlreadyExists("a-1", Status::kTerminated, policy),
            absl::AlreadyExistsError(
                "orchestration \"a-1\" is Terminated; its ID is free once it "
                "is purged. Or start with if_finished: ATTACH (use it) or "
                "REPLACE (start a new one in its place)"));
}

}  // namespace
}  // namespace leasehold
