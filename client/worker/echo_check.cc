#include "client/worker/echo_check.h"

#include "absl/strings/str_cat.h"

namespace leasehold::worker::internal {
namespace {

using Action = OrchestratorAction;

std::string Quoted(const std::string& name) {
  return absl::StrCat("\"", name, "\"");
}

std::string Task(int id, const std::string& what) {
  return absl::StrCat("task ", id, ": ", what);
}

}  // namespace

bool IsEchoOf(const HistoryEvent& event, const Action& action) {
  switch (event.eventType_case()) {
    case HistoryEvent::kTaskScheduled:
      return action.has_scheduletask() &&
             action.scheduletask().name() == event.taskscheduled().name();
    case HistoryEvent::kSubOrchestrationInstanceCreated:
      return action.has_createsuborchestration() &&
             action.createsuborchestration().name() ==
                 event.suborchestrationinstancecreated().name();
    case HistoryEvent::kTimerCreated:
      return action.has_createtimer();
    case HistoryEvent::kEventSent:
      return action.has_sendevent() &&
             action.sendevent().name() == event.eventsent().name() &&
             action.sendevent().instance().instanceid() ==
                 event.eventsent().instanceid();
    default:
      return false;
  }
}

std::string EventText(const HistoryEvent& event) {
  const int id = event.eventid();
  switch (event.eventType_case()) {
    case HistoryEvent::kTaskScheduled:
      return Task(
          id, absl::StrCat("activity ", Quoted(event.taskscheduled().name()),
                           " was scheduled"));
    case HistoryEvent::kTaskCompleted:
      return Task(event.taskcompleted().taskscheduledid(),
                  "an activity completed");
    case HistoryEvent::kTaskFailed:
      return Task(event.taskfailed().taskscheduledid(), "an activity failed");
    case HistoryEvent::kSubOrchestrationInstanceCreated:
      return Task(
          id,
          absl::StrCat("sub-orchestration ",
                       Quoted(event.suborchestrationinstancecreated().name()),
                       " was created"));
    case HistoryEvent::kSubOrchestrationInstanceCompleted:
      return Task(event.suborchestrationinstancecompleted().taskscheduledid(),
                  "a sub-orchestration completed");
    case HistoryEvent::kSubOrchestrationInstanceFailed:
      return Task(event.suborchestrationinstancefailed().taskscheduledid(),
                  "a sub-orchestration failed");
    case HistoryEvent::kTimerCreated:
      return Task(id, "a timer was created");
    case HistoryEvent::kTimerFired:
      return Task(event.timerfired().timerid(), "a timer fired");
    case HistoryEvent::kEventSent:
      return Task(id, absl::StrCat("event ", Quoted(event.eventsent().name()),
                                   " was sent to ",
                                   Quoted(event.eventsent().instanceid())));
    case HistoryEvent::kEventRaised:
      return absl::StrCat("event ", Quoted(event.eventraised().name()),
                          " was raised");
    case HistoryEvent::kOrchestratorStarted:
      return "another turn began";
    default:
      return absl::StrCat("an event of kind ",
                          static_cast<int>(event.eventType_case()));
  }
}

std::string TaskText(const Action& action) {
  switch (action.orchestratorActionType_case()) {
    case Action::kScheduleTask:
      return absl::StrCat("activity ", Quoted(action.scheduletask().name()));
    case Action::kCreateSubOrchestration:
      return absl::StrCat("sub-orchestration ",
                          Quoted(action.createsuborchestration().name()));
    case Action::kCreateTimer:
      return "a timer";
    case Action::kSendEvent:
      return absl::StrCat("event ", Quoted(action.sendevent().name()), " to ",
                          Quoted(action.sendevent().instance().instanceid()));
    default:
      return "something else";
  }
}

std::string ActionText(const Action& action) {
  const char* verb = action.has_createtimer() ? "creates "
                     : action.has_sendevent() ? "sends "
                                              : "calls ";
  return verb + TaskText(action);
}

}  // namespace leasehold::worker::internal
