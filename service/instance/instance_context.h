// InstanceContext: the one live server-side object of an instance key.
//
// It is found through the registry, kept busy by pins, and kept for a while
// when idle by its lease. Services hang their state on it as extensions. While
// a caller holds a Pin, the context stays Open and every extension pointer that
// it was given stays valid.
//
// Thread-safety: safe.   Lifetime: owned by the registry; a Pin keeps it open,
// and nothing else that an embedder holds does.
#ifndef LEASEHOLD_SERVICE_INSTANCE_INSTANCE_CONTEXT_H_
#define LEASEHOLD_SERVICE_INSTANCE_INSTANCE_CONTEXT_H_

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
#include "lease/clock.h"
#include "lease/lease.h"
#include "lease/mutex.h"
#include "service/instance/context_word.h"
#include "service/instance/executor.h"
#include "service/instance/extension.h"
#include "service/instance/instance_info.h"
#include "service/instance/instance_key.h"

namespace leasehold {

class HeldPin;
class PinWaiter;

// Told that a context is released by force: whoever holds it for long should
// let go. Called once, from any thread, without a lock; must not block.
class ReleaseListener {
 public:
  virtual ~ReleaseListener() = default;
  virtual void OnForcedRelease() = 0;
};

// What a context needs of the registry that it lives in.
class ContextHome {
 public:
  ContextHome(Clock& clock, Executor& executor, bool leased)
      : clock_(clock), executor_(executor), leased_(leased) {}

 protected:
  ~ContextHome() = default;

 private:
  friend class InstanceContext;

  // The last pin of a context that wants attention is gone. The caller holds
  // the context; no lock is held.
  virtual void OnLastUnpin(InstanceContext& context) = 0;
  // A context's memory is free: nothing of it will touch the home again.
  virtual void OnContextGone() = 0;

 protected:
  // Whether somebody watches contexts becoming idle and busy: then each last
  // unpin wants attention.
  std::atomic<int> use_watchers_{0};

 private:
  Clock& clock_;
  Executor& executor_;
  const bool leased_;  // Whether contexts have a lease.
};

class InstanceContext : private Lease {
 public:
  InstanceContext(const InstanceContext&) = delete;
  InstanceContext& operator=(const InstanceContext&) = delete;

  std::string_view tenant() const {
    return {key_end() - id_size_ - tenant_size_, tenant_size_};
  }
  std::string_view id() const { return {key_end() - id_size_, id_size_}; }
  // The number of this context's memory: grows each time a context of the key
  // is made, never reused.
  uint64_t generation() const { return generation_; }
  absl::Duration idle_timeout() const { return Lease::timeout(); }
  Instant last_use() const { return Lease::last_use(); }
  absl::Time create_time() const { return create_time_; }
  ContextWord::Value word() const { return word_.Load(); }

  // What remains of the lease if the context were left alone now; never
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
  // Returns nullptr, and makes nothing, if there is a T already.
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

  // The T of this context; attaches one made from `args` if there is none. Of
  // callers that race, all get the same one.
  template <typename T, typename... As, typename... Args>
  T* GetOrAttach(Args&&... args) {
    if (T* found = Get<T>()) return found;
    return static_cast<T*>(
        AttachOrFind(internal::kExtensionType<T, As...>,
                     std::make_unique<T>(std::forward<Args>(args)...)));
  }

  // As GetOrAttach, with one that the caller has made.
  template <typename T, typename... As>
  T* GetOrAttachMade(std::unique_ptr<T> made) {
    return static_cast<T*>(
        AttachOrFind(internal::kExtensionType<T, As...>, std::move(made)));
  }

  // Detaches the T: it is no longer found, then OnDetach(kRemoved) runs on the
  // executor, then `done` is called with its answer. It is destroyed when no
  // pin is left that could have seen it. False if there is no T. REQUIRES: the
  // caller holds a pin.
  template <typename T>
  bool Detach(std::function<void(absl::Status)> done = {}) {
    return DetachType(&kInterfaceTag<T>, std::move(done));
  }

 private:
  friend class ContextTable;
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
  };
  // In order of attachment; never changes once it is seen.
  using Slots = std::vector<Slot>;

  // What few contexts have at any moment.
  struct Extras {
    // Calls that wait until the context is open, or closed (a linked list).
    PinWaiter* first_waiter = nullptr;
    PinWaiter* last_waiter = nullptr;
    // Who keeps the context busy for long.
    std::vector<Holder> holders;
    // Who waits until the context is gone.
    std::vector<std::function<void()>> closed;
    // While the lease times the hooks: what it was before.
    std::optional<absl::Duration> idle_timeout;
    // A hook has been running for longer than the detach timeout.
    bool hangs = false;
    // Replaced or detached, but perhaps still read by somebody with a pin.
    std::vector<std::unique_ptr<const Slots>> old_slots;
    std::vector<std::unique_ptr<Extension>> old_extensions;
  };

  // Whether somebody is deciding on the context: one at a time. The provider is
  // asked, and closing begins, by whoever decides: so the provider is never
  // asked about a context whose extensions are being detached.
  enum class Asking : uint8_t { kNo, kYes, kYesAndAgain };
  // True: the caller decides now. False: whoever does will decide once more.
  bool BeginAsking();
  // True: somebody wants it decided once more, by the caller.
  bool AskedAgain();
  // False: nobody decides now, and whoever begins to sees all that the caller
  // has done.
  bool BeingAsked();

  // The context begins in Opening, with one reference, the registry's. `mu`
  // guards what is guarded; it is the registry's, and shared with others.
  static InstanceContext& Make(ContextHome& home, Mutex& mu,
                               const InstanceKey& key, size_t key_hash,
                               uint64_t generation, bool id_generated);
  InstanceContext(ContextHome& home, Mutex& mu, const InstanceKey& key,
                  size_t key_hash, uint64_t generation, bool id_generated);
  ~InstanceContext();
  // Destroys it, and gives back what Make took.
  void Free();

  // The key, tenant and then ID, lies in front of the object: among a million
  // contexts a pin then waits for memory once, not three times, as what it
  // touches of the object comes first.
  const char* key_end() const { return reinterpret_cast<const char*>(this); }
  // Of the memory in front.
  static size_t FrontBytes(size_t key_bytes);

  Extension* FindType(const InterfaceTag* tag) const;
  void* FindInterface(const InterfaceTag* tag) const;
  // Attaches `made`, or destroys it and returns the one that is there.
  Extension* AttachOrFind(const ExtensionType& type,
                          std::unique_ptr<Extension> made)
      ABSL_LOCKS_EXCLUDED(mu_);
  bool DetachType(const InterfaceTag* tag,
                  std::function<void(absl::Status)> done)
      ABSL_LOCKS_EXCLUDED(mu_);

  // Puts `slots` in place. What was there may still be read, and is kept until
  // the last unpin.
  void ReplaceSlotsLocked(std::unique_ptr<const Slots> slots)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  Extras& ExtrasLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  void AddHolder(const HeldPin& pin, PinKind kind,
                 std::shared_ptr<ReleaseListener> listener)
      ABSL_LOCKS_EXCLUDED(mu_);
  void RemoveHolder(const HeldPin& pin) ABSL_LOCKS_EXCLUDED(mu_);
  InstanceInfo DescribeLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // Renews the lease and gives one pin back.
  void Unpin();

  // References keep memory, not life: the registry has one, a running lease
  // has one, and whoever works on a context without a pin has one.
  void Ref() { refs_.fetch_add(1, std::memory_order_relaxed); }
  void Unref() {
    if (refs_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    ContextHome& home = home_;
    Free();
    home.OnContextGone();
  }

  // What a pin touches comes first: the lease, and then this.
  ContextWord word_;
  ContextHome& home_;
  const uint32_t tenant_size_;
  const uint32_t id_size_;

  // Constant after construction.
  Mutex& mu_;
  const size_t key_hash_;
  const uint64_t generation_;
  const absl::Time create_time_;
  const bool id_generated_;  // The server named it: evicted before others.

  // Synchronises itself.
  std::atomic<Asking> asking_{Asking::kNo};
  // Why it closes, from TryClose until whoever decides takes it up.
  std::atomic<std::optional<DetachReason>> close_reason_{std::nullopt};
  std::atomic<uint32_t> refs_{1};
  // Whose hook runs, while closing.
  std::atomic<const ExtensionType*> detaching_{nullptr};
  // Written under mu_, read without.
  std::atomic<const Slots*> slots_{nullptr};  // Owned; null: none yet.

  uint32_t table_index_ = 0;  // Where it stands in its shard's array.
  // Set by header or request: services do not make it longer.
  bool timeout_chosen_ ABSL_GUARDED_BY(mu_) = false;
  std::unique_ptr<Extras> extras_ ABSL_GUARDED_BY(mu_);
};

// Keeps a context busy. Move-only; given back when destroyed, on any thread.
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

  // One more pin of the same context. REQUIRES: this one holds one.
  Pin Clone() const {
    context_->word_.PinAgain();
    return Pin(context_);
  }
  // Gives the pin back: the lease runs from now.
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

  // Takes over a pin that `context` has counted already.
  explicit Pin(InstanceContext* context) : context_(context) {}

  InstanceContext* context_ = nullptr;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_INSTANCE_INSTANCE_CONTEXT_H_
