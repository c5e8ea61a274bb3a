#include "service/doors/orchestration_messages.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "durabletask/orchestrator_service.pb.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "service/base/hash.h"
#include "service/doors/instance_messages.h"
#include "service/doors/message_values.h"
#include "service/orchestration/bounds.h"

namespace leasehold {
namespace {

using Status = v1::OrchestrationState;

// ---- Values -----------------------------------------------------------------

Status::Status ToMessage(OrchestrationStatus status) {
  switch (status) {
    case OrchestrationStatus::kPending:
      return Status::PENDING;
    case OrchestrationStatus::kRunning:
    case OrchestrationStatus::kContinuedAsNew:
      return Status::RUNNING;
    case OrchestrationStatus::kSuspended:
      return Status::SUSPENDED;
    case OrchestrationStatus::kCompleted:
      return Status::COMPLETED;
    case OrchestrationStatus::kFailed:
      return Status::FAILED;
    case OrchestrationStatus::kTerminated:
    case OrchestrationStatus::kCanceled:
      return Status::TERMINATED;
    case OrchestrationStatus::kDamaged:
      return Status::DAMAGED;
  }
  return Status::STATUS_UNSPECIFIED;
}

std::optional<OrchestrationStatus> FromMessage(int status) {
  switch (status) {
    case Status::PENDING:
      return OrchestrationStatus::kPending;
    case Status::RUNNING:
      return OrchestrationStatus::kRunning;
    case Status::SUSPENDED:
      return OrchestrationStatus::kSuspended;
    case Status::COMPLETED:
      return OrchestrationStatus::kCompleted;
    case Status::FAILED:
      return OrchestrationStatus::kFailed;
    case Status::TERMINATED:
      return OrchestrationStatus::kTerminated;
    default:
      return std::nullopt;
  }
}

void ToMessage(const TaskFailureDetails& details,
               v1::OrchestrationFailure& message) {
  message.set_type(details.errortype());
  message.set_message(details.errormessage());
  message.set_stack_trace(details.stacktrace().value());
  message.set_non_retriable(details.isnonretriable());
  if (details.has_innerfailure()) {
    ToMessage(details.innerfailure(), *message.mutable_cause());
  }
}

// Two requests are the same if their bytes are the same.
uint64_t FingerprintOf(const google::protobuf::MessageLite& message) {
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);  // Maps have no order.
    message.SerializeToCodedStream(&coded);
  }
  return HashBytes(bytes);
}

absl::StatusOr<ReusePolicy> PolicyFrom(
    const v1::StartOrchestrationRequest& message) {
  IfActive if_active = IfActive::kFail;
  switch (message.if_active()) {
    case v1::IfActive::UNSPECIFIED:
    case v1::IfActive::FAIL:
      break;
    case v1::IfActive::ATTACH:
      if_active = IfActive::kAttach;
      break;
    case v1::IfActive::TERMINATE:
      if_active = IfActive::kTerminate;
      break;
    default:
      return absl::InvalidArgumentError(
          absl::StrCat("if_active: is FAIL, ATTACH or TERMINATE, not ",
                       static_cast<int>(message.if_active())));
  }
  IfFinished if_finished = IfFinished::kFail;
  switch (message.if_finished()) {
    case v1::IfFinished::UNSPECIFIED:
    case v1::IfFinished::FAIL:
      break;
    case v1::IfFinished::ATTACH:
      if_finished = IfFinished::kAttach;
      break;
    case v1::IfFinished::REPLACE:
      if_finished = IfFinished::kReplace;
      break;
    default:
      return absl::InvalidArgumentError(
          absl::StrCat("if_finished: is FAIL, ATTACH or REPLACE, not ",
                       static_cast<int>(message.if_finished())));
  }
  return PolicyOf(if_active, if_finished);
}

}  // namespace

// ---- From messages ----------------------------------------------------------

absl::StatusOr<StartRequest> FromMessage(v1::StartOrchestrationRequest message,
                                         InstanceRequest context) {
  if (message.name().empty()) {
    return absl::InvalidArgumentError(
        "name: is required; it says which orchestrator to start");
  }
  absl::Status bounds = CheckName("name", message.name());
  bounds.Update(CheckVersion("version", message.version()));
  bounds.Update(
      CheckSize("request_id", message.request_id().size(), kRequestIdBytesMax));
  if (!bounds.ok()) return bounds;
  if (context.key.id.starts_with('@')) {
    return absl::InvalidArgumentError(
        absl::StrCat("instance_id: ", QuoteForMessage(context.key.id),
                     " begins with @; such IDs are those of entities"));
  }
  absl::StatusOr<ReusePolicy> policy = PolicyFrom(message);
  if (!policy.ok()) return policy.status();

  StartRequest request;
  request.request_id = std::move(*message.mutable_request_id());
  message.clear_request_id();
  message.set_instance_id(context.id_generated ? "" : context.key.id);
  request.fingerprint = FingerprintOf(message);
  if (message.has_scheduled_start_time()) {
    const absl::StatusOr<Timestamp> at =
        FromMessage(message.scheduled_start_time(), "scheduled_start_time");
    if (!at.ok()) return at.status();
    request.scheduled_start = *at;
  }
  request.key = context.key;
  request.context = std::move(context);
  request.name = std::move(*message.mutable_name());
  if (!message.version().empty()) request.version = message.version();
  if (message.has_input()) request.input = std::move(*message.mutable_input());
  request.tags.assign(message.tags().begin(), message.tags().end());
  std::sort(request.tags.begin(), request.tags.end());
  if (absl::Status status = CheckTags("tags", request.tags); !status.ok()) {
    return status;
  }
  request.policy = *std::move(policy);
  return request;
}

absl::StatusOr<OrchestrationFilter> FromMessage(
    const v1::OrchestrationFilter& message, const Caller& caller) {
  OrchestrationFilter filter{.tenant = caller.tenant};
  for (const int status : message.statuses()) {
    const std::optional<OrchestrationStatus> value = FromMessage(status);
    if (!value.has_value()) {
      return absl::InvalidArgumentError(
          absl::StrCat("statuses: there is no status ", status));
    }
    filter.statuses.push_back(static_cast<int32_t>(*value));
  }
  filter.id_prefix = message.id_prefix();
  const auto from = BoundFrom(message.has_created_from(),
                              message.created_from(), "created_from");
  if (!from.ok()) return from.status();
  filter.created_from = *from;
  const auto to =
      BoundFrom(message.has_created_to(), message.created_to(), "created_to");
  if (!to.ok()) return to.status();
  filter.created_to = *to;
  filter.summary = {message.name(),
                    {message.tags().begin(), message.tags().end()}};
  absl::Status tags = CheckFilterTags("tags", filter.summary.tags);
  if (!tags.ok()) return tags;
  return filter;
}

namespace {

absl::StatusOr<RowOrder> OrderFrom(int order) {
  using Message = v1::ListOrchestrationsRequest;
  switch (order) {
    case Message::ORDER_UNSPECIFIED:
    case Message::OLDEST_FIRST:
      return RowOrder::kOldestFirst;
    case Message::NEWEST_FIRST:
      return RowOrder::kNewestFirst;
    default:
      return absl::InvalidArgumentError(
          absl::StrCat("order: there is no order ", order));
  }
}

}  // namespace

absl::StatusOr<OrchestrationQuery> FromMessage(
    const v1::ListOrchestrationsRequest& message, const Caller& caller) {
  const absl::StatusOr<size_t> page_size = PageSizeFrom(message.page_size());
  if (!page_size.ok()) return page_size.status();
  absl::StatusOr<OrchestrationFilter> filter =
      FromMessage(message.filter(), caller);
  if (!filter.ok()) return filter.status();
  filter->count_max = *page_size;
  const auto order = OrderFrom(message.order());
  if (!order.ok()) return order.status();
  return OrchestrationQuery{
      .filter = *std::move(filter),
      .order = *order,
      .payloads = message.include_payloads(),
      .page_token = {.text = message.page_token(), .field = "page_token"}};
}

// ---- To messages ------------------------------------------------------------

void ToMessage(const OpaqueMessage& failure,
               v1::OrchestrationFailure& message) {
  TaskFailureDetails details;
  details.ParseFromString(*failure.bytes);
  ToMessage(details, message);
}

void ToMessage(const StartReceipt& receipt,
               v1::StartOrchestrationResponse& message) {
  message.set_instance_id(receipt.instance_id);
  message.set_execution_id(receipt.execution_id);
  message.set_created(receipt.created);
}

void ToMessage(const OrchestrationInfo& info, v1::OrchestrationState& message) {
  const Summary& summary = info.summary;
  message.set_instance_id(info.id);
  message.set_execution_id(summary.execution_id);
  message.set_name(summary.name);
  message.set_version(summary.version.value_or(""));
  message.set_status(ToMessage(info.status));
  ToMessage(info.created, *message.mutable_create_time());
  ToMessage(summary.updated, *message.mutable_update_time());
  if (info.finished.has_value()) {
    ToMessage(*info.finished, *message.mutable_end_time());
  }
  if (summary.scheduled_start.has_value()) {
    ToMessage(*summary.scheduled_start,
              *message.mutable_scheduled_start_time());
  }
  if (summary.custom_status.has_value()) {
    message.set_custom_status(*summary.custom_status);
  }
  for (const auto& [key, value] : summary.tags) {
    (*message.mutable_tags())[key] = value;
  }
  message.set_parent_instance_id(summary.parent_id.value_or(""));
  message.set_waiting_for(info.waiting_for);
  if (!info.has_payloads) return;
  if (info.input.has_value()) message.set_input(*info.input);
  if (info.output.has_value()) message.set_output(*info.output);
  if (info.failure.has_value()) {
    ToMessage(info.failure, *message.mutable_failure());
  }
}

void ToMessage(const OrchestrationPage& page,
               v1::ListOrchestrationsResponse& message) {
  for (const OrchestrationInfo& info : page.orchestrations) {
    ToMessage(info, *message.add_orchestrations());
  }
  message.set_next_page_token(page.next_page_token);
}

void ToMessage(const CountedOrchestrations& counts,
               v1::CountOrchestrationsResponse& message) {
  for (const auto& [status, count] : counts.by_status) {
    v1::CountOrchestrationsResponse::StatusCount& one = *message.add_counts();
    one.set_status(ToMessage(status));
    one.set_count(count);
  }
  message.set_complete(counts.complete);
}

// ---- Events -----------------------------------------------------------------

namespace {

// Fills in the message that an event has words in.
struct EventWords {
  v1::OrchestrationEvent& message;

  void operator()(const ExecutionStarted& e) const {
    auto& to = *message.mutable_execution_started();
    to.set_name(e.name);
    to.set_version(e.version.value_or(""));
    if (e.input.has_value()) to.set_input(*e.input);
    to.set_execution_id(e.orchestration.execution_id.value_or(""));
    if (e.parent.has_value()) {
      to.set_parent_instance_id(e.parent->orchestration.instance_id);
    }
    if (e.scheduled_start.has_value()) {
      ToMessage(*e.scheduled_start, *to.mutable_scheduled_start_time());
    }
    for (const auto& [key, value] : e.tags) (*to.mutable_tags())[key] = value;
  }
  void operator()(const ExecutionCompleted& e) const {
    auto& to = *message.mutable_execution_completed();
    to.set_status(ToMessage(static_cast<OrchestrationStatus>(e.status)));
    if (e.result.has_value()) to.set_output(*e.result);
    if (e.failure.has_value()) ToMessage(e.failure, *to.mutable_failure());
  }
  void operator()(const ExecutionTerminated& e) const {
    auto& to = *message.mutable_execution_terminated();
    if (e.output.has_value()) to.set_output(*e.output);
    to.set_recursive(e.recursive);
  }
  void operator()(const ExecutionSuspended& e) const {
    message.mutable_execution_suspended()->set_reason(e.reason.value_or(""));
  }
  void operator()(const ExecutionResumed& e) const {
    message.mutable_execution_resumed()->set_reason(e.reason.value_or(""));
  }
  void operator()(const ExecutionRewound& e) const {
    message.mutable_execution_rewound()->set_reason(e.reason.value_or(""));
  }
  void operator()(const TaskScheduled& e) const {
    auto& to = *message.mutable_activity_scheduled();
    to.set_name(e.name);
    to.set_version(e.version.value_or(""));
    if (e.input.has_value()) to.set_input(*e.input);
  }
  void operator()(const TaskCompleted& e) const {
    Completed(e, *message.mutable_activity_completed());
  }
  void operator()(const TaskFailed& e) const {
    Failed(e, *message.mutable_activity_failed());
  }
  void operator()(const SubOrchestrationCreated& e) const {
    auto& to = *message.mutable_sub_orchestration_started();
    to.set_instance_id(e.instance_id);
    to.set_name(e.name);
    to.set_version(e.version.value_or(""));
    if (e.input.has_value()) to.set_input(*e.input);
  }
  void operator()(const SubOrchestrationCompleted& e) const {
    Completed(e, *message.mutable_sub_orchestration_completed());
  }
  void operator()(const SubOrchestrationFailed& e) const {
    Failed(e, *message.mutable_sub_orchestration_failed());
  }
  void operator()(const TimerCreated& e) const {
    ToMessage(e.fire_at, *message.mutable_timer_created()->mutable_fire_time());
  }
  void operator()(const TimerFired& e) const {
    auto& to = *message.mutable_timer_fired();
    to.set_scheduled_id(e.timer_id);
    ToMessage(e.fire_at, *to.mutable_fire_time());
  }
  void operator()(const OrchestratorStarted&) const {
    message.mutable_turn_started();
  }
  void operator()(const EventRaised& e) const {
    auto& to = *message.mutable_event_raised();
    to.set_name(e.name);
    if (e.input.has_value()) to.set_input(*e.input);
  }
  void operator()(const EventSent& e) const {
    auto& to = *message.mutable_event_sent();
    to.set_instance_id(e.instance_id);
    to.set_name(e.name);
    if (e.input.has_value()) to.set_input(*e.input);
  }
  void operator()(const OtherEvent& e) const {
    message.mutable_other()->set_number(e.number);
  }
  void operator()(const EntityOperationCalled& e) const {
    Operation(e, *message.mutable_entity_called());
  }
  void operator()(const EntityOperationSignaled& e) const {
    auto& to = *message.mutable_entity_signaled();
    Operation(e, to);
    if (e.scheduled.has_value()) {
      ToMessage(*e.scheduled, *to.mutable_scheduled_time());
    }
  }
  void operator()(const EntityOperationCompleted& e) const {
    auto& to = *message.mutable_entity_call_completed();
    to.set_request_id(e.request_id);
    if (e.output.has_value()) to.set_output(*e.output);
  }
  void operator()(const EntityOperationFailed& e) const {
    auto& to = *message.mutable_entity_call_failed();
    to.set_request_id(e.request_id);
    if (e.failure.has_value()) ToMessage(e.failure, *to.mutable_failure());
  }
  void operator()(const EntityLockRequested& e) const {
    auto& to = *message.mutable_entity_lock_requested();
    for (const std::string& id : e.lock_set) to.add_instance_ids(id);
    to.set_section_id(e.section_id);
  }
  void operator()(const EntityLockGranted& e) const {
    message.mutable_entity_lock_granted()->set_section_id(e.section_id);
  }
  void operator()(const EntityUnlockSent& e) const {
    auto& to = *message.mutable_entity_unlocked();
    to.set_instance_id(e.target.value_or(""));
    to.set_section_id(e.section_id);
  }

  template <typename Event, typename Message>
  static void Operation(const Event& e, Message& to) {
    to.set_instance_id(e.target.value_or(""));
    to.set_operation(e.operation);
    if (e.input.has_value()) to.set_input(*e.input);
    to.set_request_id(e.request_id);
  }
  template <typename Event, typename Message>
  static void Completed(const Event& e, Message& to) {
    to.set_scheduled_id(e.task_scheduled_id);
    if (e.result.has_value()) to.set_output(*e.result);
  }
  template <typename Event, typename Message>
  static void Failed(const Event& e, Message& to) {
    to.set_scheduled_id(e.task_scheduled_id);
    if (e.failure.has_value()) ToMessage(e.failure, *to.mutable_failure());
  }
};

}  // namespace

void ToMessage(const HistoryEvent& event, v1::OrchestrationEvent& message) {
  message.set_id(event.id);
  ToMessage(event.time, *message.mutable_time());
  std::visit(EventWords{message}, event.body);
}

}  // namespace leasehold
