// ChannelHold: the hold of one channel of a session, kept until the channel is
// closed.
//
// kNone --Open--> kOpening --answered--> kHeld --lost--> kLost --Open, or after
// a delay--> kOpening …; any --Close--> kClosed. A hold that failed before the
// server ever answered goes back to kNone: the caller has the error, and may
// try again. A hold that was lost (MayReconnect in status.h), for example
// because the server or a proxy is gone, is taken again in the background.
// After any other end, such as a release by force, it goes back to kNone, and
// the next call over the channel takes a new hold.
//
// Thread-safety: safe.   Lifetime: loop and stub outlive its streams; held by
// shared_ptr.
#ifndef LEASEHOLD_CLIENT_SESSION_CHANNEL_HOLD_H_
#define LEASEHOLD_CLIENT_SESSION_CHANNEL_HOLD_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/instances/instance.h"
#include "client/session/session_identity.h"
#include "client/wire/backoff.h"
#include "client/wire/event_loop.h"
#include "client/wire/server_stream.h"
#include "client/wire/timespan.h"
#include "grpcpp/channel.h"
#include "lease/base/mutex.h"
#include "leasehold/v1/instances.grpc.pb.h"

namespace leasehold::client {

class ChannelHold : public std::enable_shared_from_this<ChannelHold> {
 public:
  // What it works with; constant.
  struct Doors {
    EventLoop& loop;
    std::shared_ptr<SessionIdentity> identity;
    std::shared_ptr<grpc::Channel> channel;
    // The channel's name in error messages.
    std::string name;
    // If empty, the loop's timers.
    RunAfter run_after;
    // Called on the loop's thread, without a lock, when the hold has ended,
    // with the reason. Not called after Close. May be empty.
    std::function<void(const absl::Status&)> on_lost;
  };

  explicit ChannelHold(Doors doors);
  ChannelHold(const ChannelHold&) = delete;
  ChannelHold& operator=(const ChannelHold&) = delete;

  // Holds the instance unless it is held already, and blocks until it is held,
  // at most until `deadline`. On the loop's own thread it does not wait.
  //
  // OK: it is held; `created` says whether this call created the context.
  // FAILED_PRECONDITION: closed. UNAVAILABLE: no connection. DEADLINE_EXCEEDED:
  // no answer in time. Otherwise the server's error.
  absl::StatusOr<OpenedInstance> Open(const Deadline& deadline)
      ABSL_LOCKS_EXCLUDED(mu_);

  // Lets go for good. Does not block.
  void Close() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  using Stream = ServerStream<leasehold::v1::HoldResponse>;
  enum class State { kNone, kOpening, kHeld, kLost, kClosed };

  std::shared_ptr<Stream> MakeStream();
  void StartLocked(std::shared_ptr<Stream> stream)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Starts an attempt on the caller's thread. OK: it is pending.
  absl::Status Attempt(const Deadline& deadline) ABSL_LOCKS_EXCLUDED(mu_);
  // Ends the pending attempt, because it took too long, and returns that error.
  absl::Status GiveUp(const Deadline& deadline) ABSL_LOCKS_EXCLUDED(mu_);
  // The current attempt or hold has ended because of `outcome`.
  void NoteOutcomeLocked(absl::Status outcome)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Sets the timer for the next attempt; and what the timer calls.
  void ReopenLaterLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Reopen() ABSL_LOCKS_EXCLUDED(mu_);

  void OnHeld(Stream* stream, const leasehold::v1::HoldResponse& response)
      ABSL_LOCKS_EXCLUDED(mu_);
  void OnEnd(Stream* stream, const grpc::Status& status)
      ABSL_LOCKS_EXCLUDED(mu_);

  // Constant after construction.
  const Doors doors_;
  const std::unique_ptr<leasehold::v1::Instances::Stub> stub_;

  // Synchronises itself.
  CondVar changed_;

  // Guarded by mu_.
  Mutex mu_;
  State state_ ABSL_GUARDED_BY(mu_) = State::kNone;
  // The server has answered once: from then on the hold is kept.
  bool was_held_ ABSL_GUARDED_BY(mu_) = false;
  // A timer that will call Reopen is set.
  bool reopening_ ABSL_GUARDED_BY(mu_) = false;
  // How many attempts have ended, and the outcome of the last one.
  uint64_t attempts_ ABSL_GUARDED_BY(mu_) = 0;
  absl::Status outcome_ ABSL_GUARDED_BY(mu_);
  OpenedInstance held_ ABSL_GUARDED_BY(mu_);
  // The current stream; null if there is none. Others are ignored.
  std::shared_ptr<Stream> stream_ ABSL_GUARDED_BY(mu_);
  Backoff backoff_ ABSL_GUARDED_BY(mu_);
};

}  // namespace leasehold::client

#endif  // LEASEHOLD_CLIENT_SESSION_CHANNEL_HOLD_H_
