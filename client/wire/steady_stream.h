// SteadyStream: a stream from the server that reconnects when it is lost.
//
// It is one ServerStream after another. If one is lost (MayReconnect in
// status.h) after the server has answered once, the next starts after a delay,
// and on_lost is called. Without `reconnect` the first end is final.
//
// kStreaming --lost--> kWaiting --after a delay--> kStreaming …; --Cancel, or
// any other end--> kEnded.
//
// Thread-safety: safe.   Lifetime: the loop outlives it; what the callbacks
// refer to outlives its end, or Stop's. Held by shared_ptr.
#ifndef LEASEHOLD_CLIENT_WIRE_STEADY_STREAM_H_
#define LEASEHOLD_CLIENT_WIRE_STEADY_STREAM_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "client/wire/backoff.h"
#include "client/wire/event_loop.h"
#include "client/wire/server_stream.h"
#include "client/wire/status.h"
#include "lease/base/mutex.h"

namespace leasehold::client {

template <typename Response>
class SteadyStream
    : public std::enable_shared_from_this<SteadyStream<Response>> {
 public:
  // What it works with; constant. Callbacks run on the loop's thread.
  struct Doors {
    EventLoop& loop;
    // The server's name in error messages.
    std::string name;
    bool reconnect = false;
    // Whether the server may end the stream with OK.
    bool may_end_well = false;
    // Whether the calls have a deadline, which then ends the stream.
    bool has_deadline = false;
    // If empty, the loop's timers.
    RunAfter run_after;
    // Sets up `context`, then `stub.PrepareAsync…(context, request, queue)`.
    // `again`: the server has answered before.
    std::function<std::unique_ptr<grpc::ClientAsyncReader<Response>>(
        grpc::ClientContext*, grpc::CompletionQueue*, bool again)>
        prepare;
    // `again`: the first message after a reconnect.
    std::function<void(Response&, bool again)> on_message;
    // The stream was lost and will reconnect. May be empty.
    std::function<void(const absl::Status&)> on_lost;
    // Called once, when the stream has ended, with the reason. May be empty.
    std::function<void(const absl::Status&)> on_end;
  };

  explicit SteadyStream(Doors doors) : doors_(std::move(doors)) {}
  SteadyStream(const SteadyStream&) = delete;
  SteadyStream& operator=(const SteadyStream&) = delete;

  // Starts without blocking. REQUIRES: called once.
  void Start() ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    BeginLocked();
  }

  // Ends the stream soon and calls on_end. Does not block.
  void Cancel() ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    cancelled_ = true;
    if (stream_ != nullptr) stream_->Cancel();
    if (!std::exchange(waiting_, false)) return;
    // There is no call whose end would call on_end.
    doors_.loop.CallAfter(
        absl::ZeroDuration(), [self = this->shared_from_this()] {
          self->End(absl::CancelledError("cancelled while reconnecting"));
        });
  }

  // Ends the stream, starts no more callbacks, and waits for one that is still
  // running, unless this is called by that callback. Blocks.
  void Stop() ABSL_LOCKS_EXCLUDED(mu_) {
    std::shared_ptr<Stream> stream;
    {
      MutexLock lock(mu_);
      cancelled_ = stopped_ = true;
      waiting_ = false;
      stream = stream_;
    }
    if (stream != nullptr) stream->Stop();
    if (doors_.loop.InLoop()) return;
    MutexLock lock(mu_);
    while (telling_) changed_.Wait(mu_);
  }

 private:
  using Stream = ServerStream<Response>;

  void BeginLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    waiting_ = false;
    fresh_ = true;
    typename Stream::Callbacks callbacks;
    callbacks.on_message = [self =
                                this->shared_from_this()](Response& response) {
      self->OnMessage(response);
    };
    callbacks.on_end = [self = this->shared_from_this()](
                           const grpc::Status& end) { self->OnEnd(end); };
    stream_ = std::make_shared<Stream>(doors_.loop, std::move(callbacks));
    stream_->Start([this, again = answered_](auto* context, auto* queue) {
      return doors_.prepare(context, queue, again);
    });
  }

  void OnMessage(Response& response) ABSL_LOCKS_EXCLUDED(mu_) {
    bool again = false;
    {
      MutexLock lock(mu_);
      again = std::exchange(fresh_, false) && answered_;
      answered_ = true;
      backoff_.Reset();
    }
    doors_.on_message(response, again);
  }

  void OnEnd(const grpc::Status& end) ABSL_LOCKS_EXCLUDED(mu_) {
    absl::Status why = ExplainStatus(end, doors_.name);
    bool reconnect = false;
    {
      MutexLock lock(mu_);
      if (why.ok() && !doors_.may_end_well && doors_.reconnect) {
        why = absl::UnavailableError(
            absl::StrCat(doors_.name, ": the server ended the stream"));
      }
      reconnect = doors_.reconnect && answered_ && !cancelled_ && !why.ok() &&
                  MayReconnect(why, /*answered=*/!fresh_) &&
                  !(doors_.has_deadline && absl::IsDeadlineExceeded(why));
    }
    if (!reconnect) return End(why);
    if (doors_.on_lost) doors_.on_lost(why);
    MutexLock lock(mu_);
    // Not earlier: Stop waits for the stream, and so for the callback above.
    stream_ = nullptr;
    if (stopped_) return;
    if (cancelled_) {
      doors_.loop.CallAfter(absl::ZeroDuration(),
                            [self = this->shared_from_this(), why] {
                              self->End(absl::CancelledError(why.message()));
                            });
      return;
    }
    waiting_ = true;
    auto again = [weak = this->weak_from_this()] {
      if (const auto self = weak.lock()) self->Seek();
    };
    const absl::Duration wait = backoff_.Next();
    if (doors_.run_after) {
      doors_.run_after(wait, std::move(again));
    } else {
      doors_.loop.CallAfter(wait, std::move(again));
    }
  }

  void Seek() ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    if (waiting_) BeginLocked();
  }

  void End(const absl::Status& why) ABSL_LOCKS_EXCLUDED(mu_) {
    {
      MutexLock lock(mu_);
      if (stopped_) return;
      telling_ = true;
    }
    if (doors_.on_end) doors_.on_end(why);
    MutexLock lock(mu_);
    telling_ = false;
    changed_.NotifyAll();
  }

  const Doors doors_;

  // Synchronises itself.
  CondVar changed_;

  // Guarded by mu_.
  Mutex mu_;
  Backoff backoff_ ABSL_GUARDED_BY(mu_);
  // The current stream, or the last one.
  std::shared_ptr<Stream> stream_ ABSL_GUARDED_BY(mu_);
  bool answered_ ABSL_GUARDED_BY(mu_) = false;  // By any stream.
  bool fresh_ ABSL_GUARDED_BY(mu_) = true;  // No message of stream_ has come.
  bool waiting_ ABSL_GUARDED_BY(mu_) = false;  // A timer will call Seek.
  bool cancelled_ ABSL_GUARDED_BY(mu_) = false;
  bool telling_ ABSL_GUARDED_BY(mu_) = false;  // on_end is running.
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace leasehold::client

#endif  // LEASEHOLD_CLIENT_WIRE_STEADY_STREAM_H_
