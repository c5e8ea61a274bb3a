// InstanceRegistry: finds or creates the one context of a key, and closes it.
//
// One context a key, always: a context stays in its shard's table from before
// its first initializer until after its last detach hook. Calls that come while
// it opens or closes wait in it, holding no thread.
//
//   Acquire ─ none ──▶ create ─▶ Opening ─▶ Open ─ lease over, Release, ─▶
//   Closing
//      │                            ▲         ▲     Shutdown                 │
//      ├─ Opening, Closing: wait ───┴─────────┼───── erased; who waits ◀─────┘
//      └─ Open: pin ──────────────────────────┘      acquires again
//
// Taking a pin on an open context is a lookup under its shard's lock and one
// compare-and-swap; giving it back is a store and one more.
//
// Lock order: a shard's lock, then the lease manager's. No hook, observer,
// provider or waiter is called with either held.
//
// Thread-safety: safe.   Lifetime: clock, executor, provider, initializers and
// observer outlive it; it outlives every Pin.
#ifndef LEASEHOLD_SERVICE_INSTANCE_INSTANCE_REGISTRY_H_
#define LEASEHOLD_SERVICE_INSTANCE_INSTANCE_REGISTRY_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "lease/clock.h"
#include "lease/lease_manager.h"
#include "lease/mutex.h"
#include "service/instance/context_initializer.h"
#include "service/instance/context_table.h"
#include "service/instance/executor.h"
#include "service/instance/generation_counter.h"
#include "service/instance/hook.h"
#include "service/instance/instance_context.h"
#include "service/instance/instance_context_provider.h"
#include "service/instance/instance_headers.h"
#include "service/instance/instance_info.h"
#include "service/instance/instance_observer.h"

namespace leasehold {

// A call's hold on its instance.
struct PinGrant {
  Pin pin;
  bool created = false;  // This call made the context.
};

// A call that may have to wait for its context. Its owner derives from it.
class PinWaiter {
 public:
  explicit PinWaiter(InstanceRequest request) : request_(std::move(request)) {}
  PinWaiter(const PinWaiter&) = delete;
  PinWaiter& operator=(const PinWaiter&) = delete;

  const InstanceRequest& request() const { return request_; }

  // The end of a wait: called once, on any thread, without a lock held. Not
  // called if Acquire answered itself, or if CancelWait returned true.
  virtual void OnGrant(absl::StatusOr<PinGrant> grant) = 0;

 protected:
  virtual ~PinWaiter() = default;

 private:
  friend class InstanceRegistry;

  InstanceRequest
      request_;  // Constant but for its key, which a provider may choose.
  // While waiting; guarded by the shard of the key.
  InstanceContext* context_ = nullptr;
  PinWaiter* prev_ = nullptr;
  PinWaiter* next_ = nullptr;
  bool opens_ = false;  // This call made the context that it waits for.
};

struct InstanceRegistryOptions {
  absl::Duration idle_timeout = absl::Seconds(20);
  absl::Duration idle_timeout_min = absl::Milliseconds(10);
  absl::Duration idle_timeout_max = absl::Hours(24);
  size_t contexts_max = 1'000'000;
  // At that bound: make room by closing an idle context, or refuse.
  bool evict_idle = true;
  // How long calls wait for a detach hook that does not answer.
  absl::Duration detach_timeout = absl::Seconds(5);
};

class InstanceRegistry final : private LeaseListener, private ContextHome {
 public:
  InstanceRegistry(Clock& clock, Executor& executor,
                   InstanceContextProvider& provider,
                   std::vector<ContextInitializer*> initializers,
                   std::vector<InstanceObserver*> observers,
                   InstanceRegistryOptions options);
  // REQUIRES: no context is left (Shutdown has ended).
  ~InstanceRegistry() override;
  InstanceRegistry(const InstanceRegistry&) = delete;
  InstanceRegistry& operator=(const InstanceRegistry&) = delete;

  // Starts the lease thread. Without it, leases end when RunDueLeases is
  // called.
  void Start() { leases_.Start(); }
  size_t RunDueLeases() { return leases_.RunDue(); }
  Instant NextLeaseDue() const { return leases_.NextDue(); }

  // A pin on the context of `waiter`'s request, which is found or created.
  // Answers at once if it can; else returns nullopt, and waiter.OnGrant gets
  // the answer. Never blocks.
  //   AlreadyExists, NotFound: as `expect` asked.
  //   ResourceExhausted: the server holds as many contexts as it may.
  //   Unavailable: the registry shuts down.
  //   Anything an initializer answers.
  // REQUIRES: `waiter` is not waiting; it lives until the answer, or until
  // CancelWait has returned true.
  [[nodiscard]] std::optional<absl::StatusOr<PinGrant>> Acquire(
      PinWaiter& waiter);

  // Stops waiting. True: OnGrant will not be called. False: it has been called,
  // or is about to be. A context that the waiter was the first to ask for opens
  // all the same.
  [[nodiscard]] bool CancelWait(PinWaiter& waiter);

  // What is known of a context; nullopt: there is none.
  std::optional<InstanceInfo> Describe(const InstanceKey& key);

  // A page of all contexts of `tenant`. A context that is open throughout all
  // pages appears exactly once, others at most once. Takes the time of a walk
  // through one shard: not for a thread that serves calls.
  //   InvalidArgument: the page token is none of ours.
  absl::StatusOr<InstancePage> List(std::string_view tenant,
                                    const InstanceQuery& query);

  // Renews a lease: counts as a use, without a pin. (That of an opening context
  // is yet to begin.) What is known then.
  //   NotFound: there is no such context, or it is on its way out.
  absl::StatusOr<InstanceInfo> KeepAlive(const InstanceKey& key);

  // Changes the idle timeout, within the bounds; the lease now ends at last use
  // + timeout. Services no longer make it longer.
  //   NotFound: as above.
  absl::StatusOr<InstanceInfo> SetIdleTimeout(const InstanceKey& key,
                                              absl::Duration timeout);

  // Closes a context. OK: it closes, or did already, and `closed` (which may be
  // empty) will be called, on the executor, when it is gone. `force`: a busy
  // one takes no new pins from now on, whoever holds it for long is told, and
  // it closes when the last pin goes.
  //   NotFound: there is none.   FailedPrecondition: it has pins and `force` is
  //   not set, or it is opening.
  absl::Status Release(const InstanceKey& key, bool force = false,
                       std::function<void()> closed = {});

  // While somebody watches contexts become idle and busy, observers are told of
  // it (kIdle, kBusy); it costs each call something. Calls nest.
  void WatchUse() { use_watchers_.fetch_add(1); }
  void UnwatchUse() { use_watchers_.fetch_sub(1); }

  // Refuses new contexts, closes every context as soon as it is idle, and calls
  // `done` when none is left and nothing of the registry runs any more: `done`
  // may destroy it. On any thread but the lease thread, perhaps this one.
  // Called once.
  void Shutdown(std::function<void()> done);

  // Contexts in any state.
  size_t size() const { return size_.load(std::memory_order_relaxed); }
  // Detach hooks of closing contexts that failed, ever.
  uint64_t detach_failures() const {
    return detach_failures_.load(std::memory_order_relaxed);
  }

 private:
  // What Acquire found, to be told of once the lock is gone.
  struct Acquired {
    std::optional<absl::StatusOr<PinGrant>> answer;  // Empty: waiting.
    InstanceContext* created = nullptr;              // Opening or Open.
    // For the initializers of `created`, as the first caller may go.
    std::shared_ptr<const InitializerRequest> opening_request = {};
    bool was_idle = false;
    bool full = false;  // There is no room for one more context.
  };
  // Through it late callbacks of providers find the registry, or find it gone.
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
  // A service has touched `context`: its idle timeout is at least what that
  // wants.
  void TouchLocked(InstanceContext& context, const InstanceRequest& request)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(context.mu_);
  // `opens`: the waiter's call has just made `context`.
  void WaitLocked(InstanceContext& context, PinWaiter& waiter, bool opens,
                  Acquired& acquired)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(context.mu_);
  // Takes all waiters off `context`, first come first.
  static std::vector<PinWaiter*> TakeWaitersLocked(InstanceContext& context)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(context.mu_);
  // What is left to do after AcquireLocked, without the lock.
  void Settle(const Acquired& acquired);

  // Opening. Runs the initializers, then opens the context or takes it down.
  void RunInitializers(InstanceContext& context,
                       std::shared_ptr<const InitializerRequest> request);
  void Open(InstanceContext& context);
  void FailOpening(InstanceContext& context, const absl::Status& status);

  // Idle: told by the lease manager, the last unpin and the provider's
  // callback.
  void OnLeasesOver(absl::Span<Lease* const> leases) override;
  void OnLastUnpin(InstanceContext& context) override;
  void OnProviderIdle(const InstanceKey& key, uint64_t generation);
  // Has each of `contexts` decided on the executor; takes over a reference
  // each.
  void PostDecide(std::vector<InstanceContext*> contexts);
  // Decides whether `context` ends now, runs on with a lease, or waits for its
  // provider; one that was moved to Closing begins to close here. Takes over
  // one reference. Runs on the executor.
  void Decide(InstanceContext& context);
  void DecideOnce(InstanceContext& context);
  void GrantLease(InstanceContext& context, bool from_now);
  void RevokeLease(InstanceContext& context);

  // Room: contexts that are opening or open are bounded, and so are those that
  // close. TakeRoom counts one more; false: there is no room.
  bool TakeRoom(bool promised);
  void LeaveRoom() { live_.fetch_sub(1, std::memory_order_relaxed); }
  // Evicts one idle context, looking through the shards from `first` on. False:
  // none was found, or eviction is off.
  bool EvictOne(size_t first);
  bool EvictFrom(ContextTable::Shard& shard);

  // Has the hooks of a closing context timed, so that who waits is told.
  void TimeHooksLocked(InstanceContext& context)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(context.mu_);
  // Tells them, if the hooks of `context` have had the detach timeout.
  void FailWaitersOfHangingHook(InstanceContext& context);
  absl::Status Hangs(const InstanceContext& context) const;

  // From idle to Closing, if nothing has happened since `seen`.
  bool TryClose(InstanceContext& context, ContextWord::Value seen);
  // Closing. Has the closing begun on the executor, by Decide. REQUIRES: the
  // word was moved to Closing by the caller.
  void BeginClosing(InstanceContext& context, DetachReason reason);
  void Close(InstanceContext& context, DetachReason reason);
  // `in_own_task`: nobody waits for this thread.
  void DetachAll(InstanceContext& context, DetachReason reason,
                 bool in_own_task, std::function<void()> end);
  // Runs hooks on the executor: here, or if they may block in their own task.
  void RunHooks(HookChain::Steps steps, bool may_block);
  // Destroys the extensions, takes the context out of its table, and has those
  // who waited for it answered: with `status`, or if that is OK by acquiring
  // the key anew.
  void Erase(InstanceContext& context, const absl::Status& status);

  // Adds contexts of one shard to `found`, up to `count_max` in all, in order
  // of their hashes after `after_hash`. Returns the hash to go on after;
  // nullopt: the shard is done.
  std::optional<uint64_t> ListShard(std::string_view tenant,
                                    const InstanceQuery& query, size_t index,
                                    std::optional<uint64_t> after_hash,
                                    size_t count_max,
                                    std::vector<InstanceInfo>& found);
  // The context of `key` with a reference, or nullptr.
  InstanceContext* Find(const InstanceKey& key);
  absl::Duration Bounded(absl::Duration idle_timeout) const;
  InstanceEvent Event(InstanceEventKind kind,
                      const InstanceContext& context) const;
  void Observe(const InstanceEvent& event);
  // Runs `task` on the executor; the registry is not done before it is.
  void Post(std::function<void()> task);
  void Hold() { holds_.fetch_add(1, std::memory_order_relaxed); }
  bool TryHold();  // False: all is done, and Shutdown has said so.
  void Unhold();   // The last one, after Shutdown, says that all is done.
  void OnContextGone() override { Unhold(); }

  // Constant after construction.
  Clock& clock_;
  Executor& executor_;
  InstanceContextProvider& provider_;
  const std::vector<ContextInitializer*> initializers_;
  const bool initializers_block_;
  const std::vector<InstanceObserver*> observers_;
  const InstanceRegistryOptions options_;
  const bool leased_;

  // Synchronises itself.
  GenerationCounter generations_;
  std::atomic<size_t> size_{0};  // Contexts in any state.
  std::atomic<size_t> live_{0};  // Those that are opening or open.
  std::atomic<uint64_t> detach_failures_{0};
  // Contexts in memory, posted tasks, and one until Shutdown has told all.
  std::atomic<size_t> holds_{1};
  std::atomic<bool> shutting_down_{false};
  LeaseManager leases_;

  ContextTable table_;
  const std::shared_ptr<CallbackDoor> callback_door_;

  Mutex shutdown_mu_;
  std::function<void()> shutdown_done_ ABSL_GUARDED_BY(shutdown_mu_);
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_INSTANCE_INSTANCE_REGISTRY_H_
