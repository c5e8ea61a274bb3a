// OutsideCalls: calls of entities from outside of any orchestration: who waits
// for them, and what is kept of those that have ended.
//
//   Call ─▶ looked up, if it has a name ─▶ a message for the entity ─▶ batch
//              │ has ended before                                       │
//              ▼                                                        ▼
//            told ◀──────────────────────────────── commit ◀── outcome, kept
//
// A call is a message like one of an orchestration, without a caller. If its
// outcome is kept, its caller's name for it stands in the place of the
// execution that waits. So what waits is known from the messages alone, also
// after a restart, and the outcome is stored in the commit of its batch.
//
// Thread-safety: functions named ...Locked are called with the engine's lock
// held, all others without it.   Lifetime: a part of the engine.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_OUTSIDE_CALLS_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_OUTSIDE_CALLS_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "service/instance/instance_key.h"
#include "service/orchestration/commit_queue.h"
#include "service/orchestration/entities.h"
#include "service/orchestration/entity.h"
#include "service/orchestration/entity_batch.h"
#include "service/orchestration/kept_calls.h"
#include "service/orchestration/waits.h"
#include "service/storage/records.h"

namespace leasehold {

class Engine;

class OutsideCalls {
 public:
  using WaitId = Entities::WaitId;

  // `peer_max`: waits of one connection.
  OutsideCalls(Engine& engine, size_t peer_max, KeptCallLimits kept)
      : engine_(engine), waits_(peer_max), kept_(kept) {}
  OutsideCalls(const OutsideCalls&) = delete;
  OutsideCalls& operator=(const OutsideCalls&) = delete;

  WaitId Call(EntityCall call, Done<OperationResult> done);
  bool Cancel(WaitId id);

  // The batch of `entity` that is being committed has ended these: keeps their
  // outcomes, and tells who waits once that is durable.
  void EndLocked(const Entity& entity, std::vector<EndedCall> ended,
                 PendingCommit& commit);
  // The entity cannot be read: nobody waits for it any longer.
  void FailLocked(const Entity& entity, const absl::Status& status);
  // Some wait for too long.
  void FireLocked();

  // ---- Memory from the store, and back --------------------------------------

  void LoadLocked(CallMark mark);
  // If the message is such a call.
  void LoadLocked(const InstanceKey& key, const EntityMessage& message);
  void EndWaitsLocked(const absl::Status& status);
  void ForgetAllLocked();
  // Forgets the calls of a tenant. Returns those who wait for them.
  std::vector<Done<OperationResult>> ForgetTenantLocked(
      const std::string& tenant);

 private:
  struct Waiter {
    WaitId id;
    std::string peer;
    Done<OperationResult> done;
  };
  // A call whose name is being looked up.
  struct Lookup {
    uint64_t ticket = 0;  // Which look-up it is; another one may follow it.
    uint64_t fingerprint = 0;
  };
  struct Wait {
    std::string name;
    StoredTime due = 0;  // On the monotonic clock.
    InstanceKey key;
  };

  void AddWaiterLocked(const std::string& name, WaitId id, EntityCall& call,
                       Done<OperationResult> done);
  void LookUpLocked(const std::string& name, uint64_t fingerprint,
                    EntityCall call);
  void LookedUp(const std::string& name, uint64_t ticket, EntityCall call,
                const absl::StatusOr<std::optional<CallRow>>& row);
  void SendLocked(const std::string& name, EntityCall call);
  std::vector<Waiter> TakeLocked(const std::string& name);
  void TellLocked(const std::string& name,
                  const absl::StatusOr<OperationResult>& outcome);
  std::string WhyWaitingLocked(const InstanceKey& key);
  void SetTimerLocked();

  Engine& engine_;
  Waits<Waiter> waits_;  // By the name of the call.
  std::map<WaitId, Wait> by_id_;
  WaitId last_id_ = 0;
  bool timer_set_ = false;
  absl::flat_hash_map<std::string, Lookup> lookups_;
  uint64_t last_ticket_ = 0;
  // Calls whose outcomes will be kept, and what was called.
  absl::flat_hash_map<std::string, uint64_t> waiting_;
  KeptCalls kept_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_OUTSIDE_CALLS_H_
