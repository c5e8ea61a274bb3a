// InstanceContext: the one live server-side object of an instance key.
//
// The registry finds it, pins keep it busy, and its lease keeps it alive for a
// while when idle. Services attach their state to it as extensions. While a
// caller holds a Pin, the context stays Open and all extension pointers that
// the caller obtained stay valid.
//
// Thread-safety: safe.   Lifetime: owned by the registry; a Pin keeps it open,
// and nothing else that an embedder holds does.
#ifndef LEASEHOLD_SERVICE_INSTANCE_INSTANCE_CONTEXT_H_
#define LEASEHOLD_SERVICE_INSTANCE_INSTANCE_CONTEXT_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "lease/base/cells.h"
#include "lease/base/mutex.h"
#include "lease/base/text_view.h"
#include "lease/clock.h"
#include "lease/lease.h"
#include "service/instance/context_word.h"
#include "service/instance/executor.h"
#include "service/instance/extension.h"
#include "service/instance/instance_info.h"
#include "service/instance/instance_key.h"
#include "service/instance/provider_sets.h"
#include "service/instance/wait_line.h"

namespace leasehold {

class AccessTimer;
class AlarmClock;
class ContextOpening;
class ContextTimer;
class ContextTimers;
class HeldPin;
class Pin;

// Tells a long-term holder of a context to let go. Each method is called at
// most once, from any thread, without a lock, and perhaps after the holder has
// let go by itself; must not block.
class ReleaseListener {
 public:
  virtual ~ReleaseListener() = default;
  // The context is being released by force.
  virtual void OnForcedRelease() = 0;
  // The server drains: calls that are still running when the drain timeout has
  // passed are cancelled.
  virtual void OnDraining() {}
};

// The registry, as its contexts see it.
class ContextHome {
 public:
  ContextHome(Clock& clock, Executor& executor)
      : clock_(clock), executor_(executor) {}

 protected:
  ~ContextHome() = default;

 private:
  friend class InstanceContext;

  // The last pin of a context that wants attention is gone. The caller holds a
  // reference to the context; no lock is held.
  virtual void OnLastUnpin(InstanceContext& context) = 0;
  // A context's memory is free: it will not touch the home again.
  virtual void OnContextGone() = 0;
  // The set of pins that keep a busy context busy has changed. No lock is held.
  virtual void OnPinsChanged(InstanceContext& context) = 0;
  // The detach hook of an extension that was removed has failed.
  virtual void OnRemovalFailed(const InstanceContext& context,
                               const ExtensionType& type,
                               const absl::Status& status) = 0;
  // Timers of the context are ready: they run soon. Takes over a reference.
  virtual void OnTimersDue(InstanceContext& context) = 0;
  // What rings for timers, and what their waits for access go by.
  virtual AlarmClock& timer_alarms() = 0;
  virtual AccessTimer& timer_access() = 0;
  // `code`, written by an embedder, has thrown. REQUIRES: the exception is
  // being handled.
  virtual void OnThrew(const InstanceContext& context,
                       std::string_view code) = 0;

 protected:
  // Number of watchers of contexts becoming idle and busy: if there is any,
  // each last unpin wants attention.
  std::atomic<int> use_watchers_{0};
  // Whether long-term holders have been told to let go.
  std::atomic<bool> draining_{false};
  // How many there are, by PinKind.
  std::array<SharedCell, kPinKinds> held_ = {};

 private:
  Clock& clock_;
  Executor& executor_;
};

class InstanceContext : private Lease {
 public:
  InstanceContext(const InstanceContext&) = delete;
  InstanceContext& operator=(const InstanceContext&) = delete;

  TextView tenant() const {
    return {key_end() - id_size_ - tenant_size_, tenant_size_};
  }
  TextView id() const { return {key_end() - id_size_, id_size_}; }
  // The number of this context's lifetime: grows each time a context of the key
  // is created, never reused.
  uint64_t generation() const { return generation_; }
  absl::Duration idle_timeout() const { return Lease::timeout(); }
  Instant last_use() const { return Lease::last_use(); }
  absl::Time create_time() const { return create_time_; }
  ContextWord::Value word() const { return word_.Load(); }
  // Whether it has a lease, or ends as soon as its providers say so.
  bool leased() const {
    return providers_.load(std::memory_order_acquire)->leased;
  }

  // Time that would remain on the lease if the context became idle now; never
  // negative.
  absl::Duration lease_remaining() const;
  // Renews the lease. REQUIRES: the caller holds a pin.
  void RenewLease() { Lease::Renew(home_.clock_.Now()); }

  // The extension of type T; nullptr if there is none. Takes no lock.
  template <typename T>
  T* Get() const {
    return static_cast<T*>(FindType(&kInterfaceTag<T>));
  }

  // The first extension whose type is I, or that was attached with interface I.
  // Takes no lock.
  template <typename I>
  I* Find() const {
    if constexpr (std::is_base_of_v<Extension, I>) {
      if (I* extension = Get<I>()) return extension;
    }
    return static_cast<I*>(FindInterface(&kInterfaceTag<I>));
  }

  // Attaches a T made from `args`, found by T and by the interfaces `As`.
  // Returns nullptr, without making one, if the context already has a T.
  template <typename T, typename... As, typename... Args>
  T* Attach(Args&&... args) {
    if (Get<T>() != nullptr) return nullptr;
    auto made = std::make_unique<T>(std::forward<Args>(args)...);
    T* extension = made.get();
    return AttachOrFind(internal::kExtensionType<T, As...>, std::move(made)) ==
                   extension
               ? extension
               : nullptr;
  }

  // This context's T; attaches one made from `args` if there is none. Callers
  // that race all get the same one.
  template <typename T, typename... As, typename... Args>
  T* GetOrAttach(Args&&... args) {
    if (T* found = Get<T>()) return found;
    return static_cast<T*>(
        AttachOrFind(internal::kExtensionType<T, As...>,
                     std::make_unique<T>(std::forward<Args>(args)...)));
  }

  // Like GetOrAttach, with an extension that the caller has made.
  template <typename T, typename... As>
  T* GetOrAttachMade(std::unique_ptr<T> made) {
    return static_cast<T*>(
        AttachOrFind(internal::kExtensionType<T, As...>, std::move(made)));
  }

  // Detaches the T: lookups no longer find it, then OnDetach(kRemoved) runs on
  // the executor, then `done` is called with its answer. It is destroyed once
  // no pin that could have seen it is left. False if there is no T. REQUIRES:
  // the caller holds a pin.
  template <typename T>
  bool Detach(std::function<void(absl::Status)> done = {}) {
    return DetachType(&kInterfaceTag<T>, std::move(done));
  }

 private:
  friend class ContextBounds;
  friend class ContextOpening;
  friend class ContextTable;
  friend class ContextTimer;
  friend class ContextTimers;
  friend class HeldPin;
  friend class InstanceRegistry;
  friend class Pin;

  // One attached extension.
  struct Slot {
    const ExtensionType* type;
    Extension* extension;
  };
  struct Holder {
    const HeldPin* pin;
    PinKind kind;
    std::shared_ptr<ReleaseListener> listener;
    bool told_of_drain = false;
    std::unique_ptr<const PinHolder> who = {};  // Null: unknown.
    Instant since = {};
  };
  // In order of attachment; immutable once published.
  using Slots = std::vector<Slot>;

  // State that few contexts need at any moment.
  struct Extras {
    // Calls that wait until the context is open, or closed.
    WaitLine waiters;
    // The pins that keep the context busy for long.
    std::vector<Holder> holders;
    // To call when the context is gone.
    std::vector<std::function<void()>> closed;
    // The lease's own timeout, while the lease times the hooks.
    std::optional<absl::Duration> idle_timeout;
    // A hook has been running for longer than the detach timeout.
    bool hangs = false;
    // While watched: the registry will look at the pins again; at the last
    // event, calls were among them.
    bool pins_looked_at_later = false;
    bool calls_told = false;
    // Runs the initializers; present until the context is open or gone.
    std::shared_ptr<ContextOpening> opening;
    // Replaced or detached, but a pin holder may still be reading them.
    std::vector<std::unique_ptr<const Slots>> old_slots;
    std::vector<std::unique_ptr<Extension>> old_extensions;

    // None of it is needed any more.
    bool unused() const {
      return waiters.empty() && holders.empty() && closed.empty() &&
             !idle_timeout.has_value() && !hangs && !pins_looked_at_later &&
             opening == nullptr && old_slots.empty() && old_extensions.empty();
    }
  };

  // Whether someone is deciding on the context, one at a time. Whoever decides
  // asks the provider and begins the closing: so the provider is never asked
  // about a context whose extensions are being detached.
  enum class Asking : uint8_t { kNo, kYes, kYesAndAgain };
  // True: the caller decides now. False: the current decider will decide again.
  bool BeginAsking();
  // True: someone wants another decision, and the caller must make it.
  bool AskedAgain();
  // False: nobody is deciding now, and whoever begins to will see everything
  // that the caller has done.
  bool BeingAsked();

  // The context begins in Opening, with one reference, the registry's. `mu`
  // guards what is guarded; it is the registry's, and shared with others.
  static InstanceContext& Make(ContextHome& home, Mutex& mu,
                               const InstanceKey& key, size_t key_hash,
                               uint64_t generation, bool id_generated,
                               const ProviderSet& providers);
  InstanceContext(ContextHome& home, Mutex& mu, const InstanceKey& key,
                  size_t key_hash, uint64_t generation, bool id_generated,
                  const ProviderSet& providers);
  ~InstanceContext();
  // Destroys the context and frees the memory that Make allocated.
  void Free();

  // The key (tenant, then ID) lies in front of the object, and the members that
  // a pin touches come first in it: so among a million contexts, taking a pin
  // waits for memory once, not three times.
  const char* key_end() const { return reinterpret_cast<const char*>(this); }
  // Size of the memory in front of the object.
  static size_t FrontBytes(size_t key_bytes);

  Extension* FindType(const InterfaceTag* tag) const;
  void* FindInterface(const InterfaceTag* tag) const;
  // Attaches `made`, or destroys it and returns the existing extension.
  Extension* AttachOrFind(const ExtensionType& type,
                          std::unique_ptr<Extension> made)
      ABSL_LOCKS_EXCLUDED(mu_);
  bool DetachType(const InterfaceTag* tag,
                  std::function<void(absl::Status)> done)
      ABSL_LOCKS_EXCLUDED(mu_);

  // Publishes `slots`. Readers may still use the old ones, which are kept until
  // the last unpin.
  void ReplaceSlotsLocked(std::unique_ptr<const Slots> slots)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  Extras& ExtrasLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  void AddHolder(const HeldPin& pin, PinKind kind,
                 std::shared_ptr<ReleaseListener> listener,
                 std::unique_ptr<const PinHolder> who) ABSL_LOCKS_EXCLUDED(mu_);
  // Releases the holder's pin, too.
  void RemoveHolder(const HeldPin& pin, Pin& held) ABSL_LOCKS_EXCLUDED(mu_);
  void TellPinsChanged();
  // `listener` may be null.
  void TellForced(ReleaseListener* listener);
  void TellDraining(ReleaseListener* listener);
  // Nobody can reach them any more. In reverse order, as they were detached.
  void DestroyExtensions() ABSL_LOCKS_EXCLUDED(mu_);
  // `held_max`: how many pins are described one by one.
  InstanceInfo DescribeLocked(size_t held_max = 0) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The oldest pins that state their purpose.
  std::vector<InstanceInfo::Held> HeldLocked(size_t max) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // Renews the lease and releases one pin.
  void Unpin();

  // For its timers.
  AlarmClock& alarms() { return home_.timer_alarms(); }
  AccessTimer& timer_access() { return home_.timer_access(); }
  // Takes over a reference.
  void DecideSoon() { home_.OnTimersDue(*this); }
  // REQUIRES: the exception is being handled.
  void TimerThrew() { home_.OnThrew(*this, "a timer"); }

  // References keep the memory, not the context open: the registry has one, a
  // running lease has one, and whoever works on a context without a pin has
  // one.
  void Ref() { refs_.fetch_add(1, std::memory_order_relaxed); }
  void Unref() {
    if (refs_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    ContextHome& home = home_;
    DropMemory();
    home.OnContextGone();
  }
  // Initializers that were given up may still be using the context: its memory
  // then outlives its references, and even the registry.
  void ShareMemory() { memory_refs_.fetch_add(1, std::memory_order_relaxed); }
  void DropMemory() {
    if (memory_refs_.fetch_sub(1, std::memory_order_acq_rel) == 1) Free();
  }

  // The members that a pin touches come first: the lease, then this.
  ContextWord word_;
  ContextHome& home_;
  const uint32_t tenant_size_;
  const uint32_t id_size_;

  // Constant after construction.
  Mutex& mu_;
  const size_t key_hash_;
  const uint64_t generation_;
  const absl::Time create_time_;
  const bool id_generated_;  // The server chose the ID: evicted first.

  // Synchronises itself.
  std::atomic<Asking> asking_{Asking::kNo};
  // Why the context closes, from TryClose until the decider takes it up.
  std::atomic<std::optional<DetachReason>> close_reason_{std::nullopt};
  std::atomic<uint32_t> refs_{1};
  // Whether its provider's latest answer was "not idle".
  std::atomic<bool> held_by_provider_{false};
  // The extension whose hook is running, while closing.
  std::atomic<const ExtensionType*> detaching_{nullptr};
  // Written under mu_, read without.
  std::atomic<const Slots*> slots_{nullptr};  // Owned; null: none yet.

  // Who decides whether it is idle. Written under mu_ by calls that have pinned
  // it or wait for it to open, read without.
  std::atomic<const ProviderSet*> providers_;

  std::atomic<uint32_t> memory_refs_{1};
  uint32_t table_index_ = 0;  // Its index in the shard's array.
  // Extensions are freed with the memory: an initializer that was given up may
  // still use them.
  bool keeps_extensions_ = false;
  // Set by header or request: services do not make it longer.
  bool timeout_chosen_ ABSL_GUARDED_BY(mu_) = false;
  std::unique_ptr<Extras> extras_ ABSL_GUARDED_BY(mu_);
};

// Keeps a context busy. Move-only; released when destroyed, on any thread.
class Pin {
 public:
  Pin() = default;
  Pin(Pin&& other) noexcept
      : context_(std::exchange(other.context_, nullptr)) {}
  Pin& operator=(Pin&& other) noexcept {
    if (this != &other) {
      Reset();
      context_ = std::exchange(other.context_, nullptr);
    }
    return *this;
  }
  ~Pin() { Reset(); }

  // Another pin of the same context. REQUIRES: this one holds one.
  Pin Clone() const {
    context_->word_.PinAgain();
    return Pin(context_);
  }
  // Releases the pin: the lease runs from now.
  void Reset() {
    if (InstanceContext* context = std::exchange(context_, nullptr)) {
      context->Unpin();
    }
  }

  explicit operator bool() const { return context_ != nullptr; }
  InstanceContext& operator*() const { return *context_; }
  InstanceContext* operator->() const { return context_; }

 private:
  friend class InstanceContext;
  friend class InstanceRegistry;

  // Takes over a pin that `context` has already counted.
  explicit Pin(InstanceContext* context) : context_(context) {}

  InstanceContext* context_ = nullptr;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_INSTANCE_INSTANCE_CONTEXT_H_
