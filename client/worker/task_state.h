// What a Task shares with what completes it, and how coroutines are scheduled.
//
// A task's end is recorded in its TaskState, which wakes its waiters: a waiting
// coroutine is put into the RunQueue. No coroutine resumes another one itself,
// so a loop that awaits a million tasks that end at once needs no deep stack.
//
// Waiters and queue entries are links of rings and leave their ring when they
// are destroyed. So a coroutine may be destroyed at any time, whatever it is
// waiting for.
//
// Thread-safety: one thread: the one that runs the turn.   Lifetime: a RunQueue
// outlives the coroutines that run in it.
#ifndef LEASEHOLD_CLIENT_WORKER_TASK_STATE_H_
#define LEASEHOLD_CLIENT_WORKER_TASK_STATE_H_

#include <coroutine>
#include <cstddef>
#include <cstring>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

namespace leasehold::worker::internal {

// A coroutine's frame, to resume and to destroy.
//
// Like std::coroutine_handle<>, but works with g++ 12. If a coroutine has no
// variable in its outermost block, g++ 12 puts the variable that it makes for a
// condition with co_await (`if (co_await …)`, `switch`, loops) at the beginning
// of the frame, before the pointers to the functions (GCC's bug 106188, fixed
// in 12.3), and a handle then calls something that is not a function. The
// pointers are still right before the promise, and the functions expect the
// frame as the compiler lays it out:
//
//   std::coroutine_handle   [resume][destroy][promise] …
//   g++ 12, in such a case  [condition][resume][destroy][promise] …
class Frame {
 public:
  Frame() = default;
  // `start`: as the compiler passes it to an awaiter. REQUIRES: the promise has
  // the alignment of a pointer.
  template <typename Promise>
  Frame(Promise& promise, std::coroutine_handle<> start) : start_(start) {
    static_assert(alignof(Promise) <= alignof(void*));
    functions_ =
        std::coroutine_handle<Promise>::from_promise(promise).address();
  }

  void Resume() const { Call(0); }
  void Destroy() const { Call(1); }

 private:
  void Call(size_t index) const {
#if defined(__clang__) || __GNUC__ > 12
    index == 0 ? start_.resume() : start_.destroy();
#else
    void (*function)(void*) = nullptr;
    std::memcpy(&function,
                static_cast<const char*>(functions_) + index * sizeof(function),
                sizeof(function));
    function(start_.address());
#endif
  }

  std::coroutine_handle<> start_;
  const void* functions_ = nullptr;
};

// A link in a ring; a single one is a ring of its own.
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
  // Leaves its ring and joins that of `place`, right before it.
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

// A waiter for a task: a coroutine, or a part of WhenAll.
class Waiter : public Link {
 public:
  virtual ~Waiter() = default;
  // The task has ended. Called once, when it no longer waits.
  virtual void Wake() = 0;
};

class RunQueue;

// A suspended coroutine: in the ring of what it waits for, or in the run
// queue.
class Suspended final : public Waiter {
 public:
  // It runs in `queue` from now on. Only the first call has an effect.
  void Enter(RunQueue& queue, const Frame& frame) {
    queue_ = &queue;
    frame_ = frame;
  }
  RunQueue& queue() const { return *queue_; }
  void Wake() override;

 private:
  friend class RunQueue;
  RunQueue* queue_ = nullptr;
  Frame frame_;
};

// The coroutines that can continue, in the order in which they became ready.
class RunQueue {
 public:
  void Push(Suspended& coroutine) { coroutine.InsertBefore(ready_); }
  bool empty() const { return ready_.alone(); }
  // Runs the first. REQUIRES: not empty.
  void RunOne() {
    auto* const first = static_cast<Suspended*>(ready_.next());
    first->Unlink();
    first->frame_.Resume();
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
  // Starts the task if it has not started; a coroutine then runs in `queue`.
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

// Stands for the value of a task that has none.
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
  // The same, and moves the value out.
  ValueOf<T> MoveValue() {
    if (failed()) std::rethrow_exception(error());
    return std::move(*value_);
  }

 private:
  std::optional<ValueOf<T>> value_;
};

}  // namespace leasehold::worker::internal

#endif  // LEASEHOLD_CLIENT_WORKER_TASK_STATE_H_
