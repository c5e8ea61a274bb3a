// ServerCall and UnaryCall: a call as its coroutine sees it.
//
// It lies in the coroutine's frame. What it awaits ends early when the call is
// cancelled; Finish waits for what is still under way.
//
// Thread-safety: belongs to its queue's thread.   Lifetime: its queue outlives
// it; it outlives every operation that it has begun.
#ifndef LEASEHOLD_SERVICE_RPC_SERVER_CALL_H_
#define LEASEHOLD_SERVICE_RPC_SERVER_CALL_H_

#include <grpcpp/alarm.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/async_unary_call.h>
#include <grpcpp/support/byte_buffer.h>

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "service/rpc/byte_budget.h"
#include "service/rpc/call_cells.h"
#include "service/rpc/caller.h"
#include "service/rpc/gatekeeper.h"
#include "service/rpc/method_queue.h"
#include "service/rpc/received.h"
#include "service/rpc/rpc_queue.h"
#include "service/rpc/status_mapping.h"
#include "service/tracing/span.h"

namespace leasehold {

// Something that a running call waits for, and that can give up waiting.
class CancelHandler {
 public:
  // The call was cancelled, has passed its deadline, or has lost its client.
  // Runs on the queue's thread.
  virtual void OnCancelled() = 0;

 protected:
  ~CancelHandler() = default;
};

// About how many bytes a message has on the wire.
template <typename Message>
size_t WireBytes(const Message& message) {
  if constexpr (requires { message.ByteSizeLong(); }) {
    return message.ByteSizeLong();
  } else {
    return message.Length();
  }
}

// What all calls have: a context, a queue, the operation that the coroutine
// awaits, and the notice that the call is over.
class ServerCall {
 public:
  explicit ServerCall(MethodQueue& calls)
      : queue_(calls.queue()),
        method_(calls.method()),
        cells_(calls.cells()),
        done_(*this) {
    CompletionTag* done = &done_;
    context_.AsyncNotifyWhenDone(done);
  }
  ServerCall(const ServerCall&) = delete;
  ServerCall& operator=(const ServerCall&) = delete;

  RpcQueue& queue() { return queue_; }
  grpc::ServerContext& context() { return context_; }
  const grpc::ServerContext& context() const { return context_; }
  // REQUIRES: the call has passed (Parse, Pass).
  const Caller& caller() const { return *caller_; }
  const MethodInfo& method() const { return method_; }
  bool cancelled() const { return cancelled_; }
  // What it gives on to the work that it begins.
  CallTrace trace() const;

  // Sets what is told if the call is cancelled, or told to end, while the
  // coroutine waits for something else; null: nothing. There is at most one.
  void set_cancel_handler(CancelHandler* handler) { cancel_ = handler; }

 protected:
  ~ServerCall() = default;

  // A gRPC operation, under way or not.
  class Operation final : public CompletionTag {
   public:
    explicit Operation(ServerCall& call) : call_(call) {}
    CompletionTag* Begin() {
      pending_ = true;
      return this;
    }
    // It was begun, but not passed on to gRPC, and will not be.
    void Drop() { pending_ = false; }
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
      // Counted from here on: a call that has arrived, but is not served yet,
      // needs its queue too.
      call.queue_.WaitBegins();
      call.Await(h, Awaiting::kArrival);
    }
    bool await_resume() const {
      call.queue_.WaitEnds(/*arrived=*/call.accept_.ok());
      if (!call.accept_.ok()) return false;
      if (call.cells_.OnArrived()) call.BeginTime();
      // First: else a policy that changes in between would never be asked.
      call.OnArrived();
      call.Identify();
      return true;
    }
  };

  // Awaits every operation that is under way and the notice of the end, in any
  // order: they lie in the coroutine's frame.
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

  // Awaits the end of a call that was refused.
  struct PassAwaiter {
    ServerCall& call;
    bool passed;
    bool await_ready() const noexcept { return passed; }
    void await_suspend(std::coroutine_handle<> h) {
      call.Await(h, Awaiting::kFinish);
    }
    bool await_resume() const {
      if (!passed) call.queue_.CallEnds(call.ending_);
      return passed;
    }
  };
  // False: the gatekeeper has refused the call, which is over.
  PassAwaiter PassIf(const absl::Status& status) {
    if (!status.ok()) Refuse(status);
    return {*this, status.ok()};
  }
  // Why the gatekeeper refuses the call.
  const absl::Status& refusal() const { return refusal_; }
  // Whether a call that has waited for its answer may still have it.
  absl::Status AdmittedAfterWait() const {
    return method_.lasting == Lasting::kWait ? AdmittedStill()
                                             : absl::OkStatus();
  }
  // Counts the call, and tells the witness of the answer, and the client when
  // it may try again.
  void OnAnswer(const absl::Status& status) {
    cells_.OnEnded(status.code());
    if (begun_ns_ != 0) EndTime();
    if (caller_ != nullptr && caller_->outcomes != nullptr) {
      caller_->outcomes->Count(status.code());
    }
    if (!status.ok() || witnessed_ || span_ != nullptr) {
      OnNotableAnswer(status);
    }
  }
  // Whether the witness, or its span, is to be told which instances the call is
  // about.
  bool witnessed() const { return witnessed_ || span_ != nullptr; }
  bool names_instance() const { return !instance_id_.empty(); }
  // The first ones of many; what is too long to be one is cut.
  void NoteInstance(std::string_view id);

  // Asks the gatekeeper again about a call that has passed.
  absl::Status AdmittedStill() const {
    Gatekeeper* const gatekeeper = queue_.gatekeeper();
    return gatekeeper == nullptr || !refusal_.ok()
               ? absl::OkStatus()
               : gatekeeper->AdmitStill(context_, method_, *caller_);
  }

  // Answers the call with `status`, and waits until the call is over. The
  // coroutine must not await anything after it.
  virtual FinishAwaiter Finish(const absl::Status& status) = 0;

  // What the coroutine waits for in this class. (It waits elsewhere for other
  // things, such as its instance.)
  enum class Awaiting { kNothing, kArrival, kOperation, kNews, kRoom, kFinish };

  void Await(std::coroutine_handle<> coroutine, Awaiting awaiting,
             const Operation* operation = nullptr) {
    coroutine_ = coroutine;
    awaiting_ = awaiting;
    operation_ = operation;
  }
  // Ends whatever the coroutine waits for in the middle of the call.
  void Interrupt() {
    if (CancelHandler* handler = std::exchange(cancel_, nullptr)) {
      return handler->OnCancelled();
    }
    if (awaiting_ == Awaiting::kOperation || awaiting_ == Awaiting::kNews ||
        awaiting_ == Awaiting::kRoom) {
      Resume();
    }
  }
  void OnNews() {
    if (awaiting_ == Awaiting::kNews ||
        (awaiting_ == Awaiting::kRoom && (room_.bytes() != 0 || cancelled_))) {
      Resume();
    }
  }

  // This call as the budget knows it.
  ByteBudget::Holder MakeHolder();
  absl::Status Take(size_t bytes, ByteBudget::Claim& claim) {
    return queue_.budget().Take(
        bytes, [this] { return MakeHolder(); }, claim);
  }
  void TakeAnyway(size_t bytes, ByteBudget::Claim& claim) {
    queue_.budget().TakeAnyway(
        bytes, [this] { return MakeHolder(); }, claim);
  }

  virtual void OnArrived() {}
  virtual void OnBeatSent() {}

  bool ending_ = false;  // Counted as such by the queue.
  Operation accept_{*this};
  Operation read_{*this};
  Operation write_{*this};  // Initial metadata and messages.
  Operation beat_{*this};   // Heartbeats.
  Operation finish_{*this};

 private:
  // A refusal that is told later.
  struct Held {
    explicit Held(ServerCall& call) : until(call) {}
    absl::Status status;
    Operation until;
    grpc::Alarm alarm;
  };

  struct DoneTag final : CompletionTag {
    explicit DoneTag(ServerCall& call) : call(call) {}
    void OnCompleted(bool) override { call.OnDone(); }
    ServerCall& call;
  };

  void OnOperation(const Operation& operation) {
    if (held_ != nullptr && &operation == &held_->until) OnHeld();
    if (awaiting_ == Awaiting::kFinish) {
      MaybeFinish();
    } else if (&operation == &beat_) {
      OnBeatSent();
    } else if (awaiting_ == Awaiting::kArrival || operation_ == &operation) {
      Resume();
    }
  }

  void OnDone() {
    ended_ = true;
    cancelled_ = context_.IsCancelled();
    if (held_ != nullptr) held_->alarm.Cancel();
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

  // Answers with `status`, at once or when it is to be told.
  void Refuse(const absl::Status& status);
  // That time has come, or the client has gone.
  void OnHeld();
  void OnNotableAnswer(const absl::Status& status);
  void BeginSpan();
  void EndSpan(const absl::Status& status);
  // Of how long the call takes.
  void BeginTime();
  void EndTime();

  void Identify() {
    if (Overload* const overload = queue_.overload(); overload != nullptr) {
      // First: to refuse a call should cost as little as it can.
      refusal_ = overload->Admit(method_);
      if (!refusal_.ok()) {
        turned_away_ = true;
        return;
      }
    }
    if (queue_.tracer() != nullptr) BeginSpan();
    CallWitness* const witness = queue_.witness();
    witnessed_ = witness != nullptr && witness->Watches(method_);
    Gatekeeper* const gatekeeper = queue_.gatekeeper();
    if (gatekeeper == nullptr) {
      caller_ = Anonymous();
      return;
    }
    refusal_ = gatekeeper->Admit(context_, method_, caller_);
  }

  void MaybeFinish() {
    if (ended_ && held_ == nullptr && !finish_.pending() && !read_.pending() &&
        !write_.pending() && !beat_.pending()) {
      Resume();
    }
  }

  void Resume() {
    awaiting_ = Awaiting::kNothing;
    operation_ = nullptr;
    std::exchange(coroutine_, nullptr).resume();
  }

  RpcQueue& queue_;
  const MethodInfo& method_;
  CallCells& cells_;
  int64_t begun_ns_ = 0;  // 0: the call is not timed.
  grpc::ServerContext context_;
  // From its arrival on. Null: nobody is known.
  std::shared_ptr<const Caller> caller_;
  absl::Status refusal_;      // Not OK: the caller may not make this call.
  bool turned_away_ = false;  // Because of an overload, whoever the caller is.
  bool witnessed_ = false;
  std::string instance_id_;     // For the witness; several stand with commas.
  std::unique_ptr<Span> span_;  // Null: none is made.
  std::unique_ptr<Held> held_;  // Null: no refusal is waiting.

 protected:
  // For the message on its way out, or for the request; and what a stream has
  // reserved.
  ByteBudget::Claim claim_;
  ByteBudget::Claim room_;

 private:
  DoneTag done_;
  std::coroutine_handle<> coroutine_;
  Awaiting awaiting_ = Awaiting::kNothing;
  const Operation* operation_ = nullptr;  // For kOperation: which.
  CancelHandler* cancel_ = nullptr;
  bool ended_ = false;      // The notice has come.
  bool cancelled_ = false;  // It says that the client did not see the end.
};

// The half of a call with one request: how the call arrives, and how its
// request is read. `Base`: ServerCall or StreamCall; `Writer`: what gRPC
// answers it with.
template <typename Base, typename Request, typename Writer>
class OneRequestCall : public Base {
 public:
  using typename Base::AcceptAwaiter;
  using typename Base::PassAwaiter;

  explicit OneRequestCall(MethodQueue& calls)
      : Base(calls), writer_(&this->context()) {}

  Request& request() { return received_.request(); }

  // Waits for a call of one method: `RequestX` of a RawService. False: the
  // server stops, and no call comes.
  template <typename Service, typename Method>
  AcceptAwaiter Accept(Service& service,
                       void (Method::*request)(grpc::ServerContext*,
                                               grpc::ByteBuffer*, Writer*,
                                               grpc::CompletionQueue*,
                                               grpc::ServerCompletionQueue*,
                                               void*)) {
    grpc::ServerCompletionQueue* const queue = this->queue().queue();
    (service.*request)(&this->context(), received_.bytes(), &writer_, queue,
                       queue, this->accept_.Begin());
    return AcceptAwaiter{*this};
  }

  // Parses the request, if the caller may make it. Await it before anything
  // else. False: the call was refused, and is over.
  PassAwaiter Parse() {
    absl::Status status = this->refusal();
    if (status.ok()) {
      status = received_.Parse();
    } else {
      received_.Forget();  // It may be a while until the refusal is told.
    }
    if (status.ok() && this->witnessed()) NoteInstances();
    return this->PassIf(status);
  }

 protected:
  ~OneRequestCall() = default;

  ReceivedRequest<Request> received_;
  Writer writer_;

 private:
  void NoteInstances() {
    if constexpr (requires { request().instance_id(); }) {
      this->NoteInstance(request().instance_id());
    }
    if constexpr (requires { request().instanceid(); }) {
      this->NoteInstance(request().instanceid());
    }
    if constexpr (requires { request().instance_ids(); }) {
      for (const auto& id : request().instance_ids()) this->NoteInstance(id);
    }
    if constexpr (requires { request().instancebatch().instanceids(); }) {
      for (const auto& id : request().instancebatch().instanceids()) {
        this->NoteInstance(id);
      }
    }
  }
};

// A call with one request and one response.
template <typename Request, typename Response>
class UnaryCall final
    : public OneRequestCall<ServerCall, Request,
                            grpc::ServerAsyncResponseWriter<grpc::ByteBuffer>> {
 public:
  using typename ServerCall::FinishAwaiter;
  using UnaryCall::OneRequestCall::OneRequestCall;

  Response& response() { return response_; }

  // Claims the request's bytes until the call is answered; for calls that may
  // take long, or that hand the request on.
  //   ResourceExhausted: there is no room; answer the call with this status.
  absl::Status Admit() {
    const size_t bytes = WireBytes(this->request());
    if (bytes <= ByteBudget::kSmallBytes) return absl::OkStatus();
    return this->Take(bytes, this->claim_);
  }
  // The same for requests that must not be refused.
  void AdmitAnyway() {
    const size_t bytes = WireBytes(this->request());
    if (bytes > ByteBudget::kSmallBytes) this->TakeAnyway(bytes, this->claim_);
  }

  // Sends the response too, if `status` is OK and there is room for it.
  FinishAwaiter Finish(const absl::Status& status) override {
    this->set_cancel_handler(nullptr);
    this->claim_.Release();
    absl::Status answer = status;
    if (answer.ok()) answer = this->AdmittedAfterWait();
    if (answer.ok()) {
      const size_t bytes = WireBytes(response_);
      answer = this->Take(bytes, this->claim_);
      if (answer.ok()) {
        if (this->witnessed() && !this->names_instance()) NoteAnswered();
        this->OnAnswer(answer);
        this->writer_.Finish(ToBytes(response_), grpc::Status::OK,
                             this->finish_.Begin());
        if (bytes > ByteBudget::kSmallBytes) Forget();
        return FinishAwaiter(*this);
      }
    }
    this->OnAnswer(answer);
    this->writer_.FinishWithError(ToGrpcStatus(answer), this->finish_.Begin());
    return FinishAwaiter(*this);
  }

 private:
  // What the server has chosen an ID for.
  void NoteAnswered() {
    if constexpr (requires { response_.instance_id(); }) {
      this->NoteInstance(response_.instance_id());
    } else if constexpr (requires { response_.instanceid(); }) {
      this->NoteInstance(response_.instanceid());
    }
  }
  // gRPC has the bytes: no need to keep a second copy until the client has read
  // them.
  void Forget() {
    this->received_.Forget();
    response_ = Response();
  }

  Response response_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_RPC_SERVER_CALL_H_
