// Engine: owns all orchestrations: their histories, inboxes, timers, and the
// work that results from them. It runs no user code; workers do.
//
//   a call ─▶ commit ─▶ inbox ─▶ turn goes out ─▶ answer ─▶ commit ─▶ ...
//                         ▲                                  │
//     timers, activities, other orchestrations ◀─────────────┘
//
// Every decision is made under one lock, in memory, and gets its place in the
// commit queue under the same lock, so the order of decisions is the order of
// commits. Callers, waiters and workers see the effects of a decision only once
// its commit is durable. If a commit fails, the engine discards its memory and
// rebuilds it from the store before it acknowledges anything else.
//
// A turn of a hot orchestration reads nothing from the store, and the engine
// never polls.
//
// The engine itself owns the lock, the commit queue and what all share: the
// directory, the schedule. Which worker gets its work is decided by the
// dispatcher of the node, which it shares with other engines. What happens is
// done by its parts, each a class with a header of its own; they are friends,
// which work on what is shared and on each other under that lock.
//
// Lock order: the engine's lock, then the commit queue's or the dispatcher's.
// No store, registry, sink or callback is called while one is held.
//
// Thread-safety: safe. Callbacks run on any thread, once each, under no lock;
// they must not block.   Lifetime: clock, store, registry, executors, observer
// and dispatcher outlive the engine. After Stop, only starts that wait for
// their context are still answered; the registry's Shutdown, which ends such
// waits and the contexts that hold our extensions, must finish before the
// engine is destroyed.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_ENGINE_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_ENGINE_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lease/base/mutex.h"
#include "lease/clock.h"
#include "service/base/page_token.h"
#include "service/dispatch/shared_dispatcher.h"
#include "service/instance/executor.h"
#include "service/instance/instance_key.h"
#include "service/instance/instance_registry.h"
#include "service/orchestration/admission.h"
#include "service/orchestration/answers.h"
#include "service/orchestration/batches.h"
#include "service/orchestration/commands.h"
#include "service/orchestration/commit_queue.h"
#include "service/orchestration/context_hold.h"
#include "service/orchestration/counted_executor.h"
#include "service/orchestration/deliveries.h"
#include "service/orchestration/directory.h"
#include "service/orchestration/effects.h"
#include "service/orchestration/ends.h"
#include "service/orchestration/engine_observer.h"
#include "service/orchestration/engine_options.h"
#include "service/orchestration/entities.h"
#include "service/orchestration/entity_calls.h"
#include "service/orchestration/entity_watches.h"
#include "service/orchestration/execution_ids.h"
#include "service/orchestration/explainer.h"
#include "service/orchestration/lookups.h"
#include "service/orchestration/mail.h"
#include "service/orchestration/orchestrations.h"
#include "service/orchestration/outbox.h"
#include "service/orchestration/outside_calls.h"
#include "service/orchestration/purges.h"
#include "service/orchestration/reads.h"
#include "service/orchestration/recovery.h"
#include "service/orchestration/requests.h"
#include "service/orchestration/restarts.h"
#include "service/orchestration/retention.h"
#include "service/orchestration/retention_rules.h"
#include "service/orchestration/rewinds.h"
#include "service/orchestration/schedule.h"
#include "service/orchestration/starts.h"
#include "service/orchestration/storage_room.h"
#include "service/orchestration/turns.h"
#include "service/orchestration/wait_list.h"
#include "service/orchestration/wipes.h"
#include "service/orchestration/work_exchange.h"
#include "service/orchestration/worker_watch.h"
#include "service/storage/store.h"
#include "service/tracing/span.h"

namespace leasehold {

class Engine final : public Orchestrations,
                     public OwnerAnswers,
                     private WorkOwner {
 public:
  // `writer` runs one task at a time; `readers` may run several.
  Engine(Clock& clock, Store& store, InstanceRegistry& registry,
         Executor& writer, Executor& readers, SharedDispatcher& dispatcher,
         EngineObserver& observer, EngineOptions options);
  ~Engine() override;
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // ---- Life -----------------------------------------------------------------

  // Opens the store and loads open orchestrations. Blocks. As Store::Open.
  absl::Status Open() ABSL_LOCKS_EXCLUDED(mu_);
  // Starts the thread that fires timers. Without it, call FireTimers.
  void StartTimers();
  // Fires due timers, queues returned work whose delay is over, and retries
  // opening a store that has failed.
  void FireTimers() ABSL_LOCKS_EXCLUDED(mu_);
  // The wall clock was set: the timer thread checks what is due now.
  void OnWallClockSet() ABSL_LOCKS_EXCLUDED(mu_);
  // When FireTimers next has something to do; nullopt: nothing is scheduled.
  std::optional<StoredTime> NextDue() const ABSL_LOCKS_EXCLUDED(mu_);
  // How long orchestrations are kept from now on that have ended.
  void SetRetention(RetentionRules rules) ABSL_LOCKS_EXCLUDED(mu_);
  // Refuses new starts and waits, and ends pending waits. Work continues.
  void Drain() ABSL_LOCKS_EXCLUDED(mu_);
  // Refuses everything from now on and releases the contexts. Blocks until all
  // running operations have ended; see above for what may follow. Idempotent.
  void Stop() ABSL_LOCKS_EXCLUDED(mu_);

  // ---- Orchestrations ------------------------------------------------------

  void Start(StartRequest request, Done<StartReceipt> done) override
      ABSL_LOCKS_EXCLUDED(mu_);
  void Restart(const InstanceKey& key, std::optional<std::string> new_id,
               Requester by, const CallTrace& trace,
               Done<StartReceipt> done) override ABSL_LOCKS_EXCLUDED(mu_);
  void Get(const InstanceKey& key, bool payloads,
           Done<std::optional<OrchestrationInfo>> done) override
      ABSL_LOCKS_EXCLUDED(mu_);
  WaitId Wait(WaitRequest request, Done<SharedInfo> done) override
      ABSL_LOCKS_EXCLUDED(mu_);
  bool CancelWait(const InstanceKey& key, WaitId id) override
      ABSL_LOCKS_EXCLUDED(mu_);
  void RaiseEvent(const InstanceKey& key, std::string name, Payload input,
                  DoneStatus done) override ABSL_LOCKS_EXCLUDED(mu_);
  void Suspend(const InstanceKey& key, Payload reason, DoneStatus done) override
      ABSL_LOCKS_EXCLUDED(mu_);
  void Resume(const InstanceKey& key, Payload reason, DoneStatus done) override
      ABSL_LOCKS_EXCLUDED(mu_);
  void Terminate(const InstanceKey& key, Payload output, bool recursive,
                 DoneStatus done) override ABSL_LOCKS_EXCLUDED(mu_);
  void TerminateByForce(const InstanceKey& key, Payload output, bool recursive,
                        DoneStatus done) override ABSL_LOCKS_EXCLUDED(mu_);
  void Rewind(const InstanceKey& key, Payload reason, DoneStatus done) override
      ABSL_LOCKS_EXCLUDED(mu_);
  void TerminateNow(std::vector<InstanceKey> keys, Payload output,
                    Done<std::vector<InstanceKey>> done) override
      ABSL_LOCKS_EXCLUDED(mu_);
  void Purge(std::vector<InstanceKey> keys, bool recursive,
             Done<PurgeResult> done) override ABSL_LOCKS_EXCLUDED(mu_);
  void PurgeMatching(OrchestrationFilter filter, bool recursive,
                     absl::Duration timeout, Done<PurgeResult> done) override
      ABSL_LOCKS_EXCLUDED(mu_);
  void Wipe(std::string tenant, DoneStatus done) override
      ABSL_LOCKS_EXCLUDED(mu_);
  void Query(OrchestrationQuery query, Done<OrchestrationPage> done) override
      ABSL_LOCKS_EXCLUDED(mu_);
  void Count(OrchestrationFilter filter, absl::Duration timeout,
             Done<CountedOrchestrations> done) override
      ABSL_LOCKS_EXCLUDED(mu_);
  void ListFinished(FinishedIdsQuery query, Done<FinishedIdsPage> done) override
      ABSL_LOCKS_EXCLUDED(mu_);
  void ReadRuns(const InstanceKey& key,
                Done<std::vector<StoredRun>> done) override
      ABSL_LOCKS_EXCLUDED(mu_);
  void ReadHistory(const InstanceKey& key, HistoryQuery query,
                   Done<HistoryPage> done) override ABSL_LOCKS_EXCLUDED(mu_);

  // ---- OwnerAnswers --------------------------------------------------------

  // There is one partition: it has all instances.
  bool Owns(const InstanceKey&) const override { return true; }
  void CompleteTurn(const WorkName& name, TurnAnswer answer,
                    DoneStatus done) override ABSL_LOCKS_EXCLUDED(mu_);
  void CompleteActivity(const WorkName& name, EventBody end,
                        DoneStatus done) override ABSL_LOCKS_EXCLUDED(mu_);
  void CompleteEntity(const WorkName& name, BatchAnswer answer,
                      DoneStatus done) override ABSL_LOCKS_EXCLUDED(mu_);
  void RefuseAnswer(WorkKind kind, const WorkName& name,
                    std::string_view reason) override ABSL_LOCKS_EXCLUDED(mu_);
  void Abandon(WorkKind kind, const WorkName& name) override
      ABSL_LOCKS_EXCLUDED(mu_);

  // ---- Others ---------------------------------------------------------------

  Entities& entities() { return entity_calls_; }
  Explanations& explanations() { return explainer_; }
  EngineCounts counts() const ABSL_LOCKS_EXCLUDED(mu_);
  // As CommitQueue::delay.
  absl::Duration commit_delay() const { return commits_.delay(); }

 private:
  friend class Answers;
  friend class Batches;
  friend class Commands;
  friend class Deliveries;
  friend class Ends;
  friend class EntityCalls;
  friend class EntityWatches;
  friend class Explainer;
  friend class HotOrchestration;
  friend class Mail;
  friend class OutsideCalls;
  friend class Purges;
  friend class Reads;
  friend class Recovery;
  friend class Retention;
  friend class Rewinds;
  friend class Restarts;
  friend class Starts;
  friend class Turns;
  friend class WaitList;
  friend class Wipes;
  friend class WorkerWatch;
  class Look;
  class Section;

  // ---- WorkOwner ------------------------------------------------------------

  void OnWorkToTake() override ABSL_LOCKS_EXCLUDED(mu_);
  void OnTakersChanged() override ABSL_LOCKS_EXCLUDED(mu_);
  void OnWorkerGone(WorkerId id) override ABSL_LOCKS_EXCLUDED(mu_);
  OwnerAnswers& answers() override { return *this; }

  // Sends out the work that can go, and takes what remains to be done.
  Effects LeaveLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Finish(Effects effects) ABSL_LOCKS_EXCLUDED(mu_);
  void CheckInvariantsLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Answers `done` with `status` after the lock is released.
  template <typename AnyDone>
  void RefuseLocked(const AnyDone& done, const absl::Status& status)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    effects_.calls.push_back([done, status] { done(status); });
  }
  // Calls `done` after the lock is released, once all queued commits are
  // durable or have failed.
  void AfterCommitsLocked(DoneStatus done) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void OnCommitted(std::vector<PendingCommit> batch, const CommitResult& result)
      ABSL_LOCKS_EXCLUDED(mu_);
  // The registry's, and counts it.
  std::optional<absl::StatusOr<PinGrant>> Acquire(PinWaiter& waiter);
  // Has the answer of a start recorded, if anything is.
  Done<StartReceipt> Recorded(const InstanceKey& key, Requester by,
                              Done<StartReceipt> done) const;

  void RunTimers() ABSL_LOCKS_EXCLUDED(mu_);
  std::optional<StoredTime> NextDueLocked() const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void FireLocked(const Timers::Entry& entry)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  Timestamp NowLocked() const;
  void EndWaitsLocked(const absl::Status& status)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // These have ended durably, in the tenant of `key`.
  void TellSpansLocked(const InstanceKey& key, std::vector<Span> spans)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The orchestration has ended: frees all that nobody else still holds.
  void EndLocked(Orchestration& orchestration)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // Constant after construction.
  Clock& clock_;
  Store& store_;
  InstanceRegistry& registry_;
  EngineObserver& observer_;
  const EngineOptions options_;
  OwnerId owner_ = 0;  // Its name in the dispatcher, until Stop.
  // Set before anything can be read, and constant from then on.
  std::optional<PageTokens> page_tokens_;

  // Synchronises itself.
  CountedExecutor writer_;
  CountedExecutor readers_;
  CommitQueue commits_;
  SharedDispatcher& dispatcher_;
  StorageRoom storage_room_;
  // Only accepts() is used without the lock.
  Admission admission_;
  std::atomic<uint64_t> acquires_{0};

  mutable Mutex mu_;
  CondVar timers_changed_;
  mutable uint64_t holds_ ABSL_GUARDED_BY(mu_) = 0;
  Effects effects_ ABSL_GUARDED_BY(mu_);
  // Those that were created in this section and have an offer.
  std::vector<Orchestration*> offered_ ABSL_GUARDED_BY(mu_);
  ExecutionIds execution_ids_ ABSL_GUARDED_BY(mu_);
  RunNumber last_number_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t last_revision_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t turn_count_ ABSL_GUARDED_BY(mu_) = 0;
  // Durably.
  uint64_t started_ ABSL_GUARDED_BY(mu_) = 0;
  std::map<OrchestrationStatus, uint64_t> ended_ ABSL_GUARDED_BY(mu_);

  // Shared by the parts.
  Directory directory_ ABSL_GUARDED_BY(mu_);
  Schedule schedule_ ABSL_GUARDED_BY(mu_);
  Lookups lookups_ ABSL_GUARDED_BY(mu_);
  Outbox outbox_ ABSL_GUARDED_BY(mu_);

  // The parts. Some of their functions take the lock, see there.
  Answers answers_{*this};
  Batches batches_{*this};
  Commands commands_{*this};
  Deliveries deliveries_{*this};
  Ends ends_{*this};
  EntityCalls entity_calls_{*this};
  EntityWatches entity_watches_;
  Explainer explainer_{*this};
  Mail mail_{*this};
  OutsideCalls outside_calls_;
  Purges purges_{*this};
  Reads reads_{*this};
  Recovery recovery_{*this};
  Retention retention_{*this};
  Rewinds rewinds_{*this};
  Starts starts_{*this};
  Restarts restarts_{*this};
  Turns turns_{*this};
  WaitList wait_list_;
  Wipes wipes_{*this};
  WorkerWatch worker_watch_;

  std::thread timer_thread_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_ENGINE_H_
