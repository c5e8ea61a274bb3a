#include "service/rpc/stream_call.h"

#include "lease/base/header_names.h"

namespace leasehold {

void StreamControl::Notify() {
  MutexLock lock(mu_);
  news_ = true;
  PostLocked();
}

void StreamControl::End(absl::Status status) {
  MutexLock lock(mu_);
  if (end_.has_value()) return;
  end_ = std::move(status);
  PostLocked();
}

void StreamControl::AskAgain() {
  MutexLock lock(mu_);
  ask_again_ = true;
  PostLocked();
}

void StreamControl::PostLocked() {
  if (queue_ == nullptr || std::exchange(posted_, true)) return;
  queue_->Post([self = shared_from_this()] { self->Deliver(); });
}

void StreamControl::Deliver() {
  StreamCall* call;
  bool news;
  bool quiet;
  bool ask_again;
  std::optional<absl::Status> end;
  {
    MutexLock lock(mu_);
    posted_ = false;
    // Set and cleared on this thread: it stays until this function is done,
    // unless the call itself ends below.
    call = call_;
    if (call == nullptr) return;
    news = std::exchange(news_, false);
    quiet = std::exchange(quiet_, false);
    ask_again = std::exchange(ask_again_, false);
    end = end_;
  }
  if (ask_again && !end.has_value()) {
    if (absl::Status status = call->AdmittedStill(); !status.ok()) {
      end = std::move(status);
    }
  }
  call->OnControl(news, quiet, std::move(end));
}

void StreamControl::AwaitQuiet(HeartbeatTimer& timer, absl::Duration interval) {
  timer_ = &timer;
  MutexLock lock(mu_);
  if (call_ == nullptr || timed_ != nullptr) return;
  timed_ = shared_from_this();
  timer.Await(*this, interval);
}

void StreamControl::OnQuiet() {
  std::shared_ptr<StreamControl> self;  // Destroyed after the lock.
  MutexLock lock(mu_);
  self = std::move(timed_);
  if (call_ == nullptr) return;
  quiet_ = true;
  PostLocked();
}

void StreamControl::Close() {
  std::shared_ptr<StreamControl> timed;  // Destroyed after the lock.
  MutexLock lock(mu_);
  queue_ = nullptr;
  call_ = nullptr;
  // If it is just over, OnQuiet runs and drops it.
  if (timed_ != nullptr && timer_->Forget(*this)) timed = std::move(timed_);
}

void StreamCall::OnArrived() {
  absl::Status ended;
  {
    MutexLock lock(queue().mu_);
    ended = queue().streams_ended_;
    queue().streams_.insert(control_);
  }
  if (!ended.ok()) end_ = ended;
}

bool StreamCall::TryRoom(size_t bytes) {
  if (room_.bytes() >= bytes) return true;
  room_.Release();
  return Take(bytes, room_).ok();
}

bool StreamCall::TakeRoom(size_t bytes) {
  if (room_.bytes() >= bytes) return true;
  room_.Release();
  return queue().budget().TakeOrWait(
      bytes, [this] { return MakeHolder(); },
      [control = control_] { control->Notify(); }, room_);
}

bool StreamCall::ClaimWrite(size_t bytes) {
  if (room_.bytes() >= bytes) return true;
  claim_.Release();
  if (bytes <= ByteBudget::kSmallBytes) {  // One at a time.
    TakeAnyway(bytes, claim_);
    return true;
  }
  absl::Status status = Take(bytes, claim_);
  if (!status.ok()) end_ = std::move(status);
  return !end_.has_value();
}

absl::Status StreamCall::ReadHeartbeatInterval() {
  if (queue().heartbeats() == nullptr) return absl::OkStatus();
  const auto& metadata = context().client_metadata();
  const auto asked = metadata.find(
      grpc::string_ref(kHeartbeatHeader.data(), kHeartbeatHeader.size()));
  if (asked == metadata.end()) return absl::OkStatus();
  const absl::StatusOr<absl::Duration> interval =
      queue().heartbeats()->Asked({asked->second.data(), asked->second.size()});
  if (!interval.ok()) return interval.status();
  heartbeat_interval_ = *interval;
  return absl::OkStatus();
}

void StreamCall::BeginHeartbeats() {
  HeartbeatTimer* const heartbeats = queue().heartbeats();
  if (heartbeats == nullptr || over()) return;
  if (heartbeat_interval_ == absl::ZeroDuration()) {
    heartbeat_interval_ = heartbeats->interval();
  }
  control_->AwaitQuiet(*heartbeats, heartbeat_interval_);
}

void StreamCall::OnQuiet() {
  if (over()) return;
  // A client that has yet to read what was sent needs no more of it.
  if (!write_.pending() && !beat_.pending()) SendHeartbeat();
  control_->AwaitQuiet(*queue().heartbeats(), heartbeat_interval_);
}

void StreamCall::Unregister() {
  DropDeferred();
  control_->Close();
  queue().ending_.Add(1);
  ending_ = true;
  MutexLock lock(queue().mu_);
  queue().streams_.erase(control_);
}

void StreamCall::OnControl(bool news, bool quiet,
                           std::optional<absl::Status> end) {
  news_ |= news;
  if (quiet) OnQuiet();
  // Either may let the coroutine run to its end, and this call with it.
  if (end.has_value() && !end_.has_value()) {
    end_ = std::move(end);
    DropDeferred();  // Its message is sent with the handler's next one.
    Interrupt();
  } else if (news) {
    ServerCall::OnNews();
  }
}

}  // namespace leasehold
