// SharedSession: one instance ID over any number of channels.
//
// Every call of a session bears the same instance ID, so all its channels meet
// one instance context on the server. A session that was given no ID takes the
// one that the server makes for its first call; until that call is back, and
// while the one call that says `expect` is on its way, the others wait. The
// session remembers the generation it last saw: a higher one means that the
// context was made anew and its in-memory state lost, and the owner is told.
//
// Thread-safety: safe.   Lifetime: outlives its calls; what the callback refers
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
#include "client/instance_metadata.h"
#include "client/mutex.h"
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
  // Called when a response shows a generation above the one known before; not
  // for the first one seen. Called without a lock, by the thread that saw it,
  // so perhaps by two at once.
  std::function<void(uint64_t before, uint64_t after)> on_generation_change;
};

struct EchoReply {
  std::string text;
  std::string instance_id;
  uint64_t generation = 0;
  // The how-manieth echo of the instance context this was, over all channels.
  uint64_t sequence = 0;
  // The channel that carried the call.
  size_t channel = 0;
  // Whether this call created the instance context.
  bool created = false;
  // The context's idle timeout; only if this call created it.
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
  ~SharedSession();
  SharedSession(const SharedSession&) = delete;
  SharedSession& operator=(const SharedSession&) = delete;

  // Adds a channel and gives its index. `name` is what errors call it.
  size_t AddChannel(std::shared_ptr<grpc::Channel> channel, std::string name)
      ABSL_LOCKS_EXCLUDED(mu_);
  // The same, over a new connection to `address`. INVALID_ARGUMENT: it is none.
  absl::StatusOr<size_t> AddChannel(const std::string& address)
      ABSL_LOCKS_EXCLUDED(mu_);

  // Lets go of a channel; its connection closes when the calls on it are done.
  // Other indexes stay. Closing twice is not an error. OUT_OF_RANGE: no such
  // channel.
  absl::Status CloseChannel(size_t index) ABSL_LOCKS_EXCLUDED(mu_);

  // Has the session's instance echo `text` over a channel. Blocks, at most for
  // the call timeout; does not wait for a server that cannot be reached.
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
  absl::Status Prepare(grpc::ClientContext& context) ABSL_LOCKS_EXCLUDED(mu_);

  // Learns ID and generation from a call's initial metadata.
  // REQUIRES: Prepare gave OK for it, and it has ended or its initial metadata
  // has been received.
  void Observe(const grpc::ClientContext& context) ABSL_LOCKS_EXCLUDED(mu_);

  // Empty: not known yet.
  std::string instance_id() const ABSL_LOCKS_EXCLUDED(mu_);
  // The highest seen. 0: none yet.
  uint64_t generation() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct Link;

  // The channel of an index, or why there is none.
  absl::StatusOr<std::shared_ptr<Link>> Find(size_t index) const
      ABSL_LOCKS_EXCLUDED(mu_);

  // Takes in what the call of `context` has shown, and lets those that wait for
  // it go on.
  void Learn(const grpc::ClientContext& context,
             const std::optional<std::string>& instance_id,
             std::optional<uint64_t> generation) ABSL_LOCKS_EXCLUDED(mu_);

  // Constant after construction.
  const SharedSessionOptions options_;

  // Synchronises itself.
  CondVar first_call_done_;

  // Guarded by mu_.
  mutable Mutex mu_;
  std::vector<std::shared_ptr<Link>> links_ ABSL_GUARDED_BY(mu_);
  std::string instance_id_ ABSL_GUARDED_BY(mu_);
  uint64_t generation_ ABSL_GUARDED_BY(mu_) = 0;
  // The ID is known, and what only the first call says has been said.
  bool opened_ ABSL_GUARDED_BY(mu_);
  // The first call while it is on its way; an identity, never followed.
  const grpc::ClientContext* first_call_ ABSL_GUARDED_BY(mu_) = nullptr;
};

}  // namespace leasehold::client

#endif  // LEASEHOLD_CLIENT_SHARED_SESSION_H_
