// OrchestrationContext: everything that an orchestrator may do to the outside.
//
// An orchestrator is replayed: each turn runs its code from the beginning, and
// the history supplies the results of what has happened before. So the code
// must do the same each time: no clock, no random numbers, no I/O, no threads,
// no outside state. Use Now, NewUuid, activities, timers and events instead.
//
// If a name, ID, version or tag is not UTF-8, the call throws
// std::invalid_argument, which names it. In inputs, statuses and log lines,
// bytes that are not UTF-8 become U+FFFD.
//
// A call that returns a Task takes effect at once, whether or not the task is
// awaited. At the end of a turn the coroutine is destroyed where it waits, and
// the destructors of its variables run: they should have no effects outside of
// the orchestrator.
//
// g++ 12 destroys some temporaries of a co_await expression twice. Arguments of
// these calls are safe: they are taken by reference and written as JSON at
// once. But an aggregate (a struct without constructors), a braced list and a
// lambda that captures must have a name:
//
//   const Order order{"tea", 2};
//   co_await ctx.CallActivity<Receipt>("Pay", order);
//
// Thread-safety: one thread: the one that runs the turn.   Lifetime: outlives
// the orchestrator's coroutines; does not outlive the turn.
#ifndef LEASEHOLD_CLIENT_WORKER_ORCHESTRATION_CONTEXT_H_
#define LEASEHOLD_CLIENT_WORKER_ORCHESTRATION_CONTEXT_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "client/worker/call_input.h"
#include "client/worker/call_options.h"
#include "client/worker/durable_state.h"
#include "client/worker/entity_id.h"
#include "client/worker/entity_lock.h"
#include "client/worker/failure.h"
#include "client/worker/payload.h"
#include "client/worker/task.h"
#include "client/worker/when.h"

namespace leasehold::worker {

namespace internal {

class Turn;

// Whether a temporary `Input` may be passed. With Clang and newer g++, always.
template <typename Input>
inline constexpr bool kMayBeTemporary =
#if defined(__clang__) || __GNUC__ > 12
    true;
#else
    std::is_lvalue_reference_v<Input> ||
    !std::is_aggregate_v<std::remove_cvref_t<Input>> ||
    std::is_trivially_destructible_v<std::remove_cvref_t<Input>>;
#endif

// The payload of an argument.
template <typename Input>
Payload Written(Input&& input) {
  static_assert(kMayBeTemporary<Input>,
                "g++ 12 destroys a temporary aggregate in a co_await "
                "expression twice: give it a name, and pass that");
  return InputPayload(input);
}

}  // namespace internal

// What happens to events that nobody has awaited yet.
enum class UnreadEvents { kKeep, kDrop };

class OrchestrationContext {
 public:
  // Made for each turn, by the worker.
  explicit OrchestrationContext(internal::Turn& turn) : turn_(turn) {}
  OrchestrationContext(const OrchestrationContext&) = delete;
  OrchestrationContext& operator=(const OrchestrationContext&) = delete;

  const std::string& instance_id() const;
  // New after each start, restart and ContinueAsNew.
  const std::string& execution_id() const;
  // The orchestrator's name.
  const std::string& name() const;
  // The version that it was started with.
  const std::optional<std::string>& version() const;
  // Empty if a client started it.
  const std::optional<std::string>& parent_instance_id() const;

  // The time of the current turn, the same on each replay.
  absl::Time Now() const;
  // A new UUID for each call, the same on each replay.
  std::string NewUuid();
  // Whether the code that runs now has run in an earlier turn.
  bool IsReplaying() const;
  // Writes to the worker's log, once: nothing is written on replay.
  void Log(std::string_view message);

  // Calls an activity. `co_await` returns its result as an `R`, or throws
  // TaskFailedError, or PayloadError if the result is not an R.
  //
  // R cannot be deduced; it is void if it is left out.
  template <typename R = void>
  Task<R> CallActivity(std::string_view name) {
    return StartActivity<R>(name, std::nullopt, ActivityOptions());
  }
  template <typename R = void, typename Input>
  Task<R> CallActivity(std::string_view name, Input&& input) {
    return StartActivity<R>(name, internal::Written(std::forward<Input>(input)),
                            ActivityOptions());
  }
  template <typename R = void, typename Input>
  Task<R> CallActivity(std::string_view name, Input&& input,
                       const ActivityOptions& options) {
    return StartActivity<R>(name, internal::Written(std::forward<Input>(input)),
                            options);
  }

  // Starts another orchestration as a child of this one, and awaits its end.
  // Otherwise like CallActivity.
  template <typename R = void>
  Task<R> CallSubOrchestrator(std::string_view name) {
    return StartChild<R>(name, std::nullopt, SubOrchestrationOptions());
  }
  template <typename R = void, typename Input>
  Task<R> CallSubOrchestrator(std::string_view name, Input&& input) {
    return StartChild<R>(name, internal::Written(std::forward<Input>(input)),
                         SubOrchestrationOptions());
  }
  template <typename R = void, typename Input>
  Task<R> CallSubOrchestrator(std::string_view name, Input&& input,
                              const SubOrchestrationOptions& options) {
    return StartChild<R>(name, internal::Written(std::forward<Input>(input)),
                         options);
  }

  // A durable timer, which ends when it is due. It may run for years, within
  // the server's limit. A timer that nobody awaits any more fires all the same,
  // and does nothing.
  Task<void> CreateTimer(absl::Duration delay);
  Task<void> CreateTimer(absl::Time fire_at);

  // The next event of this name that nobody has received yet, whether it came
  // before or comes later. Names are compared without regard to case. Events
  // are delivered in the order in which they came, to waiters in the order in
  // which they asked. PayloadError: its data is not a T.
  template <typename T = void>
  Task<T> WaitForEvent(std::string_view name) {
    const auto state = std::make_shared<internal::DurableState<T>>();
    AwaitEvent(name, state);
    return internal::TaskAccess::Make<T>(state);
  }
  // The same with a timeout: empty, or false for void, if none came in time. An
  // event that comes too late is left for the next waiter.
  template <typename T = void>
  auto WaitForEvent(std::string_view name, absl::Duration timeout) {
    Task<T> event = WaitForEvent<T>(name);
    return InTime(std::move(event), CreateTimer(timeout));
  }

  // Sends an event to another orchestration. If that does not exist or has
  // ended, nobody gets the event.
  void SendEvent(std::string_view instance_id, std::string_view name);
  template <typename T>
  void SendEvent(std::string_view instance_id, std::string_view name,
                 T&& data) {
    SendPayload(instance_id, name, internal::Written(std::forward<T>(data)));
  }

  // Has an entity run an operation. `co_await` returns the result as an `R`, or
  // throws TaskFailedError, or PayloadError if the result is not an R. The
  // entity need not exist: its code decides what that means.
  //
  // EntityLockError, here and below: entity_lock.h says what is not allowed
  // while entities are locked.
  template <typename R = void>
  Task<R> CallEntity(const EntityId& id, std::string_view operation) {
    return StartCall<R>(id, operation, std::nullopt);
  }
  template <typename R = void, typename Input>
  Task<R> CallEntity(const EntityId& id, std::string_view operation,
                     Input&& input) {
    return StartCall<R>(id, operation,
                        internal::Written(std::forward<Input>(input)));
  }

  // The same without an answer: nobody learns what comes of it.
  void SignalEntity(const EntityId& id, std::string_view operation) {
    SendSignal(id, operation, std::nullopt, std::nullopt);
  }
  template <typename Input>
  void SignalEntity(const EntityId& id, std::string_view operation,
                    Input&& input) {
    SendSignal(id, operation, internal::Written(std::forward<Input>(input)),
               std::nullopt);
  }
  // Not before `at`.
  template <typename Input>
  void SignalEntity(const EntityId& id, std::string_view operation,
                    Input&& input, absl::Time at) {
    SendSignal(id, operation, internal::Written(std::forward<Input>(input)),
               at);
  }

  // Waits until this orchestration has all of these entities to itself.
  // Whatever the order in which they are named, all orchestrations lock them in
  // one order, so none waits for another one for ever. `co_await` returns an
  // EntityLock, which keeps them locked for as long as it lives. If the task is
  // destroyed before that, they are unlocked as soon as they are locked.
  // std::invalid_argument: there are none.
  template <typename... Ids>
  Task<EntityLock> LockEntities(const EntityId& first, const Ids&... others) {
    return LockEntities(std::vector<EntityId>{first, others...});
  }
  Task<EntityLock> LockEntities(const std::vector<EntityId>& ids);

  // A text that is shown with this orchestration's status. It stays until it is
  // set again, also across ContinueAsNew.
  template <typename T>
  void SetCustomStatus(T&& status) {
    SetStatusPayload(internal::Written(std::forward<T>(status)));
  }

  // Restarts this orchestration with another input and an empty history: an
  // orchestration that lives for ever does this now and then. This execution
  // ends when the code next waits or returns; a returned value is ignored.
  // Events that were received but not awaited are kept for the new execution.
  // Activities and timers without a result yet are forgotten.
  template <typename T>
  void ContinueAsNew(T&& input, UnreadEvents unread = UnreadEvents::kKeep) {
    ContinueWithPayload(internal::Written(std::forward<T>(input)), unread);
  }

 private:
  template <typename R>
  Task<R> StartActivity(std::string_view name, Payload input,
                        const ActivityOptions& options) {
    if (options.retry().has_value()) {
      return Decoded<R>(RetryActivity(name, std::move(input), options));
    }
    const auto state = std::make_shared<internal::DurableState<R>>();
    ScheduleActivity(name, input, options, state);
    return internal::TaskAccess::Make<R>(state);
  }
  template <typename R>
  Task<R> StartChild(std::string_view name, Payload input,
                     const SubOrchestrationOptions& options) {
    if (options.retry().has_value()) {
      return Decoded<R>(RetryChild(name, std::move(input), options));
    }
    const auto state = std::make_shared<internal::DurableState<R>>();
    ScheduleChild(name, input, options, state);
    return internal::TaskAccess::Make<R>(state);
  }

  template <typename R>
  Task<R> StartCall(const EntityId& id, std::string_view operation,
                    const Payload& input) {
    const auto state = std::make_shared<internal::DurableState<R>>();
    SendCall(id, operation, input, state);
    return internal::TaskAccess::Make<R>(state);
  }

  template <typename R>
  static Task<R> Decoded(Task<Payload> task) {
    // clang-tidy 14 takes a co_await for two uses of what it awaits.
    // NOLINTNEXTLINE(bugprone-use-after-move)
    const Payload payload = co_await std::move(task);
    if constexpr (!std::is_void_v<R>) co_return FromPayload<R>(payload);
  }
  template <typename T>
  static Task<std::optional<T>> InTime(Task<T> event, Task<void> timer) {
    // A variable is destroyed with the coroutine, a parameter with its task.
    Task<T> awaited = std::move(event);
    const size_t first = co_await WhenAny(awaited, timer);
    std::optional<T> value;
    if (first == 0) value.emplace(co_await std::move(awaited));
    co_return value;
  }
  static Task<bool> InTime(Task<void> event, Task<void> timer);

  Task<Payload> RetryActivity(std::string_view name, Payload input,
                              const ActivityOptions& options);
  Task<Payload> RetryChild(std::string_view name, Payload input,
                           const SubOrchestrationOptions& options);
  // `call` makes one attempt.
  Task<Payload> BeginRetries(const RetryPolicy& policy,
                             std::function<Task<Payload>()> call);
  void ScheduleActivity(std::string_view name, const Payload& input,
                        const ActivityOptions& options,
                        std::shared_ptr<internal::PayloadSink> sink);
  void ScheduleChild(std::string_view name, const Payload& input,
                     const SubOrchestrationOptions& options,
                     std::shared_ptr<internal::PayloadSink> sink);
  void AwaitEvent(std::string_view name,
                  const std::shared_ptr<internal::PayloadSink>& sink);
  void SendPayload(std::string_view instance_id, std::string_view name,
                   const Payload& data);
  void SendCall(const EntityId& id, std::string_view operation,
                const Payload& input,
                std::shared_ptr<internal::PayloadSink> sink);
  void SendSignal(const EntityId& id, std::string_view operation,
                  const Payload& input, std::optional<absl::Time> at);
  void SetStatusPayload(const Payload& status);
  void ContinueWithPayload(const Payload& input, UnreadEvents unread);

  internal::Turn& turn_;
};

}  // namespace leasehold::worker

#endif  // LEASEHOLD_CLIENT_WORKER_ORCHESTRATION_CONTEXT_H_
