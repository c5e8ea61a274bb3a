// SessionKeepAlive: renews a session's lease over one of its open channels.
//
// When that channel is closed, it uses another one. When the server is lost, it
// reconnects. When no channel is open, it renews nothing and the lease runs
// out.
//
// Thread-safety: safe.   Lifetime: loop and `pick` outlive Close; held by
// shared_ptr.
#ifndef LEASEHOLD_CLIENT_SESSION_SESSION_KEEP_ALIVE_H_
#define LEASEHOLD_CLIENT_SESSION_SESSION_KEEP_ALIVE_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/instances/keep_alive.h"
#include "client/session/session_identity.h"
#include "client/wire/backoff.h"
#include "client/wire/event_loop.h"
#include "grpcpp/channel.h"
#include "lease/base/mutex.h"

namespace leasehold::client {

class SessionKeepAlive : public std::enable_shared_from_this<SessionKeepAlive> {
 public:
  // A channel that the lease is renewed over.
  struct Carrier {
    std::shared_ptr<grpc::Channel> channel;
    std::string name;
  };

  // What it works with; constant.
  struct Doors {
    EventLoop& loop;
    std::shared_ptr<SessionIdentity> identity;
    absl::Duration interval;
    // If empty, the loop's timers.
    RunAfter run_after;
    // Returns an open channel, or nothing. Called with a lock held: it must not
    // take a lock under which this class is called.
    std::function<std::optional<Carrier>()> pick;
  };

  explicit SessionKeepAlive(Doors doors) : doors_(std::move(doors)) {}
  SessionKeepAlive(const SessionKeepAlive&) = delete;
  SessionKeepAlive& operator=(const SessionKeepAlive&) = delete;

  // Renews from now on, if a channel is open and none is renewed over already.
  // Does not block. REQUIRES: the session's ID is known.
  void Ensure() ABSL_LOCKS_EXCLUDED(mu_);
  // Stops using `channel`, which `pick` no longer returns.
  void Leave(const grpc::Channel* channel) ABSL_LOCKS_EXCLUDED(mu_);
  // Ends the renewing for good. REQUIRES: not in a callback.
  void Close() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  void OnEnd() ABSL_LOCKS_EXCLUDED(mu_);
  void EnsureLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const Doors doors_;

  // Guarded by mu_.
  Mutex mu_;
  bool closed_ ABSL_GUARDED_BY(mu_) = false;
  // The current stream is being ended, because its channel was closed.
  bool leaving_ ABSL_GUARDED_BY(mu_) = false;
  // A timer will start it again.
  bool waiting_ ABSL_GUARDED_BY(mu_) = false;
  Carrier carrier_ ABSL_GUARDED_BY(mu_);
  // Null if nothing is renewed now.
  std::unique_ptr<KeepAlive> keep_alive_ ABSL_GUARDED_BY(mu_);
  Backoff backoff_ ABSL_GUARDED_BY(mu_);
};

}  // namespace leasehold::client

#endif  // LEASEHOLD_CLIENT_SESSION_SESSION_KEEP_ALIVE_H_
