// ServerStream: a call that is answered with a stream, read on an EventLoop.
//
// Each message is handed over before the next is asked for, so a reader that is
// slow holds the sender up, through HTTP/2's flow control, rather than fill
// memory.
//
// Starting → Reading → Finishing → ended. The stream keeps itself alive until
// it has ended; then it drops its callbacks and all that they hold.
//
// Thread-safety: safe.   Lifetime: the loop outlives it; what the callbacks
// refer to outlives its end, or Silence's.
#ifndef LEASEHOLD_CLIENT_SERVER_STREAM_H_
#define LEASEHOLD_CLIENT_SERVER_STREAM_H_

#include <functional>
#include <memory>
#include <utility>

#include "client/event_loop.h"
#include "client/stream_life.h"
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

  // Metadata and deadline are set here before Start, and what the server said
  // is read here from the first callback on.
  grpc::ClientContext& context() { return context_; }

  // Starts the call; at once, without waiting. If the loop is being stopped,
  // nothing happens and no callback comes. REQUIRES: called once.
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

  // Ends the call soon; on_end will come, with CANCELLED unless it had ended.
  void Cancel() { context_.TryCancel(); }

  // Cancels, and no callback begins any more; one may be running.
  void Silence() {
    life_.Silence();
    Cancel();
  }

  // The same, and no callback is running any more either, unless this was
  // called by it. Blocks until that is so. REQUIRES: Start was called.
  void Stop() {
    Silence();
    if (!loop_.InLoop()) life_.AwaitEnd();
  }

 private:
  enum class Step { kStarting, kReading, kFinishing };

  // The operation of the present step is done.
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
      if (step_ == Step::kReading && !life_.silent())
        callbacks_.on_message(message_);
      step_ = Step::kReading;
      reader_->Read(&message_, &tag_);
    } else {
      step_ = Step::kFinishing;
      reader_->Finish(&status_, &tag_);
    }
  }

  // Constant after construction.
  EventLoop& loop_;
  EventLoop::Tag tag_;

  // Synchronises itself.
  grpc::ClientContext context_;
  StreamLife life_;

  // Used by Start, then by the loop's thread alone.
  Callbacks callbacks_;
  std::shared_ptr<ServerStream> self_;
  std::unique_ptr<grpc::ClientAsyncReader<Response>> reader_;
  Step step_ = Step::kStarting;
  Response message_;
  grpc::Status status_;
};

}  // namespace leasehold::client

#endif  // LEASEHOLD_CLIENT_SERVER_STREAM_H_
