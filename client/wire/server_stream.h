// ServerStream: a call that is answered with a stream, read on an EventLoop.
//
// Each message is handed over before the next is read, so a slow reader makes
// the sender wait, through HTTP/2's flow control, instead of filling memory.
// Heartbeats are skipped.
//
// Starting → Reading → Finishing → ended. The stream keeps itself alive until
// it has ended; then it drops its callbacks and everything that they hold.
//
// Thread-safety: safe.   Lifetime: the loop outlives it; what the callbacks
// refer to outlives its end, or Silence's.
#ifndef LEASEHOLD_CLIENT_WIRE_SERVER_STREAM_H_
#define LEASEHOLD_CLIENT_WIRE_SERVER_STREAM_H_

#include <functional>
#include <memory>
#include <utility>

#include "client/wire/event_loop.h"
#include "client/wire/stream_life.h"
#include "grpcpp/client_context.h"
#include "grpcpp/support/async_stream.h"
#include "grpcpp/support/status.h"

namespace leasehold::client {

template <typename Response>
class ServerStream
    : public std::enable_shared_from_this<ServerStream<Response>> {
 public:
  // Both are called on the loop's thread, one at a time.
  struct Callbacks {
    std::function<void(Response&)> on_message;
    // Called once, after the last message.
    std::function<void(const grpc::Status&)> on_end;
  };
  // `stub.PrepareAsync…(context, request, queue)`.
  using Prepare =
      std::function<std::unique_ptr<grpc::ClientAsyncReader<Response>>(
          grpc::ClientContext*, grpc::CompletionQueue*)>;

  ServerStream(EventLoop& loop, Callbacks callbacks)
      : loop_(loop), callbacks_(std::move(callbacks)) {
    tag_.done = [this](bool ok) { Advance(ok); };
  }
  ServerStream(const ServerStream&) = delete;
  ServerStream& operator=(const ServerStream&) = delete;

  // Metadata and deadline are set here before Start; the server's metadata can
  // be read here from the first callback on.
  grpc::ClientContext& context() { return context_; }

  // Starts the call without blocking. If the loop is being stopped, nothing
  // happens and no callback is called. REQUIRES: called once.
  void Start(const Prepare& prepare) {
    if (!loop_.Begin()) {
      callbacks_ = {};
      life_.NoteEnd();
      return;
    }
    self_ = this->shared_from_this();
    reader_ = prepare(&context_, &loop_.queue());
    reader_->StartCall(&tag_);
  }

  // Cancels the call. on_end follows, with CANCELLED unless the call had ended.
  void Cancel() { context_.TryCancel(); }

  // Cancels, and starts no more callbacks; one may still be running.
  void Silence() {
    life_.Silence();
    Cancel();
  }

  // The same, and waits for a callback that is still running, unless this is
  // called by that callback. Blocks. REQUIRES: Start was called.
  void Stop() {
    Silence();
    if (!loop_.InLoop()) life_.AwaitEnd();
  }

 private:
  enum class Step { kStarting, kReading, kFinishing };

  // The operation of the current step is done.
  void Advance(bool ok) {
    if (step_ == Step::kFinishing) {
      if (!life_.silent()) callbacks_.on_end(status_);
      callbacks_ = {};
      const auto self = std::move(self_);
      EventLoop& loop = loop_;
      life_.NoteEnd();
      loop.End();
      return;
    }
    if (ok) {
      if (step_ == Step::kReading && !life_.silent() && !IsHeartbeat()) {
        callbacks_.on_message(message_);
      }
      step_ = Step::kReading;
      reader_->Read(&message_, &tag_);
    } else {
      step_ = Step::kFinishing;
      reader_->Finish(&status_, &tag_);
    }
  }

  bool IsHeartbeat() const {
    if constexpr (requires(const Response& r) { r.heartbeat(); }) {
      return message_.heartbeat();
    } else {
      return false;
    }
  }

  // Constant after construction.
  EventLoop& loop_;
  EventLoop::Tag tag_;

  // Synchronises itself.
  grpc::ClientContext context_;
  StreamLife life_;

  // Used by Start, then only by the loop's thread.
  Callbacks callbacks_;
  std::shared_ptr<ServerStream> self_;
  std::unique_ptr<grpc::ClientAsyncReader<Response>> reader_;
  Step step_ = Step::kStarting;
  Response message_;
  grpc::Status status_;
};

}  // namespace leasehold::client

#endif  // LEASEHOLD_CLIENT_WIRE_SERVER_STREAM_H_
