// The engine's messages from one orchestration to another.
//
// With the short cut, one commit has both what causes a message and what it
// causes. Without it, they are two commits, and a row of the outbox is between
// them, as between two partitions.
#include <utility>

#include "absl/strings/str_cat.h"
#include "service/orchestration/engine.h"
#include "service/orchestration/engine_section.h"

namespace leasehold {

void Engine::SendLocked(const InstanceKey& from, OutboxMessage message,
                        PendingCommit& commit) {
  if (options_.outbox_shortcut || message.to == from) {
    return ActOnLocked(std::move(message), commit);
  }
  OutboxRow row = outbox_.MakeRow(outbox_.fence().partition, message);
  commit.changes.push_back(PutOutbox{row});
  commit.apply.push_back([this, row = std::move(row)] {
    mu_.AssertHeld();
    PushLocked(row);
  });
}

void Engine::PushLocked(const OutboxRow& row) {
  std::optional<OutboxMessage> message = Outbox::Read(row);
  // Left where it is, for people.
  if (!message.has_value()) return;
  PendingCommit commit;
  commit.changes.push_back(TakeOutbox{{row.source, row.ordinal}});
  ActOnLocked(*std::move(message), commit);
  std::get<TakeOutbox>(commit.changes.front()).effects =
      commit.changes.size() - 1;
  commits_.Submit(std::move(commit));
}

void Engine::ActOnLocked(OutboxMessage message, PendingCommit& commit) {
  if (auto* started = std::get_if<ExecutionStarted>(&message.event.body)) {
    return ActOnStartLocked(message.to, std::move(*started), commit);
  }
  const OrchestrationPtr target = FindOpenLocked(message.to);
  if (target == nullptr) return;  // It has ended, or never was.
  PostLocked(target, std::move(message.execution_id), message.event, commit);
}

void Engine::ActOnStartLocked(const InstanceKey& key, ExecutionStarted started,
                              PendingCommit& commit) {
  const OrchestrationPtr open = FindOpenLocked(key);
  if (open == nullptr) {
    CreateLocked(key, std::move(started), commit);
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
              {HistoryEvent::kFromOutside, NowLocked(),
               SubOrchestrationFailed{
                   started.parent->task_scheduled_id,
                   MakeFailure("OrchestrationAlreadyExists", std::move(why))}}},
             commit);
}

}  // namespace leasehold
