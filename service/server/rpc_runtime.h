// RpcRuntime: calls served by coroutines over gRPC completion queues.
//
// One thread a queue, one coroutine a call: measured at half the CPU of gRPC
// 1.51's callback API. A handler is one coroutine from before its call is there
// until after it is gone:
//
//   CallTask EchoServer::ServeEcho(RpcQueue& queue) {
//     UnaryCall<EchoRequest, EchoResponse> call(queue);
//     if (!co_await call.Accept(service_, &Service::RequestEcho)) co_return;
//     ServeEcho(queue);  // Whoever calls next.
//     call.response().set_text(call.request().text());
//     co_await call.Finish(absl::OkStatus());
//   }
//
// It runs on its queue's thread alone, so it needs no locks of its own, and it
// must never block that thread. What finishes elsewhere (a wait for a context)
// comes back through RpcQueue::Resume.
//
// Thread-safety: RpcQueue::Resume is safe; all else belongs to the queue's
// thread.   Lifetime: services outlive the runtime; the runtime outlives the
// grpc::Server's last call (see RpcRuntime::Stop).
#ifndef LEASEHOLD_SERVICE_SERVER_RPC_RUNTIME_H_
#define LEASEHOLD_SERVICE_SERVER_RPC_RUNTIME_H_

#include <grpcpp/alarm.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/server_builder.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/async_unary_call.h>

#include <coroutine>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "lease/mutex.h"
#include "service/server/status_mapping.h"

namespace leasehold {

// What a completion queue hands back.
class CompletionTag {
 public:
  virtual void OnCompleted(bool ok) = 0;

 protected:
  ~CompletionTag() = default;
};

// The coroutine of a call: runs at once, owned by nobody, frees itself at its
// end. An exception that leaves it ends the program: handlers return statuses.
struct CallTask {
  struct promise_type {
    CallTask get_return_object() { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::abort(); }
  };
};

// One completion queue and its thread.
class RpcQueue {
 public:
  explicit RpcQueue(std::unique_ptr<grpc::ServerCompletionQueue> queue);
  RpcQueue(const RpcQueue&) = delete;
  RpcQueue& operator=(const RpcQueue&) = delete;

  // Resumes `coroutine` on the queue's thread, never inside this call. Safe
  // from any thread; must not be called once no call is running
  // (WaitUntilIdle).
  void Resume(std::coroutine_handle<> coroutine) ABSL_LOCKS_EXCLUDED(mu_);

  grpc::ServerCompletionQueue* queue() { return queue_.get(); }

 private:
  friend class RpcRuntime;
  friend class ServerCall;

  // Wakes the queue's thread for what Resume has left for it.
  struct WakeTag final : CompletionTag {
    explicit WakeTag(RpcQueue& queue) : queue(queue) {}
    void OnCompleted(bool) override { queue.ResumeAll(); }
    RpcQueue& queue;
  };

  void Start() {
    thread_ = std::thread([this] { Run(); });
  }
  void Run();
  void ResumeAll() ABSL_LOCKS_EXCLUDED(mu_);
  void WaitBegins() ABSL_LOCKS_EXCLUDED(mu_);
  void WaitEnds(bool arrived) ABSL_LOCKS_EXCLUDED(mu_);
  void CallEnds() ABSL_LOCKS_EXCLUDED(mu_);
  void WaitUntilIdle() ABSL_LOCKS_EXCLUDED(mu_);
  void ShutdownAndJoin();

  // Constant after construction.
  const std::unique_ptr<grpc::ServerCompletionQueue> queue_;
  std::thread thread_;
  WakeTag wake_tag_;

  Mutex mu_;
  CondVar idle_;
  grpc::Alarm wake_ ABSL_GUARDED_BY(mu_);
  bool waking_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<std::coroutine_handle<>> resumed_ ABSL_GUARDED_BY(mu_);
  size_t waits_ ABSL_GUARDED_BY(mu_) = 0;  // Coroutines that await a call.
  size_t running_ ABSL_GUARDED_BY(mu_) = 0;
  size_t arrived_ ABSL_GUARDED_BY(mu_) = 0;  // Ever.
};

// Something that a running call waits for, and that can be told to give up.
class CancelHandler {
 public:
  // The call is cancelled, past its deadline, or its client is gone. Runs on
  // the queue's thread.
  virtual void OnCancelled() = 0;

 protected:
  ~CancelHandler() = default;
};

// What all calls have: context, queue, and the notice of their end.
class ServerCall {
 public:
  explicit ServerCall(RpcQueue& queue) : queue_(queue), done_(*this) {
    CompletionTag* done = &done_;
    context_.AsyncNotifyWhenDone(done);
  }
  ServerCall(const ServerCall&) = delete;
  ServerCall& operator=(const ServerCall&) = delete;

  RpcQueue& queue() { return queue_; }
  grpc::ServerContext& context() { return context_; }
  bool cancelled() const { return cancelled_; }

  // Who to tell, while the coroutine waits for something, if the call is
  // cancelled; nullptr: nobody. At most one.
  void set_cancel_handler(CancelHandler* handler) { cancel_ = handler; }

 protected:
  ~ServerCall() = default;

  // An operation of the call that a coroutine awaits.
  class Operation final : public CompletionTag {
   public:
    void OnCompleted(bool ok) override {
      ok_ = ok;
      waiting_.resume();
    }

   private:
    friend class ServerCall;
    friend struct AcceptAwaiter;
    std::coroutine_handle<> waiting_;
    bool ok_ = false;
  };

  // Awaits the call's arrival.
  struct AcceptAwaiter {
    ServerCall& call;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> h) {
      // Counted from here on: a call that has arrived, and is not served yet,
      // needs its queue as well.
      call.queue_.WaitBegins();
      call.accept_.waiting_ = h;
    }
    bool await_resume() const {
      call.queue_.WaitEnds(/*arrived=*/call.accept_.ok_);
      return call.accept_.ok_;
    }
  };

  // Awaits the last operation and the notice of the end, in either order: both
  // lie in the coroutine's frame.
  class FinishAwaiter {
   public:
    explicit FinishAwaiter(ServerCall& call) : call_(call) {}
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> h) { call_.finish_.waiting = h; }
    void await_resume() { call_.queue_.CallEnds(); }

   private:
    ServerCall& call_;
  };

  CompletionTag* accept_tag() { return &accept_; }
  CompletionTag* finish_tag() { return &finish_; }

 private:
  struct DoneTag final : CompletionTag {
    explicit DoneTag(ServerCall& call) : call(call) {}
    void OnCompleted(bool) override { call.OnDone(); }
    ServerCall& call;
  };
  struct FinishTag final : CompletionTag {
    explicit FinishTag(ServerCall& call) : call(call) {}
    void OnCompleted(bool) override {
      finished = true;
      if (call.ended_) waiting.resume();
    }
    ServerCall& call;
    std::coroutine_handle<> waiting;
    bool finished = false;
  };

  void OnDone() {
    ended_ = true;
    cancelled_ = context_.IsCancelled();
    if (finish_.finished) return finish_.waiting.resume();
    if (!cancelled_) return;
    if (CancelHandler* handler = std::exchange(cancel_, nullptr)) {
      handler->OnCancelled();
    }
  }

  RpcQueue& queue_;
  grpc::ServerContext context_;
  Operation accept_;
  FinishTag finish_{*this};
  DoneTag done_;
  CancelHandler* cancel_ = nullptr;
  bool ended_ = false;      // The notice has come.
  bool cancelled_ = false;  // It said that the client did not wait for the end.
};

// A call with one request and one response.
template <typename Request, typename Response>
class UnaryCall : public ServerCall {
 public:
  explicit UnaryCall(RpcQueue& queue)
      : ServerCall(queue), writer_(&context()) {}

  const Request& request() const { return request_; }
  Response& response() { return response_; }

  // Waits for a call of one method: `RequestX` of the generated AsyncService.
  // False: the server stops, and there is none.
  template <typename Service, typename Base>
  AcceptAwaiter Accept(
      Service& service,
      void (Base::*request)(grpc::ServerContext*, Request*,
                            grpc::ServerAsyncResponseWriter<Response>*,
                            grpc::CompletionQueue*,
                            grpc::ServerCompletionQueue*, void*)) {
    (service.*request)(&context(), &request_, &writer_, queue().queue(),
                       queue().queue(), accept_tag());
    return AcceptAwaiter{*this};
  }

  // Answers, with the response if `status` is OK, and waits until the call is
  // gone. Must be the last thing that the coroutine awaits.
  FinishAwaiter Finish(const absl::Status& status) {
    set_cancel_handler(nullptr);
    if (status.ok()) {
      writer_.Finish(response_, grpc::Status::OK, finish_tag());
    } else {
      writer_.FinishWithError(ToGrpcStatus(status), finish_tag());
    }
    return FinishAwaiter(*this);
  }

 private:
  Request request_;
  Response response_;
  grpc::ServerAsyncResponseWriter<Response> writer_;
};

// The queues of a server.
class RpcRuntime {
 public:
  // Adds `queues` completion queues to `builder`.
  RpcRuntime(grpc::ServerBuilder& builder, int queues);
  ~RpcRuntime();

  // Starts the threads. After grpc::ServerBuilder::BuildAndStart. `serve` is
  // called for each queue, on the caller's thread, before its thread runs.
  template <typename Serve>
  void Start(Serve serve) {
    for (const std::unique_ptr<RpcQueue>& queue : queues_) serve(*queue);
    for (const std::unique_ptr<RpcQueue>& queue : queues_) queue->Start();
  }

  // Calls that have arrived and are not gone, and calls that ever arrived.
  struct Load {
    size_t running = 0;
    size_t arrived = 0;
  };
  Load load() const;

  // Waits until no call is running, then ends queues and threads. Idempotent.
  // REQUIRES: grpc::Server::Shutdown has been called, which lets no new call in
  // and ends the waits for one; or Start has not.
  void Stop();

 private:
  std::vector<std::unique_ptr<RpcQueue>> queues_;
  bool stopped_ = false;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_SERVER_RPC_RUNTIME_H_
