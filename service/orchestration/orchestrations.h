// Orchestrations: everything that callers do with orchestrations. The doors
// know this interface, not the engine.
//
// While the store cannot be written, each call answers Unavailable, except for
// Get, Query, Count, ListFinished, ReadRuns and ReadHistory, which show stored
// data. A change that is answered with OK is durable.
//
// Thread-safety: safe. Callbacks run on any thread, once each, under no lock;
// `done` must not block.   Lifetime: outlives its callers.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_ORCHESTRATIONS_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_ORCHESTRATIONS_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "service/instance/instance_key.h"
#include "service/orchestration/requests.h"
#include "service/tracing/span.h"

namespace leasehold {

class Orchestrations {
 public:
  virtual ~Orchestrations() = default;

  // Starts an orchestration, or reports that one exists. A start whose request
  // ID was answered with OK before gets that answer again, until the instance
  // is purged.
  //   AlreadyExists: the policy refuses the start.
  //   InvalidArgument: a different start had its request ID.
  //   ResourceExhausted: the input is too large, or no more contexts fit.
  virtual void Start(StartRequest request, Done<StartReceipt> done) = 0;

  // Starts an orchestration again as before, under its own ID or `new_id`, in
  // the trace of whoever asks.
  //   NotFound: it does not exist.
  //   FailedPrecondition: under its own ID, and it has not ended.
  virtual void Restart(const InstanceKey& key,
                       std::optional<std::string> new_id, Requester by,
                       const CallTrace& trace, Done<StartReceipt> done) = 0;

  // The state of an orchestration; nullopt: it does not exist. One that cannot
  // be read has the status kDamaged, and its failure says why.
  virtual void Get(const InstanceKey& key, bool payloads,
                   Done<std::optional<OrchestrationInfo>> done) = 0;

  // Answers as Get does, once the orchestration is as `request.until` says. If
  // it does not exist, or is purged meanwhile, the answer is nullptr, at once.
  // Waits that end together share their answer, as it may be large.
  //   ResourceExhausted: the caller's connection has begun so many waits since
  //     that this one, its oldest, makes room.
  using WaitId = uint64_t;
  using SharedInfo = std::shared_ptr<const OrchestrationInfo>;
  virtual WaitId Wait(WaitRequest request, Done<SharedInfo> done) = 0;
  // True: `done` will not be called.
  virtual bool CancelWait(const InstanceKey& key, WaitId id) = 0;

  // Sends an event to an orchestration that has not ended.
  //   NotFound: there is none of that ID.
  //   FailedPrecondition: it has ended; the message says how.
  //   ResourceExhausted: too much waits for it already (inbox_bytes_max).
  virtual void RaiseEvent(const InstanceKey& key, std::string name,
                          Payload input, DoneStatus done) = 0;
  virtual void Suspend(const InstanceKey& key, Payload reason,
                       DoneStatus done) = 0;
  virtual void Resume(const InstanceKey& key, Payload reason,
                      DoneStatus done) = 0;
  // A worker carries this out in the next turn. The engine does so itself if no
  // worker that takes the orchestration is connected and answers.
  virtual void Terminate(const InstanceKey& key, Payload output, bool recursive,
                         DoneStatus done) = 0;
  // When this is answered the orchestration has ended, even if a worker has
  // work of it: that worker's answer comes too late. `recursive`: its
  // sub-orchestrations end in the same way.
  virtual void TerminateByForce(const InstanceKey& key, Payload output,
                                bool recursive, DoneStatus done) = 0;
  // Records open orchestrations as terminated, without a worker, with `output`.
  // Answers which of them were not open.
  virtual void TerminateNow(std::vector<InstanceKey> keys, Payload output,
                            Done<std::vector<InstanceKey>> done) = 0;

  // Continues a failed orchestration, and those of its sub-orchestrations that
  // failed too, from the last good point. A worker makes the history to
  // continue with.
  //   NotFound: it does not exist.   FailedPrecondition: it has not failed.
  virtual void Rewind(const InstanceKey& key, Payload reason,
                      DoneStatus done) = 0;

  // Erases orchestrations that have ended or are damaged. Others, and IDs that
  // do not exist, are skipped. `recursive`: erases their sub-orchestrations
  // too. The ID of an entity takes its state away.
  virtual void Purge(std::vector<InstanceKey> keys, bool recursive,
                     Done<PurgeResult> done) = 0;
  // Erases all that have ended and match `filter`, for `timeout` at most.
  virtual void PurgeMatching(OrchestrationFilter filter, bool recursive,
                             absl::Duration timeout,
                             Done<PurgeResult> done) = 0;
  // Erases everything of a tenant, including what is running, and its entities:
  // all at once, or nothing. Waits are answered as if each orchestration were
  // purged; calls of entities end as Aborted.
  virtual void Wipe(std::string tenant, DoneStatus done) = 0;

  // Lists, page by page.
  //   InvalidArgument: the page token is not one of this list, with this filter
  //     and this order, and of this tenant.
  virtual void Query(OrchestrationQuery query,
                     Done<OrchestrationPage> done) = 0;
  // Counts all that match, by status, for `timeout` at most.
  virtual void Count(OrchestrationFilter filter, absl::Duration timeout,
                     Done<CountedOrchestrations> done) = 0;
  virtual void ListFinished(FinishedIdsQuery query,
                            Done<FinishedIdsPage> done) = 0;
  // The runs of an ID that the store has and that can be read, the latest
  // first. Empty: there are none.
  virtual void ReadRuns(const InstanceKey& key,
                        Done<std::vector<StoredRun>> done) = 0;
  // Reads a part of a history, which may be too long to hold in memory.
  //   NotFound: the ID does not exist, or has no execution `execution_id`.
  //   Aborted: the history whose next part was requested no longer exists.
  virtual void ReadHistory(const InstanceKey& key, HistoryQuery query,
                           Done<HistoryPage> done) = 0;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_ORCHESTRATIONS_H_
