// ChannelHold: the hold of one channel of a session, kept up until the channel
// is closed.
//
// kNone --Open--> kOpening --answered--> kHeld --lost--> kLost --Open, or after
// a while--> kOpening …; any --Close--> kClosed. A hold that failed before it
// was ever answered goes back to kNone: the caller has the error, and may try
// again. Only a lost server, or a full one when it is back, is sought in the
// background (UNAVAILABLE, RESOURCE_EXHAUSTED). What else ends a hold, as a
// release by force, is somebody's will: it goes back to kNone, and the next
// call over the channel holds anew.
//
// Thread-safety: safe.   Lifetime: loop and stub outlive its streams; held by
// shared_ptr.
#ifndef LEASEHOLD_CLIENT_CHANNEL_HOLD_H_
#define LEASEHOLD_CLIENT_CHANNEL_HOLD_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/backoff.h"
#include "client/event_loop.h"
#include "client/instance.h"
#include "client/mutex.h"
#include "client/server_stream.h"
#include "client/session_identity.h"
#include "client/timespan.h"
#include "grpcpp/channel.h"
#include "leasehold/v1/instances.grpc.pb.h"

namespace leasehold::client {

class ChannelHold : public std::enable_shared_from_this<ChannelHold> {
 public:
  // What it works with; constant.
  struct Doors {
    EventLoop& loop;
    std::shared_ptr<SessionIdentity> identity;
    std::shared_ptr<grpc::Channel> channel;
    // What errors call the channel.
    std::string name;
    // Empty: the loop's timers.
    RunAfter run_after;
    // Called on the loop's thread, without a lock, when what was held is held
    // no more, and why; not after Close. May be empty.
    std::function<void(const absl::Status&)> on_lost;
  };

  explicit ChannelHold(Doors doors);
  ChannelHold(const ChannelHold&) = delete;
  ChannelHold& operator=(const ChannelHold&) = delete;

  // Holds the instance if that is not done, and blocks until it is, at most
  // until `deadline`. On the loop's own thread it does not wait.
  //
  // OK: it is held; `created` says whether this very call made the context.
  // FAILED_PRECONDITION: closed. UNAVAILABLE: no connection. DEADLINE_EXCEEDED:
  // no answer in time. Otherwise what the server said.
  absl::StatusOr<OpenedInstance> Open(const Deadline& deadline)
      ABSL_LOCKS_EXCLUDED(mu_);

  // Lets go, for good. Does not block.
  void Close() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  using Stream = ServerStream<leasehold::v1::HoldResponse>;
  enum class State { kNone, kOpening, kHeld, kLost, kClosed };

  std::shared_ptr<Stream> MakeStream();
  void StartLocked(std::shared_ptr<Stream> stream)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Begins an attempt on its caller's thread. OK: it is under way.
  absl::Status Attempt(const Deadline& deadline) ABSL_LOCKS_EXCLUDED(mu_);
  // Ends the attempt under way, for taking too long; says so.
  absl::Status GiveUp(const Deadline& deadline) ABSL_LOCKS_EXCLUDED(mu_);
  // The present attempt or hold is over, for the reason `outcome`.
  void NoteOutcomeLocked(absl::Status outcome)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The same server is sought again in a while, and then.
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
  // Some attempt was answered: the channel is meant to be held from then on.
  bool was_held_ ABSL_GUARDED_BY(mu_) = false;
  // A timer that will call Reopen is set.
  bool reopening_ ABSL_GUARDED_BY(mu_) = false;
  // How many attempts are over, and what the last one came to.
  uint64_t attempts_ ABSL_GUARDED_BY(mu_) = 0;
  absl::Status outcome_ ABSL_GUARDED_BY(mu_);
  OpenedInstance held_ ABSL_GUARDED_BY(mu_);
  // The stream whose word counts; null: none is under way.
  std::shared_ptr<Stream> stream_ ABSL_GUARDED_BY(mu_);
  Backoff backoff_ ABSL_GUARDED_BY(mu_);
};

}  // namespace leasehold::client

#endif  // LEASEHOLD_CLIENT_CHANNEL_HOLD_H_
