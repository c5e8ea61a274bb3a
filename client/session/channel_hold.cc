#include "client/session/channel_hold.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/wire/status.h"

namespace leasehold::client {
namespace {

using leasehold::v1::HoldResponse;

}  // namespace

ChannelHold::ChannelHold(Doors doors)
    : doors_(std::move(doors)),
      stub_(leasehold::v1::Instances::NewStub(doors_.channel)) {}

absl::StatusOr<OpenedInstance> ChannelHold::Open(const Deadline& deadline) {
  bool mine = false;
  uint64_t attempt = 0;
  {
    MutexLock lock(mu_);
    if (state_ == State::kHeld) return OpenedInstance{held_.instance, false};
    if (state_ == State::kNone || state_ == State::kLost) {
      state_ = State::kOpening;
      mine = true;
    }
    attempt = attempts_;
  }
  if (mine) {
    absl::Status status = Attempt(deadline);
    if (!status.ok()) return status;
  }
  // The answer arrives on this thread, so it cannot wait for it.
  if (doors_.loop.InLoop()) return OpenedInstance{};
  {
    MutexLock lock(mu_);
    bool in_time = true;
    while (in_time && attempts_ == attempt && state_ == State::kOpening) {
      in_time = changed_.WaitUntil(mu_, deadline.at);
    }
    if (state_ == State::kClosed) {
      return absl::FailedPreconditionError(
          absl::StrCat(doors_.name, ": the channel was closed"));
    }
    if (attempts_ != attempt) {
      if (!outcome_.ok()) return outcome_;
      return OpenedInstance{held_.instance, mine && held_.created};
    }
  }
  return GiveUp(deadline);
}

absl::Status ChannelHold::Attempt(const Deadline& deadline) {
  std::shared_ptr<Stream> stream = MakeStream();
  absl::Status status =
      doors_.identity->Prepare(stream->context(), deadline.at);
  {
    MutexLock lock(mu_);
    if (status.ok() && state_ == State::kOpening) {
      StartLocked(std::move(stream));
      return absl::OkStatus();
    }
    if (state_ != State::kClosed) {
      NoteOutcomeLocked(status);
      return status;
    }
  }
  // The call is not made after all; other calls may be waiting for it.
  if (status.ok()) doors_.identity->Forget(stream->context());
  return absl::FailedPreconditionError(
      absl::StrCat(doors_.name, ": the channel was closed"));
}

absl::Status ChannelHold::GiveUp(const Deadline& deadline) {
  absl::Status outcome = ExplainStatus(
      {grpc::StatusCode::DEADLINE_EXCEEDED, "the hold was not answered"},
      *doors_.channel, doors_.name, deadline.timeout);
  std::shared_ptr<Stream> stream;
  {
    MutexLock lock(mu_);
    if (state_ != State::kOpening || stream_ == nullptr) return outcome;
    stream = std::move(stream_);
    NoteOutcomeLocked(outcome);
  }
  stream->Silence();
  doors_.identity->Forget(stream->context());
  return outcome;
}

void ChannelHold::Close() {
  std::shared_ptr<Stream> stream;
  {
    MutexLock lock(mu_);
    state_ = State::kClosed;
    stream = std::move(stream_);
    changed_.NotifyAll();
  }
  if (stream == nullptr) return;
  stream->Silence();
  doors_.identity->Forget(stream->context());
}

std::shared_ptr<ChannelHold::Stream> ChannelHold::MakeStream() {
  // The callbacks identify their stream by an address, and never dereference
  // it.
  const auto address = std::make_shared<Stream*>();
  Stream::Callbacks callbacks;
  callbacks.on_message = [self = shared_from_this(),
                          address](const HoldResponse& response) {
    self->OnHeld(*address, response);
  };
  callbacks.on_end = [self = shared_from_this(),
                      address](const grpc::Status& status) {
    self->OnEnd(*address, status);
  };
  auto stream = std::make_shared<Stream>(doors_.loop, std::move(callbacks));
  *address = stream.get();
  return stream;
}

void ChannelHold::StartLocked(std::shared_ptr<Stream> stream) {
  stream_ = std::move(stream);
  stream_->Start([this](auto* context, auto* queue) {
    return stub_->PrepareAsyncHold(context, {}, queue);
  });
}

void ChannelHold::NoteOutcomeLocked(absl::Status outcome) {
  ++attempts_;
  const bool reconnect =
      was_held_ && MayReconnect(outcome, state_ == State::kHeld);
  state_ = reconnect ? State::kLost : State::kNone;
  outcome_ = std::move(outcome);
  changed_.NotifyAll();
  if (reconnect) ReopenLaterLocked();
}

void ChannelHold::ReopenLaterLocked() {
  if (std::exchange(reopening_, true)) return;
  auto reopen = [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->Reopen();
  };
  const absl::Duration wait = backoff_.Next();
  if (doors_.run_after) {
    doors_.run_after(wait, std::move(reopen));
  } else {
    doors_.loop.CallAfter(wait, std::move(reopen));
  }
}

void ChannelHold::Reopen() {
  MutexLock lock(mu_);
  reopening_ = false;
  if (state_ != State::kLost) return;
  state_ = State::kOpening;
  std::shared_ptr<Stream> stream = MakeStream();
  // The session's first call has been made long ago, so this does not wait.
  absl::Status status = doors_.identity->Prepare(stream->context(), {});
  if (status.ok()) {
    StartLocked(std::move(stream));
  } else {
    NoteOutcomeLocked(std::move(status));
  }
}

void ChannelHold::OnHeld(Stream* stream, const HoldResponse& response) {
  std::optional<SessionIdentity::Change> change;
  {
    MutexLock lock(mu_);
    // Given up or closed; or another message, which the contract allows.
    if (stream != stream_.get() || state_ != State::kOpening) return;
    change = doors_.identity->Learn(stream->context(),
                                    response.instance().instance_id(),
                                    response.instance().generation());
    ++attempts_;
    state_ = State::kHeld;
    was_held_ = true;
    outcome_ = absl::OkStatus();
    held_ = {FromProto(response.instance()), response.created()};
    backoff_.Reset();
    changed_.NotifyAll();
  }
  doors_.identity->Announce(change);
}

void ChannelHold::OnEnd(Stream* stream, const grpc::Status& status) {
  absl::Status why = ExplainStatus(status, doors_.name);
  if (why.ok()) {
    why = absl::UnavailableError(
        absl::StrCat(doors_.name, ": the server ended the hold"));
  }
  bool tell = false;
  {
    MutexLock lock(mu_);
    if (stream != stream_.get()) return;  // Given up or closed.
    doors_.identity->Forget(stream->context());
    stream_ = nullptr;
    tell = state_ == State::kHeld || (was_held_ && !IsNobodysWill(why));
    NoteOutcomeLocked(why);
  }
  if (tell && doors_.on_lost) doors_.on_lost(why);
}

}  // namespace leasehold::client
