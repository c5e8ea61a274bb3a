// Starts: who gets an ID, and what becomes of its present owner.
//
//   Start ─▶ the context is acquired ─▶ the key is looked up, if the policy
//   asks for an ended one ─▶ decided under the lock, queued ─▶ durable ─▶
//   answered
//
// Thread-safety: functions named ...Locked are called with the engine's lock
// held, all others without it.   Lifetime: a part of the engine.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_STARTS_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_STARTS_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "service/base/tenant_tally.h"
#include "service/orchestration/commit_queue.h"
#include "service/orchestration/directory.h"
#include "service/orchestration/history.h"
#include "service/orchestration/keyed_line.h"
#include "service/orchestration/orchestration_info.h"
#include "service/orchestration/requests.h"
#include "service/orchestration/runtime_state.h"
#include "service/storage/records.h"
#include "service/tracing/span.h"

namespace leasehold {

class Engine;

class Starts {
 public:
  explicit Starts(Engine& engine) : engine_(engine) {}
  Starts(const Starts&) = delete;
  Starts& operator=(const Starts&) = delete;

  void Start(StartRequest request, Done<StartReceipt> done);

  // The orchestration that has the ID of a start, if there is one.
  struct Existing {
    static Existing Of(const OrchestrationPtr& open,
                       const std::optional<OrchestrationInfo>& ended);

    std::optional<OrchestrationStatus> status;
    std::optional<Timestamp> turn_time;
    std::string execution_id;
  };
  // Asked with the engine's lock held when a start is decided, with what is
  // there, durably. If it is not OK, it is the answer.
  using Condition = std::function<absl::Status(const Existing& existing)>;
  // As Start, whatever the request's name. Null: without a condition.
  void StartIf(StartRequest request, Condition condition,
               Done<StartReceipt> done);

  enum class By { kCaller, kWork };
  // Adds a new orchestration to the directory, and its changes to `commit`.
  OrchestrationPtr CreateLocked(const InstanceKey& key,
                                ExecutionStarted started, By by,
                                PendingCommit& commit);

  // How many starts of each tenant the limit of open ones has refused. Safe.
  TenantTally::Counts refused() const { return refused_.Read(); }

 private:
  class AcquireForStart;
  // A run that is replaced, as its span shows it.
  struct Replaced {
    RunNumber number = 0;
    std::optional<OrchestrationInfo> info;  // Empty: it cannot be read.
    RuntimeState state;
  };
  struct QueuedStart {
    StartRequest request;
    Done<StartReceipt> done;
  };

  // Starts with the same request ID run one after the other, so that each finds
  // what the previous one stored.
  void StartOnce(StartRequest request, Done<StartReceipt> done);
  void BeginRequestLocked(const std::string& name);
  void RunRequest(const std::string& name, QueuedStart start);
  void EndRequest(const std::string& name);
  void StartWithPin(const std::shared_ptr<AcquireForStart>& start);
  // Decides again after all queued commits.
  void StartLaterLocked(const std::shared_ptr<AcquireForStart>& start);
  // `ended`: the stored orchestration that has the ID and is not open.
  void DecideStartLocked(const std::shared_ptr<AcquireForStart>& start,
                         const std::optional<OrchestrationInfo>& ended);
  // False: it was refused, or is decided later.
  bool MeetsConditionLocked(const std::shared_ptr<AcquireForStart>& start,
                            const OrchestrationPtr& open,
                            const Existing& existing);
  void DecideFoundLocked(const std::shared_ptr<AcquireForStart>& start,
                         const std::optional<RunRow>& row);
  // Reads a start event that is away; then calls `done`, to decide again.
  void FetchStartLocked(const OrchestrationPtr& orchestration, DoneStatus done);
  // Whether the run that is replaced has to be read, since its span shows what
  // is not in memory.
  bool HasToReadLocked(const OrchestrationPtr& replaced,
                       const AcquireForStart& start) const;
  // Reads it; then decides again.
  void ReadReplacedLocked(const OrchestrationPtr& orchestration,
                          const std::shared_ptr<AcquireForStart>& start);
  // Whether the tenant may have one more with this key.
  //   ResourceExhausted: it has as many as it may have.
  absl::Status HasRoomLocked(const InstanceKey& key);
  // The same, and whether it may have it stored (storage_room.h).
  absl::Status TakeRoomLocked(const StartRequest& request,
                              PendingCommit& commit);
  // Creates the orchestration that a start requests.
  OrchestrationPtr CreateForLocked(const StartRequest& request,
                                   PendingCommit& commit);
  // Ends the orchestration here, without a worker, and records it as
  // terminated. `read`: what was read of it, if it is not in memory.
  void TerminateLocked(Orchestration& orchestration,
                       const std::optional<Replaced>& read,
                       PendingCommit& commit);

  Engine& engine_;
  // By tenant and request ID.
  KeyedLine<QueuedStart> requests_;
  TenantTally refused_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_STARTS_H_
