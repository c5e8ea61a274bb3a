// Task<T>: something that an orchestration awaits: an activity, a timer, an
// event, or a coroutine of its own.
//
//   Task<int> Sum(OrchestrationContext& ctx, int a, int b) {
//     const int more = co_await ctx.CallActivity<int>("Add", a);
//     co_return more + b;
//   }
//
// A task from the context (CallActivity, CreateTimer, …) has started when it is
// returned. A coroutine starts when it is first awaited, by itself or through
// WhenAll or WhenAny. `co_await` returns its value, or throws its failure; it
// resumes in the current turn, on the turn's thread.
//
// Destroying a task abandons it: a coroutine is ended where it waits, and an
// event is left for the next waiter.
//
// Thread-safety: one thread: the one that runs the turn.   Lifetime: a
// coroutine outlives neither the OrchestrationContext nor what its parameters
// refer to. Parameters by value live as long as the task.
#ifndef LEASEHOLD_CLIENT_WORKER_TASK_H_
#define LEASEHOLD_CLIENT_WORKER_TASK_H_

#include <concepts>
#include <coroutine>
#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "client/worker/task_state.h"

namespace leasehold::worker {

namespace internal {

template <typename T>
class Promise;
class GateAwaiter;
struct TaskAccess;

}  // namespace internal

template <typename T = void>
class [[nodiscard]] Task {
 public:
  using promise_type = internal::Promise<T>;
  using value_type = T;

  Task(Task&&) noexcept = default;
  Task& operator=(Task&&) noexcept = default;

  // Whether it has ended, with or without success: co_await does not wait then.
  bool done() const { return state_->done(); }

  // co_await task             returns a copy of the value; may be repeated
  // co_await std::move(task)  moves it out

 private:
  friend struct internal::TaskAccess;
  explicit Task(std::shared_ptr<internal::TaskState<T>> state)
      : state_(std::move(state)) {}

  std::shared_ptr<internal::TaskState<T>> state_;
};

namespace internal {

template <typename T>
class CoroutineState;

template <typename T>
inline constexpr bool kIsTask = false;
template <typename T>
inline constexpr bool kIsTask<Task<T>> = true;

// The state that a task shares with what completes it.
struct TaskAccess {
  template <typename T>
  static const std::shared_ptr<TaskState<T>>& State(const Task<T>& task) {
    return task.state_;
  }
  template <typename T>
  static Task<T> Make(std::shared_ptr<TaskState<T>> state) {
    return Task<T>(std::move(state));
  }
};

template <typename T, bool moves>
class TaskAwaiter {
 public:
  TaskAwaiter(TaskState<T>& state, Suspended& waiter)
      : state_(state), waiter_(waiter) {}
  bool await_ready() const { return state_.done(); }
  void await_suspend(std::coroutine_handle<>) {
    state_.Start(waiter_.queue());
    state_.Await(waiter_);
  }
  T await_resume() const {
    if constexpr (std::is_void_v<T>) {
      state_.CopyValue();
    } else if constexpr (moves) {
      return state_.MoveValue();
    } else {
      return state_.CopyValue();
    }
  }

 private:
  TaskState<T>& state_;
  Suspended& waiter_;
};

// Awaiters get the promise from its own functions: it may not be where a handle
// looks for it (see Frame).
template <typename T>
class PromiseBase {
 public:
  // Before the coroutine is returned to its caller.
  struct InitialAwaiter {
    Promise<T>& promise;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> start) noexcept {
      promise.frame = Frame(promise, start);
    }
    void await_resume() const noexcept {}
  };
  struct FinalAwaiter {
    Promise<T>& promise;
    bool await_ready() const noexcept { return false; }
    // The coroutine is suspended: its end may be announced.
    void await_suspend(std::coroutine_handle<>) noexcept { promise.TellEnd(); }
    void await_resume() const noexcept {}
  };

  InitialAwaiter initial_suspend() noexcept { return {self()}; }
  FinalAwaiter final_suspend() noexcept { return {self()}; }
  void unhandled_exception() noexcept { error_ = std::current_exception(); }

  // Only tasks can be awaited: anything else would be missing on replay.
  template <typename U>
  TaskAwaiter<U, false> await_transform(const Task<U>& task) {
    return TaskAwaiter<U, false>(*TaskAccess::State(task), suspended);
  }
  template <typename U>
  TaskAwaiter<U, true> await_transform(Task<U>&& task) {
    return TaskAwaiter<U, true>(*TaskAccess::State(task), suspended);
  }
  template <std::same_as<GateAwaiter> Awaiter>
  Awaiter await_transform(Awaiter gate) {
    return gate.By(suspended);
  }

  Suspended suspended;
  Frame frame;
  CoroutineState<T>* state = nullptr;

 protected:
  std::exception_ptr error_;

 private:
  Promise<T>& self() { return static_cast<Promise<T>&>(*this); }
};

template <typename T>
class Promise final : public PromiseBase<T> {
 public:
  Task<T> get_return_object();
  template <typename U>
  void return_value(U&& value) {
    this->state->Keep(std::forward<U>(value));
  }
  void TellEnd() noexcept;
};

template <>
class Promise<void> final : public PromiseBase<void> {
 public:
  Task<void> get_return_object();
  void return_void() const noexcept {}
  void TellEnd() noexcept;
};

// Owns the coroutine's frame.
template <typename T>
class CoroutineState final : public TaskState<T> {
 public:
  explicit CoroutineState(Promise<T>& coroutine) : coroutine_(coroutine) {
    coroutine.state = this;
  }
  ~CoroutineState() override { coroutine_.frame.Destroy(); }

  void Start(RunQueue& queue) override {
    if (std::exchange(started_, true)) return;
    coroutine_.suspended.Enter(queue, coroutine_.frame);
    queue.Push(coroutine_.suspended);
  }
  // The returned value, until the coroutine has ended. Not in the promise: T
  // may have a stricter alignment than a pointer.
  template <typename U>
  void Keep(U&& value) {
    returned_.emplace(std::forward<U>(value));
  }
  ValueOf<T> TakeReturned() { return *std::move(returned_); }

 private:
  Promise<T>& coroutine_;
  std::optional<ValueOf<T>> returned_;
  bool started_ = false;
};

template <typename T>
Task<T> Promise<T>::get_return_object() {
  return TaskAccess::Make<T>(std::make_shared<CoroutineState<T>>(*this));
}

template <typename T>
void Promise<T>::TellEnd() noexcept {
  if (this->error_ != nullptr) {
    this->state->SetError(this->error_);
  } else {
    this->state->SetValue(this->state->TakeReturned());
  }
}

inline Task<void> Promise<void>::get_return_object() {
  return TaskAccess::Make<void>(std::make_shared<CoroutineState<void>>(*this));
}

inline void Promise<void>::TellEnd() noexcept {
  if (error_ != nullptr) {
    state->SetError(error_);
  } else {
    state->SetValue({});
  }
}

}  // namespace internal
}  // namespace leasehold::worker

#endif  // LEASEHOLD_CLIENT_WORKER_TASK_H_
