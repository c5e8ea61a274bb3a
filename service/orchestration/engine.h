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
// Lock order: the engine's lock, then the commit queue's. No store, registry,
// sink or callback is called while either is held.
//
// Thread-safety: safe. Callbacks run on any thread, once each, under no lock;
// they must not block.   Lifetime: clock, store, registry, executors and
// observer outlive the engine. After Stop, only starts that wait for their
// context are still answered; the registry's Shutdown, which ends such waits
// and the contexts that hold our extensions, must finish before the engine is
// destroyed.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_ENGINE_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_ENGINE_H_

#include <array>
#include <atomic>
#include <cstddef>
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

#include "absl/container/btree_set.h"
#include "absl/container/flat_hash_set.h"
#include "absl/random/random.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lease/clock.h"
#include "lease/mutex.h"
#include "service/instance/executor.h"
#include "service/instance/instance_key.h"
#include "service/instance/instance_registry.h"
#include "service/orchestration/admission.h"
#include "service/orchestration/commit_queue.h"
#include "service/orchestration/context_hold.h"
#include "service/orchestration/counted_executor.h"
#include "service/orchestration/directory.h"
#include "service/orchestration/dispatcher.h"
#include "service/orchestration/engine_observer.h"
#include "service/orchestration/keyed_line.h"
#include "service/orchestration/orchestration.h"
#include "service/orchestration/orchestration_info.h"
#include "service/orchestration/orchestrations.h"
#include "service/orchestration/outbox.h"
#include "service/orchestration/requests.h"
#include "service/orchestration/timers.h"
#include "service/orchestration/turn.h"
#include "service/orchestration/waits.h"
#include "service/orchestration/work_exchange.h"
#include "service/orchestration/work_watch.h"
#include "service/storage/store.h"

namespace leasehold {

struct EngineOptions {
  // The minimum idle timeout that orchestrations request for their contexts
  // (`--idle-timeout=...,orchestration=D`).
  absl::Duration idle_timeout = absl::ZeroDuration();
  TurnLimits limits = {};
  // Maximum number of waits for orchestrations per connection.
  size_t waits_max = 10'000;
  // Work fails after it was lost this many times in a row (`--max-deliveries`):
  // its worker went away with it, or the server ended while it had it.
  int deliveries_max = 10;
  // Maximum size of what callers have sent to one orchestration and no turn has
  // taken yet (`--max-inbox-bytes`).
  size_t inbox_bytes_max = size_t{256} << 20;
  // Work that no connected worker knows fails; otherwise it waits for a worker
  // that does (`--unknown-work`).
  bool unknown_work_fails = false;
  // How long a worker may keep a turn, or an activity, before it is lost
  // (`--turn-timeout-on-worker`, `--activity-timeout`). 0: no limit.
  absl::Duration turn_timeout = absl::ZeroDuration();
  absl::Duration activity_timeout = absl::ZeroDuration();
  // Whether to check the rules of life.h each time the lock is released; a
  // broken rule ends the process. Debug and sanitizer builds always check.
  bool check_invariants = false;
  // Whether what one orchestration causes in another is in the same commit.
  // Tests turn it off: then each such message is a row of the outbox, and its
  // effect a commit of its own, as between two partitions.
  bool outbox_shortcut = true;
};

class Engine final : public Orchestrations, public WorkExchange {
 public:
  // `writer` runs one task at a time; `readers` may run several.
  Engine(Clock& clock, Store& store, InstanceRegistry& registry,
         Executor& writer, Executor& readers, EngineObserver& observer,
         EngineOptions options);
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
  // Refuses new starts and waits, and ends pending waits. Work continues.
  void Drain() ABSL_LOCKS_EXCLUDED(mu_);
  // Refuses everything from now on and releases the contexts. Blocks until all
  // running operations have ended; see above for what may follow. Idempotent.
  void Stop() ABSL_LOCKS_EXCLUDED(mu_);

  // ---- Orchestrations ------------------------------------------------------

  void Start(StartRequest request, Done<StartReceipt> done) override
      ABSL_LOCKS_EXCLUDED(mu_);
  void Restart(const InstanceKey& key, std::optional<std::string> new_id,
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
  void PurgeMatching(RowQuery filter, bool recursive, absl::Duration timeout,
                     Done<PurgeResult> done) override ABSL_LOCKS_EXCLUDED(mu_);
  void Wipe(DoneStatus done) override ABSL_LOCKS_EXCLUDED(mu_);
  void Query(OrchestrationQuery query, Done<OrchestrationPage> done) override
      ABSL_LOCKS_EXCLUDED(mu_);
  void ListFinished(FinishedQuery query, Done<FinishedPage> done) override
      ABSL_LOCKS_EXCLUDED(mu_);
  void ReadHistory(const InstanceKey& key, HistoryQuery query,
                   Done<HistoryPage> done) override ABSL_LOCKS_EXCLUDED(mu_);

  // ---- WorkExchange --------------------------------------------------------

  WorkerId Connect(WorkerOptions options,
                   std::shared_ptr<WorkSink> sink) override
      ABSL_LOCKS_EXCLUDED(mu_);
  void Disconnect(WorkerId id) override ABSL_LOCKS_EXCLUDED(mu_);
  void OnWorkTaken() override ABSL_LOCKS_EXCLUDED(mu_);
  void CompleteTurn(const WorkName& name, TurnAnswer answer,
                    DoneStatus done) override ABSL_LOCKS_EXCLUDED(mu_);
  void CompleteActivity(const WorkName& name, EventBody end,
                        DoneStatus done) override ABSL_LOCKS_EXCLUDED(mu_);
  void RefuseAnswer(WorkKind kind, const WorkName& name,
                    std::string_view reason) override ABSL_LOCKS_EXCLUDED(mu_);
  void Abandon(WorkKind kind, const WorkName& name) override
      ABSL_LOCKS_EXCLUDED(mu_);

  // ---- Counts ---------------------------------------------------------------

  EngineCounts counts() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  friend class HotOrchestration;
  class AcquireForStart;
  class AcquireForWork;
  class ForcedRelease;
  class Look;
  class Section;
  // What remains to be done after the lock is released.
  struct Effects {
    std::vector<std::function<void()>> calls;
    std::vector<std::pair<std::shared_ptr<WorkSink>, std::string>> items;
    std::vector<OrchestrationPtr> to_pin;
    std::vector<std::shared_ptr<ContextHold>> to_list;
    std::vector<std::shared_ptr<ContextHold>> unpinned;
  };
  struct Waiter : WaitRequest {
    WaitId id;
    Done<SharedInfo> done;
  };
  struct QueuedStart {
    StartRequest request;
    Done<StartReceipt> done;
  };
  // Receives the store's row for a key that is not open. `epoch`: the epoch of
  // the request.
  using Lookup = std::function<void(absl::StatusOr<std::optional<RunRow>>,
                                    uint64_t epoch)>;

  // ---- engine.cc ----
  void Finish(Effects effects) ABSL_LOCKS_EXCLUDED(mu_);
  // Sends out the work that can go, and takes what remains to be done.
  Effects LeaveLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void CheckInvariantsLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The registry's, and counts it.
  std::optional<absl::StatusOr<PinGrant>> Acquire(PinWaiter& waiter);
  // Answers `done` with `status` after the lock is released.
  template <typename AnyDone>
  void RefuseLocked(const AnyDone& done, const absl::Status& status)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    effects_.calls.push_back([done, status] { done(status); });
  }
  // Calls `done` after the lock is released, once all queued commits are
  // durable or have failed.
  void AfterCommitsLocked(DoneStatus done) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void RunTimers() ABSL_LOCKS_EXCLUDED(mu_);
  std::optional<StoredTime> NextDueLocked() const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void EndWaitsLocked(const absl::Status& status)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // `early`: see Timers::Add.
  void AddTimerLocked(const Timers::Entry& entry, StoredTime early = 0)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Microseconds on the monotonic clock, for anything but times of day.
  StoredTime MonotonicLocked() const;
  // Checks whether the wall clock was set back since the last call.
  void FollowWallLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void CancelTimersLocked(RunNumber number, const RuntimeState& state)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // A timer set by the orchestrator is due.
  void FireLocked(Orchestration& orchestration, int32_t id)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  Timestamp NowLocked() const;
  OrchestrationPtr FindOpenLocked(const InstanceKey& key)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return directory_.FindOpen(key);
  }
  std::string NewExecutionIdLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // Posts a message to an open orchestration; it takes effect when `commit` is
  // durable. Sets the message's sequence.
  void PostMessageLocked(const OrchestrationPtr& target, Message message,
                         PendingCommit& commit)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Same, for an event.
  void PostLocked(const OrchestrationPtr& target, std::string execution_id,
                  const HistoryEvent& event, PendingCommit& commit)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The message's row. A large event is kept in the row only.
  static PutMessage MakeRow(const Orchestration& target, Message& message);
  // ResourceExhausted: the inbox has no room for the message.
  absl::Status CheckInboxLocked(const Orchestration& target,
                                const Message& message) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ReceiveLocked(Orchestration& target, Message message)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void SendCommand(const InstanceKey& key, HistoryEvent event, DoneStatus done)
      ABSL_LOCKS_EXCLUDED(mu_);
  void OnCommitted(std::vector<PendingCommit> batch, const CommitResult& result)
      ABSL_LOCKS_EXCLUDED(mu_);

  // The orchestration has ended: frees all that nobody else still holds.
  void EndLocked(Orchestration& orchestration)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The orchestration has changed: notifies its waiters.
  void WakeLocked(const Orchestration& orchestration, OrchestrationInfo info)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool IsAwaitedLocked(const InstanceKey& key) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return !waits_.empty() && waits_.Contains(Directory::NameOf(key));
  }

  // ---- engine_outbox.cc ----
  // Sends an event to an orchestration, or starts a sub-orchestration: as a
  // part of `commit`, or with a row of the outbox in it. `from`: whose event it
  // is. What it tells itself never leaves its partition.
  void SendLocked(const InstanceKey& from, OutboxMessage message,
                  PendingCommit& commit) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The row is durable: commits what it causes, and takes it.
  void PushLocked(const OutboxRow& row) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ActOnLocked(OutboxMessage message, PendingCommit& commit)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Starts a sub-orchestration, or tells its parent that its ID is taken.
  void ActOnStartLocked(const InstanceKey& key, ExecutionStarted started,
                        PendingCommit& commit)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // ---- engine_start.cc ----
  // Adds a new orchestration to the directory, and its changes to `commit`.
  OrchestrationPtr CreateLocked(const InstanceKey& key,
                                ExecutionStarted started, PendingCommit& commit)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Starts with the same request ID run one after the other, so that each finds
  // what the previous one stored.
  void StartOnce(StartRequest request, Done<StartReceipt> done)
      ABSL_LOCKS_EXCLUDED(mu_);
  void BeginRequestLocked(const std::string& name)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void RunRequest(const std::string& name, QueuedStart start)
      ABSL_LOCKS_EXCLUDED(mu_);
  void EndRequest(const std::string& name) ABSL_LOCKS_EXCLUDED(mu_);
  void StartNow(StartRequest request, Done<StartReceipt> done)
      ABSL_LOCKS_EXCLUDED(mu_);
  void StartWithPin(const std::shared_ptr<AcquireForStart>& start)
      ABSL_LOCKS_EXCLUDED(mu_);
  // Decides again after all queued commits.
  void StartLaterLocked(const std::shared_ptr<AcquireForStart>& start)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // `ended`: the stored orchestration that has the ID and is not open.
  void DecideStartLocked(const std::shared_ptr<AcquireForStart>& start,
                         const std::optional<OrchestrationInfo>& ended)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void DecideFoundLocked(const std::shared_ptr<AcquireForStart>& start,
                         const std::optional<RunRow>& row)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Reads a start event that is away; then calls `done`, to decide again.
  void FetchStartLocked(const OrchestrationPtr& orchestration, DoneStatus done)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Creates the orchestration that a start requests.
  OrchestrationPtr CreateForLocked(const StartRequest& request,
                                   PendingCommit& commit)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Ends the orchestration here, without a worker, and records it as
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
  std::shared_ptr<ContextHold> HoldOf(Orchestration& orchestration, Pin pin);
  // From now on `pin` holds its context, and `hot` is the place of its state.
  void AdoptLocked(Orchestration& orchestration,
                   std::shared_ptr<ContextHold> pin, HotOrchestration& hot)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Work has gone out: its orchestration is pinned, thawed, then it is sent.
  void SendOutLocked(Work& work) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void SendLocked(Work& work) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // `read`: the events of messages that were away.
  using ReadEvents = std::map<int64_t, std::string>;
  void SendTurnLocked(Orchestration& orchestration, const ReadEvents& read = {})
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Reads the events of a turn's messages that are away, then sends the turn.
  void ReadInboxLocked(Orchestration& orchestration)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ReadInbox(const OrchestrationPtr& orchestration, uint64_t load,
                 const MessageRange& range) ABSL_LOCKS_EXCLUDED(mu_);
  void SendActivityLocked(ActivityWork& work)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void SendActivityLocked(ActivityWork& work, const TaskScheduled& task)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Reads an activity that is away, then sends it if it is still out with that
  // token.
  void ReadTask(const OrchestrationPtr& orchestration, int32_t id,
                const std::string& token) ABSL_LOCKS_EXCLUDED(mu_);
  // True: the worker has too much unread already, and the work is queued again.
  bool PutBackIfFullLocked(Work& work) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void SendItemLocked(Work& work, std::string item)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ThawLocked(Orchestration& orchestration)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ReadForThaw(const OrchestrationPtr& orchestration, uint64_t load)
      ABSL_LOCKS_EXCLUDED(mu_);
  // Creates an activity without queueing it; nullptr: one with this ID exists.
  // `away`: everything but its name is only in the store.
  ActivityWork* MakeActivityLocked(Orchestration& orchestration, int32_t id,
                                   TaskScheduled task, bool away)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void AddActivityLocked(Orchestration& orchestration, int32_t id,
                         TaskScheduled task) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Park(HotOrchestration& hot) ABSL_LOCKS_EXCLUDED(mu_);
  void OnForcedRelease(const OrchestrationPtr& orchestration)
      ABSL_LOCKS_EXCLUDED(mu_);

  // ---- engine_end.cc ----
  // Adds an end without a worker to `commit`. Nothing is removed yet.
  void RecordEndLocked(const Orchestration& orchestration,
                       ExecutionCompleted end, PendingCommit& commit)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Removes the orchestration once `commit` is durable. Until then, callers who
  // wait for its end still find it.
  void EndWithLocked(const OrchestrationPtr& orchestration,
                     PendingCommit& commit) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Tells the parent, if it has one that is open, that the orchestration ends.
  void TellParentLocked(const InstanceKey& key,
                        const std::optional<ParentLink>& parent,
                        OrchestrationStatus status,
                        const OpaqueMessage& failure, PendingCommit& commit)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Ends several orchestrations at once, without a worker.
  struct EndJob;
  using EndJobPtr = std::shared_ptr<EndJob>;
  void BeginEndLocked(const EndJobPtr& job) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ReadForEnd(const EndJobPtr& job) ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status ReadTerminate(EndJob& job);
  void GiveUpEndLocked(const EndJobPtr& job, const absl::Status& status)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void CommitEndLocked(const EndJobPtr& job) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Tells its sub-orchestrations to terminate, or schedules their end.
  void EndChildrenLocked(EndJob& job, const InstanceKey& key,
                         const RuntimeState& state, PendingCommit& commit)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void OnEnded(const EndJobPtr& job, const absl::Status& status)
      ABSL_LOCKS_EXCLUDED(mu_);
  // Ends terminating orchestrations that no worker would end.
  void EndTerminatingLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool EndIfLeftLocked(RunNumber number) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // ---- engine_watch.cc ----
  // Work was sent, or gets more time: its time limit starts now. Returns now.
  StoredTime WatchLocked(Work& work) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void TakeLateWorkLocked(StoredTime now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void TakeBackLateLocked(Work& work, absl::Duration limit)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // A worker has answered work of that name; `work`: that work, if known.
  void HearLocked(WorkKind kind, const WorkName& name, const Work* work)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // "its turn has been with worker 3 ..."; empty: nothing to report.
  std::string WithWhomLocked(const Work& work)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // ---- engine_answers.cc ----
  // Takes work from its worker; it goes out again after a delay.
  void RetryLocked(Work& work) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Same, for work that no worker has any more.
  void RetryLaterLocked(Work& work) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Reports an event about work to the observer after the lock is released.
  void ObserveLocked(WorkEventKind kind, Work& work, int count,
                     std::string_view reason)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ObserveLocked(WorkEvent event) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The work is out and will not come back. Ends it if it was lost too often.
  void CountLossLocked(Work& work, std::string_view how,
                       WorkEventKind kind = WorkEventKind::kLost)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The worker does not know the name. True: the answer does not count, and the
  // work goes to another worker or waits for one.
  bool DisownLocked(Work& work) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ObserveUnwantedLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // "no connected worker takes ..."; empty: a worker takes it, and answers.
  std::string UnwantedLocked(const Work& work)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void RefuseLateLocked(const WorkName& name, const DoneStatus& done)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  Work* FindWorkLocked(WorkKind kind, const WorkName& name)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Whether a turn of the orchestration was sent and can be answered.
  static bool AwaitsAnswer(const Orchestration& orchestration);
  void EndActivityLocked(ActivityWork& activity, EventBody end, DoneStatus done)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // ---- engine_rewind.cc ----
  // A rewind answer, which brings the history to continue with, in progress.
  struct RewindJob;
  using RewindJobPtr = std::shared_ptr<RewindJob>;
  // Reopens a failed orchestration, with a rewind in its inbox.
  void ReopenLocked(const RunRow& row, const OrchestrationInfo& info,
                    ExecutionRewound rewound, PendingCommit& commit)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void RewindLocked(Orchestration& orchestration,
                    std::vector<std::string> events, DoneStatus done)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void LookUpChildLocked(const RewindJobPtr& job)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void OnChildFound(const RewindJobPtr& job,
                    const absl::StatusOr<std::optional<RunRow>>& row,
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
  // The answer to a turn, in progress: what was sent, and the outcome.
  struct TurnInFlight;
  void CommitTurnLocked(Orchestration& orchestration, TurnAnswer answer,
                        DoneStatus done) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ApplyTurnLocked(TurnInFlight& turn) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The orchestration has changed: notifies waiters. `input`: the execution's.
  void TellLocked(Orchestration& orchestration, const HotState& hot,
                  const Payload& input) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ContinueAsNewLocked(TurnInFlight& turn, PendingCommit& commit)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void BeginNextLocked(TurnInFlight& turn) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void StartChildLocked(const OrchestrationPtr& parent,
                        TurnOutcome::Child child, PendingCommit& commit)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // ---- engine_reads.cc ----
  // Answers waiters whose condition already holds, after memory was rebuilt or
  // a key got another orchestration.
  void ReviewWaitersLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ReviewWaitersLocked(const InstanceKey& key)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ReviewLocked(const std::string& name) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void LookUpLocked(const InstanceKey& key, Lookup lookup)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Its next lookup begins: `name` is that of the key.
  void BeginLookupLocked(const InstanceKey& key, const std::string& name)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool LookupIsOutdatedLocked(const InstanceKey& key, uint64_t epoch)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The running lookup of `key` has finished. Lookups of an earlier epoch are
  // already forgotten.
  void EndLookupLocked(const InstanceKey& key, uint64_t epoch)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The orchestration's state at one moment. Reads the store.
  absl::StatusOr<std::optional<OrchestrationInfo>> ReadInfo(
      const InstanceKey& key, bool payloads) ABSL_LOCKS_EXCLUDED(mu_);
  // Adds the input of an orchestration that has not started. Reads the store.
  absl::Status AddPendingInput(RunNumber number, OrchestrationInfo& info);
  // Posts a task to a reader that answers `done` with ReadInfo.
  void PostReadLocked(const InstanceKey& key, bool payloads,
                      Done<std::optional<OrchestrationInfo>> done)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Why its work is not making progress, for people; empty: nothing blocks it.
  std::string WaitingFor(const InstanceKey& key) ABSL_LOCKS_EXCLUDED(mu_);
  // Whether the awaited condition is still to come.
  bool IsAheadLocked(const std::string& name, Until until, uint64_t seen)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Posts a task to a reader that answers a waiter.
  void PostReadLocked(const InstanceKey& key, bool payloads,
                      Done<SharedInfo> done) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The execution that a history belongs to. Reads the store.
  struct Execution {
    RunNumber number = 0;
    std::string id;  // Empty: damaged and unknown.
  };
  absl::StatusOr<Execution> FindExecution(const InstanceKey& key,
                                          const Payload& execution_id,
                                          bool replaced);
  absl::StatusOr<HistoryPage> ReadHistoryPage(const InstanceKey& key,
                                              HistoryQuery query);
  struct PurgeJob;
  void PurgeNext(const std::shared_ptr<PurgeJob>& job) ABSL_LOCKS_EXCLUDED(mu_);
  // The orchestration to erase for a key; 0: none.
  RunNumber PurgeableLocked(const InstanceKey& key,
                            const std::optional<RunRow>& row)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void PurgeRow(const std::shared_ptr<PurgeJob>& job, const InstanceKey& key,
                const absl::StatusOr<std::optional<RunRow>>& row,
                uint64_t epoch) ABSL_LOCKS_EXCLUDED(mu_);
  void PurgePage(const std::shared_ptr<PurgeJob>& job) ABSL_LOCKS_EXCLUDED(mu_);

  // ---- engine_recovery.cc ----
  // Earlier notes about work, by its name; each is removed when it is found.
  using LeftWork = std::map<Witness::Name, Witness::Left>;
  void FailLocked(const absl::Status& status)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ForgetAllLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status Load(const OpenedPartition& opened) ABSL_LOCKS_EXCLUDED(mu_);
  void LoadOneLocked(OpenRun& stored, LeftWork& left)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Loads what it has received. Returns why that is unreadable; empty: it is
  // not.
  std::string LoadPartsLocked(OpenRun& stored, Orchestration& orchestration,
                              LeftWork& left)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Notes in the store's witness that the server has this work, or no longer
  // has it.
  void NoteOutLocked(Work& work) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void NoteInLocked(Work& work) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void TakeLossesLocked(Work& work, LeftWork& left)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Ends work that was lost too often because the server died.
  void EndLostLocked(Orchestration& orchestration)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void FailWithoutWorker(const OrchestrationPtr& orchestration,
                         const OpaqueMessage& failure) ABSL_LOCKS_EXCLUDED(mu_);
  // Ignores an unreadable orchestration until it is purged.
  void SetAsideLocked(Orchestration& orchestration, std::string why)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Does so if `read` says that it is unreadable. Returns whether it did.
  bool SetAsideIfLostLocked(Orchestration& orchestration,
                            const absl::Status& read)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Why the open orchestration of that row is set aside; empty: it is not.
  std::string DamageOf(const RunRow& row) ABSL_LOCKS_EXCLUDED(mu_);
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

  // Only accepts() is used without the lock.
  Admission admission_;
  std::atomic<uint64_t> acquires_{0};

  mutable Mutex mu_;
  mutable uint64_t holds_ ABSL_GUARDED_BY(mu_) = 0;
  CondVar timers_changed_;
  // Grows when memory is discarded: operations begun before are void.
  uint64_t epoch_ ABSL_GUARDED_BY(mu_) = 0;
  Effects effects_ ABSL_GUARDED_BY(mu_);
  // Those that were created in this section and have an offer.
  std::vector<Orchestration*> offered_ ABSL_GUARDED_BY(mu_);
  absl::BitGen random_ ABSL_GUARDED_BY(mu_);
  RunNumber last_number_ ABSL_GUARDED_BY(mu_) = 0;
  Outbox outbox_ ABSL_GUARDED_BY(mu_);
  uint64_t turns_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t last_load_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t last_revision_ ABSL_GUARDED_BY(mu_) = 0;
  WaitId last_wait_ ABSL_GUARDED_BY(mu_) = 0;

  Directory directory_ ABSL_GUARDED_BY(mu_);
  Waits<Waiter> waits_ ABSL_GUARDED_BY(mu_);
  // Lookups by key, and the keys that lost an orchestration since their running
  // lookup began to read: its result may be outdated.
  KeyedLine<Lookup> lookups_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_set<std::string> outdated_lookups_ ABSL_GUARDED_BY(mu_);
  // By tenant and request ID.
  KeyedLine<QueuedStart> requests_ ABSL_GUARDED_BY(mu_);
  Dispatcher dispatcher_ ABSL_GUARDED_BY(mu_);
  Timers timers_ ABSL_GUARDED_BY(mu_);
  // Returned work, and when to retry a store that has failed; both on the
  // monotonic clock.
  Timers retries_ ABSL_GUARDED_BY(mu_);
  // Work that is out, by kind, on the same clock.
  std::array<WorkWatch, kWorkKinds> watches_ ABSL_GUARDED_BY(mu_);
  // Orchestrations told to terminate: those queued since their workers were
  // last checked, and all of them; and whether those workers may have changed.
  std::vector<RunNumber> newly_terminating_ ABSL_GUARDED_BY(mu_);
  absl::btree_set<RunNumber> terminating_ ABSL_GUARDED_BY(mu_);
  bool takers_changed_ ABSL_GUARDED_BY(mu_) = false;
  std::optional<StoredTime> recover_at_ ABSL_GUARDED_BY(mu_);
  // Both clocks, as last read together.
  std::optional<std::pair<absl::Time, Instant>> clocks_ ABSL_GUARDED_BY(mu_);
  absl::Duration recover_delay_ ABSL_GUARDED_BY(mu_);

  std::thread timer_thread_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_ENGINE_H_
