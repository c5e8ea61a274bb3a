// RpcQueue: one completion queue and its thread, on which calls run.
//
// Thread-safety: Post and Resume are safe; all else belongs to the queue's
// thread.   Lifetime: belongs to its RpcRuntime.
#ifndef LEASEHOLD_SERVICE_RPC_RPC_QUEUE_H_
#define LEASEHOLD_SERVICE_RPC_RPC_QUEUE_H_

#include <grpcpp/alarm.h>
#include <grpcpp/completion_queue.h>

#include <atomic>
#include <coroutine>
#include <cstddef>
#include <cstdlib>
#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "lease/base/mutex.h"
#include "lease/clock.h"
#include "service/rpc/byte_budget.h"
#include "service/rpc/call_witness.h"
#include "service/rpc/gatekeeper.h"
#include "service/rpc/heartbeat.h"
#include "service/rpc/method_queue.h"
#include "service/rpc/overload.h"

namespace leasehold {

// What a completion queue hands back when an operation is done.
class CompletionTag {
 public:
  virtual void OnCompleted(bool ok) = 0;

 protected:
  ~CompletionTag() = default;
};

// The coroutine of a call. It starts at once, has no owner, and frees itself at
// its end. An exception that leaves it ends the program: handlers return
// statuses.
struct CallTask {
  struct promise_type {
    CallTask get_return_object() { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::abort(); }
  };
};

class StreamControl;
class Tracer;

// Who is asked, or told, about calls. Each may be null, and outlives the
// runtime.
struct RpcHooks {
  HeartbeatTimer* heartbeats = nullptr;  // Null: streams send no heartbeats.
  Gatekeeper* gatekeeper = nullptr;      // Null: everybody may call everything.
  CallWitness* witness = nullptr;
  Overload* overload =
      nullptr;               // Null: calls are served however long they wait.
  Tracer* tracer = nullptr;  // Null: no spans are made.
  const Clock* clock = nullptr;  // Null: no call is timed.
};

// One completion queue and its thread.
class RpcQueue {
 public:
  // `sockets`: a queue to which nothing ever comes (see Look).
  RpcQueue(std::unique_ptr<grpc::ServerCompletionQueue> queue,
           grpc::CompletionQueue& sockets, ByteBudget& budget, RpcHooks hooks);
  RpcQueue(const RpcQueue&) = delete;
  RpcQueue& operator=(const RpcQueue&) = delete;

  // Runs `task` on the queue's thread, never inside this call. May be called
  // from any thread, but not once no call is running (WaitUntilIdle).
  void Post(std::function<void()> task) ABSL_LOCKS_EXCLUDED(mu_);
  void Resume(std::coroutine_handle<> coroutine) {
    Post([coroutine] { coroutine.resume(); });
  }

  // So many calls may wait to be told that they are refused: of memory they
  // need some 10 MB.
  static constexpr size_t kHeldMax = 1000;
  // One more, or one less, does so. False: there are enough of them.
  bool HoldRefusal() {
    if (held_ == kHeldMax) return false;
    ++held_;
    return true;
  }
  void DropRefusal() { --held_; }

  // For the calls of a method. Before the queue's thread runs.
  MethodQueue& AddMethod(MethodInfo method) {
    return methods_.emplace_back(*this, method);
  }

  grpc::ServerCompletionQueue* queue() { return queue_.get(); }
  Gatekeeper* gatekeeper() { return hooks_.gatekeeper; }
  CallWitness* witness() { return hooks_.witness; }
  Overload* overload() { return hooks_.overload; }
  Tracer* tracer() const { return hooks_.tracer; }
  ByteBudget& budget() { return budget_; }
  const Clock* clock() { return hooks_.clock; }
  HeartbeatTimer* heartbeats() { return hooks_.heartbeats; }

 private:
  friend class RpcRuntime;
  friend class ServerCall;
  friend class StreamCall;

  // Wakes the queue's thread to run what was posted.
  struct WakeTag final : CompletionTag {
    explicit WakeTag(RpcQueue& queue) : queue(queue) {}
    void OnCompleted(bool) override { queue.RunPosted(); }
    RpcQueue& queue;
  };

  void Start() {
    thread_ = std::thread([this] { Run(); });
  }
  void Run();
  // Has gRPC look at the sockets. It does so by itself when a queue is empty
  // and only then: while calls make work for each other, such as streams whose
  // messages find room at once, nobody would read what others ask for, nor that
  // those streams are not wanted any more.
  void Look();
  void RunPosted() ABSL_LOCKS_EXCLUDED(mu_);
  void WaitBegins() { busy_.Add(1); }
  void WaitEnds(bool arrived) ABSL_LOCKS_EXCLUDED(mu_);
  void CallEnds(bool was_ending) ABSL_LOCKS_EXCLUDED(mu_);
  void BusyEnds() ABSL_LOCKS_EXCLUDED(mu_);
  bool Idle() const { return busy_.value() == 0; }
  void EndStreams(const absl::Status& status) ABSL_LOCKS_EXCLUDED(mu_);
  void AskAgain() ABSL_LOCKS_EXCLUDED(mu_);
  void WaitUntilIdle() ABSL_LOCKS_EXCLUDED(mu_);
  void ShutdownAndJoin();

  // Constant after construction.
  const std::unique_ptr<grpc::ServerCompletionQueue> queue_;
  grpc::CompletionQueue& sockets_;
  ByteBudget& budget_;
  const RpcHooks hooks_;
  std::deque<MethodQueue> methods_;
  std::thread thread_;
  size_t held_ = 0;  // Belongs to the queue's thread.
  WakeTag wake_tag_;

  Mutex mu_;
  CondVar idle_;
  grpc::Alarm wake_ ABSL_GUARDED_BY(mu_);
  bool waking_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<std::function<void()>> posted_ ABSL_GUARDED_BY(mu_);
  std::set<std::shared_ptr<StreamControl>> streams_ ABSL_GUARDED_BY(mu_);
  absl::Status streams_ended_ ABSL_GUARDED_BY(mu_);  // Not OK: no new ones.

  // Written only by the queue's thread (before that runs, by the thread that
  // starts it), so that a call takes no lock; read by others.
  class Count {
   public:
    void Add(size_t n) { value_.store(value() + n, std::memory_order_release); }
    void Subtract(size_t n) { Add(-n); }
    size_t value() const { return value_.load(std::memory_order_acquire); }

   private:
    std::atomic<size_t> value_ = 0;
  };
  // Coroutines that await a call, or serve one. A single number: of two, one
  // for each, others would see a moment in which both are 0 when a call comes.
  Count busy_;
  Count running_;  // Calls that have arrived and are not done.
  Count ending_;   // Those of them that only wait for their client to finish.
  Count arrived_;  // Calls that ever arrived.
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_RPC_RPC_QUEUE_H_
