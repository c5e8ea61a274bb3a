#include "service/orchestration/mail.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "service/base/invariant.h"
#include "service/orchestration/engine_section.h"

namespace leasehold {

void Mail::PostLocked(const OrchestrationPtr& target, std::string execution_id,
                      const HistoryEvent& event, PendingCommit& commit) {
  engine_.mu_.AssertHeld();
  const int number = NumberOf(event);
  NoteSuspension(number, *target);
  PostMessageLocked(
      target, MakeMessage(std::move(execution_id), number, EncodeEvent(event)),
      commit);
}

void Mail::PostMessageLocked(const OrchestrationPtr& target, Message message,
                             PendingCommit& commit) {
  engine_.mu_.AssertHeld();
  CheckInvariant(!target->gone, "messages are posted to what is open");
  message.sequence = ++target->last_sequence;
  target->inbox.Announce(message);
  commit.changes.push_back(MakeRow(target->number, message));
  commit.apply.push_back([this, target, message = std::move(message)] {
    engine_.mu_.AssertHeld();
    target->inbox.Arrive(message);
    ReceiveLocked(*target, message);
  });
}

void Mail::ReceiveLocked(Orchestration& target, Message message) {
  engine_.mu_.AssertHeld();
  if (target.gone || target.damage != nullptr) return;
  if (!IsForPresent(message, target)) return;
  if (message.terminates) {
    target.terminating = true;
    engine_.ends_.NoteTerminatingLocked(target.number);
  }
  CheckInvariant(target.inbox.empty() ||
                     target.inbox.messages().back().sequence < message.sequence,
                 "messages arrive in the order of their sequences");
  target.inbox.Add(std::move(message));
  engine_.deliveries_.LineUpLocked(target);
}

void Mail::FireLocked(Orchestration& orchestration, int32_t id) {
  engine_.mu_.AssertHeld();
  // After the messages being committed: messages arrive in the order of their
  // sequences, since a turn takes all up to one.
  Message message{.sequence = ++orchestration.last_sequence,
                  .execution_id = orchestration.execution_id,
                  .timer = id};
  PendingCommit commit;
  commit.apply.push_back([this, target = orchestration.shared_from_this(),
                          message = std::move(message)] {
    engine_.mu_.AssertHeld();
    ReceiveLocked(*target, message);
  });
  engine_.commits_.Submit(std::move(commit));
}

void Mail::SendLocked(const InstanceKey& from, OutboxMessage message,
                      PendingCommit& commit) {
  engine_.mu_.AssertHeld();
  Outbox& outbox = engine_.outbox_;
  if (engine_.options_.outbox_shortcut || message.to == from) {
    return ActOnLocked(std::move(message), commit);
  }
  OutboxRow row = outbox.MakeRow(outbox.fence().partition, message);
  commit.changes.push_back(PutOutbox{row});
  commit.apply.push_back([this, row = std::move(row)] { PushLocked(row); });
}

void Mail::PushLocked(const OutboxRow& row) {
  engine_.mu_.AssertHeld();
  std::optional<OutboxMessage> message = Outbox::Read(row);
  // Left where it is, for people.
  if (!message.has_value()) return;
  PendingCommit commit;
  commit.changes.push_back(TakeOutbox{{row.source, row.ordinal}});
  ActOnLocked(*std::move(message), commit);
  std::get<TakeOutbox>(commit.changes.front()).effects =
      commit.changes.size() - 1;
  engine_.commits_.Submit(std::move(commit));
}

void Mail::ActOnLocked(OutboxMessage message, PendingCommit& commit) {
  engine_.mu_.AssertHeld();
  if (auto* started = std::get_if<ExecutionStarted>(&message.event.body)) {
    return ActOnStartLocked(message.to, std::move(*started), commit);
  }
  if (IsForEntity(NumberOf(message.event))) {
    return engine_.batches_.ReceiveLocked(message.to, std::move(message.event),
                                          commit);
  }
  const OrchestrationPtr target = engine_.FindOpenLocked(message.to);
  if (target == nullptr) return;  // It has ended, or never was.
  PostLocked(target, std::move(message.execution_id), message.event, commit);
}

void Mail::ActOnStartLocked(const InstanceKey& key, ExecutionStarted started,
                            PendingCommit& commit) {
  engine_.mu_.AssertHeld();
  const OrchestrationPtr open = engine_.FindOpenLocked(key);
  if (open == nullptr) {
    engine_.starts_.CreateLocked(key, std::move(started), commit);
    return;
  }
  if (!started.parent.has_value()) return;  // No one to tell.
  const ExecutionOf& of = started.parent->orchestration;
  const InstanceKey parent = NormalKey(key.tenant, of.instance_id);
  std::string why(AlreadyExists(key.id, open->status, {}).message());
  if (parent == key) {
    why =
        absl::StrCat("the sub-orchestration has the ID of its own parent, ",
                     QuoteForMessage(key.id), "; give it another one, or none");
  }
  SendLocked(key,
             {parent,
              of.execution_id.value_or(""),
              {HistoryEvent::kFromOutside, engine_.NowLocked(),
               SubOrchestrationFailed{
                   started.parent->task_scheduled_id,
                   MakeFailure("OrchestrationAlreadyExists", std::move(why))}}},
             commit);
}

void Mail::StartChildLocked(const OrchestrationPtr& parent,
                            TurnOutcome::Child child, PendingCommit& commit) {
  engine_.mu_.AssertHeld();
  InstanceKey key =
      NormalKey(parent->key.tenant, child.started.orchestration.instance_id);
  SendLocked(parent->key,
             {std::move(key),
              "",
              {HistoryEvent::kFromOutside, engine_.NowLocked(),
               std::move(child.started)}},
             commit);
}

void Mail::TellParentLocked(const InstanceKey& key,
                            const std::optional<ParentLink>& parent,
                            OrchestrationStatus status,
                            const OpaqueMessage& failure,
                            PendingCommit& commit) {
  engine_.mu_.AssertHeld();
  if (!parent.has_value()) return;
  const ExecutionOf& of = parent->orchestration;
  SendLocked(
      key,
      {NormalKey(key.tenant, of.instance_id),
       of.execution_id.value_or(""),
       {HistoryEvent::kFromOutside, engine_.NowLocked(),
        EndOfChild(key.id, parent->task_scheduled_id, status, {}, failure)}},
      commit);
}

}  // namespace leasehold
