#include "service/doors/durable_task_messages.h"

#include <algorithm>
#include <optional>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "service/doors/durable_task_values.h"
#include "service/doors/message_values.h"
#include "service/orchestration/bounds.h"

namespace leasehold {
namespace {

// The managed service has this bound too. Sub-orchestrations, whose IDs grow
// with their depth, may have longer ones.
constexpr size_t kStartIdCharactersMax = 100;

// ---- Values -----------------------------------------------------------------

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
  if (asked <= 0) return kPageSizeByDefault;
  return static_cast<size_t>(std::min(asked, kPageSizeMax));
}

// ---- Starts -----------------------------------------------------------------

// What an older form of the contract asks for, in a field that ours does not
// have: what to do with one whose status is listed.
enum class OldReuseAction : uint64_t {
  kNone = 0,  // It is not sent, and the present form does not tell.
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

// IDs that callers choose for what may not exist yet.
absl::Status CheckNewId(const std::string& id) {
  const size_t characters = CountCharacters(id);
  if (characters <= kStartIdCharactersMax) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "the length of instanceId is ", characters, " characters; at most ",
      kStartIdCharactersMax, " are allowed"));
}

}  // namespace

// ---- From messages ----------------------------------------------------------

absl::StatusOr<InstanceKey> DurableTaskKey(const std::string& id,
                                           const Caller& caller) {
  return MakeInstanceKey(caller.tenant, id, "instanceId");
}

absl::StatusOr<InstanceKey> NewDurableTaskKey(const std::string& id,
                                              const Caller& caller) {
  if (absl::Status status = CheckNewId(id); !status.ok()) return status;
  return DurableTaskKey(id, caller);
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
  if (absl::Status status = CheckNewId(message.instanceid()); !status.ok()) {
    return status;
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
  // Some clients always send a time, and zero means none.
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
  // The protocol has no status for a damaged one; its failure says so.
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
  // Unset at the end: some clients continue for as long as it is set.
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
