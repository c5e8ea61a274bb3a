#include "client/session/session_keep_alive.h"

#include <utility>

#include "leasehold/v1/instances.grpc.pb.h"

namespace leasehold::client {

void SessionKeepAlive::Ensure() {
  MutexLock lock(mu_);
  EnsureLocked();
}

void SessionKeepAlive::EnsureLocked() {
  if (closed_ || waiting_ || keep_alive_ != nullptr) return;
  std::optional<Carrier> carrier = doors_.pick();
  if (!carrier.has_value()) return;
  carrier_ = *std::move(carrier);

  KeepAliveOptions options;
  options.instance_ids = {doors_.identity->instance_id()};
  options.interval = doors_.interval;
  options.run_after = doors_.run_after;
  options.on_renewed = [self =
                            shared_from_this()](const RenewedLease& renewed) {
    {
      MutexLock lock(self->mu_);
      self->backoff_.Reset();
    }
    if (!renewed.found) return;
    SessionIdentity& identity = *self->doors_.identity;
    identity.Announce(identity.LearnGeneration(renewed.generation));
  };
  options.on_end = [self = shared_from_this()](const absl::Status&) {
    self->OnEnd();
  };
  const auto stub = leasehold::v1::Instances::NewStub(carrier_.channel);
  keep_alive_ = std::make_unique<KeepAlive>(doors_.loop, *stub, carrier_.name,
                                            std::move(options));
}

void SessionKeepAlive::OnEnd() {
  std::unique_ptr<KeepAlive> ended;  // Destroyed after the lock is released.
  MutexLock lock(mu_);
  ended = std::move(keep_alive_);
  if (closed_) return;
  if (std::exchange(leaving_, false)) {  // Its channel was closed.
    EnsureLocked();
    return;
  }
  waiting_ = true;
  auto again = [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (self == nullptr) return;
    MutexLock self_lock(self->mu_);
    self->waiting_ = false;
    self->EnsureLocked();
  };
  const absl::Duration wait = backoff_.Next();
  if (doors_.run_after) {
    doors_.run_after(wait, std::move(again));
  } else {
    doors_.loop.CallAfter(wait, std::move(again));
  }
}

void SessionKeepAlive::Leave(const grpc::Channel* channel) {
  MutexLock lock(mu_);
  if (keep_alive_ != nullptr && carrier_.channel.get() == channel) {
    leaving_ = true;
    keep_alive_->Cancel();
  }
}

void SessionKeepAlive::Close() {
  std::unique_ptr<KeepAlive> ended;
  {
    MutexLock lock(mu_);
    closed_ = true;
    ended = std::move(keep_alive_);
  }
}

}  // namespace leasehold::client
