// SetTimer: an extension has something done later in its context.
//
// A timer keeps nothing: it neither pins its context nor renews its lease, and
// is forgotten when the context begins to close. It fires once, on the
// executor, while the context is open. A context's timers run one after
// another, and detach hooks never beside one; calls run beside them, except
// that the timer of a serial extension waits for access as a message does (for
// as long as it takes).
//
//   set ── due ──▶ ready ── (access) ──▶ runs ──▶ over
//    └───────┴────────┴── Cancel, or the context closes ──▶ over
//
// Thread-safety: safe.   Lifetime: a ContextTimer may outlive everything.
#ifndef LEASEHOLD_SERVICE_INSTANCE_CONTEXT_TIMERS_H_
#define LEASEHOLD_SERVICE_INSTANCE_CONTEXT_TIMERS_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "service/instance/extension.h"
#include "service/instance/hook.h"

namespace leasehold {

class InstanceContext;
class SerialQueue;

// A timer that was set. Destroying it cancels nothing. Copies are of one timer.
class ContextTimer {
 public:
  ContextTimer() = default;

  // True: it has not begun to run, and will not. False: it runs, has run, was
  // cancelled before, or its context closes; or none was set.
  bool Cancel();

 private:
  friend class ContextTimers;
  class Entry;

  explicit ContextTimer(std::shared_ptr<Entry> entry)
      : entry_(std::move(entry)) {}

  std::shared_ptr<Entry> entry_;
};

// How many timers a context may have set.
inline constexpr size_t kContextTimersMax = 1'000;

// Calls `run` once, after `delay`, unless `context` closes first. It may use
// the context and its extensions, and set timers, but not detach extensions; to
// keep the context, it renews the lease (InstanceRegistry::KeepAlive). While it
// runs, the context does not close. Observers are told if it throws.
//   FailedPrecondition: the context is closing.
//   ResourceExhausted: it has kContextTimersMax timers.
// REQUIRES: the caller is a call that has the context pinned, a timer or a hook
// of it, an initializer, or a provider that is asked about it.
absl::StatusOr<ContextTimer> SetTimer(InstanceContext& context,
                                      absl::Duration delay,
                                      std::function<void()> run);

// The same for what runs with access to a queue of the context: `queue` is
// asked when the timer is due, and returns null if there is none any more; then
// `run` is called at once.
absl::StatusOr<ContextTimer> SetSerialTimer(InstanceContext& context,
                                            absl::Duration delay,
                                            std::function<SerialQueue*()> queue,
                                            std::function<void()> run);

// The timers of a context, attached with its first one. Used by the registry.
class ContextTimers final : public Extension {
 public:
  explicit ContextTimers(InstanceContext& context);
  ~ContextTimers() override;

  bool MayBlock() const override { return false; }
  void OnDetach(InstanceContext&, DetachReason, HookDone done) override {
    done();
  }

  absl::StatusOr<ContextTimer> Set(absl::Duration delay,
                                   std::function<SerialQueue*()> queue,
                                   std::function<void()> run);

  // Whether there is something for Run to do.
  bool ready() const;
  // Runs those that are ready. REQUIRES: the context is open; the caller is the
  // one that decides on it (InstanceContext::BeginAsking).
  void Run();
  // Forgets all timers; none is set any more. REQUIRES: none runs; extensions
  // are still there.
  void Close();

 private:
  friend class ContextTimer;
  struct Core;

  const std::shared_ptr<Core> core_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_INSTANCE_CONTEXT_TIMERS_H_
