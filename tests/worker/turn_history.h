// TurnHistory: histories for turns by values, an event a call; and their
// replay.
//
//   const TurnHistory history = TurnHistory()
//       .Turn(1)                        // 1
//       .Started("Main", "\"Ann\"")     // 2
//       .Scheduled(1, "Hello")          // 3
//       .Turn(2)                        // 4
//       .Done(1, "\"Hi\"");             // 5
//
// Events of one turn have the time of that turn. The last turn is the one to be
// run: it has no echoes of its actions yet.
//
// Thread-safety: values; callers synchronise.   Lifetime: no references.
#ifndef LEASEHOLD_TESTS_WORKER_TURN_HISTORY_H_
#define LEASEHOLD_TESTS_WORKER_TURN_HISTORY_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/worker/echo_check.h"
#include "client/worker/name_uuid.h"
#include "client/worker/registry.h"
#include "client/worker/turn.h"
#include "durabletask/orchestrator_service.pb.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace leasehold::worker {

inline constexpr char kInstance[] = "order-1";
inline constexpr char kExecution[] = "e0";
// Too long to be kept within a std::string.
inline constexpr char kLong[] =
    "a text that is too long for a string to keep inside";

// Under which ID the code sends its request to an entity, as task `id`.
inline std::string RequestId(int32_t id) {
  static constexpr internal::Uuid kRequests = {
      0xd2, 0x4c, 0x0b, 0x97, 0x1e, 0x65, 0x4f, 0x38,
      0xb1, 0x70, 0x8a, 0xc3, 0x49, 0xfe, 0x26, 0x5d};
  return internal::NameUuid(kRequests,
                            absl::StrCat(kInstance, "_", kExecution, "_", id));
}

class TurnHistory {
 public:
  // Begins a turn at this second.
  TurnHistory& Turn(int64_t seconds) {
    seconds_ = seconds;
    Add(-1).mutable_orchestratorstarted();
    return *this;
  }
  TurnHistory& Started(const std::string& name, const Payload& input = {}) {
    ExecutionStartedEvent& started = *Add(-1).mutable_executionstarted();
    started.set_name(name);
    if (input.has_value()) started.mutable_input()->set_value(*input);
    OrchestrationInstance& instance = *started.mutable_orchestrationinstance();
    instance.set_instanceid(kInstance);
    instance.mutable_executionid()->set_value(kExecution);
    return *this;
  }
  // The parent of what was started before.
  TurnHistory& Parent(const std::string& instance_id) {
    events_.back()
        .mutable_executionstarted()
        ->mutable_parentinstance()
        ->mutable_orchestrationinstance()
        ->set_instanceid(instance_id);
    return *this;
  }
  TurnHistory& Scheduled(int32_t id, const std::string& name) {
    Add(id).mutable_taskscheduled()->set_name(name);
    return *this;
  }
  TurnHistory& Done(int32_t id, const Payload& result = {}) {
    TaskCompletedEvent& done = *Add(-1).mutable_taskcompleted();
    done.set_taskscheduledid(id);
    if (result.has_value()) done.mutable_result()->set_value(*result);
    return *this;
  }
  TurnHistory& Broke(int32_t id, const std::string& type = "Broken",
                     bool is_non_retriable = false) {
    TaskFailedEvent& failed = *Add(-1).mutable_taskfailed();
    failed.set_taskscheduledid(id);
    SetFailure(type, is_non_retriable, *failed.mutable_failuredetails());
    return *this;
  }
  TurnHistory& Timer(int32_t id, int64_t seconds) {
    Add(id).mutable_timercreated()->mutable_fireat()->set_seconds(seconds);
    return *this;
  }
  TurnHistory& Fired(int32_t id, int64_t seconds) {
    TimerFiredEvent& fired = *Add(-1).mutable_timerfired();
    fired.mutable_fireat()->set_seconds(seconds);
    fired.set_timerid(id);
    return *this;
  }
  TurnHistory& Child(int32_t id, const std::string& name,
                     const std::string& instance_id = "") {
    auto& child = *Add(id).mutable_suborchestrationinstancecreated();
    child.set_name(name);
    child.set_instanceid(instance_id);
    return *this;
  }
  TurnHistory& ChildDone(int32_t id, const Payload& result = {}) {
    auto& done = *Add(-1).mutable_suborchestrationinstancecompleted();
    done.set_taskscheduledid(id);
    if (result.has_value()) done.mutable_result()->set_value(*result);
    return *this;
  }
  TurnHistory& ChildBroke(int32_t id) {
    auto& failed = *Add(-1).mutable_suborchestrationinstancefailed();
    failed.set_taskscheduledid(id);
    SetFailure("Broken", false, *failed.mutable_failuredetails());
    return *this;
  }
  TurnHistory& Sent(int32_t id, const std::string& to,
                    const std::string& name) {
    EventSentEvent& sent = *Add(id).mutable_eventsent();
    sent.set_instanceid(to);
    sent.set_name(name);
    return *this;
  }
  TurnHistory& Raised(const std::string& name, const Payload& input = {}) {
    EventRaisedEvent& raised = *Add(-1).mutable_eventraised();
    raised.set_name(name);
    if (input.has_value()) raised.mutable_input()->set_value(*input);
    return *this;
  }
  TurnHistory& Called(int32_t id, const std::string& entity,
                      const std::string& operation,
                      const std::string& request_id = "") {
    auto& call = *Add(id).mutable_entityoperationcalled();
    call.set_requestid(request_id.empty() ? RequestId(id) : request_id);
    call.set_operation(operation);
    call.mutable_targetinstanceid()->set_value(entity);
    return *this;
  }
  TurnHistory& Signaled(int32_t id, const std::string& entity,
                        const std::string& operation) {
    auto& signal = *Add(id).mutable_entityoperationsignaled();
    signal.set_requestid(RequestId(id));
    signal.set_operation(operation);
    signal.mutable_targetinstanceid()->set_value(entity);
    return *this;
  }
  TurnHistory& Answered(const std::string& request_id,
                        const Payload& output = {}) {
    auto& done = *Add(-1).mutable_entityoperationcompleted();
    done.set_requestid(request_id);
    if (output.has_value()) done.mutable_output()->set_value(*output);
    return *this;
  }
  // Of the call that is task `id`.
  TurnHistory& Answered(int32_t id, const Payload& output = {}) {
    return Answered(RequestId(id), output);
  }
  TurnHistory& AnsweredWithFailure(int32_t id) {
    auto& failed = *Add(-1).mutable_entityoperationfailed();
    failed.set_requestid(RequestId(id));
    SetFailure("Broken", false, *failed.mutable_failuredetails());
    return *this;
  }
  TurnHistory& LockRequested(int32_t id,
                             const std::vector<std::string>& entities,
                             const std::string& section_id = "") {
    auto& lock = *Add(id).mutable_entitylockrequested();
    lock.set_criticalsectionid(section_id.empty() ? RequestId(id) : section_id);
    for (const std::string& entity : entities) lock.add_lockset(entity);
    return *this;
  }
  TurnHistory& LockGranted(const std::string& section_id) {
    Add(-1).mutable_entitylockgranted()->set_criticalsectionid(section_id);
    return *this;
  }
  TurnHistory& LockGranted(int32_t id) { return LockGranted(RequestId(id)); }
  TurnHistory& Unlocked(int32_t id, const std::string& entity) {
    auto& unlock = *Add(id).mutable_entityunlocksent();
    unlock.mutable_targetinstanceid()->set_value(entity);
    return *this;
  }
  TurnHistory& Suspended() {
    Add(-1).mutable_executionsuspended();
    return *this;
  }
  TurnHistory& Resumed() {
    Add(-1).mutable_executionresumed();
    return *this;
  }
  TurnHistory& Terminated(const Payload& output) {
    auto& terminated = *Add(-1).mutable_executionterminated();
    if (output.has_value()) terminated.mutable_input()->set_value(*output);
    return *this;
  }

  const std::vector<HistoryEvent>& events() const { return events_; }

  // A turn whose past is the first `past` events; the new ones go to `end`.
  OrchestratorRequest Request(size_t past, size_t end) const {
    OrchestratorRequest request;
    request.set_instanceid(kInstance);
    request.mutable_executionid()->set_value(kExecution);
    for (size_t i = 0; i < end; ++i) {
      *(i < past ? request.add_pastevents() : request.add_newevents()) =
          events_[i];
    }
    return request;
  }
  // Where the turns begin.
  std::vector<size_t> TurnStarts() const {
    std::vector<size_t> starts;
    for (size_t i = 0; i < events_.size(); ++i) {
      if (events_[i].has_orchestratorstarted()) starts.push_back(i);
    }
    return starts;
  }

 private:
  HistoryEvent& Add(int32_t id) {
    HistoryEvent& event = events_.emplace_back();
    event.set_eventid(id);
    event.mutable_timestamp()->set_seconds(seconds_);
    return event;
  }
  static void SetFailure(const std::string& type, bool is_non_retriable,
                         TaskFailureDetails& details) {
    details.set_errortype(type);
    details.set_errormessage("it broke");
    details.set_isnonretriable(is_non_retriable);
  }

  int64_t seconds_ = 0;
  std::vector<HistoryEvent> events_;
};

// Actions and completion, without what depends on where the past ends.
inline std::string ActionsText(const OrchestratorResponse& response) {
  std::string text;
  for (const OrchestratorAction& action : response.actions()) {
    absl::StrAppend(&text, action.ShortDebugString(), "\n");
  }
  return text;
}

// Whether `event` is what a server makes of `action`.
inline bool IsEcho(const HistoryEvent& event,
                   const OrchestratorAction& action) {
  if (event.eventid() != action.id()) return false;
  switch (event.eventType_case()) {
    case HistoryEvent::kTaskScheduled:
      return event.taskscheduled().name() == action.scheduletask().name();
    case HistoryEvent::kTimerCreated:
      return event.timercreated().fireat().seconds() ==
             action.createtimer().fireat().seconds();
    case HistoryEvent::kSubOrchestrationInstanceCreated:
      return event.suborchestrationinstancecreated().name() ==
                 action.createsuborchestration().name() &&
             (event.suborchestrationinstancecreated().instanceid().empty() ||
              event.suborchestrationinstancecreated().instanceid() ==
                  action.createsuborchestration().instanceid());
    case HistoryEvent::kEventSent:
      return event.eventsent().name() == action.sendevent().name() &&
             event.eventsent().instanceid() ==
                 action.sendevent().instance().instanceid();
    default:
      return action.has_sendentitymessage() &&
             internal::IsEchoOf(event, action);
  }
}

// The completion that ends `response`, or an empty one.
inline CompleteOrchestrationAction Completion(
    const OrchestratorResponse& response) {
  if (response.actions().empty()) return {};
  return response.actions(response.actions_size() - 1).completeorchestration();
}

// Runs the last turn, and shows that the code is the same on every replay:
// - each turn of the history starts what the history says that it started;
// - wherever the past is cut off from the new, the same comes of it;
// - no prefix ends otherwise.
inline OrchestratorResponse Replay(const Registry& registry,
                                   const TurnHistory& history) {
  const std::vector<size_t> starts = history.TurnStarts();
  const size_t end = history.events().size();
  for (size_t i = 0; i + 1 < starts.size(); ++i) {
    size_t echoes = starts[i];
    while (history.events()[echoes].eventid() == -1 && echoes < starts[i + 1]) {
      ++echoes;
    }
    const OrchestratorResponse response = internal::RunTurn(
        registry, history.Request(starts[i], echoes), nullptr);
    EXPECT_EQ(static_cast<size_t>(response.actions_size()),
              starts[i + 1] - echoes)
        << "turn " << i + 1 << ": " << ActionsText(response);
    for (int j = 0; j < response.actions_size(); ++j) {
      EXPECT_TRUE(IsEcho(history.events()[echoes + j], response.actions(j)))
          << "turn " << i + 1 << ": " << response.actions(j).ShortDebugString();
    }
  }
  OrchestratorResponse last =
      internal::RunTurn(registry, history.Request(starts.back(), end), nullptr);
  for (size_t past = 0; past <= end; ++past) {
    EXPECT_EQ(ActionsText(internal::RunTurn(
                  registry, history.Request(past, end), nullptr)),
              ActionsText(last))
        << past << " events are past";
    if (past == end) break;
    const OrchestratorResponse alone =
        internal::RunTurn(registry, history.Request(past, past), nullptr);
    CompleteOrchestrationAction ended = Completion(alone);
    if (ended.orchestrationstatus() != 0) {
      // More may have come in the turn that ended it.
      *ended.mutable_carryoverevents() = Completion(last).carryoverevents();
      EXPECT_EQ(ended.ShortDebugString(), Completion(last).ShortDebugString())
          << past << " events alone";
    }
  }
  return last;
}

// Without the check of its past: for code that is not the same on replay.
inline OrchestratorResponse RunLastTurn(const Registry& registry,
                                        const TurnHistory& history,
                                        const LogSink& log = nullptr) {
  return internal::RunTurn(
      registry,
      history.Request(history.TurnStarts().back(), history.events().size()),
      log);
}

MATCHER_P(CompletesWith, result, "") {
  const CompleteOrchestrationAction completion = Completion(arg);
  *result_listener << arg.ShortDebugString();
  return completion.orchestrationstatus() == ORCHESTRATION_STATUS_COMPLETED &&
         completion.has_result() && completion.result().value() == result;
}

MATCHER_P2(FailsWith, type, message, "") {
  const TaskFailureDetails details = Completion(arg).failuredetails();
  *result_listener << arg.ShortDebugString();
  return Completion(arg).orchestrationstatus() == ORCHESTRATION_STATUS_FAILED &&
         details.errortype() == type &&
         ::testing::Value(std::string(details.errormessage()), message);
}

// What an orchestrator sends to an entity, in words.
inline std::string EntityMessage(const SendEntityMessageAction& sent) {
  const auto input = [](const auto& event) {
    return event.has_input() ? event.input().value() : "-";
  };
  if (sent.has_entityoperationcalled()) {
    const auto& call = sent.entityoperationcalled();
    return absl::StrCat("call ", call.operation(), " of ",
                        call.targetinstanceid().value(), " ", input(call));
  }
  if (sent.has_entityoperationsignaled()) {
    const auto& signal = sent.entityoperationsignaled();
    return absl::StrCat("signal ", signal.operation(), " to ",
                        signal.targetinstanceid().value(), " ", input(signal));
  }
  if (sent.has_entitylockrequested()) {
    return absl::StrCat(
        "lock ", absl::StrJoin(sent.entitylockrequested().lockset(), " "));
  }
  return absl::StrCat("unlock ",
                      sent.entityunlocksent().targetinstanceid().value());
}

// What the orchestration starts in this turn, as words.
inline std::vector<std::string> Actions(const OrchestratorResponse& response) {
  std::vector<std::string> words;
  for (const OrchestratorAction& action : response.actions()) {
    std::string text = absl::StrCat(action.id(), ": ");
    if (action.has_scheduletask()) {
      const ScheduleTaskAction& task = action.scheduletask();
      absl::StrAppend(&text, "activity ", task.name(), " ",
                      task.has_input() ? task.input().value() : "-");
    } else if (action.has_createtimer()) {
      absl::StrAppend(&text, "timer ", action.createtimer().fireat().seconds());
    } else if (action.has_createsuborchestration()) {
      const CreateSubOrchestrationAction& child =
          action.createsuborchestration();
      absl::StrAppend(&text, "child ", child.name(), " ", child.instanceid(),
                      " ", child.has_input() ? child.input().value() : "-");
    } else if (action.has_sendevent()) {
      const SendEventAction& sent = action.sendevent();
      absl::StrAppend(&text, "event ", sent.name(), " to ",
                      sent.instance().instanceid(), " ",
                      sent.has_data() ? sent.data().value() : "-");
    } else if (action.has_sendentitymessage()) {
      absl::StrAppend(&text, EntityMessage(action.sendentitymessage()));
    } else if (action.has_completeorchestration()) {
      absl::StrAppend(&text, "end");
    }
    words.push_back(std::move(text));
  }
  return words;
}

}  // namespace leasehold::worker

#endif  // LEASEHOLD_TESTS_WORKER_TURN_HISTORY_H_
