// WhenAll and WhenAny: tasks that wait for other tasks.
//
//   auto [paid, packed] = co_await …        g++ 12 breaks on this: name it
//   const std::tuple<Receipt, Box> done = co_await WhenAll(pay, pack);
//   const size_t first = co_await WhenAny(approval, deadline);
//
// All of them start when the combination is awaited, in the given order; tasks
// from the context have started already. The tasks may be temporaries.
//
// Thread-safety: one thread: the one that runs the turn.   Lifetime: keeps what
// it needs of the tasks alive.
#ifndef LEASEHOLD_CLIENT_WORKER_WHEN_H_
#define LEASEHOLD_CLIENT_WORKER_WHEN_H_

#include <coroutine>
#include <cstddef>
#include <deque>
#include <memory>
#include <stdexcept>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "client/worker/task.h"
#include "client/worker/task_state.h"

namespace leasehold::worker {
namespace internal {

// Awaited by one coroutine, which continues when the first of some tasks has
// ended, or when all have ended or one has failed.
class Gate {
 public:
  enum class Opens { kWithFirst, kWithAllOrFailure };

  // The tasks must outlive it.
  Gate(const std::vector<TaskStateBase*>& tasks, Opens opens)
      : opens_(opens), left_(tasks.size()) {
    for (TaskStateBase* task : tasks) legs_.emplace_back(*this, *task);
  }
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  // False if it is open already. REQUIRES: called once.
  bool Await(Suspended& coroutine) {
    waiting_ = &coroutine;
    for (Leg& leg : legs_) leg.task.Start(coroutine.queue());
    for (Leg& leg : legs_) {
      if (leg.task.done() && Pass(leg)) return false;
    }
    if (left_ == 0) return false;
    for (Leg& leg : legs_) {
      if (!leg.task.done()) leg.task.Await(leg);
    }
    return true;
  }
  // The task that opened it: the first to end, or the first to fail. Null if
  // all have succeeded.
  const TaskStateBase* opened_by() const { return opened_by_; }

 private:
  struct Leg final : Waiter {
    Leg(Gate& to, TaskStateBase& of) : gate(to), task(of) {}
    void Wake() override {
      if (gate.Pass(*this)) gate.waiting_->Wake();
    }
    Gate& gate;
    TaskStateBase& task;
  };

  // `leg`'s task has ended. Returns whether that opens the gate.
  bool Pass(const Leg& leg) {
    --left_;
    if (opened_by_ != nullptr) return false;
    if (opens_ == Opens::kWithFirst || leg.task.failed()) {
      opened_by_ = &leg.task;
      return true;
    }
    return left_ == 0;
  }

  const Opens opens_;
  std::deque<Leg> legs_;  // Never moved.
  size_t left_;
  const TaskStateBase* opened_by_ = nullptr;
  Suspended* waiting_ = nullptr;
};

// Not the gate itself: g++ 12 copies an awaiter that is an lvalue.
class GateAwaiter {
 public:
  explicit GateAwaiter(Gate& gate) : gate_(gate) {}
  // The same, for the coroutine of `waiter`.
  GateAwaiter By(Suspended& waiter) const {
    GateAwaiter by(gate_);
    by.waiter_ = &waiter;
    return by;
  }
  bool await_ready() const { return false; }
  bool await_suspend(std::coroutine_handle<>) { return gate_.Await(*waiter_); }
  const TaskStateBase* await_resume() const { return gate_.opened_by(); }

 private:
  Gate& gate_;
  Suspended* waiter_ = nullptr;
};

// A task as WhenAll keeps it: whether its value may be moved out.
template <typename T, bool moves>
struct Part {
  using value_type = ValueOf<T>;
  std::shared_ptr<TaskState<T>> state;
  value_type Value() const {
    if constexpr (moves) {
      return state->MoveValue();
    } else {
      return state->CopyValue();
    }
  }
};

template <typename TaskReference>
using PartOf = Part<typename std::remove_cvref_t<TaskReference>::value_type,
                    !std::is_lvalue_reference_v<TaskReference>>;

template <typename T, bool moves>
Task<std::vector<T>> AllOf(std::vector<Part<T, moves>> parts) {
  std::vector<TaskStateBase*> states;
  states.reserve(parts.size());
  for (const auto& part : parts) states.push_back(part.state.get());
  Gate gate(states, Gate::Opens::kWithAllOrFailure);
  const TaskStateBase* const failed = co_await GateAwaiter(gate);
  if (failed != nullptr) std::rethrow_exception(failed->error());
  std::vector<T> values;
  values.reserve(parts.size());
  for (const auto& part : parts) values.push_back(part.Value());
  co_return values;
}

template <bool moves>
Task<void> AllOf(std::vector<Part<void, moves>> parts) {
  std::vector<TaskStateBase*> states;
  states.reserve(parts.size());
  for (const auto& part : parts) states.push_back(part.state.get());
  Gate gate(states, Gate::Opens::kWithAllOrFailure);
  const TaskStateBase* const failed = co_await GateAwaiter(gate);
  if (failed != nullptr) std::rethrow_exception(failed->error());
}

template <typename... Parts>
Task<std::tuple<typename Parts::value_type...>> AllOf(
    std::tuple<Parts...> parts) {
  const std::vector<TaskStateBase*> states = std::apply(
      [](const auto&... part) {
        return std::vector<TaskStateBase*>{part.state.get()...};
      },
      parts);
  Gate gate(states, Gate::Opens::kWithAllOrFailure);
  const TaskStateBase* const failed = co_await GateAwaiter(gate);
  if (failed != nullptr) std::rethrow_exception(failed->error());
  co_return std::apply(
      [](const auto&... part) {
        return std::tuple<typename Parts::value_type...>(part.Value()...);
      },
      parts);
}

// The index of the first task to end, in the order of the tasks.
inline Task<size_t> AnyOf(std::vector<std::shared_ptr<TaskStateBase>> tasks) {
  std::vector<TaskStateBase*> states;
  states.reserve(tasks.size());
  for (const auto& task : tasks) states.push_back(task.get());
  Gate gate(states, Gate::Opens::kWithFirst);
  const TaskStateBase* const first = co_await GateAwaiter(gate);
  size_t index = 0;
  while (states[index] != first) ++index;
  co_return index;
}

}  // namespace internal

// All values, in the order of the tasks; std::monostate for a task without one.
// Throws as soon as one fails, without waiting for the others, whose results
// are then ignored. Values of tasks passed as lvalues are copied.
template <typename... Tasks>
requires(sizeof...(Tasks) > 0 &&
         (... && internal::kIsTask<std::remove_cvref_t<Tasks>>))
    Task<std::tuple<typename internal::PartOf<Tasks&&>::value_type...>> WhenAll(
        Tasks&&... tasks) {
  return internal::AllOf(std::tuple<internal::PartOf<Tasks&&>...>(
      internal::PartOf<Tasks&&>{internal::TaskAccess::State(tasks)}...));
}

// The same for any number of tasks of one type; Task<void> if they have no
// value.
template <typename T>
auto WhenAll(std::vector<Task<T>>&& tasks) {
  std::vector<internal::Part<T, true>> parts;
  parts.reserve(tasks.size());
  for (const Task<T>& task : tasks) {
    parts.push_back({internal::TaskAccess::State(task)});
  }
  return internal::AllOf(std::move(parts));
}
template <typename T>
auto WhenAll(const std::vector<Task<T>>& tasks) {
  std::vector<internal::Part<T, false>> parts;
  parts.reserve(tasks.size());
  for (const Task<T>& task : tasks) {
    parts.push_back({internal::TaskAccess::State(task)});
  }
  return internal::AllOf(std::move(parts));
}

// The index of the first task that ends, successfully or not; if several have
// ended already, the lowest. Await that task for its value. The others continue
// for as long as their tasks live.
template <typename... Ts>
requires(sizeof...(Ts) > 0) Task<size_t> WhenAny(const Task<Ts>&... tasks) {
  return internal::AnyOf(std::vector<std::shared_ptr<internal::TaskStateBase>>{
      internal::TaskAccess::State(tasks)...});
}
// Throws std::invalid_argument if there is no task.
template <typename T>
Task<size_t> WhenAny(const std::vector<Task<T>>& tasks) {
  if (tasks.empty()) throw std::invalid_argument("WhenAny of no tasks");
  std::vector<std::shared_ptr<internal::TaskStateBase>> states;
  states.reserve(tasks.size());
  for (const Task<T>& task : tasks) {
    states.push_back(internal::TaskAccess::State(task));
  }
  return internal::AnyOf(std::move(states));
}

}  // namespace leasehold::worker

#endif  // LEASEHOLD_CLIENT_WORKER_WHEN_H_
