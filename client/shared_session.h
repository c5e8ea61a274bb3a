// SharedSession: one instance ID over any number of channels.
//
// Every call of a session bears the same instance ID, so all its channels meet
// one instance context on the server. A session that was given no ID takes the
// one that the server makes for its first call; until that call is back, and
// while the one call that says `expect` is on its way, the others wait. The
// session remembers the generation it last saw: a higher one means that the
// context was made anew and its in-memory state lost, and the owner is told.
//
// A channel's first call opens it: from then until CloseChannel it holds the
// context, which stays busy. So the lease begins when the last open channel is
// closed, and not before. A channel whose server is lost seeks it again, in the
// background and with the next call over it, and holds anew.
//
// Callbacks come on a thread of the session or on one that makes a call, so
// perhaps two at once, and never under a lock. They may call any method of the
// session and of others; on the session's thread a call that blocks delays what
// the session does in the background, and does not wait for its channel to be
// held. They may not destroy the session.
//
// Thread-safety: safe.   Lifetime: outlives its calls; what the callbacks refer
// to outlives the session.
#ifndef LEASEHOLD_CLIENT_SHARED_SESSION_H_
#define LEASEHOLD_CLIENT_SHARED_SESSION_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/event_loop.h"
#include "client/instance_metadata.h"
#include "client/mutex.h"
#include "client/session_identity.h"
#include "client/session_keep_alive.h"
#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"

namespace leasehold::client {

struct SharedSessionOptions {
  // 1 to 1,024 bytes of UTF-8 without control characters. Empty: the server
  // makes one.
  std::string instance_id;
  // The idle timeout that a call asks for if it creates the context. Empty: the
  // server's own. The server clamps it.
  std::optional<absl::Duration> idle_timeout;
  // Said by the session's first call only, again if that call fails.
  Expect expect = Expect::kAny;
  // How long Echo may take, waiting for the session's first call included.
  absl::Duration call_timeout = absl::Seconds(30);
  // Whether each channel holds the instance from its first call until it is
  // closed. Off: a call costs one call, and the lease begins anew with the end
  // of each.
  bool hold = true;
  // How often to renew the lease, over one open channel, from the first call
  // until the last channel is closed. With `hold` off it keeps the instance
  // without keeping it busy. Empty: never.
  std::optional<absl::Duration> keep_alive_interval;
  // Called when a response shows a generation above the one known before; not
  // for the first one seen.
  std::function<void(uint64_t before, uint64_t after)> on_generation_change;
  // Called when an open channel holds the instance no more, and why; it was not
  // closed by the session. UNAVAILABLE: the server is lost, or drains, and is
  // sought again. ABORTED: somebody released the instance by force; the next
  // call over the channel makes and holds a new one.
  std::function<void(size_t channel, const absl::Status& why)> on_hold_lost;
  // How the session waits before it tries again. Empty: gRPC's own timers.
  RunAfter run_after;
};

struct EchoReply {
  std::string text;
  std::string instance_id;
  uint64_t generation = 0;
  // The how-manieth echo of the instance context this was, over all channels.
  uint64_t sequence = 0;
  // The channel that carried the call.
  size_t channel = 0;
  // Whether this call, or the hold that it opened its channel with, created the
  // instance context.
  bool created = false;
  // The context's idle timeout; only if `created`.
  std::optional<absl::Duration> idle_timeout;
};

class SharedSession {
 public:
  // A session with a channel to each address (see channel.h), indexes from 0.
  // Blocks not: channels connect with their first call. INVALID_ARGUMENT: an
  // address that is none.
  static absl::StatusOr<std::unique_ptr<SharedSession>> Connect(
      const std::vector<std::string>& addresses, SharedSessionOptions options);

  // A session over channels that the caller made (TLS, in-process, …).
  SharedSession(std::vector<std::shared_ptr<grpc::Channel>> channels,
                SharedSessionOptions options);
  // Lets go of all channels, promptly. REQUIRES: not in a callback.
  ~SharedSession();
  SharedSession(const SharedSession&) = delete;
  SharedSession& operator=(const SharedSession&) = delete;

  // Adds a channel and gives its index. `name` is what errors call it.
  size_t AddChannel(std::shared_ptr<grpc::Channel> channel, std::string name)
      ABSL_LOCKS_EXCLUDED(mu_);
  // The same, over a new connection to `address`. INVALID_ARGUMENT: it is none.
  absl::StatusOr<size_t> AddChannel(const std::string& address)
      ABSL_LOCKS_EXCLUDED(mu_);

  // Opens a channel, as its first call would: holds the instance over it, and
  // blocks until that is so, at most for the call timeout. For those who call
  // with stubs of their own. With `hold` off there is nothing to do.
  //
  // Errors are those of Echo.
  absl::Status HoldChannel(size_t index) ABSL_LOCKS_EXCLUDED(mu_);

  // Lets go of a channel, and of what it holds; its connection closes when the
  // calls on it are done. Other indexes stay. Closing twice is not an error.
  // Does not block. OUT_OF_RANGE: no such channel.
  absl::Status CloseChannel(size_t index) ABSL_LOCKS_EXCLUDED(mu_);

  // Has the session's instance echo `text` over a channel, which is opened if
  // it was not. Blocks, at most for the call timeout; does not wait for a
  // server that cannot be reached.
  //
  // OUT_OF_RANGE: no such channel. FAILED_PRECONDITION: the channel is closed.
  // INVALID_ARGUMENT: the text is not UTF-8, or the server refuses the ID.
  // ALREADY_EXISTS, NOT_FOUND: it is not as `expect` said. UNAVAILABLE: no
  // connection; names the address. INTERNAL: another instance answered.
  // Otherwise what the server said.
  absl::StatusOr<EchoReply> Echo(const std::string& text, size_t channel)
      ABSL_LOCKS_EXCLUDED(mu_);

  // For stubs of the caller's own: adds the session's metadata to a call that
  // is about to start. While another call is the session's first (see top), it
  // blocks until that one was observed, at most to `context`'s deadline.
  //
  // OK: start the call, and give its context to Observe when it has ended, also
  // if it failed. DEADLINE_EXCEEDED: the first call is not back yet; nothing
  // was added.
  absl::Status Prepare(grpc::ClientContext& context);

  // Learns ID and generation from a call's initial metadata.
  // REQUIRES: Prepare gave OK for it, and it has ended or its initial metadata
  // has been received.
  void Observe(const grpc::ClientContext& context);

  // Empty: not known yet.
  std::string instance_id() const { return identity_->instance_id(); }
  // The highest seen. 0: none yet.
  uint64_t generation() const { return identity_->generation(); }

 private:
  struct Link;

  // The channel of an index, or why there is none.
  absl::StatusOr<std::shared_ptr<Link>> Find(size_t index) const
      ABSL_LOCKS_EXCLUDED(mu_);
  size_t AddLinkLocked(std::shared_ptr<grpc::Channel> channel, std::string name)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Some open channel.
  std::optional<SessionKeepAlive::Carrier> Pick() const
      ABSL_LOCKS_EXCLUDED(mu_);

  // Constant after construction.
  const SharedSessionOptions options_;
  const std::shared_ptr<SessionIdentity> identity_;
  // Null: not asked for.
  std::shared_ptr<SessionKeepAlive> keep_alive_;

  // Synchronises itself.
  EventLoop loop_;

  // Guarded by mu_.
  mutable Mutex mu_;
  // Null: closed.
  std::vector<std::shared_ptr<Link>> links_ ABSL_GUARDED_BY(mu_);
  // The session is being destroyed.
  bool closing_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace leasehold::client

#endif  // LEASEHOLD_CLIENT_SHARED_SESSION_H_
