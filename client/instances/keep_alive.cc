#include "client/instances/keep_alive.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/instances/instance.h"
#include "client/wire/backoff.h"
#include "client/wire/status.h"
#include "client/wire/stream_life.h"
#include "grpcpp/client_context.h"
#include "grpcpp/support/async_stream.h"
#include "lease/base/mutex.h"

namespace leasehold::client {
namespace {

using leasehold::v1::KeepAliveRequest;
using leasehold::v1::KeepAliveResponse;

constexpr absl::Duration kIntervalMin = absl::Milliseconds(10);
constexpr absl::Duration kIntervalIfNoneFound = absl::Seconds(5);
// If rounds are further apart, heartbeats between them keep the stream alive.
constexpr absl::Duration kHeartbeatInterval = absl::Seconds(20);

}  // namespace

// The call. A read is always pending, so that the end of the call is seen at
// once. Writes come in rounds, one message per ID. A round starts when every
// renewal of the previous one was answered and the interval has passed. A call
// that was lost is made again if `reconnect` is set.
class KeepAlive::Stream : public std::enable_shared_from_this<Stream> {
 public:
  Stream(EventLoop& loop, std::string name, KeepAliveOptions options)
      : loop_(loop), name_(std::move(name)), options_(std::move(options)) {
    started_.done = [this](bool ok) { OnStarted(ok); };
    read_.done = [this](bool ok) { OnRead(ok); };
    written_.done = [this](bool ok) { OnWritten(ok); };
    finished_.done = [this](bool) { OnFinished(); };
  }

  void Start(leasehold::v1::Instances::Stub& stub) ABSL_LOCKS_EXCLUDED(mu_) {
    if (!loop_.Begin()) {
      life_.NoteEnd();
      return;
    }
    stub_ = &stub;
    self_ = shared_from_this();
    MutexLock lock(mu_);
    CallLocked();
  }

  void Cancel() ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    CancelLocked();
  }

  void Stop() ABSL_LOCKS_EXCLUDED(mu_) {
    life_.Silence();
    Cancel();
    if (!loop_.InLoop()) life_.AwaitEnd();
  }

 private:
  void OnStarted(bool ok) {
    if (!ok) {
      call_->Finish(&status_, &finished_);
      return;
    }
    call_->Read(&response_, &read_);
    BeginRound();
  }

  void OnRead(bool ok) {
    if (!ok) {
      MutexLock lock(mu_);
      reading_ = false;
      FinishIfQuietLocked();
      return;
    }
    heard_ = heard_now_ = true;
    backoff_.Reset();
    if (response_.heartbeat()) {
      call_->Read(&response_, &read_);
      return;
    }
    RenewedLease renewed;
    renewed.instance_id = response_.instance_id();
    renewed.found = response_.found();
    if (renewed.found) {
      renewed.generation = response_.generation();
      renewed.lease_remaining = FromProto(response_.lease_remaining());
      shortest_ = std::min(shortest_, renewed.lease_remaining);
    }
    if (!life_.silent() && options_.on_renewed) options_.on_renewed(renewed);
    const bool round_done = ++answered_ == options_.instance_ids.size();
    if (round_done) AwaitNextRound();
    call_->Read(&response_, &read_);
  }

  void AwaitNextRound() {
    absl::Duration wait =
        options_.interval.value_or(shortest_ == absl::InfiniteDuration()
                                       ? kIntervalIfNoneFound
                                       : std::max(shortest_ / 3, kIntervalMin));
    answered_ = 0;
    shortest_ = absl::InfiniteDuration();
    PauseFor(wait);
  }

  // Waits for the next round, and sends heartbeats meanwhile.
  void PauseFor(absl::Duration wait) {
    const absl::Duration step = std::min(wait, kHeartbeatInterval);
    uint64_t call = 0;
    {
      MutexLock lock(mu_);
      call = calls_;
    }
    RunAfterDelay(step, [wait = wait - step, call](Stream& self) {
      self.Go(wait, call);
    });
  }

  // On the loop's thread or a timer's. `call`: the call that waited.
  void Go(absl::Duration wait, uint64_t call) ABSL_LOCKS_EXCLUDED(mu_) {
    {
      MutexLock lock(mu_);
      if (!reading_ || call != calls_) return;
      if (wait > absl::ZeroDuration() && !writing_) {
        writing_ = true;
        KeepAliveRequest request;
        request.set_heartbeat(true);
        call_->Write(request, &written_);
      }
    }
    if (wait > absl::ZeroDuration()) return PauseFor(wait);
    BeginRound();
  }

  void RunAfterDelay(absl::Duration delay, std::function<void(Stream&)> run) {
    auto then = [weak = weak_from_this(), run = std::move(run)] {
      if (const auto self = weak.lock()) run(*self);
    };
    if (options_.run_after) {
      options_.run_after(delay, std::move(then));
    } else {
      loop_.CallAfter(delay, std::move(then));
    }
  }

  void BeginRound() ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    if (!reading_) return;
    next_ = 0;
    // If a write is pending, its answer was seen before its completion, and
    // OnWritten continues.
    if (!writing_) WriteLocked();
  }

  void OnWritten(bool ok) {
    MutexLock lock(mu_);
    writing_ = false;
    if (!ok || !reading_) {
      // The call has ended; the pending read will fail too, if it has not yet.
      FinishIfQuietLocked();
    } else if (next_ < options_.instance_ids.size()) {
      WriteLocked();
    }
  }

  void WriteLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    writing_ = true;
    KeepAliveRequest request;
    request.set_instance_id(options_.instance_ids[next_++]);
    call_->Write(request, &written_);
  }

  // gRPC requires that no other operation is pending when Finish is called.
  void FinishIfQuietLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (!reading_ && !writing_) call_->Finish(&status_, &finished_);
  }

  void CallLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    ++calls_;
    reading_ = true;
    writing_ = false;
    next_ = options_.instance_ids.size();
    answered_ = 0;
    heard_now_ = false;
    context_ = std::make_unique<grpc::ClientContext>();
    call_ = stub_->PrepareAsyncKeepAlive(context_.get(), &loop_.queue());
    call_->StartCall(&started_);
  }

  void CancelLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    cancelled_ = true;
    if (context_ != nullptr) context_->TryCancel();
    if (!std::exchange(waiting_, false)) return;
    // There is no call whose end would call on_end. Not from here: the caller
    // may be Stop, and End lets go of this object.
    status_ = grpc::Status(grpc::StatusCode::CANCELLED,
                           "cancelled while reconnecting");
    loop_.CallAfter(absl::ZeroDuration(),
                    [self = shared_from_this()] { self->End(); });
  }

  void OnFinished() ABSL_LOCKS_EXCLUDED(mu_) {
    absl::Status why = ExplainStatus(status_, name_);
    if (why.ok() && options_.reconnect) {
      why = absl::UnavailableError(
          absl::StrCat(name_, ": the server ended the stream"));
    }
    bool reconnect = false;
    {
      MutexLock lock(mu_);
      reconnect = options_.reconnect && heard_ && !cancelled_ &&
                  MayReconnect(why, /*answered=*/heard_now_);
    }
    if (!reconnect) return End();
    if (!life_.silent() && options_.on_lost) options_.on_lost(why);
    {
      MutexLock lock(mu_);
      call_ = nullptr;  // Its memory belongs to the context.
      context_ = nullptr;
      waiting_ = !cancelled_;
      reconnect = waiting_;
    }
    if (!reconnect) {
      status_ = grpc::Status(grpc::StatusCode::CANCELLED, "cancelled");
      return End();
    }
    RunAfterDelay(backoff_.Next(), [](Stream& self) { self.Seek(); });
  }

  void Seek() ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    if (std::exchange(waiting_, false)) CallLocked();
  }

  void End() {
    if (!life_.silent() && options_.on_end) {
      options_.on_end(ExplainStatus(status_, name_));
    }
    options_.on_renewed = nullptr;
    options_.on_lost = nullptr;
    options_.on_end = nullptr;
    const auto self = std::move(self_);
    EventLoop& loop = loop_;
    life_.NoteEnd();
    loop.End();
  }

  // Constant after construction.
  EventLoop& loop_;
  const std::string name_;
  EventLoop::Tag started_, read_, written_, finished_;

  // Synchronises itself.
  StreamLife life_;
  Mutex mu_;

  // Used by Start, then only by the loop's thread. Of the options only the
  // callbacks change.
  KeepAliveOptions options_;
  leasehold::v1::Instances::Stub* stub_ = nullptr;
  std::shared_ptr<Stream> self_;
  // The context outlives the call, whose memory belongs to it.
  std::unique_ptr<grpc::ClientContext> context_ ABSL_GUARDED_BY(mu_);
  std::unique_ptr<
      grpc::ClientAsyncReaderWriter<KeepAliveRequest, KeepAliveResponse>>
      call_;
  KeepAliveResponse response_;
  grpc::Status status_;
  size_t answered_ = 0;
  bool heard_ = false;      // The server has answered at least once.
  bool heard_now_ = false;  // It has answered the current call.
  Backoff backoff_;
  absl::Duration shortest_ = absl::InfiniteDuration();

  // Guarded by mu_.
  uint64_t calls_ ABSL_GUARDED_BY(mu_) = 0;
  bool cancelled_ ABSL_GUARDED_BY(mu_) = false;
  bool waiting_ ABSL_GUARDED_BY(mu_) = false;  // A timer will call Seek.
  bool reading_ ABSL_GUARDED_BY(mu_) = true;
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  size_t next_ ABSL_GUARDED_BY(mu_) = 0;
};

KeepAlive::KeepAlive(EventLoop& loop, leasehold::v1::Instances::Stub& stub,
                     std::string name, KeepAliveOptions options)
    : stream_(
          std::make_shared<Stream>(loop, std::move(name), std::move(options))) {
  stream_->Start(stub);
}

KeepAlive::~KeepAlive() { stream_->Stop(); }

void KeepAlive::Cancel() { stream_->Cancel(); }

}  // namespace leasehold::client
