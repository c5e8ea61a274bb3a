#include "client/worker/turn.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/worker/echo_check.h"
#include "client/worker/entity_id.h"
#include "client/worker/failure_messages.h"
#include "client/worker/name_uuid.h"
#include "client/worker/rewind.h"
#include "lease/base/utf8.h"

namespace leasehold::worker::internal {
namespace {

using Kind = OrchestratorAction::OrchestratorActionTypeCase;
using google::protobuf::StringValue;

constexpr char kSameOnReplay[] =
    "; orchestrator code must do the same on each replay";

// The namespace of the other SDKs' UUIDs.
constexpr Uuid kUuids = {0x9e, 0x95, 0x29, 0x58, 0x5e, 0x33, 0x4d, 0xaf,
                         0x82, 0x7f, 0x2f, 0xa1, 0x29, 0x37, 0xb8, 0x75};

// Thrown by Begin: this worker has no orchestrator of this name.
struct UnknownOrchestrator {};

absl::Time ToTime(const google::protobuf::Timestamp& timestamp) {
  return absl::FromUnixSeconds(timestamp.seconds()) +
         absl::Nanoseconds(timestamp.nanos());
}

Payload ToPayload(bool present, const StringValue& text) {
  if (!present) return std::nullopt;
  return text.value();
}

TaskFailureDetails NonDeterminism(const std::exception_ptr& error) {
  TaskFailureDetails details = ToProto(DescribeException(error));
  details.set_errortype("NonDeterminismError");  // Without our namespace.
  details.set_isnonretriable(true);
  return details;
}

// Whether `event` says that the code had not ended before it. Results and
// events may still have come in the turn in which it ended.
bool GoesOn(const HistoryEvent& event) {
  switch (event.eventType_case()) {
    case HistoryEvent::kOrchestratorStarted:
    case HistoryEvent::kTaskScheduled:
    case HistoryEvent::kSubOrchestrationInstanceCreated:
    case HistoryEvent::kTimerCreated:
    case HistoryEvent::kEventSent:
    case HistoryEvent::kEntityOperationCalled:
    case HistoryEvent::kEntityOperationSignaled:
    case HistoryEvent::kEntityLockRequested:
    case HistoryEvent::kEntityUnlockSent:
      return true;
    default:
      return false;
  }
}

// Whether `event` is held back while the orchestration is suspended, because
// the code would continue with it. Not the echo of what it did before.
bool WaitsForResume(const HistoryEvent& event) {
  switch (event.eventType_case()) {
    case HistoryEvent::kTaskCompleted:
    case HistoryEvent::kTaskFailed:
    case HistoryEvent::kSubOrchestrationInstanceCompleted:
    case HistoryEvent::kSubOrchestrationInstanceFailed:
    case HistoryEvent::kTimerFired:
    case HistoryEvent::kEventRaised:
    case HistoryEvent::kEntityOperationCompleted:
    case HistoryEvent::kEntityOperationFailed:
    case HistoryEvent::kEntityLockGranted:
      return true;
    default:
      return false;
  }
}

}  // namespace

Turn::Turn(const Registry& registry, const OrchestratorRequest& request,
           const LogSink& log)
    : registry_(registry),
      request_(request),
      log_(log),
      started_(&ExecutionStartedEvent::default_instance()),
      execution_id_(request.executionid().value()),
      rewound_(WasRewound(request)) {}

Turn::~Turn() = default;

OrchestratorResponse Turn::Run() {
  try {
    HandleAll(request_.pastevents());
    replaying_ = false;
    HandleAll(request_.newevents());
    FailIfStuck();
  } catch (const NonDeterminismError&) {
    unconfirmed_.clear();
    Fail(NonDeterminism(std::current_exception()));
  } catch (const UnknownOrchestrator&) {
    Fail(NotFound("Orchestrator", name(), registry_.OrchestratorNames()));
  }
  ended_ = true;
  return Response();
}

void Turn::FailIfStuck() {
  // If no end was noted, root_ exists: the code is waiting.
  if (!root_.has_value() || completion_.has_value() || suspended_) return;
  if (!open_tasks_.empty()) return;
  for (const auto& [name, sinks] : waiting_) {
    for (const std::weak_ptr<PayloadSink>& sink : sinks) {
      if (!sink.expired()) return;
    }
  }
  TaskFailureDetails details;
  details.set_errortype("StuckOrchestratorError");
  details.set_errormessage(
      "the orchestrator has not ended, but waits for nothing that could come: "
      "no activity, sub-orchestration, timer, event or entity is outstanding. "
      "Look for "
      "a task that waits for itself, and for a co_await that the compiler "
      "gets wrong (client/worker/README.md, \"Rules for g++\")");
  details.set_isnonretriable(true);
  Fail(std::move(details));
}

std::vector<Wait> Turn::Waits() const {
  std::vector<Wait> waits;
  if (!root_.has_value()) return waits;  // It has ended.
  for (const auto& [id, task] : open_tasks_) waits.push_back({id, task.name});
  for (const auto& [name, sinks] : waiting_) {
    for (const std::weak_ptr<PayloadSink>& sink : sinks) {
      if (sink.expired()) continue;
      waits.push_back({std::nullopt, absl::StrCat("event \"", name, "\"")});
    }
  }
  return waits;
}

void Turn::HandleAll(
    const google::protobuf::RepeatedPtrField<HistoryEvent>& events) {
  for (const HistoryEvent& event : events) Handle(event);
}

void Turn::Handle(const HistoryEvent& event) {
  if (completion_.has_value()) {
    const auto started = unconfirmed_.find(event.eventid());
    if (started != unconfirmed_.end() && IsEchoOf(event, started->second)) {
      unconfirmed_.erase(started);  // Started by the turn that ended.
    } else if (replaying_ && GoesOn(event)) {
      // If the code did something else instead, this says what.
      if (started != unconfirmed_.end()) Confirm(event);
      throw NonDeterminismError(
          absl::StrCat("the history continues with \"", EventText(event),
                       "\", the code now ends before that", kSameOnReplay));
    }
    late_.push_back(&event);
  } else if (suspended_ && WaitsForResume(event)) {
    held_.push_back(&event);
  } else {
    Apply(event);
    RunReady();
  }
}

void Turn::Apply(const HistoryEvent& event) {
  switch (event.eventType_case()) {
    case HistoryEvent::kOrchestratorStarted:
      BeginTurn(event);
      break;
    case HistoryEvent::kExecutionStarted:
      Begin(event.executionstarted());
      break;
    case HistoryEvent::kExecutionTerminated: {
      const auto& terminated = event.executionterminated();
      // This turn should not have started what it has started.
      unconfirmed_.clear();
      Complete(ORCHESTRATION_STATUS_TERMINATED,
               ToPayload(terminated.has_input(), terminated.input()));
      break;
    }
    case HistoryEvent::kExecutionSuspended:
      suspended_ = true;
      break;
    case HistoryEvent::kExecutionResumed: {
      suspended_ = false;
      const std::deque<const HistoryEvent*> held = std::exchange(held_, {});
      for (const HistoryEvent* each : held) Handle(*each);
      break;
    }
    case HistoryEvent::kTaskScheduled:
    case HistoryEvent::kSubOrchestrationInstanceCreated:
    case HistoryEvent::kTimerCreated:
    case HistoryEvent::kEventSent:
      Confirm(event);
      break;
    case HistoryEvent::kTaskCompleted: {
      const auto& done = event.taskcompleted();
      const auto sink =
          TakeTask(event, done.taskscheduledid(), Kind::kScheduleTask);
      if (sink) sink->Complete(ToPayload(done.has_result(), done.result()));
      break;
    }
    case HistoryEvent::kTaskFailed:
      FailTask(event, event.taskfailed().taskscheduledid(), Kind::kScheduleTask,
               event.taskfailed().failuredetails());
      break;
    case HistoryEvent::kSubOrchestrationInstanceCompleted: {
      const auto& done = event.suborchestrationinstancecompleted();
      const auto sink = TakeTask(event, done.taskscheduledid(),
                                 Kind::kCreateSubOrchestration);
      if (sink) sink->Complete(ToPayload(done.has_result(), done.result()));
      break;
    }
    case HistoryEvent::kSubOrchestrationInstanceFailed: {
      const auto& failed = event.suborchestrationinstancefailed();
      FailTask(event, failed.taskscheduledid(), Kind::kCreateSubOrchestration,
               failed.failuredetails());
      break;
    }
    case HistoryEvent::kTimerFired: {
      const auto sink =
          TakeTask(event, event.timerfired().timerid(), Kind::kCreateTimer);
      if (sink) sink->Complete(std::nullopt);
      break;
    }
    case HistoryEvent::kEventRaised:
      Raise(event);
      break;
    default:
      // OrchestratorCompleted and ExecutionRewound say nothing to the code.
      ApplyOfEntity(event);
      break;
  }
}

void Turn::BeginTurn(const HistoryEvent& event) {
  if (!unconfirmed_.empty() && !rewound_) {
    const OrchestratorAction& action = unconfirmed_.begin()->second;
    throw NonDeterminismError(absl::StrCat(
        "the code now ", ActionText(action), " as task ", action.id(),
        ", which is not in the history", kSameOnReplay));
  }
  now_ = ToTime(event.timestamp());
}

void Turn::Begin(const ExecutionStartedEvent& started) {
  if (std::exchange(begun_, true)) return;
  started_ = &started;
  if (execution_id_.empty()) {
    execution_id_ = started.orchestrationinstance().executionid().value();
  }
  if (started.has_version()) version_ = started.version().value();
  if (started.has_parentinstance()) {
    parent_instance_id_ =
        started.parentinstance().orchestrationinstance().instanceid();
  }
  const Registry::Orchestrator* const orchestrator =
      registry_.FindOrchestrator(started.name());
  if (orchestrator == nullptr) throw UnknownOrchestrator();
  root_.emplace((*orchestrator)(
      context_, ToPayload(started.has_input(), started.input())));
  TaskAccess::State(*root_)->Start(queue_);
}

void Turn::RunReady() {
  while (!queue_.empty()) queue_.RunOne();
  NoteEnd();
}

void Turn::NoteEnd() {
  if (!root_.has_value() || !root_->done()) return;
  const auto& state = TaskAccess::State(*root_);
  if (state->failed()) {
    // Also if it continues as new: a failure on the way counts.
    Fail(ToProto(DescribeException(state->error())));
  } else if (!completion_.has_value()) {
    Complete(ORCHESTRATION_STATUS_COMPLETED, state->MoveValue());
  }
  // Not recorded again.
  root_.reset();
}

void Turn::Confirm(const HistoryEvent& event) {
  const auto found = unconfirmed_.find(event.eventid());
  if (found == unconfirmed_.end()) {
    throw NonDeterminismError(absl::StrCat(
        "the history has \"", EventText(event), "\", the code now ",
        "does nothing like that at this point", kSameOnReplay));
  }
  if (!IsEchoOf(event, found->second)) {
    throw NonDeterminismError(absl::StrCat(
        "the history has \"", EventText(event), "\", the code now ",
        ActionText(found->second), kSameOnReplay));
  }
  NoteRequestId(event, found->second);
  unconfirmed_.erase(found);
}

std::shared_ptr<PayloadSink> Turn::TakeTask(const HistoryEvent& event,
                                            int32_t id, Kind kind) {
  const auto found = open_tasks_.find(id);
  // A result may come twice, after a crash of the server.
  if (found == open_tasks_.end()) return nullptr;
  if (found->second.kind != kind) {
    throw NonDeterminismError(absl::StrCat(
        "the history has \"", EventText(event), "\", but task ", id,
        " of the code is now ", found->second.name, kSameOnReplay));
  }
  std::shared_ptr<PayloadSink> sink = std::move(found->second.sink);
  open_tasks_.erase(found);
  return sink;
}

void Turn::FailTask(const HistoryEvent& event, int32_t id, Kind kind,
                    const TaskFailureDetails& details) {
  const auto found = open_tasks_.find(id);
  const std::string name = found == open_tasks_.end() ? "" : found->second.name;
  const std::shared_ptr<PayloadSink> sink = TakeTask(event, id, kind);
  if (sink == nullptr) return;
  sink->Fail(
      std::make_exception_ptr(TaskFailedError(id, name, FromProto(details))));
}

void Turn::Raise(const HistoryEvent& event) {
  const std::string name = LowerCase(event.eventraised().name());
  std::deque<std::weak_ptr<PayloadSink>>& waiting = waiting_[name];
  while (!waiting.empty()) {
    const std::shared_ptr<PayloadSink> sink = waiting.front().lock();
    waiting.pop_front();
    if (sink == nullptr) continue;
    sink->Complete(ToPayload(event.eventraised().has_input(),
                             event.eventraised().input()));
    return;
  }
  unread_[name].push_back({arrivals_++, &event});
}

void Turn::AwaitEvent(std::string_view name,
                      const std::shared_ptr<PayloadSink>& sink) {
  const std::string key = LowerCase(name);
  std::deque<Unread>& unread = unread_[key];
  if (unread.empty()) {
    waiting_[key].push_back(sink);
    event_names_.emplace(key, name);
    return;
  }
  const EventRaisedEvent& event = unread.front().event->eventraised();
  unread.pop_front();
  sink->Complete(ToPayload(event.has_input(), event.input()));
}

OrchestratorAction& Turn::NewAction() {
  const int32_t id = next_id_++;
  OrchestratorAction& action = unconfirmed_[id];
  action.set_id(id);
  return action;
}

void Turn::OpenTask(const OrchestratorAction& action,
                    std::shared_ptr<PayloadSink> sink) {
  open_tasks_[action.id()] = {action.orchestratorActionType_case(),
                              TaskText(action), std::move(sink)};
}

std::string Turn::NewUuid() {
  static constexpr char kFormat[] = "%Y-%m-%dT%H:%M:%E9SZ";
  return NameUuid(
      kUuids, absl::StrCat(instance_id(), "_",
                           absl::FormatTime(kFormat, now_, absl::UTCTimeZone()),
                           "_", uuids_++));
}

void Turn::Log(std::string_view message) {
  if (replaying_ || !log_) return;
  log_({instance_id(), MakeUtf8(message)});
}

void Turn::SetCustomStatus(Payload status) {
  // An earlier turn has already reported its own, unless that turn failed and
  // was rewound into a part of the past.
  if (!replaying_ || rewound_) custom_status_ = std::move(status);
}

void Turn::ContinueAsNew(Payload input, UnreadEvents unread) {
  keep_unread_ = unread == UnreadEvents::kKeep;
  Complete(ORCHESTRATION_STATUS_CONTINUED_AS_NEW, input);
}

void Turn::Complete(OrchestrationStatus status, const Payload& result) {
  completion_.emplace();
  completion_->set_orchestrationstatus(status);
  if (result.has_value()) completion_->mutable_result()->set_value(*result);
}

void Turn::Fail(TaskFailureDetails details) {
  Complete(ORCHESTRATION_STATUS_FAILED, std::nullopt);
  *completion_->mutable_failuredetails() = std::move(details);
}

void Turn::AddCarriedOver(CompleteOrchestrationAction& completion) const {
  std::map<uint64_t, const HistoryEvent*> unread;
  for (const auto& [name, events] : unread_) {
    for (const Unread& each : events) unread[each.arrival] = each.event;
  }
  for (const auto& [arrival, event] : unread) {
    *completion.add_carryoverevents() = *event;
  }
  for (const HistoryEvent* event : late_) {
    if (event->has_eventraised()) *completion.add_carryoverevents() = *event;
  }
}

// Nothing in the contract says what an orchestrator waits for that it has not
// started. So that people can be told, the names go along in a field that the
// contract does not have: who does not know it does not look at it.
void Turn::AddAwaitedEvents(OrchestratorResponse& response) const {
  if (!root_.has_value()) return;  // It has ended.
  google::protobuf::UnknownFieldSet& unknown =
      *response.GetReflection()->MutableUnknownFields(&response);
  for (const auto& [key, sinks] : waiting_) {
    if (unknown.field_count() == kAwaitedEventsMax) return;
    const bool waits = std::any_of(
        sinks.begin(), sinks.end(),
        [](const std::weak_ptr<PayloadSink>& sink) { return !sink.expired(); });
    if (waits) {
      unknown.AddLengthDelimited(kAwaitedEventsField, event_names_.at(key));
    }
  }
}

OrchestratorResponse Turn::Response() {
  OrchestratorResponse response;
  response.set_instanceid(instance_id());
  for (auto& [id, action] : unconfirmed_) {
    *response.add_actions() = std::move(action);
  }
  if (completion_.has_value()) {
    if (keep_unread_ && completion_->orchestrationstatus() ==
                            ORCHESTRATION_STATUS_CONTINUED_AS_NEW) {
      AddCarriedOver(*completion_);
    }
    OrchestratorAction& action = *response.add_actions();
    action.set_id(next_id_);
    *action.mutable_completeorchestration() = *std::move(completion_);
  }
  if (custom_status_.has_value()) {
    response.mutable_customstatus()->set_value(custom_status_->value_or(""));
  }
  AddAwaitedEvents(response);
  return response;
}

std::vector<Wait> WaitsOf(const Registry& registry,
                          const OrchestratorRequest& request) {
  const LogSink no_log;
  Turn turn(registry, request, no_log);
  turn.Run();
  return turn.Waits();
}

OrchestratorResponse RunTurn(const Registry& registry,
                             const OrchestratorRequest& request,
                             const LogSink& log) {
  if (AsksForRewind(request)) return RunRewind(request);
  return Turn(registry, request, log).Run();
}

}  // namespace leasehold::worker::internal
