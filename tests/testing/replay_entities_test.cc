// Replay of the history of an orchestration that has locked, called and
// signalled entities. The history was exported from a server.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "client/testing/test_environment.h"
#include "client/worker/entity_lock.h"
#include "client/worker/orchestration_context.h"
#include "nlohmann/json.hpp"
#include "tests/testing/testing_code.h"

namespace leasehold::testkit {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using worker::EntityId;
using worker::EntityLock;

constexpr char kTransfer[] = EXAMPLES "/bank.history";

std::string History() {
  std::ifstream file(kTransfer);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

struct Payment {
  std::string from;
  std::string to;
  int64_t amount = 0;

  friend void from_json(const nlohmann::json& json, Payment& payment) {
    json.at("from").get_to(payment.from);
    json.at("to").get_to(payment.to);
    json.at("amount").get_to(payment.amount);
  }
};

// What makes the code other than that of the example, which made the history.
struct Change {
  std::string takes = "withdraw";  // The operation of the first call.
  bool locks_one = false;          // Not both.
  bool locks = true;
  std::string ledger = "transfers";  // Whom it signals.
  bool unlocks_early = false;        // Before it signals.
  bool calls_thrice = false;
};

worker::Task<int64_t> Transfer(OrchestrationContext& context, Change change,
                               Payment payment) {
  const EntityId from("Account", payment.from);
  const EntityId to("Account", payment.to);
  std::optional<EntityLock> lock;
  if (change.locks_one) {
    EntityLock one = co_await context.LockEntities(from);
    lock.emplace(std::move(one));
  } else if (change.locks) {
    EntityLock both = co_await context.LockEntities(from, to);
    lock.emplace(std::move(both));
  }
  const auto left =
      co_await context.CallEntity<int64_t>(from, change.takes, payment.amount);
  if (!change.locks_one) {
    co_await context.CallEntity(to, "deposit", payment.amount);
  }
  if (change.calls_thrice) co_await context.CallEntity(to, "balance");
  if (change.unlocks_early) lock->Unlock();
  context.SignalEntity(EntityId("Ledger", change.ledger), "add", 1);
  co_return left;
}

absl::Status ReplayWith(const Change& change,
                        const std::string& history = History()) {
  TestEnvironment env;
  env.AddOrchestrator("Transfer",
                      [change](OrchestrationContext& context, Payment payment) {
                        return Transfer(context, change, std::move(payment));
                      });
  return env.Replay(history);
}

std::string WhyNot(const Change& change,
                   const std::string& history = History()) {
  const absl::Status status = ReplayWith(change, history);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
  return std::string(status.message());
}

TEST(ReplayOfEntities, TheHistoryHasAllKinds) {
  for (const char* kind :
       {"entity_lock_requested", "entity_lock_granted", "entity_called",
        "entity_call_completed", "entity_signaled", "entity_unlocked"}) {
    EXPECT_THAT(History(), HasSubstr(absl::StrCat("\"", kind, "\""))) << kind;
  }
}

TEST(ReplayOfEntities, TheCodeThatMadeAHistoryMatchesIt) {
  EXPECT_EQ(ReplayWith({}), absl::OkStatus());
}

TEST(ReplayOfEntities, AnyPartThatEndsWithATurnMatchesToo) {
  std::string part;
  size_t parts = 0;
  for (const std::string& line :
       std::vector<std::string>(absl::StrSplit(History(), '\n'))) {
    if (line.find("\"turn_started\"") != std::string::npos && parts++ > 0) {
      EXPECT_EQ(ReplayWith({}, part), absl::OkStatus()) << part;
    }
    absl::StrAppend(&part, line, "\n");
  }
  EXPECT_EQ(parts, 4u);
}

TEST(ReplayOfEntities, AnotherOperationIsNamedWithItsPlace) {
  EXPECT_THAT(
      WhyNot({.takes = "take"}),
      HasSubstr("event 6 of 15 (line 7): the history has \"task 2: operation "
                "\"withdraw\" of entity \"@account@ann\" was called\", the "
                "code now calls operation \"take\" of entity "
                "\"@account@ann\""));
}

TEST(ReplayOfEntities, AnotherLockIsNamedWithItsPlace) {
  EXPECT_THAT(
      WhyNot({.locks_one = true}),
      HasSubstr("event 3 of 15 (line 4): the history has \"task 1: the lock of "
                "\"@account@ann\", \"@account@bob\" was requested\", the code "
                "now requests the lock of \"@account@ann\""));
  EXPECT_THAT(
      WhyNot({.locks = false}),
      HasSubstr("event 3 of 15 (line 4): the history has \"task 1: the lock of "
                "\"@account@ann\", \"@account@bob\" was requested\", the code "
                "now calls operation \"withdraw\" of entity "
                "\"@account@ann\""));
}

TEST(ReplayOfEntities, AnotherSignalIsNamedWithItsPlace) {
  EXPECT_THAT(
      WhyNot({.ledger = "book"}),
      AllOf(HasSubstr("the history has \"task 4: operation \"add\" of entity "
                      "\"@ledger@transfers\" was signaled\""),
            HasSubstr("the code now signals operation \"add\" of entity "
                      "\"@ledger@book\"")));
  EXPECT_THAT(WhyNot({.unlocks_early = true}),
              AllOf(HasSubstr("the history has \"task 4: operation \"add\" of "
                              "entity \"@ledger@transfers\" was signaled\""),
                    HasSubstr("the code now unlocks entity "
                              "\"@account@ann\"")));
}

TEST(ReplayOfEntities, WhatTheHistoryDoesNotHaveIsNamed) {
  EXPECT_THAT(WhyNot({.calls_thrice = true}),
              HasSubstr("the code now calls operation \"balance\" of entity "
                        "\"@account@bob\""));
}

TEST(ReplayOfEntities, AnOperationThatFailedFailsAgain) {
  std::string history;
  for (const std::string& line :
       std::vector<std::string>(absl::StrSplit(History(), '\n'))) {
    if (line.find("\"entity_call_completed\"") == std::string::npos) {
      absl::StrAppend(&history, line, "\n");
      continue;
    }
    // The first call of the history fails, and it ends there.
    absl::StrAppend(
        &history,
        absl::StrReplaceAll(line.substr(0, line.find(",\"output\"")),
                            {{"entity_call_completed", "entity_call_failed"}}),
        R"(,"failure":{"type":"FAILED_PRECONDITION","message":"too little"}})",
        "\n");
    break;
  }
  absl::StrAppend(
      &history,
      R"({"id":3,"time":"2026-11-30T02:00:00+00:00","event":"entity_unlocked","instance_id":"@account@ann","section_id":"x"})",
      "\n",
      R"({"id":4,"time":"2026-11-30T02:00:00+00:00","event":"entity_unlocked","instance_id":"@account@bob","section_id":"x"})",
      "\n",
      R"({"id":5,"time":"2026-11-30T02:00:00+00:00","event":"execution_completed","status":"COMPLETED","output":"1"})",
      "\n");
  EXPECT_THAT(WhyNot({}, history),
              HasSubstr("the history has that it completes with 1, the code "
                        "now fails with leasehold::worker::TaskFailedError: "
                        "task 2, operation \"withdraw\" of entity "
                        "\"@account@ann\", failed: FAILED_PRECONDITION: too "
                        "little"));
}

TEST(ReplayOfEntities, WhatOlderVersionsExportedIsRefused) {
  TestEnvironment env;
  const absl::Status status = env.Replay(
      R"({"format":"leasehold.history.v1","instance_id":"o"})"
      "\n"
      R"({"id":1,"time":"2026-01-05T09:00:01+00:00","event":"other","number":24})");
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("line 2: the orchestration uses entities"),
                    HasSubstr("export it again")));
}

TEST(ReplayOfEntities, AWrongLineIsNamed) {
  const auto message = [](std::string_view ids) {
    TestEnvironment env;
    const absl::Status status = env.Replay(absl::StrCat(
        R"({"format":"leasehold.history.v1","instance_id":"o"})", "\n",
        R"({"id":1,"time":"2026-01-05T09:00:01+00:00","event":"entity_lock_requested","section_id":"c","instance_ids":)",
        std::string(ids), "}"));
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  };
  for (const char* ids : {"\"@a@1\"", "[1]", "{}", "null"}) {
    EXPECT_THAT(message(ids),
                HasSubstr("line 2: \"instance_ids\" is not an array of"))
        << ids;
  }
}

}  // namespace
}  // namespace leasehold::testkit
