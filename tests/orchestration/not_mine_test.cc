#include "service/orchestration/not_mine.h"

#include <string>
#include <utility>

#include "gtest/gtest.h"

namespace leasehold {
namespace {

constexpr WorkKind kTurn = WorkKind::kTurn;
constexpr WorkKind kActivity = WorkKind::kActivity;

const std::string kJavaTurn =
    "No orchestration factory registered for orchestration type 'Mine'. This "
    "usually means that a worker that doesn't support this orchestration type "
    "is connected to this task hub. Make sure the worker has a registered "
    "orchestration for 'Mine'.";

// Each SDK's answer if nothing is called "Mine".
struct Said {
  const char* by;
  WorkKind kind;
  std::string type;
  std::string message;
};
const Said kNotMine[] = {
    {"Python", kTurn, "durabletask.worker.OrchestratorNotRegisteredError",
     "A 'Mine' orchestrator was not registered."},
    {"Python", kActivity, "durabletask.worker.ActivityNotRegisteredError",
     "Activity function named 'Mine' was not registered!"},
    {"an older Python", kTurn, "OrchestratorNotRegisteredError",
     "A 'Mine' orchestrator was not registered."},
    {"JavaScript", kTurn, "OrchestratorNotRegisteredError",
     "Orchestrator 'Mine' does not exist."},
    {"JavaScript", kActivity, "ActivityNotRegisteredError",
     "Activity function 'Mine' is not registered."},
    {".NET", kTurn, "OrchestratorTaskNotFound",
     "No orchestrator task named 'Mine' was found."},
    {".NET", kTurn, "OrchestratorTaskNotFound",
     "No orchestrator task named 'Mine:1.0' was found."},
    {".NET", kActivity, "ActivityTaskNotFound",
     "No activity task named 'Mine' was found."},
    {"C++", kTurn, "OrchestratorTaskNotFound",
     "this worker has no orchestrator \"Mine\", but \"Theirs\""},
    {"C++", kActivity, "ActivityTaskNotFound",
     "this worker has no activity \"Mine\", and none at all"},
    {"C++", kTurn, "OrchestratorTaskNotFound", ""},
    {"Java", kTurn, "java.lang.IllegalStateException", kJavaTurn},
    {"Java", kActivity, "java.lang.IllegalStateException",
     "No activity task named 'Mine' is registered."},
    {"Go", kTurn, "*fmt.wrapError",
     "orchestrator named 'Mine' is not registered"},
    {"Go", kActivity, "TaskActivityNotRegistered",
     "no task activity named 'Mine' was registered"},
};

// Real failures.
const Said kMine[] = {
    {"a user's own error of that name", kTurn,
     "__main__.OrchestratorNotRegisteredError",
     "A 'Mine' orchestrator was not registered."},
    {"a user's own error in JavaScript", kActivity,
     "ActivityNotRegisteredError", "the sensor 'kitchen' is not registered"},
    {"a user's own error without a text", kActivity,
     "ActivityNotRegisteredError", ""},
    {"a type of similar name", kTurn, "OrchestratorNotRegisteredErrors",
     "A 'Mine' orchestrator was not registered."},
    {"other letters", kTurn, "orchestratortasknotfound",
     "No orchestrator task named 'Mine' was found."},
    {"an activity's failure that is passed on", kTurn, "ActivityTaskNotFound",
     "No activity task named 'Mine' was found."},
    {"a child's failure that is passed on", kTurn, "OrchestratorTaskNotFound",
     "No orchestrator task named 'Theirs' was found."},
    {"a child's failure that names its parent too", kTurn,
     "OrchestratorTaskNotFound",
     "this worker has no orchestrator \"Theirs\", but \"Mine\""},
    {"a longer name", kTurn, "OrchestratorTaskNotFound",
     "No orchestrator task named 'Mineral' was found."},
    {"a name that is not quoted", kTurn, "OrchestratorTaskNotFound",
     "No orchestrator task named Mine was found."},
    {"a quote that does not end", kTurn, "OrchestratorTaskNotFound", "'Mine"},
    {"a text within another", kTurn, "ValueError",
     "it failed: orchestrator named 'Mine' is not registered"},
    {"a text that goes on", kActivity, "RuntimeError",
     "No activity task named 'Mine' is registered. Try again."},
    {"a text about something else", kActivity,
     "java.lang.IllegalStateException",
     "No activity task named 'Theirs' is registered."},
    {"an activity's text from an orchestrator", kTurn, "TaskFailed",
     "no task activity named 'Mine' was registered"},
    {"the beginning of a text", kTurn, "java.lang.IllegalStateException",
     "No orchestration factory registered for orchestration type 'Mine'."},
    {"another failure", kTurn, "ValueError", "no"},
};

bool Says(const Said& said, std::string_view name) {
  return SaysNotMine(said.kind, name, MakeFailure(said.type, said.message));
}

TEST(NotMine, IsWhatEachSdkSaysOfANameThatItDoesNotKnow) {
  for (const Said& said : kNotMine) {
    EXPECT_TRUE(Says(said, "Mine")) << said.by << ": " << said.message;
    if (said.message.empty()) continue;
    EXPECT_FALSE(Says(said, "Other")) << said.by << ": " << said.message;
  }
}

TEST(NotMine, OtherFailuresAreNotRecognised) {
  for (const Said& said : kMine) EXPECT_FALSE(Says(said, "Mine")) << said.by;
  EXPECT_FALSE(SaysNotMine(kTurn, "Mine", {}));
  EXPECT_FALSE(SaysNotMine(kTurn, "Mine", {"\xff\xff"}));
}

TEST(NotMine, NamesMayHoldQuotesAndDollars) {
  for (const char* name : {"it's", "a\"b", "$0", "", "$", "'"}) {
    const std::string go =
        "orchestrator named '" + std::string(name) + "' is not registered";
    EXPECT_TRUE(Says({"", kTurn, "*errors.errorString", go}, name)) << name;
    const std::string net =
        "No orchestrator task named '" + std::string(name) + "' was found.";
    EXPECT_TRUE(Says({"", kTurn, "OrchestratorTaskNotFound", net}, name))
        << name;
  }
}

TEST(NotMine, ATurnMustDoNothingElse) {
  CompleteExecution end;
  end.status = OrchestrationStatus::kFailed;
  end.failure = MakeFailure(kNotMine[0].type, kNotMine[0].message);
  TurnAnswer answer;
  EXPECT_FALSE(SaysNotMine("Mine", answer));
  answer.actions.push_back({-1, end});
  EXPECT_TRUE(SaysNotMine("Mine", answer));
  answer.partial = true;
  EXPECT_FALSE(SaysNotMine("Mine", answer));
  answer.partial = false;
  answer.actions.push_back({1, TaskScheduled{}});
  EXPECT_FALSE(SaysNotMine("Mine", answer));
  answer.actions = {{1, TaskScheduled{}}};
  EXPECT_FALSE(SaysNotMine("Mine", answer));
  end.status = OrchestrationStatus::kCompleted;
  answer.actions = {{1, end}};
  EXPECT_FALSE(SaysNotMine("Mine", answer));
}

TEST(NotMine, AllOperationsOfABatchMustFailSo) {
  BatchAnswer answer;
  EXPECT_FALSE(SaysNotMine("counter", answer));
  // Python.
  answer.results.push_back(
      {std::nullopt,
       MakeFailure("EntityNotRegisteredError",
                   "Entity function named 'counter' was not registered!")});
  // .NET and JavaScript.
  answer.results.push_back(
      {std::nullopt, MakeFailure("EntityTaskNotFound",
                                 "No entity task named 'counter' was found.")});
  EXPECT_TRUE(SaysNotMine("counter", answer));
  EXPECT_FALSE(SaysNotMine("another", answer));
  answer.results.push_back({"out", {}});
  EXPECT_FALSE(SaysNotMine("counter", answer));
}

}  // namespace
}  // namespace leasehold
