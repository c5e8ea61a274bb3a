#include "client/worker/echo_check.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace leasehold::worker::internal {
namespace {

using Action = OrchestratorAction;

std::string Quoted(const std::string& name) {
  return absl::StrCat("\"", name, "\"");
}

std::string TaskText(int id, const std::string& what) {
  return absl::StrCat("task ", id, ": ", what);
}

// The names of the entities to lock, as in `"@a@1", "@b@2"`.
std::string Names(const EntityLockRequestedEvent& lock) {
  return absl::StrJoin(lock.lockset(), ", ",
                       [](std::string* out, const std::string& id) {
                         absl::StrAppend(out, Quoted(id));
                       });
}

// Of a call or a signal.
template <typename Event>
std::string OperationText(const Event& event) {
  return absl::StrCat("operation ", Quoted(event.operation()), " of entity ",
                      Quoted(event.targetinstanceid().value()));
}

template <typename Event>
bool IsSameOperation(const Event& one, const Event& other) {
  return one.operation() == other.operation() &&
         one.targetinstanceid().value() == other.targetinstanceid().value();
}

std::string MessageText(const SendEntityMessageAction& sent) {
  switch (sent.EntityMessageType_case()) {
    case SendEntityMessageAction::kEntityOperationCalled:
      return OperationText(sent.entityoperationcalled());
    case SendEntityMessageAction::kEntityOperationSignaled:
      return OperationText(sent.entityoperationsignaled());
    case SendEntityMessageAction::kEntityLockRequested:
      return absl::StrCat("the lock of ", Names(sent.entitylockrequested()));
    default:
      return absl::StrCat(
          "entity ",
          Quoted(sent.entityunlocksent().targetinstanceid().value()));
  }
}

const char* Verb(const Action& action) {
  if (action.has_createtimer()) return "creates ";
  if (action.has_sendevent()) return "sends ";
  switch (action.sendentitymessage().EntityMessageType_case()) {
    case SendEntityMessageAction::kEntityOperationSignaled:
      return "signals ";
    case SendEntityMessageAction::kEntityLockRequested:
      return "requests ";
    case SendEntityMessageAction::kEntityUnlockSent:
      return "unlocks ";
    default:
      return "calls ";
  }
}

bool IsEchoOfMessage(const HistoryEvent& event,
                     const SendEntityMessageAction& sent) {
  switch (event.eventType_case()) {
    case HistoryEvent::kEntityOperationCalled:
      return sent.has_entityoperationcalled() &&
             IsSameOperation(event.entityoperationcalled(),
                             sent.entityoperationcalled());
    case HistoryEvent::kEntityOperationSignaled:
      return sent.has_entityoperationsignaled() &&
             IsSameOperation(event.entityoperationsignaled(),
                             sent.entityoperationsignaled());
    case HistoryEvent::kEntityLockRequested:
      return sent.has_entitylockrequested() &&
             Names(event.entitylockrequested()) ==
                 Names(sent.entitylockrequested());
    case HistoryEvent::kEntityUnlockSent:
      return sent.has_entityunlocksent() &&
             event.entityunlocksent().targetinstanceid().value() ==
                 sent.entityunlocksent().targetinstanceid().value();
    default:
      return false;
  }
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
      return IsEchoOfMessage(event, action.sendentitymessage());
  }
}

std::string EventText(const HistoryEvent& event) {
  const int id = event.eventid();
  switch (event.eventType_case()) {
    case HistoryEvent::kTaskScheduled:
      return TaskText(
          id, absl::StrCat("activity ", Quoted(event.taskscheduled().name()),
                           " was scheduled"));
    case HistoryEvent::kTaskCompleted:
      return TaskText(event.taskcompleted().taskscheduledid(),
                      "an activity completed");
    case HistoryEvent::kTaskFailed:
      return TaskText(event.taskfailed().taskscheduledid(),
                      "an activity failed");
    case HistoryEvent::kSubOrchestrationInstanceCreated:
      return TaskText(
          id,
          absl::StrCat("sub-orchestration ",
                       Quoted(event.suborchestrationinstancecreated().name()),
                       " was created"));
    case HistoryEvent::kSubOrchestrationInstanceCompleted:
      return TaskText(
          event.suborchestrationinstancecompleted().taskscheduledid(),
          "a sub-orchestration completed");
    case HistoryEvent::kSubOrchestrationInstanceFailed:
      return TaskText(event.suborchestrationinstancefailed().taskscheduledid(),
                      "a sub-orchestration failed");
    case HistoryEvent::kTimerCreated:
      return TaskText(id, "a timer was created");
    case HistoryEvent::kTimerFired:
      return TaskText(event.timerfired().timerid(), "a timer fired");
    case HistoryEvent::kEventSent:
      return TaskText(id,
                      absl::StrCat("event ", Quoted(event.eventsent().name()),
                                   " was sent to ",
                                   Quoted(event.eventsent().instanceid())));
    case HistoryEvent::kEventRaised:
      return absl::StrCat("event ", Quoted(event.eventraised().name()),
                          " was raised");
    case HistoryEvent::kEntityOperationCalled:
      return TaskText(id,
                      absl::StrCat(OperationText(event.entityoperationcalled()),
                                   " was called"));
    case HistoryEvent::kEntityOperationSignaled:
      return TaskText(
          id, absl::StrCat(OperationText(event.entityoperationsignaled()),
                           " was signaled"));
    case HistoryEvent::kEntityLockRequested:
      return TaskText(
          id, absl::StrCat("the lock of ", Names(event.entitylockrequested()),
                           " was requested"));
    case HistoryEvent::kEntityUnlockSent:
      return TaskText(
          id, absl::StrCat(
                  "entity ",
                  Quoted(event.entityunlocksent().targetinstanceid().value()),
                  " was unlocked"));
    case HistoryEvent::kEntityOperationCompleted:
      return "an operation completed";
    case HistoryEvent::kEntityOperationFailed:
      return "an operation failed";
    case HistoryEvent::kEntityLockGranted:
      return "the lock was granted";
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
    case Action::kSendEntityMessage:
      return MessageText(action.sendentitymessage());
    default:
      return "something else";
  }
}

std::string ActionText(const Action& action) {
  return Verb(action) + TaskText(action);
}

}  // namespace leasehold::worker::internal
