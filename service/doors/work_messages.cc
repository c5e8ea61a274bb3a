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
      value.what =
          EventSent{std::move(*send.mutable_instance()->mutable_instanceid()),
                    std::move(*send.mutable_name()),
                    ToPayload(send.has_data(), send.data())};
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
    case ::OrchestratorAction::kSendEntityMessage:
      value.what = UnsupportedAction{"entities"};
      break;
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

absl::StatusOr<TurnAnswer> FromMessage(OrchestratorResponse message) {
  TurnAnswer answer;
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

// ---- Workers ----------------------------------------------------------------

namespace {

template <typename Filters>
absl::Status AddFilters(const Filters& filters, std::string_view field,
                        size_t& count, std::vector<WorkFilter>& added) {
  for (const auto& filter : filters) {
    absl::Status status = CheckName(field, filter.name());
    for (const std::string& version : filter.versions()) {
      status.Update(CheckVersion(field, version));
    }
    if (!status.ok()) return status;
    count += 1 + filter.versions_size();
    if (count > kFiltersMax) {
      return absl::InvalidArgumentError(absl::StrCat(
          "workItemFilters: there are more than ", kFiltersMax,
          " names and versions; a worker that takes so many leaves the filters "
          "out and is sent everything"));
    }
    added.push_back(
        {filter.name(), {filter.versions().begin(), filter.versions().end()}});
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<WorkerOptions> FromMessage(const GetWorkItemsRequest& message) {
  WorkerOptions options;
  const auto slots = [](int32_t asked) {
    return asked > 0 ? static_cast<size_t>(asked) : 0;
  };
  options.slots = {slots(message.maxconcurrentorchestrationworkitems()),
                   slots(message.maxconcurrentactivityworkitems())};
  options.streams_history =
      std::find(message.capabilities().begin(), message.capabilities().end(),
                WORKER_CAPABILITY_HISTORY_STREAMING) !=
      message.capabilities().end();
  if (!message.has_workitemfilters()) return options;
  const WorkItemFilters& filters = message.workitemfilters();
  auto& [turns, activities] = options.filters;
  size_t count = 0;
  absl::Status status =
      AddFilters(filters.orchestrations(), "workItemFilters.orchestrations",
                 count, turns.emplace());
  if (status.ok()) {
    status = AddFilters(filters.activities(), "workItemFilters.activities",
                        count, activities.emplace());
  }
  if (!status.ok()) return status;
  return options;
}

}  // namespace leasehold
