// SessionKeepAlive: a session's lease, renewed over one of its open channels.
//
// When that channel is closed, another takes over; when the server is lost, it
// is sought again; when no channel is open, nothing is renewed and the lease
// runs.
//
// Thread-safety: safe.   Lifetime: loop and `pick` outlive Close; held by
// shared_ptr.
#ifndef LEASEHOLD_CLIENT_SESSION_KEEP_ALIVE_H_
#define LEASEHOLD_CLIENT_SESSION_KEEP_ALIVE_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/backoff.h"
#include "client/event_loop.h"
#include "client/keep_alive.h"
#include "client/mutex.h"
#include "client/session_identity.h"
#include "grpcpp/channel.h"

namespace leasehold::client {

class SessionKeepAlive : public std::enable_shared_from_this<SessionKeepAlive> {
 public:
  // A channel to renew over.
  struct Carrier {
    std::shared_ptr<grpc::Channel> channel;
    std::string name;
  };

  // What it works with; constant.
  struct Doors {
    EventLoop& loop;
    std::shared_ptr<SessionIdentity> identity;
    absl::Duration interval;
    // Empty: the loop's timers.
    RunAfter run_after;
    // An open channel; empty: there is none. Called with a lock held: it may
    // take no lock under which this class is called.
    std::function<std::optional<Carrier>()> pick;
  };

  explicit SessionKeepAlive(Doors doors) : doors_(std::move(doors)) {}
  SessionKeepAlive(const SessionKeepAlive&) = delete;
  SessionKeepAlive& operator=(const SessionKeepAlive&) = delete;

  // Renews from now on, if that is not so and a channel is open. Does not
  // block. REQUIRES: the session's ID is known.
  void Ensure() ABSL_LOCKS_EXCLUDED(mu_);
  // Stops using `channel`, which is picked no more.
  void Leave(const grpc::Channel* channel) ABSL_LOCKS_EXCLUDED(mu_);
  // Ends it for good. REQUIRES: not in a callback.
  void Close() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  void OnEnd(const absl::Status& status) ABSL_LOCKS_EXCLUDED(mu_);
  void EnsureLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const Doors doors_;

  // Guarded by mu_.
  Mutex mu_;
  bool closed_ ABSL_GUARDED_BY(mu_) = false;
  // A timer will ensure it again.
  bool waiting_ ABSL_GUARDED_BY(mu_) = false;
  Carrier carrier_ ABSL_GUARDED_BY(mu_);
  // Null: nothing is renewed now.
  std::unique_ptr<KeepAlive> keep_alive_ ABSL_GUARDED_BY(mu_);
  Backoff backoff_ ABSL_GUARDED_BY(mu_);
};

}  // namespace leasehold::client

#endif  // LEASEHOLD_CLIENT_SESSION_KEEP_ALIVE_H_
