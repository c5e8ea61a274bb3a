// Mail: messages to orchestrations: from callers, from timers, and from other
// orchestrations.
//
// Everything that one orchestration sends to another goes through Send, and is
// a letter: a row of the outbox in the commit of its cause. Once that is
// durable, the letter is acted on, in a commit that takes its row. So it acts
// once, also if the store fails or the server ends in between: rows that are
// found in the store then are letters again.
//
//   Send ─▶ durable ─▶ acted on:  an event at once; the rest once the rows of
//                                 its target are read (Rewinds, Ends, Purges)
//
// Letters to one orchestration are acted on one at a time, in the order in
// which they were sent. An event needs no letter, and takes the short cut into
// the commit of its cause, if none is under way to its target.
//
// Thread-safety: functions named ...Locked are called with the engine's lock
// held, all others without it.   Lifetime: a part of the engine.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_MAIL_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_MAIL_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "service/orchestration/commit_queue.h"
#include "service/orchestration/directory.h"
#include "service/orchestration/errand.h"
#include "service/orchestration/history.h"
#include "service/orchestration/inbox.h"
#include "service/orchestration/outbox.h"
#include "service/storage/records.h"

namespace leasehold {

class Engine;

// A row of the outbox that nobody has acted on.
struct Letter {
  OutboxKey key;
  OutboxMessage message;
  ErrandPtr errand = nullptr;  // Of which it is a part.
  bool durable = false;
  bool begun = false;      // It is being acted on.
  bool forgotten = false;  // With the memory that it was in.
};
using LetterPtr = std::shared_ptr<Letter>;

class Mail {
 public:
  explicit Mail(Engine& engine) : engine_(engine) {}
  Mail(const Mail&) = delete;
  Mail& operator=(const Mail&) = delete;

  // ---- Between orchestrations ----

  // Sends a message: as a part of `commit`, or with a row of the outbox in it.
  // `from`: whose message it is. What it tells itself never leaves its
  // partition. `errand`: may be null; the message is a part of it.
  void SendLocked(const InstanceKey& from, OutboxMessage message,
                  PendingCommit& commit, const ErrandPtr& errand = nullptr);
  // A row that was found in the store.
  void PushLocked(const OutboxRow& row);
  // Tells the parent, if it has one that is open, that the orchestration ends.
  void TellParentLocked(const InstanceKey& key,
                        const std::optional<ParentLink>& parent,
                        OrchestrationStatus status,
                        const OpaqueMessage& failure, PendingCommit& commit);
  // Starts a sub-orchestration, or tells its parent that its ID is taken.
  void ActOnStartLocked(const InstanceKey& key, ExecutionStarted started,
                        PendingCommit& commit);

  // ---- Acting on a letter ----

  // Commits what comes of the letter (in `commit`, perhaps nothing), and takes
  // its row. `reached`: whether its target is changed by that.
  void CommitLocked(const LetterPtr& letter, PendingCommit commit,
                    bool reached);
  // It could not be acted on now, and will be later. No effect if it is
  // forgotten.
  void PutOffLocked(const LetterPtr& letter, const absl::Status& status);
  // When those are tried again, on the monotonic clock; nullopt: there is none.
  std::optional<StoredTime> retry_at() const { return retry_at_; }
  void RetryIfDueLocked(StoredTime now);
  // Memory is being discarded: whoever acts on a letter stops.
  void ForgetAllLocked();
  // The same for the letters of a tenant. Returns them: their rows are still
  // there, and callers may wait for them.
  std::vector<LetterPtr> ForgetTenantLocked(const std::string& tenant);
  // The part of an errand that it was has ended.
  void EndPartLocked(Letter& letter, const absl::Status& status);

  // ---- To an open orchestration ----

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
  // Puts the letter into the line of its target.
  void LineUpLocked(const LetterPtr& letter);
  void ArriveLocked(const LetterPtr& letter);
  // Acts on the letters in that line until one must be waited for.
  void AdvanceLocked(const std::string& name);
  void ActOnLocked(const LetterPtr& letter);
  void ActOnEventLocked(OutboxMessage message, PendingCommit& commit);
  void SubmitLocked(const LetterPtr& letter, PendingCommit commit,
                    bool reached);
  // The first letter of that line was acted on.
  void LeaveLineLocked(const std::string& name);
  void ReceiveLocked(Orchestration& target, Message message);

  Engine& engine_;
  // By target (Directory::NameOf).
  absl::flat_hash_map<std::string, std::deque<LetterPtr>> lines_;
  std::vector<LetterPtr> put_off_;
  std::optional<StoredTime> retry_at_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_MAIL_H_
