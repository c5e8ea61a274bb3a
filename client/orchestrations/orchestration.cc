#include "client/orchestrations/orchestration.h"

#include "client/wire/timestamp.h"

namespace leasehold::client {
namespace {

using ProtoState = leasehold::v1::OrchestrationState;

ManagementUrls UrlsFromProto(const leasehold::v1::ManagementUrls& proto) {
  return {.id = proto.id(),
          .status_query_get_uri = proto.status_query_get_uri(),
          .send_event_post_uri = proto.send_event_post_uri(),
          .terminate_post_uri = proto.terminate_post_uri(),
          .rewind_post_uri = proto.rewind_post_uri(),
          .purge_history_delete_uri = proto.purge_history_delete_uri(),
          .restart_post_uri = proto.restart_post_uri(),
          .suspend_post_uri = proto.suspend_post_uri(),
          .resume_post_uri = proto.resume_post_uri()};
}

}  // namespace

const char* OrchestrationStatusName(OrchestrationStatus status) {
  switch (status) {
    case OrchestrationStatus::kPending:
      return "PENDING";
    case OrchestrationStatus::kRunning:
      return "RUNNING";
    case OrchestrationStatus::kSuspended:
      return "SUSPENDED";
    case OrchestrationStatus::kCompleted:
      return "COMPLETED";
    case OrchestrationStatus::kFailed:
      return "FAILED";
    case OrchestrationStatus::kTerminated:
      return "TERMINATED";
    case OrchestrationStatus::kDamaged:
      return "DAMAGED";
    case OrchestrationStatus::kUnknown:
      break;
  }
  return "UNKNOWN";
}

bool HasEnded(OrchestrationStatus status) {
  return status == OrchestrationStatus::kCompleted ||
         status == OrchestrationStatus::kFailed ||
         status == OrchestrationStatus::kTerminated ||
         status == OrchestrationStatus::kDamaged;
}

OrchestrationStatus FromProto(ProtoState::Status status) {
  switch (status) {
    case ProtoState::PENDING:
      return OrchestrationStatus::kPending;
    case ProtoState::RUNNING:
      return OrchestrationStatus::kRunning;
    case ProtoState::SUSPENDED:
      return OrchestrationStatus::kSuspended;
    case ProtoState::COMPLETED:
      return OrchestrationStatus::kCompleted;
    case ProtoState::FAILED:
      return OrchestrationStatus::kFailed;
    case ProtoState::TERMINATED:
      return OrchestrationStatus::kTerminated;
    case ProtoState::DAMAGED:
      return OrchestrationStatus::kDamaged;
    default:
      return OrchestrationStatus::kUnknown;
  }
}

ProtoState::Status ToProto(OrchestrationStatus status) {
  switch (status) {
    case OrchestrationStatus::kPending:
      return ProtoState::PENDING;
    case OrchestrationStatus::kRunning:
      return ProtoState::RUNNING;
    case OrchestrationStatus::kSuspended:
      return ProtoState::SUSPENDED;
    case OrchestrationStatus::kCompleted:
      return ProtoState::COMPLETED;
    case OrchestrationStatus::kFailed:
      return ProtoState::FAILED;
    case OrchestrationStatus::kTerminated:
      return ProtoState::TERMINATED;
    case OrchestrationStatus::kDamaged:
      return ProtoState::DAMAGED;
    case OrchestrationStatus::kUnknown:
      break;
  }
  return ProtoState::STATUS_UNSPECIFIED;
}

// Protocol Buffers' own limit on the nesting of messages.
OrchestrationFailure FromProto(
    const leasehold::v1::OrchestrationFailure& proto) {
  OrchestrationFailure failure;
  failure.type = proto.type();
  failure.message = proto.message();
  failure.stack_trace = proto.stack_trace();
  if (proto.has_cause()) {
    failure.cause =
        std::make_shared<OrchestrationFailure>(FromProto(proto.cause()));
  }
  failure.non_retriable = proto.non_retriable();
  return failure;
}

OrchestrationState FromProto(const ProtoState& proto) {
  OrchestrationState state;
  state.instance_id = proto.instance_id();
  state.execution_id = proto.execution_id();
  state.name = proto.name();
  state.version = proto.version();
  state.status = FromProto(proto.status());
  state.create_time = FromProto(proto.create_time());
  state.update_time = FromProto(proto.update_time());
  if (proto.has_end_time()) state.end_time = FromProto(proto.end_time());
  if (proto.has_scheduled_start_time()) {
    state.scheduled_start_time = FromProto(proto.scheduled_start_time());
  }
  if (proto.has_custom_status()) state.custom_status = proto.custom_status();
  state.tags.insert(proto.tags().begin(), proto.tags().end());
  state.parent_instance_id = proto.parent_instance_id();
  state.waiting_for = proto.waiting_for();
  if (proto.has_input()) state.input = proto.input();
  if (proto.has_output()) state.output = proto.output();
  if (proto.has_failure()) state.failure = FromProto(proto.failure());
  return state;
}

OrchestrationReceipt FromProto(
    const leasehold::v1::StartOrchestrationResponse& proto) {
  OrchestrationReceipt receipt;
  receipt.instance_id = proto.instance_id();
  receipt.execution_id = proto.execution_id();
  receipt.created = proto.created();
  if (proto.has_urls()) receipt.urls = UrlsFromProto(proto.urls());
  return receipt;
}

}  // namespace leasehold::client
