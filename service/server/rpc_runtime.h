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
// comes back through RpcQueue::Post.
//
// A stream can be ended from outside (a drain, a forced release) and woken from
// outside (news for a watcher), both through its StreamControl. Whatever it
// awaits then returns at once, and the handler goes on to Finish, which waits
// for what is still under way.
//
// Thread-safety: RpcQueue::Post and StreamControl are safe; all else belongs to
// the queue's thread.   Lifetime: services outlive the runtime; the runtime
// outlives the grpc::Server's last call (see RpcRuntime::Stop).
#ifndef LEASEHOLD_SERVICE_SERVER_RPC_RUNTIME_H_
#define LEASEHOLD_SERVICE_SERVER_RPC_RUNTIME_H_

#include <grpcpp/alarm.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/server_builder.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/async_stream.h>
#include <grpcpp/support/async_unary_call.h>

#include <atomic>
#include <coroutine>
#include <cstddef>
#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "lease/mutex.h"
#include "service/instance/instance_context.h"
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

class StreamControl;

// One completion queue and its thread.
class RpcQueue {
 public:
  explicit RpcQueue(std::unique_ptr<grpc::ServerCompletionQueue> queue);
  RpcQueue(const RpcQueue&) = delete;
  RpcQueue& operator=(const RpcQueue&) = delete;

  // Runs `task` on the queue's thread, never inside this call. Safe from any
  // thread; must not be called once no call is running (WaitUntilIdle).
  void Post(std::function<void()> task) ABSL_LOCKS_EXCLUDED(mu_);
  void Resume(std::coroutine_handle<> coroutine) {
    Post([coroutine] { coroutine.resume(); });
  }

  grpc::ServerCompletionQueue* queue() { return queue_.get(); }

 private:
  friend class RpcRuntime;
  friend class ServerCall;
  friend class StreamCall;

  // Wakes the queue's thread for what Post has left for it.
  struct WakeTag final : CompletionTag {
    explicit WakeTag(RpcQueue& queue) : queue(queue) {}
    void OnCompleted(bool) override { queue.RunPosted(); }
    RpcQueue& queue;
  };

  void Start() {
    thread_ = std::thread([this] { Run(); });
  }
  void Run();
  void RunPosted() ABSL_LOCKS_EXCLUDED(mu_);
  void WaitBegins() { waits_.Add(1); }
  void WaitEnds(bool arrived) ABSL_LOCKS_EXCLUDED(mu_);
  void CallEnds(bool was_ending) ABSL_LOCKS_EXCLUDED(mu_);
  bool Idle() const { return waits_.value() == 0 && running_.value() == 0; }
  void EndStreams(const absl::Status& status) ABSL_LOCKS_EXCLUDED(mu_);
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
  std::vector<std::function<void()>> posted_ ABSL_GUARDED_BY(mu_);
  std::set<std::shared_ptr<StreamControl>> streams_ ABSL_GUARDED_BY(mu_);
  absl::Status streams_ended_ ABSL_GUARDED_BY(mu_);  // Not OK: no new ones.

  // Counted by the queue's thread alone (before it runs, by who starts it), so
  // that a call takes no lock for it; read by others.
  class Count {
   public:
    void Add(size_t n) { value_.store(value() + n, std::memory_order_release); }
    void Subtract(size_t n) { Add(-n); }
    size_t value() const { return value_.load(std::memory_order_acquire); }

   private:
    std::atomic<size_t> value_ = 0;
  };
  Count waits_;    // Coroutines that await a call.
  Count running_;  // Calls that have arrived and are not done.
  Count ending_;   // Streams of these that wait for their client's word only.
  Count arrived_;  // Calls that ever arrived.
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

// What all calls have: context, queue, the operation that the coroutine awaits,
// and the notice of the end.
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

  // An operation of gRPC's, under way or not.
  class Operation final : public CompletionTag {
   public:
    explicit Operation(ServerCall& call) : call_(call) {}
    CompletionTag* Begin() {
      pending_ = true;
      return this;
    }
    bool pending() const { return pending_; }
    bool ok() const { return ok_; }
    void OnCompleted(bool ok) override {
      pending_ = false;
      ok_ = ok;
      call_.OnOperation(*this);
    }

   private:
    ServerCall& call_;
    bool pending_ = false;
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
      call.Await(h, Awaiting::kArrival);
    }
    bool await_resume() const {
      call.queue_.WaitEnds(/*arrived=*/call.accept_.ok());
      if (call.accept_.ok()) call.OnArrived();
      return call.accept_.ok();
    }
  };

  // Awaits all that is under way and the notice of the end, in any order: they
  // lie in the coroutine's frame.
  class FinishAwaiter {
   public:
    explicit FinishAwaiter(ServerCall& call) : call_(call) {}
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> h) {
      call_.Await(h, Awaiting::kFinish);
    }
    void await_resume() { call_.queue_.CallEnds(call_.ending_); }

   private:
    ServerCall& call_;
  };

  // What the coroutine waits for here. (For other things, such as its instance,
  // it waits elsewhere.)
  enum class Awaiting { kNothing, kArrival, kOperation, kNews, kFinish };

  void Await(std::coroutine_handle<> coroutine, Awaiting awaiting,
             const Operation* operation = nullptr) {
    coroutine_ = coroutine;
    awaiting_ = awaiting;
    operation_ = operation;
  }
  // Whatever it waits for in the middle of the call: it waits no longer.
  void Interrupt() {
    if (awaiting_ == Awaiting::kOperation || awaiting_ == Awaiting::kNews) {
      Resume();
    }
  }
  void OnNews() {
    if (awaiting_ == Awaiting::kNews) Resume();
  }

  virtual void OnArrived() {}

  bool ending_ = false;  // Counted as such by the queue.
  Operation accept_{*this};
  Operation read_{*this};
  Operation write_{*this};  // Initial metadata and messages.
  Operation finish_{*this};

 private:
  struct DoneTag final : CompletionTag {
    explicit DoneTag(ServerCall& call) : call(call) {}
    void OnCompleted(bool) override { call.OnDone(); }
    ServerCall& call;
  };

  void OnOperation(const Operation& operation) {
    if (awaiting_ == Awaiting::kFinish) {
      MaybeFinish();
    } else if (awaiting_ == Awaiting::kArrival || operation_ == &operation) {
      Resume();
    }
  }

  void OnDone() {
    ended_ = true;
    cancelled_ = context_.IsCancelled();
    if (awaiting_ == Awaiting::kFinish) {
      MaybeFinish();
    } else if (!cancelled_) {
      return;
    } else if (CancelHandler* handler = std::exchange(cancel_, nullptr)) {
      handler->OnCancelled();
    } else {
      OnNews();  // Operations end by themselves.
    }
  }

  void MaybeFinish() {
    if (ended_ && !finish_.pending() && !read_.pending() && !write_.pending()) {
      Resume();
    }
  }

  void Resume() {
    awaiting_ = Awaiting::kNothing;
    operation_ = nullptr;
    std::exchange(coroutine_, nullptr).resume();
  }

  RpcQueue& queue_;
  grpc::ServerContext context_;
  DoneTag done_;
  std::coroutine_handle<> coroutine_;
  Awaiting awaiting_ = Awaiting::kNothing;
  const Operation* operation_ = nullptr;  // For kOperation: which.
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

  Request& request() { return request_; }
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
                       queue().queue(), accept_.Begin());
    return AcceptAwaiter{*this};
  }

  // Answers, with the response if `status` is OK, and waits until the call is
  // gone. Must be the last thing that the coroutine awaits.
  FinishAwaiter Finish(const absl::Status& status) {
    set_cancel_handler(nullptr);
    if (status.ok()) {
      writer_.Finish(response_, grpc::Status::OK, finish_.Begin());
    } else {
      writer_.FinishWithError(ToGrpcStatus(status), finish_.Begin());
    }
    return FinishAwaiter(*this);
  }

 private:
  Request request_;
  Response response_;
  grpc::ServerAsyncResponseWriter<Response> writer_;
};

class StreamCall;

// Through it a stream is woken or ended from other threads, for as long as
// there is one: it may be held for longer than the call.
class StreamControl final : public ReleaseListener,
                            public std::enable_shared_from_this<StreamControl> {
 public:
  StreamControl(RpcQueue& queue, StreamCall& call)
      : queue_(&queue), call_(&call) {}

  // There is news: what awaits StreamCall::News returns. Wakes that come before
  // the handler looks are one.
  void Notify() ABSL_LOCKS_EXCLUDED(mu_);
  // The stream ends with `status`: the first one counts.
  void End(absl::Status status) ABSL_LOCKS_EXCLUDED(mu_);
  void OnForcedRelease() override {
    End(absl::AbortedError("the instance was released by force"));
  }

 private:
  friend class StreamCall;

  void PostLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // On the queue's thread: passes on what has come.
  void Deliver() ABSL_LOCKS_EXCLUDED(mu_);
  // The call is about to be gone.
  void Close() ABSL_LOCKS_EXCLUDED(mu_);

  Mutex mu_;
  RpcQueue* queue_ ABSL_GUARDED_BY(mu_);  // Null: the call is gone.
  StreamCall* call_ ABSL_GUARDED_BY(mu_);
  bool posted_ ABSL_GUARDED_BY(mu_) = false;
  bool news_ ABSL_GUARDED_BY(mu_) = false;
  std::optional<absl::Status> end_ ABSL_GUARDED_BY(mu_);
};

// What all streaming calls have. Handlers use ServerStreamCall and
// BidiStreamCall.
class StreamCall : public ServerCall {
 public:
  explicit StreamCall(RpcQueue& queue)
      : ServerCall(queue),
        control_(std::make_shared<StreamControl>(queue, *this)) {}

  const std::shared_ptr<StreamControl>& control() const { return control_; }

  // Whether the stream is to end: it was told to, or the client is gone.
  bool over() const { return end_.has_value() || cancelled(); }
  // How it ends: as it was told to, or else `status`.
  absl::Status EndStatus(absl::Status status) const {
    return end_.value_or(std::move(status));
  }

  // Awaits a Notify of the control. False: the stream is over.
  struct NewsAwaiter {
    StreamCall& call;
    bool await_ready() const noexcept { return call.news_ || call.over(); }
    void await_suspend(std::coroutine_handle<> h) {
      call.Await(h, Awaiting::kNews);
    }
    bool await_resume() {
      call.news_ = false;
      return !call.over();
    }
  };
  NewsAwaiter News() { return NewsAwaiter{*this}; }

 protected:
  ~StreamCall() = default;

  // Awaits an operation, or the end of the stream. False: there is no more.
  struct OperationAwaiter {
    StreamCall& call;
    const Operation* operation;  // Null: the stream was over before it began.
    bool await_ready() const noexcept { return operation == nullptr; }
    void await_suspend(std::coroutine_handle<> h) {
      call.Await(h, Awaiting::kOperation, operation);
    }
    bool await_resume() const {
      return operation != nullptr && !call.over() && operation->ok();
    }
  };

  // No word from outside gets through any more.
  void Unregister();

 private:
  friend class StreamControl;

  // Counts the stream among those that a drain ends.
  void OnArrived() override;
  // From the control, on the queue's thread.
  void OnControl(bool news, std::optional<absl::Status> end);

  const std::shared_ptr<StreamControl> control_;
  bool news_ = false;
  std::optional<absl::Status> end_;
};

// A call with one request and a stream of responses.
template <typename Request, typename Response>
class ServerStreamCall : public StreamCall {
 public:
  explicit ServerStreamCall(RpcQueue& queue)
      : StreamCall(queue), writer_(&context()) {}

  const Request& request() const { return request_; }

  template <typename Service, typename Base>
  AcceptAwaiter Accept(Service& service,
                       void (Base::*request)(grpc::ServerContext*, Request*,
                                             grpc::ServerAsyncWriter<Response>*,
                                             grpc::CompletionQueue*,
                                             grpc::ServerCompletionQueue*,
                                             void*)) {
    (service.*request)(&context(), &request_, &writer_, queue().queue(),
                       queue().queue(), accept_.Begin());
    return AcceptAwaiter{*this};
  }

  OperationAwaiter Write(const Response& response) {
    if (over()) return {*this, nullptr};
    writer_.Write(response, write_.Begin());
    return {*this, &write_};
  }

  FinishAwaiter Finish(const absl::Status& status) {
    set_cancel_handler(nullptr);
    Unregister();
    writer_.Finish(ToGrpcStatus(status), finish_.Begin());
    return FinishAwaiter(*this);
  }
  // As Finish, after one more response, even if the stream was told to end;
  // without it, if an earlier one is still on its way.
  FinishAwaiter FinishWith(const Response& response,
                           const absl::Status& status) {
    if (write_.pending()) return Finish(status);
    set_cancel_handler(nullptr);
    Unregister();
    writer_.WriteAndFinish(response, {}, ToGrpcStatus(status), finish_.Begin());
    return FinishAwaiter(*this);
  }

 private:
  Request request_;
  grpc::ServerAsyncWriter<Response> writer_;
};

// A call with a stream of requests and a stream of responses.
template <typename Request, typename Response>
class BidiStreamCall : public StreamCall {
 public:
  explicit BidiStreamCall(RpcQueue& queue)
      : StreamCall(queue), stream_(&context()) {}

  template <typename Service, typename Base>
  AcceptAwaiter Accept(
      Service& service,
      void (Base::*request)(grpc::ServerContext*,
                            grpc::ServerAsyncReaderWriter<Response, Request>*,
                            grpc::CompletionQueue*,
                            grpc::ServerCompletionQueue*, void*)) {
    (service.*request)(&context(), &stream_, queue().queue(), queue().queue(),
                       accept_.Begin());
    return AcceptAwaiter{*this};
  }

  // Sends the initial metadata at once.
  OperationAwaiter SendInitialMetadata() {
    if (over()) return {*this, nullptr};
    stream_.SendInitialMetadata(write_.Begin());
    return {*this, &write_};
  }

  // False: the client has sent all, or the stream is over.
  OperationAwaiter Read() {
    if (over()) return {*this, nullptr};
    stream_.Read(&request_, read_.Begin());
    return {*this, &read_};
  }
  Request& request() { return request_; }

  OperationAwaiter Write(const Response& response) {
    if (over()) return {*this, nullptr};
    stream_.Write(response, write_.Begin());
    return {*this, &write_};
  }

  FinishAwaiter Finish(const absl::Status& status) {
    set_cancel_handler(nullptr);
    Unregister();
    stream_.Finish(ToGrpcStatus(status), finish_.Begin());
    return FinishAwaiter(*this);
  }

 private:
  Request request_;
  grpc::ServerAsyncReaderWriter<Response, Request> stream_;
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

  // Ends every open stream with `status`, and those that are still to come.
  void EndStreams(const absl::Status& status);

  struct Load {
    size_t running = 0;  // Calls that have arrived and are not done.
    size_t ending = 0;   // Streams that are done, but their client has yet to
                         // take what was sent: it may never do so.
    size_t arrived = 0;  // Calls that ever arrived.
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
