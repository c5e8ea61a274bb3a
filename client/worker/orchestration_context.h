// OrchestrationContext: what an orchestrator has its effects through.
//
// An orchestrator is replayed: each turn runs its code from the beginning, and
// what has happened before is answered from the history. So it must do the same
// each time: no clock, no random numbers, no I/O, no threads of its own, no
// state outside of it. Instead: Now, NewUuid, activities, timers, events.
//
// Every call that returns a Task has had its effect by then, whether or not the
// task is awaited. At the end of a turn the coroutine is destroyed where it
// waits, and the destructors of its variables run: they had better do nothing
// that counts.
//
// g++ 12 destroys some temporaries of a co_await expression twice. What is
// passed here is safe: it is taken by reference and written as JSON at once. An
// aggregate (a struct without constructors) must have a name, as must a braced
// list and a lambda that captures:
//
//   const Order order{"tea", 2};
//   co_await ctx.CallActivity<Receipt>("Pay", order);
//
// Thread-safety: one thread: that which runs the turn.   Lifetime: outlives the
// orchestrator's coroutines; does not outlive the turn.
#ifndef LEASEHOLD_CLIENT_WORKER_ORCHESTRATION_CONTEXT_H_
#define LEASEHOLD_CLIENT_WORKER_ORCHESTRATION_CONTEXT_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "absl/time/time.h"
#include "client/worker/call_options.h"
#include "client/worker/durable_state.h"
#include "client/worker/failure.h"
#include "client/worker/payload.h"
#include "client/worker/task.h"
#include "client/worker/when.h"

namespace leasehold::worker {

// What stands for the input of a call that has options and no input.
struct NoInput {};

namespace internal {

class Turn;

// Whether a temporary `Input` may be passed. Clang has no trouble with any.
template <typename Input>
inline constexpr bool kMayBeTemporary =
#ifdef __clang__
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
  if constexpr (std::is_same_v<std::remove_cvref_t<Input>, NoInput>) {
    return std::nullopt;
  } else {
    return ToPayload(input);
  }
}

}  // namespace internal

// What becomes of events that nobody has awaited yet.
enum class UnreadEvents { kKeep, kDrop };

class OrchestrationContext {
 public:
  // Made for each turn, by the worker.
  explicit OrchestrationContext(internal::Turn& turn) : turn_(turn) {}
  OrchestrationContext(const OrchestrationContext&) = delete;
  OrchestrationContext& operator=(const OrchestrationContext&) = delete;

  const std::string& instance_id() const;
  // New with each start, restart and ContinueAsNew.
  const std::string& execution_id() const;
  // The orchestrator's.
  const std::string& name() const;
  // The version that it was started with.
  const std::optional<std::string>& version() const;
  // Empty: it was started by a client.
  const std::optional<std::string>& parent_instance_id() const;

  // The time of the present turn, the same on each replay.
  absl::Time Now() const;
  // A UUID that is new with each call, and the same on each replay.
  std::string NewUuid();
  // Whether what runs now has run in an earlier turn.
  bool IsReplaying() const;
  // Says something to the worker's log, once: nothing on replay.
  void Log(std::string_view message);

  // Calls an activity. `co_await` gives its result as an `R`, or throws
  // TaskFailedError; PayloadError: the result is no R.
  //
  // R must be written, and is void if it is not.
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
  // Otherwise as CallActivity.
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

  // A durable timer, which ends when it is due. It may be years; how long a
  // timer the server takes is the server's. One that is not awaited any more
  // fires all the same, and does nothing.
  Task<void> CreateTimer(absl::Duration delay);
  Task<void> CreateTimer(absl::Time fire_at);

  // The next event of this name that nobody has got yet, whether it came before
  // or comes later: names are compared without regard to case, events are given
  // out in the order in which they came, in that in which they were asked for.
  // PayloadError: its data is no T.
  template <typename T = void>
  Task<T> WaitForEvent(std::string_view name) {
    const auto state = std::make_shared<internal::DurableState<T>>();
    AwaitEvent(name, state);
    return internal::TaskAccess::Make<T>(state);
  }
  // The same, for so long: empty, or for void false, if none came in time. That
  // which comes too late is left for the next who asks.
  template <typename T = void>
  auto WaitForEvent(std::string_view name, absl::Duration timeout) {
    Task<T> event = WaitForEvent<T>(name);
    return InTime(std::move(event), CreateTimer(timeout));
  }

  // Sends an event to another orchestration. One that is not there, or has
  // ended, does not get it.
  void SendEvent(std::string_view instance_id, std::string_view name);
  template <typename T>
  void SendEvent(std::string_view instance_id, std::string_view name,
                 T&& data) {
    SendPayload(instance_id, name, internal::Written(std::forward<T>(data)));
  }

  // What those see who ask for this orchestration's status. It stays until it
  // is set again, also over ContinueAsNew.
  template <typename T>
  void SetCustomStatus(T&& status) {
    SetStatusPayload(internal::Written(std::forward<T>(status)));
  }

  // Begins this orchestration anew, with another input and an empty history:
  // what an orchestration that lives for ever does now and then. It ends this
  // execution when the code next waits or returns; that value does not count.
  // Events that have come and were not awaited are kept for the new one.
  // Activities and timers of which the result is not there yet are forgotten.
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
  static Task<R> Decoded(Task<Payload> task) {
    // clang-tidy 14 takes a co_await for two uses of what it awaits.
    // NOLINTNEXTLINE(bugprone-use-after-move)
    const Payload payload = co_await std::move(task);
    if constexpr (!std::is_void_v<R>) co_return FromPayload<R>(payload);
  }
  template <typename T>
  static Task<std::optional<T>> InTime(Task<T> event, Task<void> timer) {
    // A variable goes when the coroutine ends; a parameter when its task does.
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
  // `call` makes an attempt.
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
  void SetStatusPayload(const Payload& status);
  void ContinueWithPayload(const Payload& input, UnreadEvents unread);

  internal::Turn& turn_;
};

}  // namespace leasehold::worker

#endif  // LEASEHOLD_CLIENT_WORKER_ORCHESTRATION_CONTEXT_H_
