// SharedSession: one instance ID over any number of channels.
//
// Every call of a session carries the same instance ID, so all its channels use
// one instance context on the server. A session without an ID takes the one
// that the server makes for its first call. Until that call has returned, and
// while the one call that sends `expect` is pending, the other calls wait. The
// session remembers the last generation it saw: a higher one means that the
// context was re-created and its in-memory state lost, and a callback says so.
//
// A channel's first call opens it: from then until CloseChannel the channel
// holds the context, which stays busy. So the lease begins when the last open
// channel is closed, and not before. A channel whose server is lost reconnects,
// in the background and with the next call, and takes a new hold.
//
// Callbacks run on a thread of the session or on one that makes a call, so two
// may run at the same time, and never under a lock. They may call any method of
// this session and of others. On the session's thread, a call that blocks
// delays the session's background work, and does not wait until its channel is
// held. Callbacks must not destroy the session.
//
// Thread-safety: safe.   Lifetime: outlives its calls; everything that the
// callbacks refer to outlives the session.
#ifndef LEASEHOLD_CLIENT_SESSION_SHARED_SESSION_H_
#define LEASEHOLD_CLIENT_SESSION_SHARED_SESSION_H_

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
#include "client/session/session_identity.h"
#include "client/session/session_keep_alive.h"
#include "client/wire/event_loop.h"
#include "client/wire/instance_metadata.h"
#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"
#include "grpcpp/security/credentials.h"
#include "lease/base/mutex.h"

namespace leasehold::client {

struct SharedSessionOptions {
  // 1 to 1,024 bytes of UTF-8 without control characters. If empty, the server
  // makes an ID.
  std::string instance_id;
  // The idle timeout that a call asks for if it creates the context. If empty,
  // the server's default. The server keeps it within its bounds.
  std::optional<absl::Duration> idle_timeout;
  // Sent only with the session's first call, and again if that call fails.
  Expect expect = Expect::kAny;
  // Of channels that the session opens itself; as for OpenChannel.
  std::shared_ptr<grpc::ChannelCredentials> credentials;
  // How long Echo may take, including the wait for the session's first call.
  absl::Duration call_timeout = absl::Seconds(30);
  // Whether each channel holds the instance from its first call until it is
  // closed. If not, a call costs one call, and the lease starts again at the
  // end of each call.
  bool hold = true;
  // How often to renew the lease, over one open channel, from the first call
  // until the last channel is closed. Without `hold` this keeps the instance
  // without keeping it busy. If empty, never.
  std::optional<absl::Duration> keep_alive_interval;
  // Called when a response shows a higher generation than before; not for the
  // first generation.
  std::function<void(uint64_t before, uint64_t after)> on_generation_change;
  // Called when an open channel has lost its hold although the session did not
  // close it. ABORTED: somebody released the instance by force; the next call
  // over the channel creates and holds a new one. The same holds for NOT_FOUND,
  // INVALID_ARGUMENT, FAILED_PRECONDITION, PERMISSION_DENIED, and for an
  // attempt that is UNAUTHENTICATED. Anything else, such as UNAVAILABLE: the
  // server or a proxy was lost, or no longer takes the token that the hold
  // began with, and the session reconnects in the background.
  std::function<void(size_t channel, const absl::Status& why)> on_hold_lost;
  // How the session waits before it reconnects. If empty, gRPC's own timers.
  RunAfter run_after;
};

struct EchoReply {
  std::string text;
  std::string instance_id;
  uint64_t generation = 0;
  // The number of this echo within the instance context, over all channels.
  uint64_t sequence = 0;
  // The channel that carried the call.
  size_t channel = 0;
  // Whether this call, or the hold with which it opened its channel, created
  // the instance context.
  bool created = false;
  // The context's idle timeout; only if `created`.
  std::optional<absl::Duration> idle_timeout;
};

class SharedSession {
 public:
  // A session with a channel to each address (see channel.h), indexes from 0.
  // Does not block: channels connect with their first call. INVALID_ARGUMENT:
  // one of them is not an address.
  static absl::StatusOr<std::unique_ptr<SharedSession>> Connect(
      const std::vector<std::string>& addresses, SharedSessionOptions options);

  // A session over channels that the caller made (TLS, in-process, …).
  SharedSession(std::vector<std::shared_ptr<grpc::Channel>> channels,
                SharedSessionOptions options);
  // Lets go of all channels without delay. REQUIRES: not in a callback.
  ~SharedSession();
  SharedSession(const SharedSession&) = delete;
  SharedSession& operator=(const SharedSession&) = delete;

  // Adds a channel and returns its index. Errors call the channel `name`.
  size_t AddChannel(std::shared_ptr<grpc::Channel> channel, std::string name)
      ABSL_LOCKS_EXCLUDED(mu_);
  // The same over a new connection to `address`. INVALID_ARGUMENT: not an
  // address.
  absl::StatusOr<size_t> AddChannel(const std::string& address)
      ABSL_LOCKS_EXCLUDED(mu_);

  // A channel of the session, for stubs of the caller's own:
  //
  //   const auto stub = Chat::NewStub(*session->Channel(0));
  //   grpc::ClientContext context;
  //   if (auto s = session->Prepare(context); !s.ok()) return s;
  //   stub->Say(&context, request, &reply);
  //   session->Observe(context);
  //
  // HoldChannel holds the instance over it. The caller's stubs may outlive the
  // session and CloseChannel; the connection closes with the last of them. Does
  // not block. OUT_OF_RANGE: no such channel. FAILED_PRECONDITION: the channel
  // is closed.
  absl::StatusOr<std::shared_ptr<grpc::Channel>> Channel(size_t index) const
      ABSL_LOCKS_EXCLUDED(mu_);

  // Opens a channel as its first call would: holds the instance over it, and
  // blocks until it is held, at most for the call timeout. For programs that
  // use stubs of their own. Does nothing if `hold` is off.
  //
  // Errors are those of Echo.
  absl::Status HoldChannel(size_t index) ABSL_LOCKS_EXCLUDED(mu_);

  // Lets go of a channel and of its hold; its connection closes when the calls
  // on it have ended. The other channels keep their indexes. Closing twice is
  // not an error. Does not block. OUT_OF_RANGE: no such channel.
  absl::Status CloseChannel(size_t index) ABSL_LOCKS_EXCLUDED(mu_);

  // Has the session's instance echo `text` over a channel, and opens the
  // channel first if necessary. Blocks, at most for the call timeout; does not
  // wait for a server that cannot be reached.
  //
  // OUT_OF_RANGE: no such channel. FAILED_PRECONDITION: the channel is closed.
  // INVALID_ARGUMENT: the text is not UTF-8, or the server refuses the ID.
  // ALREADY_EXISTS, NOT_FOUND: the context is not as `expect` said.
  // UNAVAILABLE: no connection; names the address. INTERNAL: another instance
  // answered. Otherwise the server's error.
  absl::StatusOr<EchoReply> Echo(const std::string& text, size_t channel)
      ABSL_LOCKS_EXCLUDED(mu_);

  // For stubs of the caller's own: adds the session's metadata to a call that
  // is about to start. While another call is the session's first (see above),
  // it blocks until that one was observed, at most until `context`'s deadline.
  //
  // OK: start the call, and pass its context to Observe when it has ended, even
  // if it failed. DEADLINE_EXCEEDED: the first call has not returned yet;
  // nothing was added.
  absl::Status Prepare(grpc::ClientContext& context);

  // Learns ID and generation from a call's initial metadata.
  // REQUIRES: Prepare returned OK for it, and it has ended or its initial
  // metadata has been received.
  void Observe(const grpc::ClientContext& context);

  // Empty until it is known.
  std::string instance_id() const { return identity_->instance_id(); }
  // The highest seen; 0 if none was.
  uint64_t generation() const { return identity_->generation(); }

 private:
  struct Link;

  // The channel with this index, or why there is none.
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
  // Null if the lease is not to be renewed.
  std::shared_ptr<SessionKeepAlive> keep_alive_;

  // Synchronises itself.
  EventLoop loop_;

  // Guarded by mu_.
  mutable Mutex mu_;
  // Null if closed.
  std::vector<std::shared_ptr<Link>> links_ ABSL_GUARDED_BY(mu_);
  // The session is being destroyed.
  bool closing_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace leasehold::client

#endif  // LEASEHOLD_CLIENT_SESSION_SHARED_SESSION_H_
