// What a Task shares with whoever completes it, and how coroutines take turns.
//
// A task's end is noted in its TaskState; that wakes its waiters, and a waiting
// coroutine is put into the RunQueue. No coroutine resumes another one itself:
// a loop that awaits a million tasks which end at once needs no stack for them.
//
// Waiters and queue entries are links of rings, and leave their ring when they
// are destroyed. So a coroutine may be destroyed at any time, whatever it waits
// for.
//
// Thread-safety: one thread: that which runs the turn.   Lifetime: a RunQueue
// outlives the coroutines that run in it.
#ifndef LEASEHOLD_CLIENT_WORKER_TASK_STATE_H_
#define LEASEHOLD_CLIENT_WORKER_TASK_STATE_H_

#include <coroutine>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

namespace leasehold::worker::internal {

// A place in a ring; alone, a ring of its own.
class Link {
 public:
  Link() = default;
  ~Link() { Unlink(); }
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  bool alone() const { return next_ == this; }
  Link* next() const { return next_; }
  void Unlink() {
    next_->previous_ = previous_;
    previous_->next_ = next_;
    next_ = previous_ = this;
  }
  // Leaves its ring and stands before `place` in that one's.
  void InsertBefore(Link& place) {
    Unlink();
    next_ = &place;
    previous_ = place.previous_;
    previous_->next_ = this;
    place.previous_ = this;
  }

 private:
  Link* next_ = this;
  Link* previous_ = this;
};

// Whoever waits for a task: a coroutine, or a part of WhenAll.
class Waiter : public Link {
 public:
  virtual ~Waiter() = default;
  // The task has ended. Called once, when it waits no more.
  virtual void Wake() = 0;
};

class RunQueue;

// A coroutine that is suspended: in the ring of what it waits for, or in the
// queue.
class Suspended final : public Waiter {
 public:
  // It runs in `queue` from now on. Only the first call has an effect.
  void Enter(RunQueue& queue, std::coroutine_handle<> coroutine) {
    queue_ = &queue;
    coroutine_ = coroutine;
  }
  RunQueue& queue() const { return *queue_; }
  void Wake() override;

 private:
  friend class RunQueue;
  RunQueue* queue_ = nullptr;
  std::coroutine_handle<> coroutine_;
};

// The coroutines that can go on, in the order in which they became able to.
class RunQueue {
 public:
  void Push(Suspended& coroutine) { coroutine.InsertBefore(ready_); }
  bool empty() const { return ready_.alone(); }
  // Runs the first. REQUIRES: not empty.
  void RunOne() {
    auto* const first = static_cast<Suspended*>(ready_.next());
    first->Unlink();
    first->coroutine_.resume();
  }

 private:
  Link ready_;
};

inline void Suspended::Wake() { queue_->Push(*this); }

class TaskStateBase {
 public:
  TaskStateBase() = default;
  virtual ~TaskStateBase() = default;
  TaskStateBase(const TaskStateBase&) = delete;
  TaskStateBase& operator=(const TaskStateBase&) = delete;

  bool done() const { return done_; }
  bool failed() const { return error_ != nullptr; }
  // Null unless failed.
  const std::exception_ptr& error() const { return error_; }

  // Has `waiter` woken at the end. REQUIRES: not done.
  void Await(Waiter& waiter) { waiter.InsertBefore(waiters_); }
  // Begins what has not begun; a coroutine then runs in `queue`.
  virtual void Start(RunQueue& queue) { (void)queue; }

 protected:
  void Fail(std::exception_ptr error) {
    error_ = std::move(error);
    End();
  }
  void End() {
    done_ = true;
    while (!waiters_.alone()) {
      auto* const waiter = static_cast<Waiter*>(waiters_.next());
      waiter->Unlink();
      waiter->Wake();
    }
  }

 private:
  std::exception_ptr error_;
  bool done_ = false;
  Link waiters_;
};

// What stands for a task's value if it has none.
template <typename T>
using ValueOf = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

template <typename T>
class TaskState : public TaskStateBase {
 public:
  // REQUIRES: not done. Each is called at most once.
  void SetValue(ValueOf<T> value) {
    value_.emplace(std::move(value));
    End();
  }
  void SetError(std::exception_ptr error) { Fail(std::move(error)); }

  // Throws what the task failed with. REQUIRES: done.
  ValueOf<T> CopyValue() const {
    if (failed()) std::rethrow_exception(error());
    return *value_;
  }
  // The same, and leaves a value that was moved from.
  ValueOf<T> MoveValue() {
    if (failed()) std::rethrow_exception(error());
    return std::move(*value_);
  }

 private:
  std::optional<ValueOf<T>> value_;
};

}  // namespace leasehold::worker::internal

#endif  // LEASEHOLD_CLIENT_WORKER_TASK_STATE_H_
