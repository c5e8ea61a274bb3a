#include "service/server/sidecar_messages.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"

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

Timestamp ToValue(const google::protobuf::Timestamp& message) {
  return {message.seconds(), message.nanos()};
}

void ToMessage(const Timestamp& value, google::protobuf::Timestamp& message) {
  message.set_seconds(value.seconds);
  message.set_nanos(value.nanos);
}

absl::Time ToTime(const google::protobuf::Timestamp& message) {
  return ToTime(ToValue(message));
}

template <typename Map>
StringMap ToMap(const Map& map) {
  StringMap values(map.begin(), map.end());
  std::sort(values.begin(), values.end());  // The same bytes each time.
  return values;
}

std::vector<int32_t> Statuses(const google::protobuf::RepeatedField<int>& all) {
  return {all.begin(), all.end()};
}

size_t PageSize(int32_t asked) {
  if (asked <= 0) return kPageSize;
  return std::min(static_cast<size_t>(asked), kPageSizeMax);
}

absl::Status BadToken(const std::string& token) {
  return absl::InvalidArgumentError(absl::StrCat(
      "the continuation token ", QuoteForMessage(token),
      " is none of this server's; begin without one, and go on with what the "
      "answer holds"));
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

// ---- Actions ----------------------------------------------------------------

TaskScheduled ToValue(ScheduleTaskAction& action) {
  return {.name = std::move(*action.mutable_name()),
          .version = ToPayload(action.has_version(), action.version()),
          .input = ToPayload(action.has_input(), action.input()),
          .trace = Opaque(action.has_parenttracecontext(),
                          action.parenttracecontext()),
          .tags = ToMap(action.tags())};
}

SubOrchestrationCreated ToValue(CreateSubOrchestrationAction& action) {
  return {.instance_id = std::move(*action.mutable_instanceid()),
          .name = std::move(*action.mutable_name()),
          .version = ToPayload(action.has_version(), action.version()),
          .input = ToPayload(action.has_input(), action.input()),
          .trace = Opaque(action.has_parenttracecontext(),
                          action.parenttracecontext()),
          .tags = ToMap(action.tags())};
}

absl::StatusOr<CompleteExecution> ToValue(
    const CompleteOrchestrationAction& action) {
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
  completion.failure =
      Opaque(action.has_failuredetails(), action.failuredetails());
  completion.new_version =
      ToPayload(action.has_newversion(), action.newversion());
  for (const ::HistoryEvent& event : action.carryoverevents()) {
    completion.carried_over.push_back(event.SerializeAsString());
  }
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
      RewindHistory history;
      for (const ::HistoryEvent& event :
           action.rewindorchestration().newhistory()) {
        history.events.push_back(event.SerializeAsString());
      }
      value.what = std::move(history);
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

absl::StatusOr<InstanceKey> SidecarKey(const std::string& id) {
  return MakeInstanceKey(kDefaultTenant, id, "instanceId");
}

std::string NewSidecarId() {
  std::string id = NewInstanceId();
  std::erase(id, '-');
  return id;
}

absl::StatusOr<StartRequest> FromMessage(CreateInstanceRequest message) {
  if (message.name().empty()) {
    return absl::InvalidArgumentError(
        "name is empty; it says which orchestrator to start");
  }
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
  if (message.instanceid().empty()) message.set_instanceid(NewSidecarId());
  absl::StatusOr<InstanceKey> key = SidecarKey(message.instanceid());
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
  if (at != Timestamp{}) request.scheduled_start = at;
  request.trace =
      Opaque(message.has_parenttracecontext(), message.parenttracecontext());
  request.tags = ToMap(message.tags());
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
  answer.trace_context = Opaque(message.has_orchestrationtracecontext(),
                                message.orchestrationtracecontext());
  if (message.has_numeventsprocessed()) {
    answer.events_processed = message.numeventsprocessed().value();
  }
  return answer;
}

EventBody FromMessage(ActivityResponse message) {
  if (message.has_failuredetails()) {
    return TaskFailed{message.taskid(), Opaque(true, message.failuredetails())};
  }
  return TaskCompleted{message.taskid(),
                       ToPayload(message.has_result(), message.result())};
}

WorkerOptions FromMessage(const GetWorkItemsRequest& message) {
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
  turns.emplace();
  for (const OrchestrationFilter& filter : filters.orchestrations()) {
    turns->push_back(
        {filter.name(), {filter.versions().begin(), filter.versions().end()}});
  }
  activities.emplace();
  for (const ActivityFilter& filter : filters.activities()) {
    activities->push_back(
        {filter.name(), {filter.versions().begin(), filter.versions().end()}});
  }
  return options;
}

absl::StatusOr<OrchestrationQuery> FromMessage(const ::InstanceQuery& message) {
  OrchestrationQuery query;
  query.payloads = message.fetchinputsandoutputs();
  query.rows.tenant = std::string(kDefaultTenant);
  query.rows.statuses = Statuses(message.runtimestatus());
  if (message.has_createdtimefrom()) {
    query.rows.created_from = ToStored(ToTime(message.createdtimefrom()));
  }
  if (message.has_createdtimeto()) {
    query.rows.created_to = ToStored(ToTime(message.createdtimeto()));
  }
  query.rows.id_prefix = message.instanceidprefix().value();
  query.rows.count_max = PageSize(message.maxinstancecount());
  const std::string& token = message.continuationtoken().value();
  if (!token.empty() && !absl::SimpleAtoi(token, &query.rows.after)) {
    return BadToken(token);
  }
  return query;
}

absl::StatusOr<FinishedQuery> FromMessage(
    const ListInstanceIdsRequest& message) {
  FinishedQuery query;
  query.tenant = std::string(kDefaultTenant);
  query.statuses = Statuses(message.runtimestatus());
  if (message.has_completedtimefrom()) {
    query.finished_from = ToStored(ToTime(message.completedtimefrom()));
  }
  if (message.has_completedtimeto()) {
    query.finished_to = ToStored(ToTime(message.completedtimeto()));
  }
  query.count_max = PageSize(message.pagesize());
  const std::string& token = message.lastinstancekey().value();
  if (token.empty()) return query;
  const std::vector<std::string> parts = absl::StrSplit(token, ':');
  FinishedQuery::Position after{};
  if (parts.size() != 2 || !absl::SimpleAtoi(parts[0], &after.finished) ||
      !absl::SimpleAtoi(parts[1], &after.number)) {
    return BadToken(token);
  }
  query.after = after;
  return query;
}

RowQuery FromMessage(const PurgeInstanceFilter& message) {
  RowQuery query;
  query.tenant = std::string(kDefaultTenant);
  query.statuses = Statuses(message.runtimestatus());
  if (message.has_createdtimefrom()) {
    query.created_from = ToStored(ToTime(message.createdtimefrom()));
  }
  if (message.has_createdtimeto()) {
    query.created_to = ToStored(ToTime(message.createdtimeto()));
  }
  return query;
}

// ---- To messages ------------------------------------------------------------

void ToMessage(const OrchestrationInfo& info, OrchestrationState& message) {
  const Summary& summary = info.summary;
  message.set_instanceid(info.id);
  message.set_name(summary.name);
  if (summary.version.has_value()) {
    message.mutable_version()->set_value(*summary.version);
  }
  message.set_orchestrationstatus(
      static_cast<::OrchestrationStatus>(info.status));
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

void ToMessage(const std::optional<OrchestrationInfo>& info,
               GetInstanceResponse& message) {
  message.set_exists(info.has_value());
  if (info.has_value()) ToMessage(*info, *message.mutable_orchestrationstate());
}

void ToMessage(const OrchestrationPage& page, QueryInstancesResponse& message) {
  for (const OrchestrationInfo& info : page.orchestrations) {
    ToMessage(info, *message.add_orchestrationstate());
  }
  // Unset at the end: some clients go on for as long as it is there.
  if (page.next.has_value()) {
    message.mutable_continuationtoken()->set_value(absl::StrCat(*page.next));
  }
}

void ToMessage(const FinishedPage& page, ListInstanceIdsResponse& message) {
  for (const InstanceRow& row : page.rows) message.add_instanceids(row.id);
  if (page.next.has_value()) {
    message.mutable_lastinstancekey()->set_value(
        absl::StrCat(page.next->finished, ":", page.next->number));
  }
}

}  // namespace leasehold
