#include "service/orchestration/turn.h"

#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/orchestration/turn_conclusion_fixture.h"

namespace leasehold {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

using Status = OrchestrationStatus;

TaskScheduled Task(Payload input = {}) {
  TaskScheduled task;
  task.name = "Work";
  task.version = "2";
  task.input = std::move(input);
  task.trace = {"trace"};
  task.tags = {{"k", "v"}};
  return task;
}

SubOrchestrationCreated Child(std::string instance_id, Payload input = {}) {
  SubOrchestrationCreated child;
  child.instance_id = std::move(instance_id);
  child.name = "Child";
  child.version = "3";
  child.input = std::move(input);
  child.trace = {"trace"};
  child.tags = {{"k", "v"}};
  return child;
}

CompleteExecution End(Status status, Payload result = {}) {
  CompleteExecution completion;
  completion.status = status;
  completion.result = std::move(result);
  return completion;
}

class ConcludeTurnTest : public TurnConclusionTest {
 protected:
  ConcludeTurnTest() {
    state_.started.version = "1";
    state_.started.input = "in";
    state_.started.tags = {{"t", "1"}};
    state_.started.trace = {"started trace"};
  }

  // As in a sub-orchestration.
  void HasParent() {
    state_.started.parent = ParentLink{7, "Parent", {}, {"p", "e-p"}};
  }
};

// The numbers of the events in an outcome, each with its ID.
std::vector<std::pair<size_t, int32_t>> Kinds(const TurnOutcome& outcome) {
  std::vector<std::pair<size_t, int32_t>> kinds;
  for (const HistoryEvent& event : outcome.events) {
    const size_t number = std::visit(
        [](const auto& body) -> size_t {
          if constexpr (requires { body.bytes; }) {
            return static_cast<size_t>(body.number);
          } else {
            return static_cast<size_t>(body.kNumber);
          }
        },
        event.body);
    kinds.emplace_back(number, event.id);
    EXPECT_EQ(event.time, kNow);
  }
  return kinds;
}

// ---- Each action ------------------------------------------------------------

TEST_F(ConcludeTurnTest, NoActionsIsNothing) {
  const TurnOutcome outcome = Conclude({});
  EXPECT_THAT(outcome.events, IsEmpty());
  EXPECT_THAT(outcome.messages, IsEmpty());
  EXPECT_FALSE(outcome.next.has_value());
}

TEST_F(ConcludeTurnTest, TaskIsWrittenAndBegins) {
  const TurnOutcome outcome = Conclude({{0, Task("in")}});
  EXPECT_THAT(Kinds(outcome), ElementsAre(std::pair(6u, 0)));
  ASSERT_THAT(outcome.tasks, SizeIs(1));
  EXPECT_EQ(outcome.tasks[0].id, 0);
  EXPECT_EQ(EncodeMessage(outcome.tasks[0].task), EncodeMessage(Task("in")));
  EXPECT_EQ(EncodeMessage(*outcome.events[0].As<TaskScheduled>()),
            EncodeMessage(Task("in")));
}

TEST_F(ConcludeTurnTest, TimerIsWrittenAndBeginsAtTheTimeThatItNamed) {
  const Timestamp at{-5, 999'999'999};
  const TurnOutcome outcome = Conclude({{2, TimerCreated{at}}});
  EXPECT_THAT(Kinds(outcome), ElementsAre(std::pair(12u, 2)));
  ASSERT_THAT(outcome.timers, SizeIs(1));
  EXPECT_EQ(outcome.timers[0].id, 2);
  EXPECT_EQ(outcome.timers[0].fire_at, at);
}

TEST_F(ConcludeTurnTest, ChildIsWrittenAndStartsWithALinkToItsParent) {
  const TurnOutcome outcome = Conclude({{0, Child("c", "in")}});
  EXPECT_THAT(Kinds(outcome), ElementsAre(std::pair(9u, 0)));
  ASSERT_THAT(outcome.children, SizeIs(1));
  EXPECT_EQ(outcome.children[0].id, 0);
  const ExecutionStarted& started = outcome.children[0].started;
  EXPECT_EQ(started.name, "Child");
  EXPECT_EQ(started.version, "3");
  EXPECT_EQ(started.input, "in");
  EXPECT_EQ(started.orchestration, (ExecutionOf{"c", std::nullopt}));
  EXPECT_EQ(started.parent, (ParentLink{0, "Main", "1", {"a", "e-1"}}));
  EXPECT_EQ(started.trace.bytes, "trace");
  EXPECT_EQ(started.tags, (StringMap{{"k", "v"}}));
  EXPECT_FALSE(started.scheduled_start.has_value());
}

TEST_F(ConcludeTurnTest, ChildWithoutAnIdGetsOneOfItsParentAndAction) {
  const TurnOutcome outcome = Conclude({{0x1f, Child("")}});
  ASSERT_THAT(outcome.children, SizeIs(1));
  EXPECT_EQ(outcome.children[0].started.orchestration.instance_id, "a:001f");
  EXPECT_EQ(outcome.events[0].As<SubOrchestrationCreated>()->instance_id,
            "a:001f");
}

TEST_F(ConcludeTurnTest, ChildWithABadIdFailsAndSaysWhy) {
  const struct {
    std::string id;
    const char* why;
  } cases[] = {
      {"@counter@a", "begin with @"},
      {std::string(1025, 'x'), "1024"},
      {"a\x01", "control"},
      {"\xff", "UTF-8"},
  };
  for (const auto& one : cases) {
    const TurnOutcome outcome = Conclude({{4, Child(one.id)}});
    EXPECT_THAT(outcome.children, IsEmpty()) << one.why;
    EXPECT_THAT(Kinds(outcome), ElementsAre(std::pair(9u, 4)));
    ASSERT_THAT(outcome.messages, SizeIs(1)) << one.why;
    const TurnOutcome::Message& message = outcome.messages[0];
    EXPECT_EQ(message.instance_id, "a");
    EXPECT_EQ(message.execution_id, "e-1");
    EXPECT_EQ(message.event.id, HistoryEvent::kFromOutside);
    const auto* failed = message.event.As<SubOrchestrationFailed>();
    ASSERT_NE(failed, nullptr);
    EXPECT_EQ(failed->task_scheduled_id, 4);
    const auto details = DecodeMessage<FailureDetails>(*failed->failure.bytes);
    EXPECT_EQ(details->type, "InvalidInstanceId");
    EXPECT_THAT(details->message, HasSubstr(one.why));
  }
}

TEST_F(ConcludeTurnTest, LongGeneratedIdOfAChildIsAllowedUpToItsBound) {
  EXPECT_THAT(Conclude({{1, Child(std::string(1024, 'x'))}}).children,
              SizeIs(1));
}

TEST_F(ConcludeTurnTest, EventIsWrittenAndRaisedThere) {
  const TurnOutcome outcome = Conclude({{3, EventSent{"b", "e", ""}}});
  EXPECT_THAT(Kinds(outcome), ElementsAre(std::pair(16u, 3)));
  ASSERT_THAT(outcome.messages, SizeIs(1));
  EXPECT_EQ(outcome.messages[0].instance_id, "b");
  EXPECT_EQ(outcome.messages[0].execution_id, std::nullopt);
  EXPECT_EQ(outcome.messages[0].event.id, HistoryEvent::kFromOutside);
  const auto* raised = outcome.messages[0].event.As<EventRaised>();
  ASSERT_NE(raised, nullptr);
  EXPECT_EQ(raised->name, "e");
  EXPECT_EQ(raised->input, "");
}

TEST_F(ConcludeTurnTest, TerminateOfAnotherIsSentAndNotWritten) {
  const TurnOutcome outcome = Conclude({{3, TerminateOther{"b", "why", true}}});
  EXPECT_THAT(outcome.events, IsEmpty());
  ASSERT_THAT(outcome.messages, SizeIs(1));
  EXPECT_EQ(outcome.messages[0].instance_id, "b");
  const auto* sent = outcome.messages[0].event.As<ExecutionTerminated>();
  ASSERT_NE(sent, nullptr);
  EXPECT_EQ(sent->output, "why");
  EXPECT_TRUE(sent->recursive);
}

// ---- Order ------------------------------------------------------------------

TEST_F(ConcludeTurnTest, ActionsKeepTheirOrderAndTheEndComesLast) {
  const TurnOutcome outcome = Conclude({{5, End(Status::kCompleted, "out")},
                                        {9, Task()},
                                        {1, TimerCreated{}},
                                        {4, EventSent{"b", "e", {}}},
                                        {0, Child("c")}});
  EXPECT_THAT(Kinds(outcome), ElementsAre(std::pair(6u, 9), std::pair(12u, 1),
                                          std::pair(16u, 4), std::pair(9u, 0),
                                          std::pair(4u, 5)));
  const auto* end = outcome.events.back().As<ExecutionCompleted>();
  EXPECT_EQ(end->status, 1);
  EXPECT_EQ(end->result, "out");
}

TEST_F(ConcludeTurnTest, ActionsOfOneIdAreBothDone) {
  const TurnOutcome outcome =
      Conclude({{5, EventSent{"b", "e", {}}}, {5, End(Status::kCompleted)}});
  EXPECT_THAT(Kinds(outcome), ElementsAre(std::pair(16u, 5), std::pair(4u, 5)));
}

TEST_F(ConcludeTurnTest, OfTwoEndsTheFirstCounts) {
  const TurnOutcome outcome = Conclude(
      {{1, End(Status::kFailed)}, {2, End(Status::kContinuedAsNew, "2")}});
  EXPECT_THAT(Kinds(outcome), ElementsAre(std::pair(4u, 1)));
  EXPECT_FALSE(outcome.next.has_value());
}

// ---- Continue as new --------------------------------------------------------

TEST_F(ConcludeTurnTest, NextExecutionIsStartedAsThisOneButForItsInput) {
  HasParent();
  state_.started.scheduled_start = Timestamp{1, 0};
  CompleteExecution completion = End(Status::kContinuedAsNew, "2");
  const std::string one = EncodeEvent({-1, {}, EventRaised{"one", {}}});
  const std::string two = EncodeEvent({-1, {}, EventRaised{"two", {}}});
  completion.carried_over = {one, two};
  const TurnOutcome outcome = Conclude({{1, completion}});
  ASSERT_TRUE(outcome.next.has_value());
  const ExecutionStarted& started = outcome.next->started;
  EXPECT_EQ(started.name, "Main");
  EXPECT_EQ(started.version, "1");
  EXPECT_EQ(started.input, "2");
  EXPECT_EQ(started.orchestration, (ExecutionOf{"a", std::nullopt}));
  EXPECT_EQ(started.parent, state_.started.parent);
  EXPECT_EQ(started.tags, state_.started.tags);
  EXPECT_EQ(started.trace, state_.started.trace);
  EXPECT_FALSE(started.scheduled_start.has_value());
  EXPECT_THAT(outcome.next->carried_over, ElementsAre(one, two));
  // It has not ended: its parent is not told.
  EXPECT_THAT(outcome.events, IsEmpty());
  EXPECT_THAT(outcome.messages, IsEmpty());
}

TEST_F(ConcludeTurnTest, NextExecutionMayHaveAnotherVersionAndNoInput) {
  CompleteExecution completion = End(Status::kContinuedAsNew);
  completion.new_version = "9";
  const TurnOutcome outcome = Conclude({{1, completion}});
  EXPECT_EQ(outcome.next->started.version, "9");
  EXPECT_EQ(outcome.next->started.input, std::nullopt);
}

TEST_F(ConcludeTurnTest, TasksAndTimersBesideContinueAsNewAreDropped) {
  const TurnOutcome outcome = Conclude({{1, Task()},
                                        {2, TimerCreated{}},
                                        {3, EventSent{"a", "e", {}}},
                                        {4, Child("c")},
                                        {5, TerminateOther{"b", {}, false}},
                                        {6, End(Status::kContinuedAsNew)}});
  EXPECT_THAT(outcome.tasks, IsEmpty());
  EXPECT_THAT(outcome.timers, IsEmpty());
  EXPECT_THAT(outcome.children, SizeIs(1));
  EXPECT_THAT(outcome.messages, SizeIs(2));
  EXPECT_THAT(outcome.events, IsEmpty());  // The history is gone.
  EXPECT_TRUE(outcome.next.has_value());
}

// ---- The end is reported ----------------------------------------------------

TEST_F(ConcludeTurnTest, ParentIsToldTheResult) {
  HasParent();
  const TurnOutcome outcome = Conclude({{1, End(Status::kCompleted, "out")}});
  ASSERT_THAT(outcome.messages, SizeIs(1));
  EXPECT_EQ(outcome.messages[0].instance_id, "p");
  EXPECT_EQ(outcome.messages[0].execution_id, "e-p");
  const auto* told = outcome.messages[0].event.As<SubOrchestrationCompleted>();
  ASSERT_NE(told, nullptr);
  EXPECT_EQ(told->task_scheduled_id, 7);
  EXPECT_EQ(told->result, "out");
}

TEST_F(ConcludeTurnTest, ParentIsToldTheFailureAsItIs) {
  HasParent();
  CompleteExecution completion = End(Status::kFailed);
  completion.failure = {"details"};
  const TurnOutcome outcome = Conclude({{1, completion}});
  ASSERT_THAT(outcome.messages, SizeIs(1));
  const auto* told = outcome.messages[0].event.As<SubOrchestrationFailed>();
  ASSERT_NE(told, nullptr);
  EXPECT_EQ(told->failure.bytes, "details");
}

TEST_F(ConcludeTurnTest, ParentIsToldAFailureIfThereAreNoDetails) {
  HasParent();
  const std::pair<Status, FailureDetails> cases[] = {
      {Status::kTerminated,
       {"SubOrchestrationTerminated",
        "the sub-orchestration \"a\" was terminated"}},
      {Status::kFailed,
       {"SubOrchestrationFailed", "the sub-orchestration \"a\" failed"}}};
  for (const auto& [status, details] : cases) {
    const TurnOutcome outcome = Conclude({{1, End(status)}});
    ASSERT_THAT(outcome.messages, SizeIs(1));
    const auto* told = outcome.messages[0].event.As<SubOrchestrationFailed>();
    ASSERT_NE(told, nullptr);
    EXPECT_EQ(DecodeMessage<FailureDetails>(*told->failure.bytes), details);
  }
}

TEST_F(ConcludeTurnTest, RecursiveTerminateGoesToAllChildrenOnceEach) {
  state_.terminated = ExecutionTerminated{"why", true};
  state_.children = {{1, "c-1"}, {2, "c-2"}};
  const TurnOutcome outcome = Conclude(
      {{3, Child("c-3")}, {4, Child("c-1")}, {5, End(Status::kTerminated)}});
  std::vector<std::string> told;
  for (const TurnOutcome::Message& message : outcome.messages) {
    const auto* terminated = message.event.As<ExecutionTerminated>();
    ASSERT_NE(terminated, nullptr);
    EXPECT_TRUE(terminated->recursive);
    EXPECT_EQ(terminated->output, "why");
    told.push_back(message.instance_id);
  }
  EXPECT_THAT(told, ElementsAre("c-1", "c-2", "c-3"));
}

TEST_F(ConcludeTurnTest, TerminateThatIsNotRecursiveLeavesChildrenAlone) {
  state_.terminated = ExecutionTerminated{"why", false};
  state_.children = {{1, "c-1"}};
  EXPECT_THAT(Conclude({{5, End(Status::kTerminated)}}).messages, IsEmpty());
}

TEST_F(ConcludeTurnTest, ATerminateThatItsWorkerDoesNotHeedIsCarriedOut) {
  state_.status = Status::kSuspended;
  state_.terminated = ExecutionTerminated{"why", true};
  state_.children = {{1, "c-1"}};
  for (const bool does_something : {false, true}) {
    const TurnOutcome outcome =
        does_something ? Conclude({{5, Task()}}) : Conclude({});
    EXPECT_TRUE(outcome.terminate_unheeded);
    ASSERT_FALSE(outcome.events.empty());
    const auto* end = outcome.events.back().As<ExecutionCompleted>();
    ASSERT_NE(end, nullptr);
    EXPECT_EQ(end->status, static_cast<int32_t>(Status::kTerminated));
    EXPECT_EQ(end->result, "why");
    ASSERT_EQ(outcome.messages.size(), 1u);
    EXPECT_EQ(outcome.messages[0].instance_id, "c-1");
  }
}

TEST_F(ConcludeTurnTest, AnEndOfItsOwnIsNotOverruledByATerminate) {
  state_.terminated = ExecutionTerminated{"why", false};
  const TurnOutcome outcome = Conclude({{5, End(Status::kCompleted)}});
  EXPECT_FALSE(outcome.terminate_unheeded);
  EXPECT_EQ(outcome.events.back().As<ExecutionCompleted>()->status,
            static_cast<int32_t>(Status::kCompleted));
}

// ---- Limits -----------------------------------------------------------------

TEST_F(ConcludeTurnTest, PayloadOfEachActionIsBounded) {
  limits_.payload_bytes_max = 4;
  const OrchestratorAction actions[] = {
      {8, Task("12345")},
      {8, Child("c", "12345")},
      {8, EventSent{"b", "e", "12345"}},
      {8, TerminateOther{"b", "12345", false}},
      {8, End(Status::kCompleted, "12345")},
      {8, End(Status::kContinuedAsNew, "12345")}};
  for (const OrchestratorAction& action : actions) {
    const TurnOutcome outcome = Conclude({{1, Task("1234")}, action});
    EXPECT_EQ(FailureOf(outcome),
              "PayloadTooLarge: action 8 has a payload of 5 bytes; at most 4 "
              "are allowed (--max-payload)");
    // The rest of the answer is ignored.
    EXPECT_THAT(outcome.tasks, IsEmpty());
    EXPECT_THAT(outcome.messages, IsEmpty());
    EXPECT_FALSE(outcome.next.has_value());
  }
  EXPECT_THAT(Conclude({{1, Task("1234")}}).tasks, SizeIs(1));
}

TEST_F(ConcludeTurnTest, CustomStatusIsBounded) {
  limits_.payload_bytes_max = 4;
  TurnAnswer answer;
  answer.custom_status = "12345";
  EXPECT_EQ(FailureOf(ConcludeTurn(state_, "a", answer, limits_, kNow)),
            "PayloadTooLarge: the custom status has 5 bytes; at most 4 are "
            "allowed (--max-payload)");
  answer.custom_status = "1234";
  EXPECT_THAT(ConcludeTurn(state_, "a", answer, limits_, kNow).events,
              IsEmpty());
}

TEST_F(ConcludeTurnTest, HistoryIsBounded) {
  limits_.history_events_max = 10;
  state_.event_count = 9;
  EXPECT_THAT(Conclude({{1, Task()}}).tasks, SizeIs(1));
  EXPECT_EQ(FailureOf(Conclude({{1, Task()}, {2, Task()}})),
            "HistoryTooLong: the history would have 11 events; at most 10 are "
            "allowed (--max-history-events); an orchestration that runs "
            "forever must continue as new");
}

// The way out that the message suggests.
TEST_F(ConcludeTurnTest, HistoryThatIsFullMayContinueAsNew) {
  limits_.history_events_max = 10;
  state_.event_count = 10;
  EXPECT_TRUE(Conclude({{1, EventSent{"a", "e", {}}},
                        {2, End(Status::kContinuedAsNew, "2")}})
                  .next.has_value());
}

TEST_F(ConcludeTurnTest, ActionThatIsRefusedFailsIt) {
  HasParent();
  const TurnOutcome outcome =
      Conclude({{1, Task()}, {2, EntityUnlockSent{"c", {}, "not an entity"}}});
  EXPECT_THAT(FailureOf(outcome), HasSubstr("InvalidAction: action 2"));
  EXPECT_THAT(outcome.tasks, IsEmpty());
  // An end like any other: the parent is told.
  ASSERT_THAT(outcome.messages, SizeIs(1));
  EXPECT_NE(outcome.messages[0].event.As<SubOrchestrationFailed>(), nullptr);
}

}  // namespace
}  // namespace leasehold
