#include "client/keep_alive.h"

#include <algorithm>
#include <utility>

#include "client/instance.h"
#include "client/mutex.h"
#include "client/status.h"
#include "client/stream_life.h"
#include "grpcpp/client_context.h"
#include "grpcpp/support/async_stream.h"

namespace leasehold::client {
namespace {

using leasehold::v1::KeepAliveRequest;
using leasehold::v1::KeepAliveResponse;

constexpr absl::Duration kIntervalMin = absl::Milliseconds(10);
constexpr absl::Duration kIntervalIfNoneFound = absl::Seconds(5);

}  // namespace

// The call. A read is always under way, so that its end is seen at once; writes
// come in rounds, one message an ID. A round begins when the one before was
// answered in full and the interval has passed.
class KeepAlive::Stream : public std::enable_shared_from_this<Stream> {
 public:
  Stream(EventLoop& loop, std::string name, KeepAliveOptions options)
      : loop_(loop), name_(std::move(name)), options_(std::move(options)) {
    started_.done = [this](bool ok) { OnStarted(ok); };
    read_.done = [this](bool ok) { OnRead(ok); };
    written_.done = [this](bool ok) { OnWritten(ok); };
    finished_.done = [this](bool) { OnFinished(); };
  }

  void Start(leasehold::v1::Instances::Stub& stub) {
    if (!loop_.Begin()) {
      life_.NoteEnd();
      return;
    }
    self_ = shared_from_this();
    call_ = stub.PrepareAsyncKeepAlive(&context_, &loop_.queue());
    call_->StartCall(&started_);
  }

  void Cancel() { context_.TryCancel(); }

  void Stop() {
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
    auto then = [weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->BeginRound();
    };
    if (options_.run_after) {
      options_.run_after(wait, std::move(then));
    } else {
      loop_.CallAfter(wait, std::move(then));
    }
  }

  // On the loop's thread or a timer's.
  void BeginRound() {
    MutexLock lock(mu_);
    if (!reading_) return;
    next_ = 0;
    // Else the last write's answer was seen before the write was; OnWritten
    // goes on.
    if (!writing_) WriteLocked();
  }

  void OnWritten(bool ok) {
    MutexLock lock(mu_);
    writing_ = false;
    if (!ok || !reading_) {
      // The call has ended; the read says so too, if it has not yet.
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

  // gRPC wants no other operation under way when the status is asked for.
  void FinishIfQuietLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (!reading_ && !writing_) call_->Finish(&status_, &finished_);
  }

  void OnFinished() {
    if (!life_.silent() && options_.on_end) {
      options_.on_end(ExplainStatus(status_, name_));
    }
    options_.on_renewed = nullptr;
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
  grpc::ClientContext context_;
  StreamLife life_;

  // Used by Start, then by the loop's thread alone; of the options only the
  // callbacks change.
  KeepAliveOptions options_;
  std::shared_ptr<Stream> self_;
  std::unique_ptr<
      grpc::ClientAsyncReaderWriter<KeepAliveRequest, KeepAliveResponse>>
      call_;
  KeepAliveResponse response_;
  grpc::Status status_;
  size_t answered_ = 0;
  absl::Duration shortest_ = absl::InfiniteDuration();

  // Guarded by mu_.
  Mutex mu_;
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
