// StreamCall, ServerStreamCall, BidiStreamCall and StreamControl: a streaming
// call as its coroutine sees it, and as other threads see it.
//
// Other threads can end a stream (a drain, a forced release) and wake it (news
// for a watcher), both through its StreamControl. Whatever the handler awaits
// then returns at once, and the handler goes on to Finish, which waits for the
// operations that are still under way.
//
// Once a stream has begun its heartbeats, it sends one whenever it has been
// silent for its interval, whatever its handler does meanwhile: a message in
// which only `heartbeat` is set.
//
// Thread-safety: StreamControl is safe; all else belongs to the queue's thread.
// Lifetime: as ServerCall; a StreamControl may outlive its call.
#ifndef LEASEHOLD_SERVICE_RPC_STREAM_CALL_H_
#define LEASEHOLD_SERVICE_RPC_STREAM_CALL_H_

#include <grpcpp/support/async_stream.h>
#include <grpcpp/support/byte_buffer.h>

#include <coroutine>
#include <cstddef>
#include <memory>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lease/base/mutex.h"
#include "service/rpc/heartbeat.h"
#include "service/rpc/received.h"
#include "service/rpc/rpc_queue.h"
#include "service/rpc/server_call.h"
#include "service/rpc/status_mapping.h"

namespace leasehold {

class StreamCall;

// Other threads wake or end a stream through its control. They may keep the
// control for longer than the stream lives; then it does nothing.
class StreamControl final : public Silence,
                            public std::enable_shared_from_this<StreamControl> {
 public:
  StreamControl(RpcQueue& queue, StreamCall& call)
      : queue_(&queue), call_(&call) {}

  // There is news: StreamCall::News returns. Several calls before the handler
  // looks count as one.
  void Notify() ABSL_LOCKS_EXCLUDED(mu_);
  // The stream ends with `status`. The first call counts.
  void End(absl::Status status) ABSL_LOCKS_EXCLUDED(mu_);
  // The gatekeeper is asked again, and the stream ends if it is not admitted.
  void AskAgain() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  friend class StreamCall;

  void PostLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // On the queue's thread: passes on what has come in.
  void Deliver() ABSL_LOCKS_EXCLUDED(mu_);
  // The call is about to be destroyed.
  void Close() ABSL_LOCKS_EXCLUDED(mu_);

  // Tells the call once when the stream has been silent for `interval` from
  // now.
  void AwaitQuiet(HeartbeatTimer& timer, absl::Duration interval)
      ABSL_LOCKS_EXCLUDED(mu_);
  void OnQuiet() override ABSL_LOCKS_EXCLUDED(mu_);

  // Used only on the queue's thread. Null: no silence is timed.
  HeartbeatTimer* timer_ = nullptr;

  Mutex mu_;
  RpcQueue* queue_ ABSL_GUARDED_BY(mu_);  // Null: the call is gone.
  StreamCall* call_ ABSL_GUARDED_BY(mu_);
  bool posted_ ABSL_GUARDED_BY(mu_) = false;
  bool news_ ABSL_GUARDED_BY(mu_) = false;
  bool quiet_ ABSL_GUARDED_BY(mu_) = false;
  bool ask_again_ ABSL_GUARDED_BY(mu_) = false;
  std::optional<absl::Status> end_ ABSL_GUARDED_BY(mu_);
  // What the timer holds while the silence is timed.
  std::shared_ptr<StreamControl> timed_ ABSL_GUARDED_BY(mu_);
};

// What all streaming calls have. Handlers use ServerStreamCall and
// BidiStreamCall.
class StreamCall : public ServerCall {
 public:
  explicit StreamCall(MethodQueue& calls)
      : ServerCall(calls),
        control_(std::make_shared<StreamControl>(calls.queue(), *this)) {}

  const std::shared_ptr<StreamControl>& control() const { return control_; }

  // Reads the heartbeat interval that the call's header asks for.
  //   InvalidArgument: the header is not a duration.
  absl::Status ReadHeartbeatInterval();
  // Reads it too, and returns `wanted`.
  //   InvalidArgument: the header is not a duration.
  template <typename T>
  absl::StatusOr<T> WithHeartbeat(absl::StatusOr<T> wanted) {
    absl::Status asked = ReadHeartbeatInterval();
    if (!asked.ok()) return asked;
    return wanted;
  }
  // From now on the stream is never silent for longer than its interval. Call
  // it after the message that the client expects first.
  void BeginHeartbeats();

  // Whether the stream should end: it was told to, or the client is gone.
  bool over() const { return end_.has_value() || cancelled(); }
  // The status to end with: the one that the stream was told, or else `status`.
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

  // Awaits room for `bytes`, which belong to the stream until LeaveRoom: the
  // messages that it writes meanwhile may have as many. False: the stream is
  // over. Make what is to be written after this returns, not before.
  struct RoomAwaiter {
    StreamCall& call;
    size_t bytes;
    bool await_ready() const { return call.over() || call.TakeRoom(bytes); }
    void await_suspend(std::coroutine_handle<> h) {
      call.Await(h, Awaiting::kRoom);
    }
    bool await_resume() {
      if (call.over()) call.room_.Release();
      return !call.over();
    }
  };
  RoomAwaiter Room(size_t bytes) { return {*this, bytes}; }
  // Whether there was room for `bytes` at once, which now belong to the stream.
  bool TryRoom(size_t bytes);
  void LeaveRoom() { room_.Release(); }

 protected:
  ~StreamCall() = default;

  // Claims the bytes of a message before it is written. False: there is no
  // room, and the stream ends with RESOURCE_EXHAUSTED.
  bool ClaimWrite(size_t bytes);

  // Awaits an operation, or the end of the stream. False: the operation failed,
  // or the stream is over.
  struct OperationAwaiter {
    StreamCall& call;
    const Operation* operation;  // Null: the stream was over before it began.
    bool await_ready() const noexcept { return operation == nullptr; }
    void await_suspend(std::coroutine_handle<> h) {
      call.Await(h, Awaiting::kOperation, operation);
    }
    bool await_resume() const {
      if (operation == &call.write_ && !operation->pending()) {
        call.claim_.Release();
      }
      return operation != nullptr && !call.over() && operation->ok();
    }
  };

  // The stream is over, and ends with `status` unless it was told another
  // status before.
  void Refuse(absl::Status status) {
    if (!end_.has_value()) end_ = std::move(status);
  }

  // From now on the control does nothing.
  void Unregister();

  // Call it before a write. True: pass the message on to gRPC. False: a
  // heartbeat is on its way; SendDeferred passes the message on once the
  // heartbeat is out.
  bool MayWrite() {
    if (control_->timer_ != nullptr) control_->timer_->Break(*control_);
    deferred_ = beat_.pending();
    return !deferred_;
  }
  virtual void SendDeferred() = 0;
  virtual void SendHeartbeat() = 0;

 private:
  friend class StreamControl;

  void OnQuiet();
  void OnBeatSent() final {
    if (std::exchange(deferred_, false)) SendDeferred();
  }
  void DropDeferred() {
    if (std::exchange(deferred_, false)) write_.Drop();
  }

  // Adds the stream to those that a drain ends.
  void OnArrived() override;
  bool TakeRoom(size_t bytes);
  // From the control, on the queue's thread.
  void OnControl(bool news, bool quiet, std::optional<absl::Status> end);

  const std::shared_ptr<StreamControl> control_;
  // Zero: the runtime's.
  absl::Duration heartbeat_interval_ = absl::ZeroDuration();
  bool deferred_ = false;  // A write waits until a heartbeat is out.
  bool news_ = false;
  std::optional<absl::Status> end_;
};

// The half of a call with a stream of requests: how the call arrives, and how
// its requests are read. `Writer` is gRPC's stream, which writes and reads.
template <typename Request, typename Writer>
class RequestStreamCall : public StreamCall {
 public:
  explicit RequestStreamCall(MethodQueue& calls)
      : StreamCall(calls), writer_(&context()) {}

  // As OneRequestCall::Accept.
  template <typename Service, typename Method>
  AcceptAwaiter Accept(Service& service,
                       void (Method::*request)(grpc::ServerContext*, Writer*,
                                               grpc::CompletionQueue*,
                                               grpc::ServerCompletionQueue*,
                                               void*)) {
    (service.*request)(&context(), &writer_, queue().queue(), queue().queue(),
                       accept_.Begin());
    return AcceptAwaiter{*this};
  }

  // Await it before anything else. False: the caller may not make this call,
  // which is over.
  PassAwaiter Pass() { return PassIf(refusal()); }

  // Sends the initial metadata at once.
  OperationAwaiter SendInitialMetadata() {
    if (over()) return {*this, nullptr};
    writer_.SendInitialMetadata(write_.Begin());
    return {*this, &write_};
  }

  struct ReadAwaiter : OperationAwaiter {
    bool await_resume() {
      return OperationAwaiter::await_resume() &&
             static_cast<RequestStreamCall&>(this->call).ParseRead();
    }
  };
  // False: the client has sent everything, or the stream is over, also because
  // of a request that cannot be read; then EndStatus says so.
  ReadAwaiter Read() {
    if (over()) return {{*this, nullptr}};
    writer_.Read(received_.bytes(), read_.Begin());
    return {{*this, &read_}};
  }
  Request& request() { return received_.request(); }

 protected:
  ~RequestStreamCall() = default;

  Writer writer_;

 private:
  bool ParseRead() {
    absl::Status status = received_.Parse();
    if (status.ok()) return true;
    Refuse(std::move(status));
    return false;
  }

  ReceivedRequest<Request> received_;
};

// The half of a call with a stream of responses: how they are written. `Base`
// is the half with its requests.
template <typename Base, typename Response>
class ResponseStreamCall : public Base {
 public:
  using Base::Base;
  using typename Base::FinishAwaiter;
  using typename Base::OperationAwaiter;

  // `more`: another message follows at once, and the two may share a packet;
  // until it does, this one may stay here.
  enum class More : bool { kNo, kFollows };
  static More MoreIf(bool follows) {
    return follows ? More::kFollows : More::kNo;
  }

  OperationAwaiter Write(const Response& response, More more = More::kNo) {
    if (this->over() || !this->ClaimWrite(WireBytes(response))) {
      return {*this, nullptr};
    }
    CompletionTag* const tag = this->write_.Begin();
    if (this->MayWrite()) {
      grpc::WriteOptions options;
      // The first one carries the metadata, and gRPC would wait for these.
      if (more == More::kFollows && wrote_) options.set_buffer_hint();
      wrote_ = true;
      this->writer_.Write(ToBytes(response), options, tag);
    } else {
      later_ = ToBytes(response);
    }
    return {*this, &this->write_};
  }
  // The same for a response that the caller does not need any more: its memory
  // is freed at once.
  OperationAwaiter Write(Response&& response) {
    const Response once = std::move(response);
    return Write(once);
  }

  // With the status that the stream was told, if it was.
  FinishAwaiter Finish(const absl::Status& status) override {
    const absl::Status end = this->EndStatus(status);
    BeginFinish(end);
    this->writer_.Finish(ToGrpcStatus(end), this->finish_.Begin());
    return FinishAwaiter(*this);
  }
  // As Finish, but sends one more response first, even if the stream was told
  // to end. Leaves the response out if an earlier one is still on its way.
  FinishAwaiter FinishWith(const Response& response,
                           const absl::Status& status) {
    if (this->write_.pending() || this->beat_.pending()) return Finish(status);
    BeginFinish(status);
    this->claim_.Release();
    this->TakeAnyway(WireBytes(response), this->claim_);
    this->writer_.WriteAndFinish(ToBytes(response), {}, ToGrpcStatus(status),
                                 this->finish_.Begin());
    return FinishAwaiter(*this);
  }

 protected:
  ~ResponseStreamCall() = default;

 private:
  void BeginFinish(const absl::Status& status) {
    this->OnAnswer(status);
    this->set_cancel_handler(nullptr);
    this->Unregister();
  }
  void SendDeferred() override {
    this->writer_.Write(std::exchange(later_, {}), this->write_.Begin());
  }
  void SendHeartbeat() override {
    if constexpr (requires(Response & r) { r.set_heartbeat(true); }) {
      Response response;
      response.set_heartbeat(true);
      this->writer_.Write(ToBytes(response), this->beat_.Begin());
    }
  }

  grpc::ByteBuffer later_;  // Written once the heartbeat is out.
  bool wrote_ = false;
};

// A call with one request and a stream of responses.
template <typename Request, typename Response>
class ServerStreamCall final
    : public ResponseStreamCall<
          OneRequestCall<StreamCall, Request,
                         grpc::ServerAsyncWriter<grpc::ByteBuffer>>,
          Response> {
 public:
  using ServerStreamCall::ResponseStreamCall::ResponseStreamCall;
};

// A call with a stream of requests and a stream of responses.
template <typename Request, typename Response>
class BidiStreamCall final
    : public ResponseStreamCall<
          RequestStreamCall<Request, grpc::ServerAsyncReaderWriter<
                                         grpc::ByteBuffer, grpc::ByteBuffer>>,
          Response> {
 public:
  using BidiStreamCall::ResponseStreamCall::ResponseStreamCall;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_RPC_STREAM_CALL_H_
