#include "service/http/durable_functions_history.h"

#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace leasehold {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr char kAt[] = "1970-01-01T00:00:0";

// An event of an action, at that second.
HistoryEvent At(int second, EventBody body, int32_t id = -1) {
  return {id, {second, 0}, std::move(body)};
}

ExecutionStarted Started(std::string name, Payload input) {
  ExecutionStarted event;
  event.name = std::move(name);
  event.input = std::move(input);
  return event;
}

TaskScheduled Task(std::string name, Payload input = std::nullopt) {
  TaskScheduled event;
  event.name = std::move(name);
  event.input = std::move(input);
  return event;
}

SubOrchestrationCreated Child(std::string id, std::string name) {
  SubOrchestrationCreated event;
  event.instance_id = std::move(id);
  event.name = std::move(name);
  return event;
}

// What is shown of a history, event by event, without the times.
std::vector<std::string> Shown(const std::vector<HistoryEvent>& events,
                               HistoryEventsWriter::Options options = {
                                   .inputs = true, .outputs = true}) {
  HistoryOutline outline;
  for (const HistoryEvent& event : events) outline.Add(event);
  HistoryEventsWriter writer(std::move(outline), options);
  std::vector<std::string> shown;
  for (const HistoryEvent& event : events) {
    EXPECT_FALSE(writer.done());
    std::string text;
    writer.Write(event, text);
    if (text.empty()) continue;
    if (!shown.empty()) {
      EXPECT_EQ(text.front(), ',');
      text.erase(0, 1);
    }
    shown.push_back(text);
  }
  EXPECT_TRUE(writer.done());
  return shown;
}

TEST(DurableFunctionsHistory, FoldsWhatSchedulesIntoWhatEnds) {
  EXPECT_THAT(
      Shown({At(1, OrchestratorStarted{}), At(1, Started("F", "1")),
             At(2, Task("A", "2"), 0), At(2, Task("B", "3"), 1),
             At(3, OrchestratorStarted{}), At(4, TaskCompleted{1, "[5]"}),
             At(6, Task("C"), 2)}),
      ElementsAre(
          R"({"EventType":"ExecutionStarted","FunctionName":"F","Input":1,)"
          R"("Timestamp":"1970-01-01T00:00:01.0000000Z"})",
          R"({"EventType":"TaskScheduled","Name":"A","FunctionName":"A",)"
          R"("Input":2,"Timestamp":"1970-01-01T00:00:02.0000000Z"})",
          R"({"EventType":"TaskCompleted","Name":"B","FunctionName":"B",)"
          R"("ScheduledTime":"1970-01-01T00:00:02.0000000Z","Input":3,)"
          R"("Result":[5],"Timestamp":"1970-01-01T00:00:04.0000000Z"})",
          R"({"EventType":"TaskScheduled","Name":"C","FunctionName":"C",)"
          R"("Timestamp":"1970-01-01T00:00:06.0000000Z"})"));
}

TEST(DurableFunctionsHistory, ShowsInputsAndOutputsOnlyIfAsked) {
  const std::vector<HistoryEvent> history = {
      At(1, Started("F", "1")), At(2, Task("A", "2"), 0),
      At(3, TaskCompleted{0, "3"}), At(4, EventRaised{"E", "4"}),
      At(5, ExecutionCompleted{1, "5", {}})};
  for (const std::string& event : Shown(history, {.inputs = false})) {
    EXPECT_THAT(event, testing::Not(HasSubstr("\"Input\"")));
    EXPECT_THAT(event, testing::Not(HasSubstr("\"Result\"")));
  }
  const std::vector<std::string> all = Shown(history);
  EXPECT_THAT(all[1], HasSubstr(R"("Input":2,"Result":3)"));
  EXPECT_THAT(all[3],
              HasSubstr(R"("OrchestrationStatus":"Completed","Result":5)"));
}

TEST(DurableFunctionsHistory, FoldsSubOrchestrationsAndFailures) {
  EXPECT_THAT(
      Shown({At(1, Child("c", "S"), 0), At(2, Child("d", "T"), 1),
             At(3, Task("A"), 2),
             At(4, SubOrchestrationFailed{1, MakeFailure("E", "no")}),
             At(5, TaskFailed{2, MakeFailure("E", "not")})}),
      ElementsAre(
          R"({"EventType":"SubOrchestrationInstanceCreated","Name":"S",)"
          R"("FunctionName":"S","InstanceId":"c",)"
          R"("Timestamp":"1970-01-01T00:00:01.0000000Z"})",
          R"({"EventType":"SubOrchestrationInstanceFailed","Name":"T",)"
          R"("FunctionName":"T","ScheduledTime":"1970-01-01T00:00:02.0000000Z",)"
          R"("Reason":"no","Details":null,"FailureDetails":{"ErrorType":"E",)"
          R"("ErrorMessage":"no","StackTrace":null,"InnerFailure":null,)"
          R"("IsNonRetriable":false},"Timestamp":"1970-01-01T00:00:04.0000000Z"})",
          testing::StartsWith(
              R"({"EventType":"TaskFailed","Name":"A","FunctionName":"A",)")));
}

TEST(DurableFunctionsHistory, ReadsANumberThatARewindHasUsedAgain) {
  const std::vector<std::string> shown =
      Shown({At(1, Task("A"), 0), At(2, TaskFailed{0, {}}),
             At(3, ExecutionRewound{.reason = "again"}), At(4, Task("A"), 0),
             At(5, TaskCompleted{0, {}}), At(6, Task("A"), 0)});
  ASSERT_EQ(shown.size(), 4U);
  EXPECT_THAT(shown[0],
              HasSubstr(std::string(R"("ScheduledTime":")") + kAt + "1"));
  EXPECT_THAT(shown[1],
              HasSubstr(R"("EventType":"ExecutionRewound","Reason":"again")"));
  EXPECT_THAT(shown[2],
              HasSubstr(std::string(R"("ScheduledTime":")") + kAt + "4"));
  EXPECT_THAT(shown[3], HasSubstr(R"("EventType":"TaskScheduled")"));
}

TEST(DurableFunctionsHistory, ShowsAnEndWithoutItsBeginning) {
  EXPECT_THAT(Shown({At(1, TaskCompleted{9, {}})}),
              ElementsAre(R"({"EventType":"TaskCompleted",)"
                          R"("Timestamp":"1970-01-01T00:00:01.0000000Z"})"));
}

TEST(DurableFunctionsHistory, ShowsTheOtherEvents) {
  EXPECT_THAT(
      Shown({At(0, TimerCreated{{9, 100}}, 0), At(0, TimerFired{{9, 100}, 0}),
             At(0, EventSent{"b", "E", "1"}), At(0, ExecutionSuspended{"why"}),
             At(0, ExecutionResumed{}), At(0, ExecutionTerminated{"\"out\""}),
             At(0, OtherEvent{18, std::string("\x0a\x04\x0a\x02{}")}),
             At(0, OtherEvent{19, ""})}),
      ElementsAre(
          HasSubstr(
              R"("TimerCreated","FireAt":"1970-01-01T00:00:09.0000001Z")"),
          HasSubstr(R"("TimerFired","FireAt":"1970-01-01T00:00:09.0000001Z")"),
          HasSubstr(R"("EventSent","InstanceId":"b","Name":"E","Input":1)"),
          HasSubstr(R"("ExecutionSuspended","Reason":"why")"),
          HasSubstr(R"("ExecutionResumed","Reason":"")"),
          HasSubstr(R"("ExecutionTerminated","Input":"out")"),
          HasSubstr(R"("GenericEvent","Data":{})"),
          HasSubstr(R"("Other","Number":19)")));
}

TEST(DurableFunctionsHistory, ShowsOperationsOfEntities) {
  EXPECT_THAT(
      Shown(
          {At(0, EntityOperationSignaled{.operation = "add", .target = "@c@a"}),
           At(0,
              EntityOperationCalled{
                  .operation = "get", .input = "1", .target = "@c@a"}),
           At(0, EntityOperationCompleted{"", "7"}),
           At(0, EntityOperationFailed{"", MakeFailure("E", "no")}),
           At(0, EntityLockRequested{"", {"@c@a", "@c@b"}}),
           At(0, EntityLockGranted{""}),
           At(0, EntityUnlockSent{"", {}, "@c@a"})}),
      ElementsAre(
          HasSubstr(
              R"("EntityOperationSignaled","InstanceId":"@c@a","Operation":"add")"),
          HasSubstr(R"("InstanceId":"@c@a","Operation":"get","Input":1)"),
          HasSubstr(R"("EntityOperationCompleted","Result":7)"),
          HasSubstr(R"("EntityOperationFailed","Reason":"no")"),
          HasSubstr(R"("EntityLockRequested","Entities":2)"),
          HasSubstr(R"("EntityLockGranted")"),
          HasSubstr(R"("EntityUnlockSent","InstanceId":"@c@a")")));
}

TEST(DurableFunctionsHistory, DoesNotShowTurns) {
  EXPECT_THAT(Shown({At(0, OrchestratorStarted{}), At(0, OtherEvent{15, ""}),
                     At(0, OtherEvent{})}),
              IsEmpty());
}

TEST(DurableFunctionsHistory, ShowsNothingThatCameAfterItsOutline) {
  HistoryOutline outline;
  outline.Add(At(1, Task("A"), 0));
  HistoryEventsWriter writer(std::move(outline), {});
  std::string text;
  writer.Write(At(1, Task("A"), 0), text);
  EXPECT_THAT(text, HasSubstr("TaskScheduled"));
  text.clear();
  writer.Write(At(2, TaskCompleted{0, {}}), text);
  EXPECT_EQ(text, "");
}

}  // namespace
}  // namespace leasehold
