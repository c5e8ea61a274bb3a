#include "client/orchestrations/orchestration_event.h"

#include "client/wire/timestamp.h"

namespace leasehold::client {
namespace {

using Kind = OrchestrationEvent::Kind;
using Proto = leasehold::v1::OrchestrationEvent;

// Copies what this kind of event has; the members have the same names.
template <typename Body>
void Read(const Body& body, Kind kind, OrchestrationEvent& event) {
  event.kind = kind;
  if constexpr (requires { body.scheduled_id(); }) {
    event.scheduled_id = body.scheduled_id();
  }
  if constexpr (requires { body.name(); }) event.name = body.name();
  if constexpr (requires { body.version(); }) event.version = body.version();
  if constexpr (requires { body.has_input(); }) {
    if (body.has_input()) event.input = body.input();
  }
  if constexpr (requires { body.has_output(); }) {
    if (body.has_output()) event.output = body.output();
  }
  if constexpr (requires { body.has_failure(); }) {
    if (body.has_failure()) event.failure = FromProto(body.failure());
  }
  if constexpr (requires { body.instance_id(); }) {
    event.instance_id = body.instance_id();
  }
  if constexpr (requires { body.execution_id(); }) {
    event.execution_id = body.execution_id();
    event.parent_instance_id = body.parent_instance_id();
    if (body.has_scheduled_start_time()) {
      event.scheduled_start_time = FromProto(body.scheduled_start_time());
    }
    event.tags.insert(body.tags().begin(), body.tags().end());
  }
  if constexpr (requires { body.status(); }) {
    event.status = FromProto(body.status());
  }
  if constexpr (requires { body.recursive(); }) {
    event.recursive = body.recursive();
  }
  if constexpr (requires { body.reason(); }) event.reason = body.reason();
  if constexpr (requires { body.has_fire_time(); }) {
    if (body.has_fire_time()) event.fire_time = FromProto(body.fire_time());
  }
  if constexpr (requires { body.operation(); }) {
    event.operation = body.operation();
  }
  if constexpr (requires { body.request_id(); }) {
    event.request_id = body.request_id();
  }
  if constexpr (requires { body.section_id(); }) {
    event.section_id = body.section_id();
  }
  if constexpr (requires { body.instance_ids(); }) {
    event.instance_ids.assign(body.instance_ids().begin(),
                              body.instance_ids().end());
  }
  if constexpr (requires { body.has_scheduled_time(); }) {
    if (body.has_scheduled_time()) {
      event.scheduled_time = FromProto(body.scheduled_time());
    }
  }
  if constexpr (requires { body.number(); }) event.number = body.number();
}

void ReadOfEntity(const Proto& proto, OrchestrationEvent& event) {
  switch (proto.event_case()) {
    case Proto::kEntityCalled:
      Read(proto.entity_called(), Kind::kEntityCalled, event);
      break;
    case Proto::kEntitySignaled:
      Read(proto.entity_signaled(), Kind::kEntitySignaled, event);
      break;
    case Proto::kEntityCallCompleted:
      Read(proto.entity_call_completed(), Kind::kEntityCallCompleted, event);
      break;
    case Proto::kEntityCallFailed:
      Read(proto.entity_call_failed(), Kind::kEntityCallFailed, event);
      break;
    case Proto::kEntityLockRequested:
      Read(proto.entity_lock_requested(), Kind::kEntityLockRequested, event);
      break;
    case Proto::kEntityLockGranted:
      Read(proto.entity_lock_granted(), Kind::kEntityLockGranted, event);
      break;
    case Proto::kEntityUnlocked:
      Read(proto.entity_unlocked(), Kind::kEntityUnlocked, event);
      break;
    default:
      break;
  }
}

}  // namespace

const char* OrchestrationEventName(Kind kind) {
  switch (kind) {
    case Kind::kExecutionStarted:
      return "execution_started";
    case Kind::kExecutionCompleted:
      return "execution_completed";
    case Kind::kExecutionTerminated:
      return "execution_terminated";
    case Kind::kExecutionSuspended:
      return "execution_suspended";
    case Kind::kExecutionResumed:
      return "execution_resumed";
    case Kind::kExecutionRewound:
      return "execution_rewound";
    case Kind::kActivityScheduled:
      return "activity_scheduled";
    case Kind::kActivityCompleted:
      return "activity_completed";
    case Kind::kActivityFailed:
      return "activity_failed";
    case Kind::kSubOrchestrationStarted:
      return "sub_orchestration_started";
    case Kind::kSubOrchestrationCompleted:
      return "sub_orchestration_completed";
    case Kind::kSubOrchestrationFailed:
      return "sub_orchestration_failed";
    case Kind::kTimerCreated:
      return "timer_created";
    case Kind::kTimerFired:
      return "timer_fired";
    case Kind::kTurnStarted:
      return "turn_started";
    case Kind::kTurnCompleted:
      return "turn_completed";
    case Kind::kEventRaised:
      return "event_raised";
    case Kind::kEventSent:
      return "event_sent";
    case Kind::kEntityCalled:
      return "entity_called";
    case Kind::kEntitySignaled:
      return "entity_signaled";
    case Kind::kEntityCallCompleted:
      return "entity_call_completed";
    case Kind::kEntityCallFailed:
      return "entity_call_failed";
    case Kind::kEntityLockRequested:
      return "entity_lock_requested";
    case Kind::kEntityLockGranted:
      return "entity_lock_granted";
    case Kind::kEntityUnlocked:
      return "entity_unlocked";
    case Kind::kOther:
      break;
  }
  return "other";
}

OrchestrationEvent FromProto(const Proto& proto) {
  OrchestrationEvent event;
  event.id = proto.id();
  event.time = FromProto(proto.time());
  switch (proto.event_case()) {
    case Proto::kExecutionStarted:
      Read(proto.execution_started(), Kind::kExecutionStarted, event);
      break;
    case Proto::kExecutionCompleted:
      Read(proto.execution_completed(), Kind::kExecutionCompleted, event);
      break;
    case Proto::kExecutionTerminated:
      Read(proto.execution_terminated(), Kind::kExecutionTerminated, event);
      break;
    case Proto::kExecutionSuspended:
      Read(proto.execution_suspended(), Kind::kExecutionSuspended, event);
      break;
    case Proto::kExecutionResumed:
      Read(proto.execution_resumed(), Kind::kExecutionResumed, event);
      break;
    case Proto::kExecutionRewound:
      Read(proto.execution_rewound(), Kind::kExecutionRewound, event);
      break;
    case Proto::kActivityScheduled:
      Read(proto.activity_scheduled(), Kind::kActivityScheduled, event);
      break;
    case Proto::kActivityCompleted:
      Read(proto.activity_completed(), Kind::kActivityCompleted, event);
      break;
    case Proto::kActivityFailed:
      Read(proto.activity_failed(), Kind::kActivityFailed, event);
      break;
    case Proto::kSubOrchestrationStarted:
      Read(proto.sub_orchestration_started(), Kind::kSubOrchestrationStarted,
           event);
      break;
    case Proto::kSubOrchestrationCompleted:
      Read(proto.sub_orchestration_completed(),
           Kind::kSubOrchestrationCompleted, event);
      break;
    case Proto::kSubOrchestrationFailed:
      Read(proto.sub_orchestration_failed(), Kind::kSubOrchestrationFailed,
           event);
      break;
    case Proto::kTimerCreated:
      Read(proto.timer_created(), Kind::kTimerCreated, event);
      break;
    case Proto::kTimerFired:
      Read(proto.timer_fired(), Kind::kTimerFired, event);
      break;
    case Proto::kTurnStarted:
      Read(proto.turn_started(), Kind::kTurnStarted, event);
      break;
    case Proto::kTurnCompleted:
      Read(proto.turn_completed(), Kind::kTurnCompleted, event);
      break;
    case Proto::kEventRaised:
      Read(proto.event_raised(), Kind::kEventRaised, event);
      break;
    case Proto::kEventSent:
      Read(proto.event_sent(), Kind::kEventSent, event);
      break;
    case Proto::kOther:
      Read(proto.other(), Kind::kOther, event);
      break;
    default:
      ReadOfEntity(proto, event);
  }
  return event;
}

}  // namespace leasehold::client
