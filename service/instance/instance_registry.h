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
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "lease/clock.h"
#include "lease/lease_manager.h"
#include "lease/mutex.h"
#include "service/instance/context_initializer.h"
#include "service/instance/executor.h"
#include "service/instance/generation_counter.h"
#include "service/instance/instance_context.h"
#include "service/instance/instance_context_provider.h"
#include "service/instance/instance_headers.h"
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

  const InstanceRequest request_;
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
};

class InstanceRegistry final : private LeaseListener, private ContextHome {
 public:
  InstanceRegistry(Clock& clock, Executor& executor,
                   InstanceContextProvider& provider,
                   std::vector<ContextInitializer*> initializers,
                   InstanceObserver* observer, InstanceRegistryOptions options);
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

  // Closes an idle context. OK: its closing has begun, or was under way.
  //   NotFound: there is none.   FailedPrecondition: it has pins, or is
  //   opening.
  absl::Status Release(const InstanceKey& key);

  // Refuses new contexts, closes every context as soon as it is idle, and calls
  // `done` when none is left and nothing of the registry runs any more: `done`
  // may destroy it. On any thread but the lease thread, perhaps this one.
  // Called once.
  void Shutdown(std::function<void()> done);

  // Contexts in any state.
  size_t size() const { return size_.load(std::memory_order_relaxed); }

 private:
  // A key with its hash, for a lookup without a copy.
  struct KeyView {
    std::string_view tenant;
    std::string_view id;
    size_t hash;
  };
  struct Hash {
    using is_transparent = void;
    size_t operator()(const KeyView& key) const { return key.hash; }
    size_t operator()(const InstanceContext* c) const { return c->key_hash_; }
  };
  struct Equal {
    using is_transparent = void;
    bool operator()(const InstanceContext* a, const InstanceContext* b) const {
      return a == b;
    }
    bool operator()(const InstanceContext* c, const KeyView& key) const {
      return c->tenant() == key.tenant && c->id() == key.id;
    }
  };
  struct alignas(64) Shard {
    Mutex mu;
    absl::flat_hash_set<InstanceContext*, Hash, Equal> contexts
        ABSL_GUARDED_BY(mu);
  };
  // What Acquire found, to be told of once the lock is gone.
  struct Acquired {
    std::optional<absl::StatusOr<PinGrant>> answer;  // Empty: waiting.
    InstanceContext* created = nullptr;              // Opening or Open.
    // For the initializers of `created`, as the first caller may go.
    std::shared_ptr<const InstanceRequest> opening_request = {};
    bool was_idle = false;
  };
  static KeyView View(const InstanceKey& key);
  static KeyView View(const InstanceContext& context);
  Shard& ShardOf(const KeyView& key);

  Acquired AcquireLocked(Shard& shard, const KeyView& key, PinWaiter& waiter)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard.mu);
  absl::StatusOr<InstanceContext*> CreateLocked(Shard& shard,
                                                const KeyView& key,
                                                const InstanceRequest& request)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard.mu);
  // `opens`: the waiter's call has just made `context`.
  void WaitLocked(Shard& shard, InstanceContext& context, PinWaiter& waiter,
                  bool opens) ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard.mu);
  // Takes all waiters off `context`, first come first.
  static std::vector<PinWaiter*> TakeWaitersLocked(InstanceContext& context)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(context.mu_);
  // What is left to do after AcquireLocked, without the lock.
  void Settle(const Acquired& acquired);

  // Opening. Runs the initializers, then opens the context or takes it down.
  void RunInitializers(InstanceContext& context,
                       std::shared_ptr<const InstanceRequest> request);
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

  // Closing. Has the closing begun on the executor, by Decide. REQUIRES: the
  // word was moved to Closing by the caller.
  void BeginClosing(InstanceContext& context, DetachReason reason);
  void Close(InstanceContext& context, DetachReason reason);
  void DetachAll(InstanceContext& context, DetachReason reason,
                 std::function<void()> end);
  // Destroys the extensions, takes the context out of its table, and has those
  // who waited for it answered: with `status`, or if that is OK by acquiring
  // the key anew.
  void Erase(InstanceContext& context, const absl::Status& status);

  // The context of `key` with a reference, or nullptr.
  InstanceContext* Find(const InstanceKey& key);
  InstanceEvent Event(InstanceEventKind kind,
                      const InstanceContext& context) const;
  void Observe(const InstanceEvent& event);
  // Runs `task` on the executor; the registry is not done before it is.
  void Post(std::function<void()> task);
  void Hold() { holds_.fetch_add(1, std::memory_order_relaxed); }
  void Unhold();  // The last one, after Shutdown, says that all is done.
  void OnContextGone() override { Unhold(); }

  // Constant after construction.
  Clock& clock_;
  Executor& executor_;
  InstanceContextProvider& provider_;
  const std::vector<ContextInitializer*> initializers_;
  InstanceObserver* const observer_;
  const InstanceRegistryOptions options_;
  const bool leased_;
  const bool use_events_;

  // Synchronises itself.
  GenerationCounter generations_;
  std::atomic<size_t> size_{0};
  // Contexts in memory, posted tasks, and one until Shutdown has told all.
  std::atomic<size_t> holds_{1};
  std::atomic<bool> shutting_down_{false};
  LeaseManager leases_;

  static constexpr size_t kShards = 64;
  std::unique_ptr<Shard[]> shards_;

  Mutex shutdown_mu_;
  std::function<void()> shutdown_done_ ABSL_GUARDED_BY(shutdown_mu_);
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_INSTANCE_INSTANCE_REGISTRY_H_
