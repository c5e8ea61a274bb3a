// Mail: messages to orchestrations: from callers, from timers, and from other
// orchestrations.
//
// All that one orchestration sends to another goes through Send. With the short
// cut, one commit has both what causes a message and what it causes. Without
// it, they are two commits, and a row of the outbox is between them, as between
// two partitions.
//
// Thread-safety: functions named ...Locked are called with the engine's lock
// held, all others without it.   Lifetime: a part of the engine.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_MAIL_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_MAIL_H_

#include <cstdint>
#include <optional>
#include <string>

#include "service/orchestration/commit_queue.h"
#include "service/orchestration/directory.h"
#include "service/orchestration/history.h"
#include "service/orchestration/inbox.h"
#include "service/orchestration/outbox.h"
#include "service/orchestration/turn.h"
#include "service/storage/records.h"

namespace leasehold {

class Engine;

class Mail {
 public:
  explicit Mail(Engine& engine) : engine_(engine) {}
  Mail(const Mail&) = delete;
  Mail& operator=(const Mail&) = delete;

  // Sends an event to an orchestration, or starts a sub-orchestration: as a
  // part of `commit`, or with a row of the outbox in it. `from`: whose event it
  // is. What it tells itself never leaves its partition.
  void SendLocked(const InstanceKey& from, OutboxMessage message,
                  PendingCommit& commit);
  // The row is durable: commits what it causes, and takes it.
  void PushLocked(const OutboxRow& row);
  // Starts a child; tells its parent if that is impossible.
  void StartChildLocked(const OrchestrationPtr& parent,
                        TurnOutcome::Child child, PendingCommit& commit);
  // Tells the parent, if it has one that is open, that the orchestration ends.
  void TellParentLocked(const InstanceKey& key,
                        const std::optional<ParentLink>& parent,
                        OrchestrationStatus status,
                        const OpaqueMessage& failure, PendingCommit& commit);
  // Posts a message to an open orchestration; it takes effect when `commit` is
  // durable. Sets the message's sequence.
  void PostMessageLocked(const OrchestrationPtr& target, Message message,
                         PendingCommit& commit);
  // Same, for an event.
  void PostLocked(const OrchestrationPtr& target, std::string execution_id,
                  const HistoryEvent& event, PendingCommit& commit);
  // A timer set by the orchestrator is due.
  void FireLocked(Orchestration& orchestration, int32_t id);

 private:
  void ActOnLocked(OutboxMessage message, PendingCommit& commit);
  // Starts a sub-orchestration, or tells its parent that its ID is taken.
  void ActOnStartLocked(const InstanceKey& key, ExecutionStarted started,
                        PendingCommit& commit);
  void ReceiveLocked(Orchestration& target, Message message);

  Engine& engine_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_MAIL_H_
