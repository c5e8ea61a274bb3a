// Engine: owns all orchestrations: their histories, inboxes, timers, and the
// work that comes of them. It runs no user code; workers do.
//
//   a call ─▶ commit ─▶ inbox ─▶ turn goes out ─▶ answer ─▶ commit ─▶ ...
//                         ▲                                  │
//     timers, activities, other orchestrations ◀─────────────┘
//
// All that is decided is decided under one lock, in memory, and takes its place
// in the commit queue there: so the order of decisions is the order of commits.
// What a decision changes is seen by others (who ask, who wait, workers) once
// its commit is durable, and not before. When a commit fails, memory is thrown
// away and made anew from the store, before anything else is acknowledged.
//
// Nothing is read from the store on the way of a turn whose orchestration is
// hot, and nothing is ever polled.
//
// Lock order: the engine's, then the commit queue's. No store, registry, sink
// or callback is called with either held.
//
// Thread-safety: safe. Callbacks come on any thread, once each, under no lock;
// they must not block.   Lifetime: clock, store, registry, executors and
// observer outlive it. After Stop has returned only a start is answered that
// waits for its context; the registry's Shutdown, which ends such waits and the
// contexts that hold our extensions, is done before the engine is destroyed.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_ENGINE_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_ENGINE_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/random/random.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lease/clock.h"
#include "lease/mutex.h"
#include "service/instance/executor.h"
#include "service/instance/instance_key.h"
#include "service/instance/instance_registry.h"
#include "service/orchestration/commit_queue.h"
#include "service/orchestration/counted_executor.h"
#include "service/orchestration/dispatcher.h"
#include "service/orchestration/orchestration.h"
#include "service/orchestration/orchestration_info.h"
#include "service/orchestration/reuse_policy.h"
#include "service/orchestration/timers.h"
#include "service/orchestration/turn.h"
#include "service/storage/store.h"

namespace leasehold {

struct EngineOptions {
  // What orchestrations want at least for their contexts
  // (`--idle-timeout=...,orchestration=D`).
  absl::Duration idle_timeout = absl::ZeroDuration();
  TurnLimits limits;
  size_t waiters_max = 1000;  // For one orchestration.
  // Work that was lost so often in a row has failed (`--max-deliveries`).
  int deliveries_max = 10;
};

struct EngineCounts {
  size_t open = 0;    // Orchestrations.
  size_t queued = 0;  // Work that waits for a worker.
  size_t workers = 0;
  uint64_t turns = 0;  // That were committed, ever.
  CommitQueue::Counts commits;
};

// Told of what befalls the store. Called from any thread, without a lock; must
// not block.
class EngineObserver {
 public:
  virtual ~EngineObserver() = default;
  virtual void OnStoreFailed(const absl::Status& status) = 0;
  virtual void OnStoreRecovered(size_t open_orchestrations) = 0;
  // The engine has ended; nothing else comes.
  virtual void OnStopped(const EngineCounts& counts) = 0;
};

struct StartRequest {
  InstanceKey key;
  std::string name;
  Payload version;
  Payload input;
  Payload execution_id;  // Absent: a new one, as nearly always.
  std::optional<Timestamp> scheduled_start;
  OpaqueMessage trace;
  StringMap tags;
  ReusePolicy policy;
  // Its caller's name for this very start; empty: none. `fingerprint` tells
  // whether another start of that name is the same.
  std::string request_id;
  uint64_t fingerprint = 0;
  // What the caller wants of the instance context, but for its key.
  InstanceRequest context;
};

struct StartReceipt {
  // The instance context that a start has met.
  struct Context {
    uint64_t generation = 0;
    bool created = false;
    absl::Duration idle_timeout;
  };

  std::string instance_id = {};
  std::string execution_id = {};
  bool created = false;  // False: attached to the one that is there.
  std::optional<Context> context = {};  // Empty: none; it was started before.
};

struct OrchestrationQuery {
  RowQuery rows;  // Its tenant, filters and page.
  bool payloads = false;
};

struct OrchestrationPage {
  std::vector<OrchestrationInfo> orchestrations;
  std::optional<InstanceNumber> next;
};

struct PurgeResult {
  int64_t erased = 0;
  bool complete = true;
};

class Engine {
 public:
  template <typename T>
  using Done = std::function<void(absl::StatusOr<T>)>;
  using DoneStatus = std::function<void(const absl::Status&)>;

  // `writer` runs one task at a time; `readers` may run several.
  Engine(Clock& clock, Store& store, InstanceRegistry& registry,
         Executor& writer, Executor& readers, EngineObserver& observer,
         EngineOptions options);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // ---- Life -----------------------------------------------------------------

  // Opens the store and reads what is open. Blocks. As Store::Open.
  absl::Status Open() ABSL_LOCKS_EXCLUDED(mu_);
  // Starts the thread that fires timers. Without it they fire in FireTimers.
  void StartTimers();
  // Fires what is due; also lines up work that was given back, and tries again
  // to open a store that has failed.
  void FireTimers() ABSL_LOCKS_EXCLUDED(mu_);
  // When FireTimers has something to do next; nullopt: not as things are.
  std::optional<StoredTime> NextDue() const ABSL_LOCKS_EXCLUDED(mu_);
  // Takes no more starts and waits; those who wait are answered. Work goes on.
  void Drain() ABSL_LOCKS_EXCLUDED(mu_);
  // Refuses everything from now on, and lets go of contexts. Blocks until what
  // is under way has ended; see above for what may come after. Idempotent.
  void Stop() ABSL_LOCKS_EXCLUDED(mu_);

  // ---- Callers --------------------------------------------------------------
  // Every one of them answers Unavailable while the store cannot be written; a
  // change that was answered with OK is durable.

  // Starts an orchestration, or says that there is one.
  // One that has a request ID and was answered with OK before gets that answer
  // again, until the instance is purged.
  //   AlreadyExists: the policy wants it so.
  //   InvalidArgument: another start had its request ID.
  //   ResourceExhausted: the input is too large, or there is no context left.
  void Start(StartRequest request, Done<StartReceipt> done)
      ABSL_LOCKS_EXCLUDED(mu_);

  // Starts one again as it was started, under its own ID or `new_id`.
  //   NotFound: there is none.   FailedPrecondition: under its own ID, and it
  //     has not ended.
  void Restart(const InstanceKey& key, std::optional<std::string> new_id,
               Done<StartReceipt> done) ABSL_LOCKS_EXCLUDED(mu_);

  // What is known of it; nullopt: there is none.
  void Get(const InstanceKey& key, bool payloads,
           Done<std::optional<OrchestrationInfo>> done)
      ABSL_LOCKS_EXCLUDED(mu_);

  // kChanged: it is not as at the revision `seen`; to be asked again with the
  // revision that comes back. What happens between two waits is seen as one.
  enum class Until { kStarted, kFinished, kChanged };
  using WaitId = uint64_t;
  // As Get, once it is no longer pending, has finished, or has changed. An
  // orchestration that does not exist, or is purged meanwhile, is answered at
  // once with nullopt.
  //   ResourceExhausted: too many wait already.
  WaitId Wait(const InstanceKey& key, Until until, bool payloads,
              Done<std::optional<OrchestrationInfo>> done, uint64_t seen = 0)
      ABSL_LOCKS_EXCLUDED(mu_);
  // True: `done` will not be called.
  bool CancelWait(const InstanceKey& key, WaitId id) ABSL_LOCKS_EXCLUDED(mu_);

  // Events from outside.
  //   NotFound: there is none of that ID.
  //   FailedPrecondition: it has finished; the message says how.
  void RaiseEvent(const InstanceKey& key, std::string name, Payload input,
                  DoneStatus done) ABSL_LOCKS_EXCLUDED(mu_);
  void Suspend(const InstanceKey& key, Payload reason, DoneStatus done)
      ABSL_LOCKS_EXCLUDED(mu_);
  void Resume(const InstanceKey& key, Payload reason, DoneStatus done)
      ABSL_LOCKS_EXCLUDED(mu_);
  void Terminate(const InstanceKey& key, Payload output, bool recursive,
                 DoneStatus done) ABSL_LOCKS_EXCLUDED(mu_);

  // Has one that failed go on from its last good point, and those of its
  // sub-orchestrations that failed too. A worker makes the history to go on
  // with.
  //   NotFound: there is none.   FailedPrecondition: it has not failed.
  void Rewind(const InstanceKey& key, Payload reason, DoneStatus done)
      ABSL_LOCKS_EXCLUDED(mu_);

  // Records as terminated what is open, without a worker, with `output`. Those
  // that were not open.
  void TerminateNow(std::vector<InstanceKey> keys, Payload output,
                    Done<std::vector<InstanceKey>> done)
      ABSL_LOCKS_EXCLUDED(mu_);

  // Erases finished ones; others, and those that do not exist, are passed over.
  // `recursive`: and their sub-orchestrations.
  void Purge(std::vector<InstanceKey> keys, bool recursive,
             Done<PurgeResult> done) ABSL_LOCKS_EXCLUDED(mu_);
  // The same of all finished ones that `filter` finds, for `timeout` at most.
  void PurgeMatching(RowQuery filter, bool recursive, absl::Duration timeout,
                     Done<PurgeResult> done) ABSL_LOCKS_EXCLUDED(mu_);
  // Erases everything, also what is running.
  void Wipe(DoneStatus done) ABSL_LOCKS_EXCLUDED(mu_);

  void Query(OrchestrationQuery query, Done<OrchestrationPage> done)
      ABSL_LOCKS_EXCLUDED(mu_);
  void ListFinished(FinishedQuery query, Done<FinishedPage> done)
      ABSL_LOCKS_EXCLUDED(mu_);
  // The history of the present execution, in chunks of frames; or, if
  // `replaced` is set, of one that was replaced and is kept.
  //   NotFound: there is none of that ID, or none with that `execution_id`.
  void ReadHistory(const InstanceKey& key, Payload execution_id, bool replaced,
                   Done<std::vector<std::string>> done)
      ABSL_LOCKS_EXCLUDED(mu_);

  // ---- Workers --------------------------------------------------------------

  // From now on work goes to `sink`, until Disconnect.
  WorkerId Connect(WorkerOptions options, std::shared_ptr<WorkSink> sink)
      ABSL_LOCKS_EXCLUDED(mu_);
  // What the worker had goes to others at once.
  void Disconnect(WorkerId id) ABSL_LOCKS_EXCLUDED(mu_);

  // Which work is meant. Some workers send no token back.
  struct WorkName {
    std::string token = {};
    InstanceKey key = {};
    int32_t task_id = 0;  // Of an activity.
  };
  // An answer may come in parts; it counts once the last one is there.
  //   NotFound: no such work is out: somebody else has it now, or had it. Not
  //     for work that was named without a token: that is dropped, and OK.
  void CompleteTurn(const WorkName& name, TurnAnswer answer, DoneStatus done)
      ABSL_LOCKS_EXCLUDED(mu_);
  // `end`: TaskCompleted or TaskFailed, whose ID the engine sets. As
  // CompleteTurn; also that of an orchestration that has finished is dropped.
  void CompleteActivity(const WorkName& name, EventBody end, DoneStatus done)
      ABSL_LOCKS_EXCLUDED(mu_);
  // As Abandon; the worker has answered what cannot be read. Work is lost by
  // that, as by the end of its worker's stream.
  void RefuseAnswer(const WorkName& turn) ABSL_LOCKS_EXCLUDED(mu_);
  // Gives work back: it goes out again a while later, rather to another worker.
  // What is not out any more stays so.
  void Abandon(WorkKind kind, const WorkName& name) ABSL_LOCKS_EXCLUDED(mu_);

  // ---- What is seen of it ---------------------------------------------------

  EngineCounts counts() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  friend class OrchestrationInstance;
  class AcquireForStart;
  class AcquireForWork;
  class ForcedRelease;
  class Section;
  using OrchestrationPtr = std::shared_ptr<Orchestration>;

  // What is left to do once the lock is gone.
  struct Deferred {
    std::vector<std::function<void()>> calls;
    std::vector<std::pair<std::shared_ptr<WorkSink>, std::string>> items;
    std::vector<OrchestrationPtr> to_pin;
    std::vector<std::unique_ptr<HeldPin>> unpinned;
  };
  struct Waiter {
    WaitId id;
    InstanceKey key;
    Until until;
    uint64_t seen;  // For kChanged.
    bool payloads;
    Done<std::optional<OrchestrationInfo>> done;
  };
  struct QueuedStart {
    StartRequest request;
    Done<StartReceipt> done;
  };
  // Asks the store who has a key that is not open; one after the other for each
  // key, so that what one of them decides the next one finds.
  // `epoch`: in which it was asked.
  using Lookup = std::function<void(absl::StatusOr<std::optional<InstanceRow>>,
                                    uint64_t epoch)>;

  struct Lookups {
    std::deque<Lookup> queue;  // The first one runs.
    // Since it has begun to read, an orchestration of that key has gone: what
    // it has found may be older.
    bool outdated = false;
  };

  // ---- engine.cc ----
  void Finish(Deferred deferred) ABSL_LOCKS_EXCLUDED(mu_);
  // Sends out what can go, and takes what is left to do.
  Deferred LeaveLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status ServingLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return not_serving_;
  }
  // Answers `done` with `status`, once the lock is gone.
  template <typename AnyDone>
  void RefuseLocked(const AnyDone& done, const absl::Status& status)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    deferred_.calls.push_back([done, status] { done(status); });
  }
  // Tells `done`, once the lock is gone, when all that is on its way to the
  // store is durable, or that it is not.
  void AfterCommitsLocked(DoneStatus done) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void RunTimers() ABSL_LOCKS_EXCLUDED(mu_);
  std::optional<StoredTime> NextDueLocked() const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void EndWaitsLocked(const absl::Status& status)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Not OK: no start and no wait is taken.
  absl::Status AcceptingLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void AddTimerLocked(const Timers::Entry& entry)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void CancelTimersLocked(InstanceNumber number, const RuntimeState& state)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // A timer of the orchestrator's own is due.
  void FireLocked(Orchestration& orchestration, int32_t id)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  Timestamp NowLocked() const;
  static std::string DirectoryKey(const InstanceKey& key);
  // The open one of a key that nothing is under way to end; nullptr: there is
  // none.
  OrchestrationPtr FindOpenLocked(const InstanceKey& key)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  std::string NewExecutionIdLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // A message for an open one, from the moment that `commit` is durable. Its
  // sequence is set here.
  void PostMessageLocked(const OrchestrationPtr& target, Message message,
                         PendingCommit& commit)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The same of an event.
  void PostLocked(const OrchestrationPtr& target, std::string execution_id,
                  const HistoryEvent& event, PendingCommit& commit)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ReceiveLocked(Orchestration& target, Message message)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void SendCommand(const InstanceKey& key, HistoryEvent event, DoneStatus done)
      ABSL_LOCKS_EXCLUDED(mu_);
  void OnCommitted(std::vector<PendingCommit> batch, const absl::Status& status)
      ABSL_LOCKS_EXCLUDED(mu_);

  // It is over: nothing of it stays but what somebody still holds.
  void EndLocked(Orchestration& orchestration)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // It has changed: tells who waits for that.
  void WakeLocked(const Orchestration& orchestration, OrchestrationInfo info)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool IsAwaitedLocked(const InstanceKey& key) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return !waiters_.empty() && waiters_.contains(DirectoryKey(key));
  }

  // ---- engine_start.cc ----
  // Puts a new one into the directory, and what that takes into `commit`.
  OrchestrationPtr CreateLocked(const InstanceKey& key,
                                ExecutionStarted started, PendingCommit& commit)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Starts that have one request ID run one after the other: what one leaves in
  // the store, the next one finds.
  void StartOnce(StartRequest request, Done<StartReceipt> done)
      ABSL_LOCKS_EXCLUDED(mu_);
  void RunRequest(const std::string& name) ABSL_LOCKS_EXCLUDED(mu_);
  void EndRequest(const std::string& name) ABSL_LOCKS_EXCLUDED(mu_);
  void StartNow(StartRequest request, Done<StartReceipt> done)
      ABSL_LOCKS_EXCLUDED(mu_);
  void StartWithPin(const std::shared_ptr<AcquireForStart>& start)
      ABSL_LOCKS_EXCLUDED(mu_);
  // Looks again behind all that is on its way to the store.
  void StartLaterLocked(const std::shared_ptr<AcquireForStart>& start)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // `ended`: who has the ID in the store, and is not open.
  void DecideStartLocked(const std::shared_ptr<AcquireForStart>& start,
                         const std::optional<OrchestrationInfo>& ended)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void DecideFoundLocked(const std::shared_ptr<AcquireForStart>& start,
                         const std::optional<InstanceRow>& row)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Creates what a start asks for. Its execution ID.
  std::string CreateForLocked(const StartRequest& request,
                              PendingCommit& commit)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // It ends here, without a worker: what is kept of it says that it was
  // terminated.
  void TerminateLocked(Orchestration& orchestration, Payload output,
                       PendingCommit& commit)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // ---- engine_work.cc ----
  void LineUpLocked(Orchestration& orchestration)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void LineUpAgainLocked(Orchestration& orchestration, int32_t id)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void PinLater(const OrchestrationPtr& orchestration) ABSL_LOCKS_EXCLUDED(mu_);
  void UnpinLocked(Work& work) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void OnPinned(const OrchestrationPtr& orchestration,
                absl::StatusOr<PinGrant> grant) ABSL_LOCKS_EXCLUDED(mu_);
  // Work has gone out: its orchestration is pinned, then thawed, then sent.
  void SendOutLocked(Work& work) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void SendLocked(Work& work) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void SendTurnLocked(Orchestration& orchestration)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void SendActivityLocked(ActivityWork& work)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ThawLocked(Orchestration& orchestration)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ReadForThaw(const OrchestrationPtr& orchestration, uint64_t load)
      ABSL_LOCKS_EXCLUDED(mu_);
  void AddActivityLocked(Orchestration& orchestration, int32_t id,
                         TaskScheduled task) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Park(OrchestrationInstance& hot) ABSL_LOCKS_EXCLUDED(mu_);
  void OnForcedRelease(const OrchestrationPtr& orchestration)
      ABSL_LOCKS_EXCLUDED(mu_);

  // ---- engine_answers.cc ----
  // Takes it from its worker; it goes out again a while later.
  void RetryLocked(Work& work) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // It was out and does not come back. Ends it, if that was once too often.
  void CountLossLocked(Work& work, std::string_view how)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  Work* FindWorkLocked(WorkKind kind, const WorkName& name)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void EndActivityLocked(ActivityWork& activity, EventBody end, DoneStatus done)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // ---- engine_rewind.cc ----
  // An answer with a history to go on with, on its way.
  struct RewindJob;
  using RewindJobPtr = std::shared_ptr<RewindJob>;
  // Opens one that has failed again, with a rewind in its inbox.
  void ReopenLocked(const InstanceRow& row, const OrchestrationInfo& info,
                    ExecutionRewound rewound, PendingCommit& commit)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void RewindLocked(Orchestration& orchestration,
                    std::vector<std::string> events, DoneStatus done)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void LookUpChildLocked(const RewindJobPtr& job)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void OnChildFound(const RewindJobPtr& job,
                    const absl::StatusOr<std::optional<InstanceRow>>& row,
                    uint64_t epoch) ABSL_LOCKS_EXCLUDED(mu_);
  void ForgetChildrenLocked(RewindJob& job) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void GiveUpRewindLocked(const RewindJobPtr& job, const absl::Status& status)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void CommitRewindLocked(const RewindJobPtr& job)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void RewindChildLocked(const RewindJob& job, int32_t action_id,
                         const SubOrchestrationCreated& child,
                         PendingCommit& commit)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ApplyRewindLocked(RewindJob& job) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // ---- engine_turn.cc ----
  // The answer to a turn, on its way: what was sent, and what comes of it.
  struct TurnInFlight;
  void CommitTurnLocked(Orchestration& orchestration, TurnAnswer answer,
                        DoneStatus done) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ApplyTurnLocked(TurnInFlight& turn) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // It has changed: tells who waits for that. `input`: of its execution.
  void TellLocked(Orchestration& orchestration, const HotState& hot,
                  const Payload& input) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ContinueAsNewLocked(TurnInFlight& turn, PendingCommit& commit)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void BeginNextLocked(TurnInFlight& turn) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void StartChildLocked(const OrchestrationPtr& parent,
                        TurnOutcome::Child child, PendingCommit& commit)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // ---- engine_reads.cc ----
  // Answers who waits for what is so already: memory was made anew, or a key
  // has another orchestration.
  void ReviewWaitersLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ReviewWaitersLocked(const InstanceKey& key)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ReviewLocked(const std::string& directory_key,
                    std::vector<Waiter>& waiters)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void LookUpLocked(const InstanceKey& key, Lookup lookup)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void RunLookup(const InstanceKey& key, uint64_t epoch)
      ABSL_LOCKS_EXCLUDED(mu_);
  bool LookupIsOutdatedLocked(const InstanceKey& key, uint64_t epoch)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The lookup of `key` that runs has done all that it does. One of an epoch
  // before is forgotten already.
  void EndLookupLocked(const InstanceKey& key, uint64_t epoch)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // As it is, or was, at one moment. Reads the store.
  absl::StatusOr<std::optional<OrchestrationInfo>> ReadInfo(
      const InstanceKey& key, bool payloads) ABSL_LOCKS_EXCLUDED(mu_);
  // Has a reader answer `done` with that.
  void PostReadLocked(const InstanceKey& key, bool payloads,
                      Done<std::optional<OrchestrationInfo>> done)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Whether what is waited for is still to come.
  bool IsAheadLocked(const std::string& directory_key, Until until,
                     uint64_t seen) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Whose history it is. Reads the store.
  absl::StatusOr<InstanceNumber> FindExecution(const InstanceKey& key,
                                               const Payload& execution_id,
                                               bool replaced);
  struct PurgeJob;
  void PurgeNext(const std::shared_ptr<PurgeJob>& job) ABSL_LOCKS_EXCLUDED(mu_);
  void PurgeRow(const std::shared_ptr<PurgeJob>& job, const InstanceKey& key,
                const absl::StatusOr<std::optional<InstanceRow>>& row,
                uint64_t epoch) ABSL_LOCKS_EXCLUDED(mu_);
  void PurgePage(const std::shared_ptr<PurgeJob>& job) ABSL_LOCKS_EXCLUDED(mu_);

  // ---- engine_recovery.cc ----
  void FailLocked(const absl::Status& status)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ForgetAllLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status Load() ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status LoadOneLocked(OpenInstance& stored)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Recover() ABSL_LOCKS_EXCLUDED(mu_);

  // Constant after construction.
  Clock& clock_;
  Store& store_;
  InstanceRegistry& registry_;
  EngineObserver& observer_;
  const EngineOptions options_;

  // Synchronises itself.
  CountedExecutor writer_;
  CountedExecutor readers_;
  CommitQueue commits_;

  mutable Mutex mu_;
  CondVar timers_changed_;
  // Not OK: why everything is refused.
  absl::Status not_serving_ ABSL_GUARDED_BY(mu_) =
      absl::UnavailableError("the store is not open yet");
  bool draining_ ABSL_GUARDED_BY(mu_) = false;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  // Grows when memory is thrown away: what was begun before is void.
  uint64_t epoch_ ABSL_GUARDED_BY(mu_) = 0;
  Deferred deferred_ ABSL_GUARDED_BY(mu_);
  absl::BitGen random_ ABSL_GUARDED_BY(mu_);
  InstanceNumber last_number_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t turns_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t last_load_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t last_revision_ ABSL_GUARDED_BY(mu_) = 0;
  WaitId last_wait_ ABSL_GUARDED_BY(mu_) = 0;

  // By key: those that are open, and those whose end is not durable yet.
  absl::flat_hash_map<std::string, OrchestrationPtr> directory_
      ABSL_GUARDED_BY(mu_);
  absl::flat_hash_map<InstanceNumber, Orchestration*> by_number_
      ABSL_GUARDED_BY(mu_);
  absl::flat_hash_map<std::string, std::vector<Waiter>> waiters_
      ABSL_GUARDED_BY(mu_);
  absl::flat_hash_map<std::string, Lookups> lookups_ ABSL_GUARDED_BY(mu_);
  // By tenant and request ID; of each the first one runs.
  absl::flat_hash_map<std::string, std::deque<QueuedStart>> requests_
      ABSL_GUARDED_BY(mu_);
  Dispatcher dispatcher_ ABSL_GUARDED_BY(mu_);
  Timers timers_ ABSL_GUARDED_BY(mu_);
  // When a store that has failed is tried again.
  std::optional<StoredTime> recover_at_ ABSL_GUARDED_BY(mu_);
  absl::Duration recover_delay_ ABSL_GUARDED_BY(mu_);

  std::thread timer_thread_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_ENGINE_H_
