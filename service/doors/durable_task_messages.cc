#include "service/doors/durable_task_messages.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "service/base/utf8.h"
#include "service/orchestration/bounds.h"

namespace leasehold {
namespace {

// The managed service has this bound too. Sub-orchestrations, whose IDs grow
// with their depth, may have longer ones.
constexpr size_t kStartIdCharactersMax = 100;

constexpr size_t kPageSize = 100;
constexpr size_t kPageSizeMax = 1000;

// Of UTF-8: bytes that do not go on with one before.
size_t CountCharacters(std::string_view text) {
  return std::count_if(text.begin(), text.end(), [](unsigned char byte) {
    return (byte & 0xc0) != 0x80;
  });
}

// ---- Values -----------------------------------------------------------------

Payload ToPayload(bool has, const google::protobuf::StringValue& value) {
  if (!has) return std::nullopt;
  return value.value();
}

OpaqueMessage Opaque(bool has, const google::protobuf::MessageLite& message) {
  if (!has) return {};
  return {message.SerializeAsString()};
}

// Of a trace that is too long there is none: nobody's work depends on it.
OpaqueMessage Trace(bool has, const google::protobuf::MessageLite& message) {
  if (message.ByteSizeLong() > kTraceBytesMax) return {};
  return Opaque(has, message);
}

Timestamp ToValue(const google::protobuf::Timestamp& message) {
  return {message.seconds(), message.nanos()};
}

void ToMessage(const Timestamp& value, google::protobuf::Timestamp& message) {
  message.set_seconds(value.seconds);
  message.set_nanos(value.nanos);
}

template <typename Map>
StringMap ToMap(const Map& map) {
  StringMap values(map.begin(), map.end());
  std::sort(values.begin(), values.end());  // The same bytes each time.
  return values;
}

// A bound of time in a query; nullopt: there is none.
absl::Status ToBound(bool has, const google::protobuf::Timestamp& message,
                     std::string_view field, std::optional<StoredTime>& bound) {
  if (!has) return absl::OkStatus();
  absl::Status status = CheckTime(field, ToValue(message));
  if (status.ok()) bound = ToStored(ToTime(ToValue(message)));
  return status;
}

std::vector<int32_t> Statuses(const google::protobuf::RepeatedField<int>& all) {
  return {all.begin(), all.end()};
}

size_t PageSize(int32_t asked) {
  if (asked <= 0) return kPageSize;
  return std::min(static_cast<size_t>(asked), kPageSizeMax);
}

// ---- Starts -----------------------------------------------------------------

// What an older form of the contract asks for, in a field that ours does not
// have: what to do with one whose status is listed.
enum class OldReuseAction : uint64_t {
  kNone = 0,  // Is not sent, and cannot be told from the present form.
  kIgnore = 1,
  kTerminate = 2,
};

OldReuseAction OldActionOf(const OrchestrationIdReusePolicy& policy) {
  constexpr int kActionField = 2;
  const google::protobuf::UnknownFieldSet& unknown =
      policy.GetReflection()->GetUnknownFields(policy);
  auto action = OldReuseAction::kNone;
  for (int i = 0; i < unknown.field_count(); ++i) {
    const google::protobuf::UnknownField& field = unknown.field(i);
    if (field.number() == kActionField &&
        field.type() == google::protobuf::UnknownField::TYPE_VARINT) {
      action = static_cast<OldReuseAction>(field.varint());
    }
  }
  return action;
}

absl::StatusOr<ReusePolicy> ToValue(const OrchestrationIdReusePolicy& message) {
  using Status = leasehold::OrchestrationStatus;
  ReusePolicy policy;
  std::set<Status>& replaceable = policy.replaceable.emplace();
  for (const int status : message.replaceablestatus()) {
    replaceable.insert(static_cast<Status>(status));
  }
  switch (OldActionOf(message)) {
    case OldReuseAction::kNone:
      break;
    case OldReuseAction::kIgnore:
      policy.attachable = std::exchange(replaceable, {});
      return policy;
    case OldReuseAction::kTerminate:
      return policy;
  }
  const bool running = replaceable.contains(Status::kRunning) ||
                       replaceable.contains(Status::kPending) ||
                       replaceable.contains(Status::kSuspended);
  if (running && !replaceable.contains(Status::kTerminated)) {
    return absl::InvalidArgumentError(
        "Invalid reusable statuses: cannot exclude 'Terminated' while also "
        "allowing reuse of running instances");
  }
  return policy;
}

// ---- Failures ---------------------------------------------------------------

// How many levels of messages lie in one another.
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

// Cuts all of it but what caused it.
void CutOne(TaskFailureDetails& failure) {
  Cut(*failure.mutable_errortype(), kFailureTypeBytesMax);
  Cut(*failure.mutable_errormessage(), kFailureTextBytesMax);
  if (failure.has_stacktrace()) {
    Cut(*failure.mutable_stacktrace()->mutable_value(), kFailureTextBytesMax);
  }
  // For programs: there is no part of them that would do.
  if (failure.properties_size() > 0 &&
      (failure.ByteSizeLong() > 4 * kFailureTextBytesMax ||
       DepthOf(failure) > kFailureDepthMax)) {
    failure.clear_properties();
  }
}

// As the bounds of failures want it; what is cut leaves a word.
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

// Keeps the bounds within an event that a worker hands back as it was: times
// are times, and failures are cut.
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

// Both fields are marked deprecated, and with them all that reads them by name.
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

// ---- From messages ----------------------------------------------------------

absl::StatusOr<InstanceKey> DurableTaskKey(const std::string& id,
                                           const Caller& caller) {
  return MakeInstanceKey(caller.tenant, id, "instanceId");
}

std::string NewDurableTaskId() {
  std::string id = NewInstanceId();
  std::erase(id, '-');
  return id;
}

absl::StatusOr<StartRequest> FromMessage(CreateInstanceRequest message,
                                         const Caller& caller) {
  if (message.name().empty()) {
    return absl::InvalidArgumentError(
        "name is empty; it says which orchestrator to start");
  }
  absl::Status bounds = CheckName("name", message.name());
  bounds.Update(CheckVersion("version", message.version().value()));
  bounds.Update(CheckSize("executionId", message.executionid().value().size(),
                          kExecutionIdBytesMax));
  if (!bounds.ok()) return bounds;
  const size_t characters = CountCharacters(message.instanceid());
  if (characters > kStartIdCharactersMax) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the length of instanceId is ", characters, " characters; at most ",
        kStartIdCharactersMax, " are allowed"));
  }
  if (!message.instanceid().empty() && message.instanceid().front() == '@') {
    return absl::InvalidArgumentError(
        absl::StrCat("instanceId ", QuoteForMessage(message.instanceid()),
                     " begins with @; such IDs are those of entities"));
  }
  if (message.instanceid().empty()) message.set_instanceid(NewDurableTaskId());
  absl::StatusOr<InstanceKey> key =
      DurableTaskKey(message.instanceid(), caller);
  if (!key.ok()) return key.status();

  StartRequest request;
  request.key = *std::move(key);
  request.name = std::move(*message.mutable_name());
  request.version = ToPayload(message.has_version(), message.version());
  request.input = ToPayload(message.has_input(), message.input());
  if (!message.executionid().value().empty()) {
    request.execution_id = message.executionid().value();
  }
  // Some clients always send a time, and mean none by zero.
  const Timestamp at = ToValue(message.scheduledstarttimestamp());
  if (absl::Status status = CheckTime("scheduledStartTimestamp", at);
      !status.ok()) {
    return status;
  }
  if (at != Timestamp{}) request.scheduled_start = at;
  request.trace =
      Trace(message.has_parenttracecontext(), message.parenttracecontext());
  request.tags = ToMap(message.tags());
  if (absl::Status status = CheckTags("tags", request.tags); !status.ok()) {
    return status;
  }
  if (message.has_orchestrationidreusepolicy()) {
    absl::StatusOr<ReusePolicy> policy =
        ToValue(message.orchestrationidreusepolicy());
    if (!policy.ok()) return policy.status();
    request.policy = *std::move(policy);
  }
  return request;
}

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

absl::StatusOr<OrchestrationQuery> FromMessage(const ::InstanceQuery& message,
                                               const Caller& caller) {
  OrchestrationQuery query{.filter = {.tenant = caller.tenant}};
  query.payloads = message.fetchinputsandoutputs();
  query.filter.statuses = Statuses(message.runtimestatus());
  absl::Status times =
      ToBound(message.has_createdtimefrom(), message.createdtimefrom(),
              "createdTimeFrom", query.filter.created_from);
  times.Update(ToBound(message.has_createdtimeto(), message.createdtimeto(),
                       "createdTimeTo", query.filter.created_to));
  if (!times.ok()) return times;
  query.filter.id_prefix = message.instanceidprefix().value();
  query.filter.count_max = PageSize(message.maxinstancecount());
  query.page_token = {.text = message.continuationtoken().value(),
                      .field = "continuationToken"};
  return query;
}

absl::StatusOr<FinishedIdsQuery> FromMessage(
    const ListInstanceIdsRequest& message, const Caller& caller) {
  FinishedIdsQuery query{.tenant = caller.tenant};
  query.statuses = Statuses(message.runtimestatus());
  absl::Status times =
      ToBound(message.has_completedtimefrom(), message.completedtimefrom(),
              "completedTimeFrom", query.finished_from);
  times.Update(ToBound(message.has_completedtimeto(), message.completedtimeto(),
                       "completedTimeTo", query.finished_to));
  if (!times.ok()) return times;
  query.count_max = PageSize(message.pagesize());
  query.page_token = {.text = message.lastinstancekey().value(),
                      .field = "lastInstanceKey"};
  return query;
}

absl::StatusOr<OrchestrationFilter> FromMessage(
    const PurgeInstanceFilter& message, const Caller& caller) {
  OrchestrationFilter filter{.tenant = caller.tenant};
  filter.statuses = Statuses(message.runtimestatus());
  absl::Status times =
      ToBound(message.has_createdtimefrom(), message.createdtimefrom(),
              "createdTimeFrom", filter.created_from);
  times.Update(ToBound(message.has_createdtimeto(), message.createdtimeto(),
                       "createdTimeTo", filter.created_to));
  if (!times.ok()) return times;
  return filter;
}

// ---- To messages ------------------------------------------------------------

void ToMessage(const OrchestrationInfo& info, OrchestrationState& message) {
  const Summary& summary = info.summary;
  message.set_instanceid(info.id);
  message.set_name(summary.name);
  if (summary.version.has_value()) {
    message.mutable_version()->set_value(*summary.version);
  }
  // The protocol has no word for one that is damaged; its failure says it.
  message.set_orchestrationstatus(
      info.status == leasehold::OrchestrationStatus::kDamaged
          ? ORCHESTRATION_STATUS_FAILED
          : static_cast<::OrchestrationStatus>(info.status));
  if (summary.scheduled_start.has_value()) {
    ToMessage(*summary.scheduled_start,
              *message.mutable_scheduledstarttimestamp());
  }
  ToMessage(ToTimestamp(info.created), *message.mutable_createdtimestamp());
  ToMessage(summary.updated, *message.mutable_lastupdatedtimestamp());
  if (info.finished.has_value()) {
    ToMessage(ToTimestamp(*info.finished),
              *message.mutable_completedtimestamp());
  }
  message.mutable_executionid()->set_value(summary.execution_id);
  if (summary.parent_id.has_value()) {
    message.mutable_parentinstanceid()->set_value(*summary.parent_id);
  }
  for (const auto& [key, value] : summary.tags) {
    (*message.mutable_tags())[key] = value;
  }
  if (!info.has_payloads) return;
  if (info.input.has_value()) message.mutable_input()->set_value(*info.input);
  if (info.output.has_value()) {
    message.mutable_output()->set_value(*info.output);
  }
  if (summary.custom_status.has_value()) {
    message.mutable_customstatus()->set_value(*summary.custom_status);
  }
  if (info.failure.has_value()) {
    message.mutable_failuredetails()->ParseFromString(*info.failure.bytes);
  }
}

void ToMessage(const OrchestrationInfo* info, GetInstanceResponse& message) {
  message.set_exists(info != nullptr);
  if (info != nullptr) ToMessage(*info, *message.mutable_orchestrationstate());
}

void ToMessage(const OrchestrationPage& page, QueryInstancesResponse& message) {
  for (const OrchestrationInfo& info : page.orchestrations) {
    ToMessage(info, *message.add_orchestrationstate());
  }
  // Unset at the end: some clients go on for as long as it is there.
  if (!page.next_page_token.empty()) {
    message.mutable_continuationtoken()->set_value(page.next_page_token);
  }
}

void ToMessage(const FinishedIdsPage& page, ListInstanceIdsResponse& message) {
  for (const std::string& id : page.ids) message.add_instanceids(id);
  if (!page.next_page_token.empty()) {
    message.mutable_lastinstancekey()->set_value(page.next_page_token);
  }
}

}  // namespace leasehold
