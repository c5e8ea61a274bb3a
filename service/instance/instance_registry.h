// InstanceRegistry: finds or creates the one context of a key, and closes it.
//
// Always one context per key: a context stays in its shard's table from before
// its first initializer until after its last detach hook. Calls that arrive
// while it opens or closes wait in it, without occupying a thread.
//
//   Acquire ─ none ─▶ create ─▶ Opening ─▶ Open ─ lease over, ─▶ Closing
//      │                           ▲         ▲    Release, Shutdown  │
//      ├─ Opening, Closing: wait ──┴─────────┼──── erased; waiting ◀─┘
//      └─ Open: pin ─────────────────────────┘     calls acquire again
//
// Taking a pin on an open context is a lookup under its shard's lock and one
// compare-and-swap; releasing it is a store and another compare-and-swap.
//
// Lock order: a shard's lock, then the lease manager's. No hook, observer,
// provider or waiter is called while either is held.
//
// Thread-safety: safe.   Lifetime: clock, executor, provider, initializers and
// observer outlive it; it outlives every Pin.
#ifndef LEASEHOLD_SERVICE_INSTANCE_INSTANCE_REGISTRY_H_
#define LEASEHOLD_SERVICE_INSTANCE_INSTANCE_REGISTRY_H_

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "lease/base/cells.h"
#include "lease/base/mutex.h"
#include "lease/clock.h"
#include "lease/lease_manager.h"
#include "service/base/page_token.h"
#include "service/instance/alarm_clock.h"
#include "service/instance/context_bounds.h"
#include "service/instance/context_initializer.h"
#include "service/instance/context_opening.h"
#include "service/instance/context_table.h"
#include "service/instance/context_timers.h"
#include "service/instance/executor.h"
#include "service/instance/gate.h"
#include "service/instance/generation_counter.h"
#include "service/instance/hook.h"
#include "service/instance/instance_context.h"
#include "service/instance/instance_context_provider.h"
#include "service/instance/instance_headers.h"
#include "service/instance/instance_info.h"
#include "service/instance/instance_observer.h"
#include "service/instance/observer_list.h"
#include "service/instance/pin_waiter.h"
#include "service/instance/provider_sets.h"
#include "service/instance/serial_queue.h"

namespace leasehold {

struct InstanceRegistryOptions {
  absl::Duration idle_timeout = absl::Seconds(20);
  absl::Duration idle_timeout_min = absl::Milliseconds(10);
  absl::Duration idle_timeout_max = absl::Hours(24);
  size_t contexts_max = 1'000'000;
  // At that limit: close an idle context to make room, or reject the call.
  bool evict_idle = true;
  // How long calls wait for a detach hook that does not answer.
  absl::Duration detach_timeout = absl::Seconds(5);
  // Time limit for all initializers of a context together, counted from the
  // first call.
  absl::Duration open_timeout = absl::Seconds(30);
};

class InstanceRegistry final : private LeaseListener, private ContextHome {
 public:
  InstanceRegistry(Clock& clock, Executor& executor,
                   InstanceContextProvider& provider,
                   std::vector<ContextInitializer*> initializers,
                   std::vector<InstanceObserver*> observers,
                   InstanceRegistryOptions options);
  // REQUIRES: no contexts are left (Shutdown has completed).
  ~InstanceRegistry() override;
  InstanceRegistry(const InstanceRegistry&) = delete;
  InstanceRegistry& operator=(const InstanceRegistry&) = delete;

  // Starts the lease thread. Without it, leases end when RunDueLeases is
  // called.
  void Start() {
    leases_.Start();
    alarms_.Start();
  }
  // Returns how many leases were over.
  size_t RunDueLeases() {
    alarms_.RunDue();
    return leases_.RunDue();
  }
  Instant NextLeaseDue() const {
    return std::min(leases_.NextDue(), alarms_.NextDue());
  }

  // A pin on the context of `waiter`'s request, which is found or created.
  // Returns the answer at once if possible; else returns nullopt, and
  // waiter.OnGrant gets the answer. Never blocks.
  //   AlreadyExists, NotFound: as `expect` asked.
  //   ResourceExhausted: the server holds its maximum number of contexts.
  //   Unavailable: the registry is shutting down.
  //   Unavailable: the initializers have exceeded the open timeout, or a detach
  //     hook the detach timeout.
  //   Aborted: the context was released by force while it opened.
  //   Any status that an initializer returns; Internal if it throws.
  // REQUIRES: `waiter` is not waiting; it lives until the answer, or until
  // CancelWait has returned true.
  [[nodiscard]] std::optional<absl::StatusOr<PinGrant>> Acquire(
      PinWaiter& waiter);

  // Stops waiting. True: OnGrant will not be called. False: it has been called,
  // or is about to be. A context that the waiter was the first to request opens
  // nevertheless.
  [[nodiscard]] bool CancelWait(PinWaiter& waiter);

  // A snapshot of a context; nullopt if there is none. `held_max`: how many
  // pins are described one by one.
  std::optional<InstanceInfo> Describe(const InstanceKey& key,
                                       size_t held_max = 0);

  // A page of all contexts of `tenant`. A context that is open throughout all
  // pages appears exactly once, others at most once. Takes as long as scanning
  // one shard: do not call it on a thread that serves calls.
  //   InvalidArgument: the page token was not issued by List.
  absl::StatusOr<InstancePage> List(std::string_view tenant,
                                    const InstanceQuery& query);

  // Renews a lease: counts as a use, without a pin. (The lease of an opening
  // context has yet to begin.) Returns the context's new state.
  //   NotFound: there is no such context, or it is closing.
  absl::StatusOr<InstanceInfo> KeepAlive(const InstanceKey& key);

  // Changes the idle timeout, within the bounds; the lease now ends at last use
  // + timeout. From then on services do not make it longer.
  //   NotFound: as above.
  absl::StatusOr<InstanceInfo> SetIdleTimeout(const InstanceKey& key,
                                              absl::Duration timeout);

  // Closes a context. OK: it is closing, and `closed` (which may be empty) will
  // be called, on the executor, when it is gone. With `force`, a busy context
  // takes no new pins from now on, its long-term holders are told, and it
  // closes when the last pin is released. An opening context is given up: the
  // calls that wait for it get Aborted, and it is gone as soon as no
  // initializer is inside its call.
  //   NotFound: there is none.   FailedPrecondition: it has pins, or is
  //   opening, and `force` is not set.
  absl::Status Release(const InstanceKey& key, bool force = false,
                       std::function<void()> closed = {});

  // Contexts that are created from now on have at least this generation: one
  // that no context had before the server was started.
  void RaiseGenerations(uint64_t min) { generations_.RaiseTo(min); }

  // While anyone watches contexts become idle and busy, observers get these
  // events (kIdle, kBusy), at some cost to each call. Calls nest.
  void WatchUse() { use_watchers_.fetch_add(1); }
  void UnwatchUse() { use_watchers_.fetch_sub(1); }

  // Tells all current and future long-term holders of a context that the server
  // drains (ReleaseListener::OnDraining). Idempotent.
  void TellDraining();
  bool draining() const { return draining_.load(); }

  // Tells observers (kThrew) that an embedder's `code` has thrown while it
  // worked for a context. REQUIRES: the exception is being handled.
  void OnThrew(const InstanceContext& context, std::string_view code) override;
  // The same for a context that may be gone.
  void OnThrew(const InstanceKey& key, uint64_t generation,
               std::string_view code);
  // The same, for an exception already caught.
  void TellThrew(const InstanceContext& context, std::string_view code,
                 std::string_view what);

  // Refuses new contexts, closes every context as soon as it is idle, and calls
  // `done` when none is left and the registry runs nothing any more: `done` may
  // destroy the registry. It runs on any thread but the lease thread, perhaps
  // the caller's. Called once.
  void Shutdown(std::function<void()> done);

  // Contexts in any state.
  size_t size() const { return bounds_.size(); }
  struct Counts {
    size_t live = 0;       // Contexts that are opening or open.
    size_t closing = 0;    // Contexts whose hooks run.
    size_t leases = 0;     // That run, or ran when their context became busy.
    uint64_t refused = 0;  // Contexts for which there was no room.
    // Pins of long-term holders, by PinKind. Calls are not among them.
    std::array<uint64_t, kPinKinds> held = {};
    HistogramReading lateness = {};  // Of leases that were over.
  };
  Counts counts() const;
  // Number of detach hooks of closing contexts that have ever failed.
  uint64_t detach_failures() const {
    return detach_failures_.load(std::memory_order_relaxed);
  }

 private:
  friend class ContextOpening;

  // The result of AcquireLocked, to act on after releasing the lock.
  struct Acquired {
    std::optional<absl::StatusOr<PinGrant>> answer;  // Empty: waiting.
    InstanceContext* created = nullptr;              // Opening or Open.
    // The initializers of `created`, if there are any.
    std::shared_ptr<HookChain> opening = {};
    bool was_idle = false;
    bool full = false;  // There is no room for one more context.
  };
  // Late callbacks of providers find the registry through it, or learn that the
  // registry is gone.
  struct CallbackDoor {
    Mutex mu;
    InstanceRegistry* registry ABSL_GUARDED_BY(mu) = nullptr;
  };

  // `promised`: the call has waited for the key, and gets it even if the server
  // is full.
  Acquired AcquireLocked(ContextTable::Shard& shard,
                         const ContextTable::KeyView& key, PinWaiter& waiter,
                         bool promised) ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard.mu);
  void CreateLocked(ContextTable::Shard& shard,
                    const ContextTable::KeyView& key, PinWaiter& waiter,
                    bool promised, Acquired& acquired)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard.mu);
  // A service has used `context`: its idle timeout is at least what the service
  // wants, and the service's provider is among its own.
  void TouchLocked(InstanceContext& context, const PinWaiter& waiter)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(context.mu_);
  // `opens`: the waiter's call has just created `context`.
  void WaitLocked(InstanceContext& context, PinWaiter& waiter, bool opens,
                  Acquired& acquired)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(context.mu_);
  // Removes and returns all waiters of `context`, in order of arrival.
  static std::vector<PinWaiter*> TakeWaitersLocked(InstanceContext& context)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(context.mu_);
  // The rest of the work after AcquireLocked, without the lock.
  void Settle(const Acquired& acquired);

  // Opening (instance_registry_opening.cc). Creates the chain that runs the
  // initializers and then opens the context or takes it down.
  std::shared_ptr<HookChain> MakeOpeningLocked(
      InstanceContext& context,
      std::shared_ptr<const InitializerRequest> request)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(context.mu_);
  void RunInitializers(InstanceContext& context,
                       const std::shared_ptr<HookChain>& chain);
  std::string InitializerName(size_t i) const;
  void EndOpening(ContextOpening& opening);
  void Open(ContextOpening& opening);
  void TakeDown(ContextOpening& opening);
  // From Opening to Closing, if its end has not begun. The caller must then,
  // without the lock, answer the waiters with `status` and abandon the chain.
  std::vector<PinWaiter*> GiveUpLocked(InstanceContext& context,
                                       ContextOpening& opening,
                                       const absl::Status& status,
                                       DetachReason reason)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(context.mu_);
  void OnOpeningDue(ContextOpening& opening);

  // Pins, while someone watches (instance_registry_admin.cc): changes of
  // long-term holders are reported at once; calls beside a holder are reported
  // after a moment, if they stay.
  class PinsLook;
  void OnPinsChanged(InstanceContext& context) override;
  void LookAtPinsLaterLocked(InstanceContext& context)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(context.mu_);
  void LookAtPins(const InstanceKey& key, uint64_t generation);

  void OnRemovalFailed(const InstanceContext& context,
                       const ExtensionType& type,
                       const absl::Status& status) override;

  // Idle: called by the lease manager, the last unpin and the provider's
  // callback.
  void OnLeasesOver(absl::Span<Lease* const> leases) override;
  void OnLastUnpin(InstanceContext& context) override;
  void OnProviderIdle(const InstanceKey& key, uint64_t generation);
  // Posts a Decide for each of `contexts` to the executor; takes over a
  // reference to each.
  void PostDecide(std::vector<InstanceContext*> contexts);
  // Decides whether `context` ends now, continues with a lease, or waits for
  // its provider; a context that was moved to Closing begins to close here.
  // Takes over one reference. Runs on the executor.
  // `in_own_task`: nothing else waits for this thread, so timers may run here.
  void Decide(InstanceContext& context, bool in_own_task = false);
  void DecideOnce(InstanceContext& context);

  // Timers (context_timers.h), which run where decisions are made.
  void OnTimersDue(InstanceContext& context) override;
  AlarmClock& timer_alarms() override { return alarms_; }
  AccessTimer& timer_access() override { return timer_access_; }
  // Those of an open context; null if there are none.
  static ContextTimers* TimersOf(InstanceContext& context);
  static bool HasReadyTimers(InstanceContext& context);
  // The context begins to close.
  static void CloseTimers(InstanceContext& context);
  // Asks the context's providers. An exception counts as "not idle".
  bool AskIsIdle(InstanceContext& context);
  void GrantLease(InstanceContext& context, bool from_now);
  void RevokeLease(InstanceContext& context);

  // Evicts one idle context, searching the shards from `first` on. False: none
  // was found, or eviction is off.
  bool EvictOne(size_t first);
  bool EvictFrom(ContextTable::Shard& shard);

  // Closing (instance_registry_closing.cc). Starts timing the hooks of a
  // closing context, so that waiting calls are told when they hang.
  void TimeHooksLocked(InstanceContext& context)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(context.mu_);
  // Answers them, if the hooks of `context` have exceeded the detach timeout.
  void FailWaitersOfHangingHook(InstanceContext& context);
  absl::Status Hangs(const InstanceContext& context) const;

  // From idle to Closing, if nothing has happened since `seen`.
  bool TryClose(InstanceContext& context, ContextWord::Value seen);
  // Closing. Posts the closing to the executor, where Decide begins it.
  // REQUIRES: the caller has moved the word to Closing.
  void BeginClosing(InstanceContext& context, DetachReason reason);
  void Close(InstanceContext& context, DetachReason reason);
  // `in_own_task`: nothing else waits for this thread.
  void DetachAll(InstanceContext& context, DetachReason reason,
                 bool in_own_task, std::function<void()> end);
  // Runs hooks on the executor: on this thread or, if they may block, in a
  // separate task.
  void RunHooks(HookChain::Steps steps, bool may_block);
  // Destroys the extensions, removes the context from its table, and answers
  // the calls that waited for it: with `status` or, if that is OK, by acquiring
  // the key again.
  void Erase(InstanceContext& context, const absl::Status& status);

  // Appends contexts of one shard to `found`, up to `count_max` in all, in
  // order of their hashes after `after_hash`. Returns the hash to continue
  // after; nullopt: the shard is done.
  std::optional<uint64_t> ListShard(std::string_view tenant,
                                    const InstanceQuery& query, size_t index,
                                    std::optional<uint64_t> after_hash,
                                    size_t count_max,
                                    std::vector<InstanceInfo>& found);
  // The context of `key` with a reference, or nullptr.
  InstanceContext* Find(const InstanceKey& key);
  absl::Duration Bounded(absl::Duration idle_timeout) const;
  static InstanceEvent Event(InstanceEventKind kind,
                             const InstanceContext& context) {
    return ObserverList::EventOf(kind, context);
  }
  void Observe(const InstanceEvent& event) { observers_.Tell(event); }
  // Reports that `context` is gone.
  void Tell(const InstanceContext& context,
            const std::function<void()>& closed);
  // Runs `task` on the executor; the registry is not done before it has run.
  void Post(std::function<void()> task);
  void OnContextGone() override { gate_.Leave(); }

  // Constant after construction.
  Clock& clock_;
  Executor& executor_;
  InstanceContextProvider& provider_;  // The server's.
  const std::vector<ContextInitializer*> initializers_;
  const bool initializers_block_;
  const ObserverList observers_;
  const InstanceRegistryOptions options_;
  // Of the pages of List, which show what lives no longer than this does.
  const PageTokens page_tokens_{PageTokens::NewKey()};

  // Synchronises itself.
  ProviderSets providers_;
  GenerationCounter generations_;
  ContextBounds bounds_;
  std::atomic<uint64_t> detach_failures_{0};
  SharedCell refused_;  // Contexts, for lack of room.
  // Contexts in memory and posted tasks are inside; Shutdown closes it.
  Gate gate_;
  std::atomic<bool> shutting_down_{false};
  LeaseManager leases_;
  AlarmClock alarms_;
  AccessTimer timer_access_;  // They wait for as long as it takes.

  // Shared with initializers that were given up: its locks are the contexts'.
  const std::shared_ptr<ContextTable> table_owner_ =
      std::make_shared<ContextTable>();
  ContextTable& table_ = *table_owner_;
  const std::shared_ptr<CallbackDoor> callback_door_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_INSTANCE_INSTANCE_REGISTRY_H_
