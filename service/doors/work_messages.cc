#include "service/doors/work_messages.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "lease/base/utf8.h"
#include "service/doors/durable_task_values.h"
#include "service/doors/legacy_entity_messages.h"
#include "service/orchestration/bounds.h"

namespace leasehold {
namespace {

using leasehold::ToValue;  // Limits of times, beside those below.

// ---- Failures ---------------------------------------------------------------

// How deep messages may be nested.
int DepthOf(const google::protobuf::Message& message) {
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  int depth = 0;
  for (const google::protobuf::FieldDescriptor* field : fields) {
    if (field->message_type() == nullptr) continue;
    const int count =
        field->is_repeated() ? reflection.FieldSize(message, field) : 1;
    for (int i = 0; i < count; ++i) {
      depth = std::max(
          depth, DepthOf(field->is_repeated()
                             ? reflection.GetRepeatedMessage(message, field, i)
                             : reflection.GetMessage(message, field)));
    }
  }
  return depth + 1;
}

// Cuts text for people.
void Cut(std::string& text, size_t bytes_max) {
  if (text.size() <= bytes_max) return;
  const size_t before = text.size();
  text.resize(Utf8Front({text.data(), text.size()}, bytes_max).size());
  absl::StrAppend(&text, "... (", before - text.size(), " bytes were cut)");
}

// Cuts all of a failure but its cause.
void CutOne(TaskFailureDetails& failure) {
  Cut(*failure.mutable_errortype(), kFailureTypeBytesMax);
  Cut(*failure.mutable_errormessage(), kFailureTextBytesMax);
  if (failure.has_stacktrace()) {
    Cut(*failure.mutable_stacktrace()->mutable_value(), kFailureTextBytesMax);
  }
  // Programs read this: a part of it would be useless.
  if (failure.properties_size() > 0 &&
      (failure.ByteSizeLong() > 4 * kFailureTextBytesMax ||
       DepthOf(failure) > kFailureDepthMax)) {
    failure.clear_properties();
  }
}

// Within the bounds of failures; a cut is marked.
OpaqueMessage ToValue(TaskFailureDetails& failure) {
  size_t bytes = 0;
  TaskFailureDetails* next = &failure;
  for (int causes = 1; next != nullptr; ++causes) {
    std::unique_ptr<TaskFailureDetails> cause(next->release_innerfailure());
    CutOne(*next);
    if (cause == nullptr) break;
    bytes += next->ByteSizeLong();
    const bool left_out =
        causes == kFailureDepthMax || bytes > kFailureBytesMax / 2;
    if (left_out) {
      cause->Clear();
      cause->set_errortype("CausesLeftOut");
      cause->set_errormessage(absl::StrCat(
          "deeper causes were left out: at most ", kFailureDepthMax,
          " are kept, and of all together ", kFailureBytesMax, " bytes"));
    }
    TaskFailureDetails* const kept = cause.get();
    next->set_allocated_innerfailure(cause.release());
    next = left_out ? nullptr : kept;
  }
  return Opaque(true, failure);
}

// ---- Actions ----------------------------------------------------------------

// Keeps an event that a worker carries over within the bounds: times are
// checked, and failures are cut.
absl::Status KeepBounds(google::protobuf::Message& message,
                        std::string_view field) {
  using google::protobuf::Timestamp;
  if (message.GetDescriptor() == Timestamp::descriptor()) {
    return CheckTime(field, ToValue(static_cast<const Timestamp&>(message)));
  }
  if (message.GetDescriptor() == TaskFailureDetails::descriptor()) {
    ToValue(static_cast<TaskFailureDetails&>(message));
    return absl::OkStatus();
  }
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  for (const google::protobuf::FieldDescriptor* known : fields) {
    if (known->message_type() == nullptr || known->is_repeated()) continue;
    absl::Status status =
        KeepBounds(*reflection.MutableMessage(&message, known),
                   absl::StrCat(std::string(field), ".", known->name()));
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> EncodeEvents(
    google::protobuf::RepeatedPtrField<::HistoryEvent>& events,
    std::string_view field) {
  std::vector<std::string> encoded;
  for (::HistoryEvent& event : events) {
    if (absl::Status status = KeepBounds(event, field); !status.ok()) {
      return status;
    }
    encoded.push_back(event.SerializeAsString());
  }
  return encoded;
}

TaskScheduled ToValue(ScheduleTaskAction& action) {
  return {.name = std::move(*action.mutable_name()),
          .version = ToPayload(action.has_version(), action.version()),
          .input = ToPayload(action.has_input(), action.input()),
          .trace = Trace(action.has_parenttracecontext(),
                         action.parenttracecontext()),
          .tags = ToMap(action.tags())};
}

SubOrchestrationCreated ToValue(CreateSubOrchestrationAction& action) {
  return {.instance_id = std::move(*action.mutable_instanceid()),
          .name = std::move(*action.mutable_name()),
          .version = ToPayload(action.has_version(), action.version()),
          .input = ToPayload(action.has_input(), action.input()),
          .trace = Trace(action.has_parenttracecontext(),
                         action.parenttracecontext()),
          .tags = ToMap(action.tags())};
}

absl::StatusOr<CompleteExecution> ToValue(CompleteOrchestrationAction& action) {
  CompleteExecution completion;
  switch (action.orchestrationstatus()) {
    case ORCHESTRATION_STATUS_COMPLETED:
    case ORCHESTRATION_STATUS_FAILED:
    case ORCHESTRATION_STATUS_TERMINATED:
    case ORCHESTRATION_STATUS_CONTINUED_AS_NEW:
      break;
    default:
      return absl::InvalidArgumentError(absl::StrCat(
          "an orchestration cannot end with the status ",
          action.orchestrationstatus(),
          "; it ends as completed (1), failed (3), terminated (5), or "
          "continues as new (2)"));
  }
  completion.status =
      static_cast<OrchestrationStatus>(action.orchestrationstatus());
  completion.result = ToPayload(action.has_result(), action.result());
  if (action.has_failuredetails()) {
    completion.failure = ToValue(*action.mutable_failuredetails());
  }
  completion.new_version =
      ToPayload(action.has_newversion(), action.newversion());
  absl::StatusOr<std::vector<std::string>> carried_over =
      EncodeEvents(*action.mutable_carryoverevents(), "carryoverEvents");
  if (!carried_over.ok()) return carried_over.status();
  completion.carried_over = *std::move(carried_over);
  return completion;
}

// Both fields are marked deprecated, and so is all code that reads them by
// name.
bool IsPartial(const OrchestratorResponse& message) {
  static const google::protobuf::FieldDescriptor* field =
      OrchestratorResponse::descriptor()->FindFieldByName("isPartial");
  return message.GetReflection()->GetBool(message, field);
}

std::optional<int32_t> PartOf(const OrchestratorResponse& message) {
  static const google::protobuf::FieldDescriptor* field =
      OrchestratorResponse::descriptor()->FindFieldByName("chunkIndex");
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  if (!reflection.HasField(message, field)) return std::nullopt;
  return static_cast<const google::protobuf::Int32Value&>(
             reflection.GetMessage(message, field))
      .value();
}

// Of a time that is not set, or zero, there is none.
std::optional<Timestamp> Scheduled(bool has,
                                   const google::protobuf::Timestamp& time) {
  const Timestamp value = ToValue(time);
  if (!has || value == Timestamp()) return std::nullopt;
  return value;
}

// What is sent to an entity has one form in actions and in events.
template <typename Event, typename Message>
absl::StatusOr<Event> Same(const Message& message) {
  std::optional<Event> event =
      DecodeMessage<Event>(message.SerializeAsString());
  if (event.has_value()) return *std::move(event);
  return absl::InvalidArgumentError("a message for an entity cannot be read");
}

absl::Status ToValue(const SendEntityMessageAction& action,
                     leasehold::OrchestratorAction& value) {
  const auto set = [&value](auto event) {
    if (event.ok()) value.what = *std::move(event);
    return event.status();
  };
  switch (action.EntityMessageType_case()) {
    case SendEntityMessageAction::kEntityOperationSignaled:
      return set(
          Same<EntityOperationSignaled>(action.entityoperationsignaled()));
    case SendEntityMessageAction::kEntityOperationCalled:
      return set(Same<EntityOperationCalled>(action.entityoperationcalled()));
    case SendEntityMessageAction::kEntityLockRequested:
      return set(Same<EntityLockRequested>(action.entitylockrequested()));
    case SendEntityMessageAction::kEntityUnlockSent:
      return set(Same<EntityUnlockSent>(action.entityunlocksent()));
    case SendEntityMessageAction::ENTITYMESSAGETYPE_NOT_SET:
      break;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("action ", value.id, " says nothing to send to an entity"));
}

absl::StatusOr<leasehold::OrchestratorAction> ToValue(
    ::OrchestratorAction& action) {
  leasehold::OrchestratorAction value;
  value.id = action.id();
  switch (action.orchestratorActionType_case()) {
    case ::OrchestratorAction::kScheduleTask:
      value.what = ToValue(*action.mutable_scheduletask());
      break;
    case ::OrchestratorAction::kCreateSubOrchestration:
      value.what = ToValue(*action.mutable_createsuborchestration());
      break;
    case ::OrchestratorAction::kCreateTimer:
      value.what = TimerCreated{ToValue(action.createtimer().fireat())};
      break;
    case ::OrchestratorAction::kSendEvent: {
      SendEventAction& send = *action.mutable_sendevent();
      EventSent sent{std::move(*send.mutable_instance()->mutable_instanceid()),
                     std::move(*send.mutable_name()),
                     ToPayload(send.has_data(), send.data())};
      if (sent.instance_id.starts_with('@')) {
        value.what = ReadLegacyMessage(std::move(sent));
      } else {
        value.what = std::move(sent);
      }
      break;
    }
    case ::OrchestratorAction::kTerminateOrchestration: {
      TerminateOrchestrationAction& other =
          *action.mutable_terminateorchestration();
      value.what = TerminateOther{std::move(*other.mutable_instanceid()),
                                  ToPayload(other.has_reason(), other.reason()),
                                  other.recurse()};
      break;
    }
    case ::OrchestratorAction::kCompleteOrchestration: {
      absl::StatusOr<CompleteExecution> completion =
          ToValue(*action.mutable_completeorchestration());
      if (!completion.ok()) return completion.status();
      value.what = *std::move(completion);
      break;
    }
    case ::OrchestratorAction::kSendEntityMessage: {
      absl::Status status = ToValue(action.sendentitymessage(), value);
      if (!status.ok()) return status;
      break;
    }
    case ::OrchestratorAction::kRewindOrchestration: {
      absl::StatusOr<std::vector<std::string>> history = EncodeEvents(
          *action.mutable_rewindorchestration()->mutable_newhistory(),
          "newHistory");
      if (!history.ok()) return history.status();
      value.what = RewindHistory{*std::move(history)};
      break;
    }
    case ::OrchestratorAction::ORCHESTRATORACTIONTYPE_NOT_SET:
      return absl::InvalidArgumentError(
          absl::StrCat("action ", action.id(), " says nothing to do"));
  }
  return value;
}

}  // namespace

// ---- Workers' answers -------------------------------------------------------

namespace {

// Our C++ worker says which events its orchestrator waits for, in a field that
// the contract does not have (client/worker/turn.h).
std::vector<std::string> AwaitedEvents(const OrchestratorResponse& message) {
  constexpr int kField = 1000;
  std::vector<std::string> names;
  const google::protobuf::UnknownFieldSet& unknown =
      message.GetReflection()->GetUnknownFields(message);
  for (int i = 0; i < unknown.field_count(); ++i) {
    const google::protobuf::UnknownField& field = unknown.field(i);
    if (field.number() != kField ||
        field.type() != google::protobuf::UnknownField::TYPE_LENGTH_DELIMITED ||
        field.length_delimited().size() > kNameBytesMax) {
      continue;
    }
    if (names.size() == kAwaitedEventsMax) break;
    names.push_back(MakeUtf8(field.length_delimited()));
  }
  return names;
}

}  // namespace

absl::StatusOr<TurnAnswer> FromMessage(OrchestratorResponse message) {
  TurnAnswer answer;
  answer.awaited_events = AwaitedEvents(message);
  answer.partial = IsPartial(message);
  answer.part = PartOf(message);
  answer.bytes = message.ByteSizeLong();
  answer.actions.reserve(message.actions_size());
  for (::OrchestratorAction& action : *message.mutable_actions()) {
    absl::StatusOr<leasehold::OrchestratorAction> value = ToValue(action);
    if (!value.ok()) return value.status();
    answer.actions.push_back(*std::move(value));
  }
  answer.custom_status =
      ToPayload(message.has_customstatus(), message.customstatus());
  answer.trace_context = Trace(message.has_orchestrationtracecontext(),
                               message.orchestrationtracecontext());
  if (message.has_numeventsprocessed()) {
    answer.events_processed = message.numeventsprocessed().value();
  }
  return answer;
}

EventBody FromMessage(ActivityResponse message) {
  if (message.has_failuredetails()) {
    return TaskFailed{message.taskid(),
                      ToValue(*message.mutable_failuredetails())};
  }
  return TaskCompleted{message.taskid(),
                       ToPayload(message.has_result(), message.result())};
}

// ---- Answers of entities ----------------------------------------------------

namespace {

absl::StatusOr<EntityAction> ToValue(OperationAction& action) {
  switch (action.operationActionType_case()) {
    case OperationAction::kSendSignal: {
      SendSignalAction& send = *action.mutable_sendsignal();
      EntityOperationSignaled signal{
          .request_id = "",
          .operation = std::move(*send.mutable_name()),
          .scheduled =
              Scheduled(send.has_scheduledtime(), send.scheduledtime()),
          .input = ToPayload(send.has_input(), send.input()),
          .target = std::move(*send.mutable_instanceid())};
      absl::Status status = CheckEntityId("sendSignal", *signal.target);
      status.Update(CheckName("sendSignal", signal.operation));
      if (signal.scheduled.has_value()) {
        status.Update(CheckTime("sendSignal", *signal.scheduled));
      }
      if (!status.ok()) return status;
      return signal;
    }
    case OperationAction::kStartNewOrchestration: {
      StartNewOrchestrationAction& start =
          *action.mutable_startneworchestration();
      ExecutionStarted started;
      started.orchestration.instance_id =
          std::move(*start.mutable_instanceid());
      started.name = std::move(*start.mutable_name());
      started.version = ToPayload(start.has_version(), start.version());
      started.input = ToPayload(start.has_input(), start.input());
      started.scheduled_start =
          Scheduled(start.has_scheduledtime(), start.scheduledtime());
      started.trace =
          Trace(start.has_parenttracecontext(), start.parenttracecontext());
      absl::Status status = CheckName("startNewOrchestration", started.name);
      status.Update(
          CheckVersion("startNewOrchestration", started.version.value_or("")));
      const std::string& id = started.orchestration.instance_id;
      if (!id.empty()) status.Update(CheckChildId(id));
      if (started.scheduled_start.has_value()) {
        status.Update(
            CheckTime("startNewOrchestration", *started.scheduled_start));
      }
      if (!status.ok()) return status;
      return EntityStart{std::move(started)};
    }
    case OperationAction::OPERATIONACTIONTYPE_NOT_SET:
      break;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("action ", action.id(), " says nothing to do"));
}

}  // namespace

absl::StatusOr<BatchAnswer> FromMessage(EntityBatchResult message) {
  BatchAnswer answer;
  if (message.has_failuredetails()) {
    answer.failure = ToValue(*message.mutable_failuredetails());
  }
  answer.wants_state = message.requiresstate();
  answer.state = ToPayload(message.has_entitystate(), message.entitystate());
  for (::OperationResult& result : *message.mutable_results()) {
    leasehold::OperationResult& value = answer.results.emplace_back();
    if (result.has_failure()) {
      // Absent details are a failure, too.
      value.failure =
          ToValue(*result.mutable_failure()->mutable_failuredetails());
    } else {
      value.output =
          ToPayload(result.success().has_result(), result.success().result());
    }
  }
  for (OperationAction& action : *message.mutable_actions()) {
    absl::StatusOr<EntityAction> value = ToValue(action);
    if (!value.ok()) return value.status();
    answer.actions.push_back(*std::move(value));
  }
  return answer;
}

// ---- Workers ----------------------------------------------------------------

namespace {

template <typename Filters>
absl::Status AddFilters(const Filters& filters, std::string_view field,
                        size_t& count, std::vector<WorkFilter>& added) {
  for (const auto& filter : filters) {
    absl::Status status = CheckName(field, filter.name());
    WorkFilter added_filter{filter.name(), {}};
    // Entities have none.
    if constexpr (requires { filter.versions(); }) {
      for (const std::string& version : filter.versions()) {
        status.Update(CheckVersion(field, version));
        added_filter.versions.push_back(version);
      }
    }
    if (!status.ok()) return status;
    count += 1 + added_filter.versions.size();
    if (count > kFiltersMax) {
      return absl::InvalidArgumentError(absl::StrCat(
          "workItemFilters: there are more than ", kFiltersMax,
          " names and versions; a worker that takes so many leaves the filters "
          "out and is sent everything"));
    }
    added.push_back(std::move(added_filter));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<WorkerOptions> FromMessage(const GetWorkItemsRequest& message,
                                          std::string_view user_agent) {
  WorkerOptions options;
  options.user_agent = std::string(user_agent);
  const auto slots = [](int32_t asked) {
    return asked > 0 ? static_cast<size_t>(asked) : 0;
  };
  options.slots = {slots(message.maxconcurrentorchestrationworkitems()),
                   slots(message.maxconcurrentactivityworkitems()),
                   slots(message.maxconcurrententityworkitems())};
  options.streams_history =
      std::find(message.capabilities().begin(), message.capabilities().end(),
                WORKER_CAPABILITY_HISTORY_STREAMING) !=
      message.capabilities().end();
  if (!message.has_workitemfilters()) {
    // Go's SDK knows no entities, and drops what it does not know.
    if (user_agent.starts_with("grpc-go/") &&
        message.maxconcurrententityworkitems() <= 0) {
      options.filters[static_cast<size_t>(WorkKind::kEntity)].emplace();
    }
    return options;
  }
  const WorkItemFilters& filters = message.workitemfilters();
  auto& [turns, activities, entities] = options.filters;
  size_t count = 0;
  absl::Status status =
      AddFilters(filters.orchestrations(), "workItemFilters.orchestrations",
                 count, turns.emplace());
  if (status.ok()) {
    status = AddFilters(filters.activities(), "workItemFilters.activities",
                        count, activities.emplace());
  }
  if (status.ok()) {
    status = AddFilters(filters.entities(), "workItemFilters.entities", count,
                        entities.emplace());
  }
  if (!status.ok()) return status;
  return options;
}

}  // namespace leasehold
