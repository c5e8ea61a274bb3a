// Task<T>: something that an orchestration awaits: an activity, a timer, an
// event, or a coroutine of its own.
//
//   Task<int> Sum(OrchestrationContext& ctx, int a, int b) {
//     const int more = co_await ctx.CallActivity<int>("Add", a);
//     co_return more + b;
//   }
//
// What the context gives (CallActivity, CreateTimer, …) has begun when it is
// returned. A coroutine begins when it is first awaited, by itself or through
// WhenAll or WhenAny. `co_await` gives its value, or throws what it failed
// with; it resumes in the turn that runs, on the turn's thread.
//
// A task that is destroyed is no longer wanted: a coroutine is ended where it
// stands, an event is left for the next who waits for it.
//
// Thread-safety: one thread: that which runs the turn.   Lifetime: a coroutine
// outlives neither the OrchestrationContext nor what its parameters refer to.
// Parameters by value live as long as the task.
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

  // Whether it has ended, well or not: then co_await does not wait.
  bool done() const { return state_->done(); }

  // co_await task             gives a copy of the value; may be repeated
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

// The state that a task shares.
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
  explicit TaskAwaiter(TaskState<T>& state) : state_(state) {}
  bool await_ready() const { return state_.done(); }
  template <typename Promise>
  void await_suspend(std::coroutine_handle<Promise> coroutine) {
    Suspended& waiter = coroutine.promise().suspended;
    state_.Start(waiter.queue());
    state_.Await(waiter);
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
};

template <typename T>
class PromiseBase {
 public:
  struct FinalAwaiter {
    bool await_ready() const noexcept { return false; }
    // The coroutine is suspended: its end may be told.
    template <typename Promise>
    void await_suspend(std::coroutine_handle<Promise> coroutine) noexcept {
      coroutine.promise().TellEnd();
    }
    void await_resume() const noexcept {}
  };

  std::suspend_always initial_suspend() const noexcept { return {}; }
  FinalAwaiter final_suspend() const noexcept { return {}; }
  void unhandled_exception() noexcept { error_ = std::current_exception(); }

  // Only tasks are awaited: anything else would not be there on replay.
  template <typename U>
  TaskAwaiter<U, false> await_transform(const Task<U>& task) const {
    return TaskAwaiter<U, false>(*TaskAccess::State(task));
  }
  template <typename U>
  TaskAwaiter<U, true> await_transform(Task<U>&& task) const {
    return TaskAwaiter<U, true>(*TaskAccess::State(task));
  }
  template <std::same_as<GateAwaiter> Awaiter>
  Awaiter await_transform(Awaiter gate) const {
    return gate;
  }

  Suspended suspended;
  CoroutineState<T>* state = nullptr;

 protected:
  std::exception_ptr error_;
};

template <typename T>
class Promise final : public PromiseBase<T> {
 public:
  Task<T> get_return_object();
  template <typename U>
  void return_value(U&& value) {
    value_.emplace(std::forward<U>(value));
  }
  void TellEnd() noexcept;

 private:
  std::optional<T> value_;
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
  explicit CoroutineState(std::coroutine_handle<Promise<T>> coroutine)
      : coroutine_(coroutine) {
    coroutine.promise().state = this;
  }
  ~CoroutineState() override { coroutine_.destroy(); }

  void Start(RunQueue& queue) override {
    if (std::exchange(started_, true)) return;
    Suspended& suspended = coroutine_.promise().suspended;
    suspended.Enter(queue, coroutine_);
    queue.Push(suspended);
  }

 private:
  const std::coroutine_handle<Promise<T>> coroutine_;
  bool started_ = false;
};

template <typename T>
Task<T> Promise<T>::get_return_object() {
  return TaskAccess::Make<T>(std::make_shared<CoroutineState<T>>(
      std::coroutine_handle<Promise>::from_promise(*this)));
}

template <typename T>
void Promise<T>::TellEnd() noexcept {
  if (this->error_ != nullptr) {
    this->state->SetError(this->error_);
  } else {
    this->state->SetValue(*std::move(value_));
  }
}

inline Task<void> Promise<void>::get_return_object() {
  return TaskAccess::Make<void>(std::make_shared<CoroutineState<void>>(
      std::coroutine_handle<Promise>::from_promise(*this)));
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
