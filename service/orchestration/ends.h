// Ends: orchestrations that end without a worker: by force, and those that
// were told to terminate when no worker can carry that out.
//
//   taken from workers ─▶ queued commits are durable ─▶ read ─▶ ended
//
// From the first step on, the orchestration receives nothing new, and no
// worker's answer counts, except one that is already being committed. The
// resulting state is then read: its parent and its sub-orchestrations. If it
// is recursive, the commit of its end has a letter for each of these.
//
// Thread-safety: functions named ...Locked are called with the engine's lock
// held, all others without it.   Lifetime: a part of the engine.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_ENDS_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_ENDS_H_

#include <memory>
#include <optional>
#include <vector>

#include "absl/container/btree_set.h"
#include "absl/status/status.h"
#include "service/orchestration/commit_queue.h"
#include "service/orchestration/directory.h"
#include "service/orchestration/mail.h"
#include "service/orchestration/orchestration_info.h"
#include "service/orchestration/requests.h"
#include "service/orchestration/runtime_state.h"
#include "service/storage/records.h"

namespace leasehold {

class Engine;

class Ends {
 public:
  explicit Ends(Engine& engine) : engine_(engine) {}
  Ends(const Ends&) = delete;
  Ends& operator=(const Ends&) = delete;

  void TerminateNow(std::vector<InstanceKey> keys, Payload output,
                    Done<std::vector<InstanceKey>> done);
  void TerminateByForce(const InstanceKey& key, Payload output, bool recursive,
                        DoneStatus done);

  // A sub-orchestration of one that was terminated by force.
  void ActOnLocked(const LetterPtr& letter);

  // Adds an end without a worker to `commit`. Nothing is removed yet.
  void RecordEndLocked(Orchestration& orchestration, ExecutionCompleted end,
                       PendingCommit& commit);
  // Adds the span of a run that ends so; `state` has its start, if it is known.
  void TraceEndLocked(const InstanceKey& key, const OrchestrationInfo& info,
                      const RuntimeState& state, OrchestrationStatus status,
                      PendingCommit& commit);
  // Removes the orchestration once `commit` is durable. Until then, callers who
  // wait for its end still find it.
  void EndWithLocked(const OrchestrationPtr& orchestration,
                     PendingCommit& commit);
  // It was told to terminate, or its turn is queued with that.
  void NoteTerminatingLocked(RunNumber number) {
    newly_terminating_.push_back(number);
  }
  // Workers have come, gone, or changed what they take.
  void OnTakersChangedLocked() { takers_changed_ = true; }
  // Ends terminating orchestrations that no worker would end.
  void EndTerminatingLocked();
  // One has ended; memory is discarded.
  void ForgetLocked(RunNumber number) { terminating_.erase(number); }
  void ForgetAllLocked();

  // What a run's span shows; nullopt: none is made, or it cannot be read. Reads
  // the store.
  std::optional<OrchestrationInfo> ReadForSpan(const InstanceKey& key);

 private:
  // Ends several orchestrations at once, without a worker.
  struct EndJob;
  using EndJobPtr = std::shared_ptr<EndJob>;

  void BeginEndLocked(const EndJobPtr& job);
  void ReadForEnd(const EndJobPtr& job);
  absl::Status ReadTerminate(EndJob& job);
  void GiveUpEndLocked(const EndJobPtr& job, const absl::Status& status);
  void CommitEndLocked(const EndJobPtr& job);
  // Tells its sub-orchestrations to terminate, or that they end now.
  void EndChildrenLocked(const EndJob& job, const InstanceKey& key,
                         const RuntimeState& state, PendingCommit& commit);
  void EndPartLocked(EndJob& job, const absl::Status& status);
  void ForceLocked(std::vector<InstanceKey> keys, Payload output,
                   bool recursive, Done<std::vector<InstanceKey>> done);
  void ActAgain(const LetterPtr& letter);
  bool EndIfLeftLocked(RunNumber number);

  Engine& engine_;
  // Orchestrations told to terminate: those queued since their workers were
  // last checked, and all of them; and whether those workers may have changed.
  std::vector<RunNumber> newly_terminating_;
  absl::btree_set<RunNumber> terminating_;
  bool takers_changed_ = false;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_ENDS_H_
