// What a turn does with entities.
#include <exception>
#include <stdexcept>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/worker/entity_lock.h"
#include "client/worker/failure_messages.h"
#include "client/worker/name_uuid.h"
#include "client/worker/proto_time.h"
#include "client/worker/turn.h"

namespace leasehold::worker {
namespace internal {
namespace {

// The namespace of the IDs of requests to entities.
constexpr Uuid kRequests = {0xd2, 0x4c, 0x0b, 0x97, 0x1e, 0x65, 0x4f, 0x38,
                            0xb1, 0x70, 0x8a, 0xc3, 0x49, 0xfe, 0x26, 0x5d};

constexpr auto kMessage = OrchestratorAction::kSendEntityMessage;

}  // namespace

std::string Turn::RequestId(int32_t task_id) const {
  return NameUuid(
      kRequests, absl::StrCat(instance_id(), "_", execution_id_, "_", task_id));
}

void Turn::CallEntity(const EntityId& entity, std::string_view operation,
                      const Payload& input, std::shared_ptr<PayloadSink> sink) {
  section_.CheckCall(entity);
  OrchestratorAction& action = NewAction();
  EntityOperationCalledEvent& call =
      *action.mutable_sendentitymessage()->mutable_entityoperationcalled();
  call.set_requestid(RequestId(action.id()));
  call.set_operation(std::string(operation));
  if (input.has_value()) call.mutable_input()->set_value(*input);
  call.mutable_parentinstanceid()->set_value(instance_id());
  call.mutable_parentexecutionid()->set_value(execution_id_);
  call.mutable_targetinstanceid()->set_value(entity.text());
  section_.OnCalled(entity);
  entity_calls_.emplace(call.requestid(), EntityCall{action.id(), entity});
  OpenTask(action, std::move(sink));
}

void Turn::SignalEntity(const EntityId& entity, std::string_view operation,
                        const Payload& input, std::optional<absl::Time> at) {
  section_.CheckSignal(entity);
  OrchestratorAction& action = NewAction();
  EntityOperationSignaledEvent& signal =
      *action.mutable_sendentitymessage()->mutable_entityoperationsignaled();
  signal.set_requestid(RequestId(action.id()));
  signal.set_operation(std::string(operation));
  if (at.has_value()) *signal.mutable_scheduledtime() = ToProto(*at);
  if (input.has_value()) signal.mutable_input()->set_value(*input);
  signal.mutable_targetinstanceid()->set_value(entity.text());
}

int32_t Turn::LockEntities(const std::vector<EntityId>& entities,
                           std::shared_ptr<PayloadSink> sink) {
  section_.CheckEnter();
  if (entities.empty()) {
    throw std::invalid_argument("LockEntities: name at least one entity");
  }
  OrchestratorAction& action = NewAction();
  EntityLockRequestedEvent& lock =
      *action.mutable_sendentitymessage()->mutable_entitylockrequested();
  lock.set_criticalsectionid(RequestId(action.id()));
  section_.Enter(InLockOrder(entities), lock.criticalsectionid(), action.id());
  for (const EntityId& entity : section_.entities()) {
    lock.add_lockset(entity.text());
  }
  lock.mutable_parentinstanceid()->set_value(instance_id());
  OpenTask(action, std::move(sink));
  return action.id();
}

void Turn::UnlockEntities(int32_t task_id) {
  // The end of the orchestration unlocks, and at the end of a turn the code
  // only stops running for a while.
  if (ended_ || !section_.inside() || section_.task_id() != task_id) return;
  for (const EntityId& entity : section_.entities()) {
    EntityUnlockSentEvent& unlock =
        *NewAction().mutable_sendentitymessage()->mutable_entityunlocksent();
    unlock.set_criticalsectionid(section_.id());
    unlock.mutable_parentinstanceid()->set_value(instance_id());
    unlock.mutable_targetinstanceid()->set_value(entity.text());
  }
  section_.Leave();
}

void Turn::NoteRequestId(const HistoryEvent& event,
                         const OrchestratorAction& action) {
  const SendEntityMessageAction& sent = action.sendentitymessage();
  if (event.has_entityoperationcalled()) {
    auto call = entity_calls_.extract(sent.entityoperationcalled().requestid());
    if (call.empty()) return;
    call.key() = event.entityoperationcalled().requestid();
    entity_calls_.insert(std::move(call));
  } else if (event.has_entitylockrequested() && section_.inside() &&
             section_.task_id() == action.id()) {
    section_.Rename(event.entitylockrequested().criticalsectionid());
  }
}

std::optional<int32_t> Turn::TakeEntityCall(const std::string& request_id) {
  const auto call = entity_calls_.extract(request_id);
  // An answer may come twice, after a crash of the server.
  if (call.empty()) return std::nullopt;
  section_.OnAnswered(call.mapped().entity);
  return call.mapped().task_id;
}

void Turn::ApplyOfEntity(const HistoryEvent& event) {
  switch (event.eventType_case()) {
    case HistoryEvent::kEntityOperationCalled:
    case HistoryEvent::kEntityOperationSignaled:
    case HistoryEvent::kEntityLockRequested:
    case HistoryEvent::kEntityUnlockSent:
      return Confirm(event);
    case HistoryEvent::kEntityOperationCompleted:
    case HistoryEvent::kEntityOperationFailed:
      return EndEntityCall(event);
    case HistoryEvent::kEntityLockGranted:
      return GrantLock(event);
    default:
      return;
  }
}

void Turn::EndEntityCall(const HistoryEvent& event) {
  if (event.has_entityoperationcompleted()) {
    const auto& done = event.entityoperationcompleted();
    const std::optional<int32_t> id = TakeEntityCall(done.requestid());
    if (!id.has_value()) return;
    const auto sink = TakeTask(event, *id, kMessage);
    if (!sink) return;
    sink->Complete(done.has_output() ? Payload(done.output().value())
                                     : std::nullopt);
  } else {
    const auto& failed = event.entityoperationfailed();
    const std::optional<int32_t> id = TakeEntityCall(failed.requestid());
    if (id.has_value()) FailTask(event, *id, kMessage, failed.failuredetails());
  }
}

void Turn::GrantLock(const HistoryEvent& event) {
  const std::string& id = event.entitylockgranted().criticalsectionid();
  if (!section_.inside() || section_.id() != id) return;
  section_.OnGranted();
  const auto sink = TakeTask(event, section_.task_id(), kMessage);
  // If nobody waits for it any more, the lock ends with the sink.
  if (sink) sink->Complete(std::nullopt);
}

}  // namespace internal

void EntityLock::Unlock() {
  internal::Turn* const turn = std::exchange(turn_, nullptr);
  if (turn != nullptr) turn->UnlockEntities(task_id_);
}

}  // namespace leasehold::worker
