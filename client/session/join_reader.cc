#include "client/session/join_reader.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "client/wire/backoff.h"
#include "client/wire/server_stream.h"
#include "client/wire/status.h"
#include "lease/base/mutex.h"
#include "leasehold/v1/echo.grpc.pb.h"

namespace leasehold::client {
namespace {

using leasehold::v1::JoinResponse;

JoinEvent ToEvent(const JoinResponse& response) {
  JoinEvent event;
  switch (response.event_case()) {
    case JoinResponse::kJoined:
      event.kind = JoinEvent::Kind::kJoined;
      event.instance_id = response.joined().instance_id();
      event.generation = response.joined().generation();
      event.sequence = response.joined().sequence();
      break;
    case JoinResponse::kLagged:
      event.kind = JoinEvent::Kind::kLagged;
      event.missed = response.lagged().missed();
      break;
    default:
      event.instance_id = response.echo().instance_id();
      event.generation = response.echo().generation();
      event.sequence = response.echo().sequence();
      event.text = response.echo().text();
      break;
  }
  return event;
}

}  // namespace

// This reader's view of the room, over one stream after another.
class JoinReader::Room : public std::enable_shared_from_this<Room> {
 public:
  Room(EventLoop& loop, std::shared_ptr<grpc::Channel> channel,
       std::string name, JoinOptions options)
      : loop_(loop),
        stub_(leasehold::v1::Echo::NewStub(std::move(channel))),
        name_(std::move(name)),
        options_(std::move(options)),
        instance_id_(options_.instance_id),
        after_(options_.after_sequence) {}

  void Join() ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    if (!cancelled_) JoinLocked();
  }

  void Cancel() ABSL_LOCKS_EXCLUDED(mu_) {
    {
      MutexLock lock(mu_);
      cancelled_ = true;
      if (stream_ != nullptr) stream_->Cancel();
      if (!std::exchange(waiting_, false)) return;
    }
    // There is no stream whose end would call on_end.
    loop_.CallAfter(absl::ZeroDuration(), [self = shared_from_this()] {
      self->End(absl::CancelledError("cancelled while reconnecting"));
    });
  }

  // Cancels, and starts no more callbacks.
  void Silence() ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    cancelled_ = true;
    waiting_ = false;
    if (stream_ != nullptr) stream_->Silence();
  }

 private:
  void JoinLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    waiting_ = in_ = false;
    leasehold::v1::JoinRequest request;
    if (after_.has_value()) request.set_after_sequence(*after_);
    ServerStream<JoinResponse>::Callbacks callbacks;
    callbacks.on_message =
        [self = shared_from_this()](const JoinResponse& response) {
          self->OnMessage(response);
        };
    callbacks.on_end = [self = shared_from_this()](const grpc::Status& status) {
      self->OnStreamEnd(status);
    };
    stream_ = std::make_shared<ServerStream<JoinResponse>>(
        loop_, std::move(callbacks));
    if (!instance_id_.empty()) AddInstanceId(instance_id_, stream_->context());
    if (options_.idle_timeout.has_value()) {
      AddIdleTimeout(*options_.idle_timeout, stream_->context());
    }
    if (generation_ == 0) AddExpect(options_.expect, stream_->context());
    stream_->Start([&](auto* context, auto* queue) {
      return stub_->PrepareAsyncJoin(context, request, queue);
    });
  }

  void OnMessage(const JoinResponse& response) ABSL_LOCKS_EXCLUDED(mu_) {
    const JoinEvent event = ToEvent(response);
    {
      MutexLock lock(mu_);
      backoff_.Reset();
      if (from_the_start_) return;  // Messages until the stream has ended.
      if (event.kind == JoinEvent::Kind::kJoined) {
        in_ = true;
        instance_id_ = event.instance_id;
        const uint64_t before = std::exchange(generation_, event.generation);
        if (before != 0 && before != event.generation &&
            after_.value_or(0) != 0) {
          // Our position was in a context that is gone and means nothing in
          // this one, of which every echo is new.
          after_ = 0;
          from_the_start_ = true;
          stream_->Cancel();
          return;
        }
        if (!after_.has_value()) after_ = event.sequence;
      } else if (event.kind == JoinEvent::Kind::kEcho) {
        after_ = event.sequence;
      }
    }
    if (options_.on_event) options_.on_event(event);
  }

  void OnStreamEnd(const grpc::Status& status) ABSL_LOCKS_EXCLUDED(mu_) {
    absl::Duration wait;
    absl::Status why = ExplainStatus(status, name_);
    if (why.ok()) {
      why = absl::UnavailableError(
          absl::StrCat(name_, ": the server ended the stream"));
    }
    {
      MutexLock lock(mu_);
      stream_ = nullptr;
      if (std::exchange(from_the_start_, false) && !cancelled_) {
        JoinLocked();
        return;
      }
      // A reader that was never in may be refused for good, as by `expect`.
      waiting_ = options_.reconnect && !cancelled_ &&
                 (generation_ != 0 ? MayReconnect(why, in_)
                                   : absl::IsUnavailable(why) ||
                                         absl::IsResourceExhausted(why));
      if (waiting_) wait = backoff_.Next();
    }
    if (wait == absl::ZeroDuration()) {
      End(why);
      return;
    }
    if (options_.on_lost) options_.on_lost(why);
    auto again = [weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->Join();
    };
    if (options_.run_after) {
      options_.run_after(wait, std::move(again));
    } else {
      loop_.CallAfter(wait, std::move(again));
    }
  }

  void End(const absl::Status& status) {
    if (options_.on_end) options_.on_end(status);
  }

  // Constant after construction.
  EventLoop& loop_;
  const std::unique_ptr<leasehold::v1::Echo::Stub> stub_;
  const std::string name_;
  const JoinOptions options_;

  // Guarded by mu_.
  Mutex mu_;
  Backoff backoff_ ABSL_GUARDED_BY(mu_);
  std::string instance_id_ ABSL_GUARDED_BY(mu_);
  // The last echo that was reported: the next stream continues after it.
  std::optional<uint64_t> after_ ABSL_GUARDED_BY(mu_);
  // 0 until the reader has been in the room.
  uint64_t generation_ ABSL_GUARDED_BY(mu_) = 0;
  // The current stream has been in the room.
  bool in_ ABSL_GUARDED_BY(mu_) = false;
  std::shared_ptr<ServerStream<JoinResponse>> stream_ ABSL_GUARDED_BY(mu_);
  // The stream is being ended, to join again from the first echo.
  bool from_the_start_ ABSL_GUARDED_BY(mu_) = false;
  // Between two streams.
  bool waiting_ ABSL_GUARDED_BY(mu_) = false;
  bool cancelled_ ABSL_GUARDED_BY(mu_) = false;
};

JoinReader::JoinReader(std::shared_ptr<grpc::Channel> channel, std::string name,
                       JoinOptions options)
    : room_(std::make_shared<Room>(loop_, std::move(channel), std::move(name),
                                   std::move(options))) {
  room_->Join();
}

JoinReader::~JoinReader() {
  room_->Silence();
  loop_.Stop();
}

void JoinReader::Cancel() { room_->Cancel(); }

}  // namespace leasehold::client
