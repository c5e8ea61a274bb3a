// JoinReader: the echoes of an instance, whoever sent them.
//
// All readers of one instance share a room. While somebody reads, the instance
// stays busy. A reader that loses its server, or that the server dropped
// because it was too slow, can join again by itself: it asks for the echoes
// after the last one that it has reported, so that none is reported twice, and
// learns how many were lost. If the instance was re-created meanwhile, it
// continues with the first echo of the new one.
//
// Thread-safety: safe.   Lifetime: what the callbacks refer to outlives it.
#ifndef LEASEHOLD_CLIENT_SESSION_JOIN_READER_H_
#define LEASEHOLD_CLIENT_SESSION_JOIN_READER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/wire/event_loop.h"
#include "client/wire/instance_metadata.h"
#include "grpcpp/channel.h"

namespace leasehold::client {

struct JoinEvent {
  enum class Kind {
    // The reader is in the room: the first event, and again after each
    // reconnect. `sequence` is that of the latest echo, 0 if there is none.
    kJoined,
    // An echo, whoever sent it.
    kEcho,
    // The server no longer has `missed` of the echoes that were asked for.
    kLagged,
  };

  Kind kind = Kind::kEcho;
  // Empty for kLagged.
  std::string instance_id;
  uint64_t generation = 0;
  uint64_t sequence = 0;
  // Only for kEcho.
  std::string text;
  // Only for kLagged.
  uint64_t missed = 0;
};

struct JoinOptions {
  // If empty, the server makes an ID; kJoined reports it.
  std::string instance_id;
  // Start after this echo; 0 means with the oldest that the server still has.
  // If empty, only echoes from now on.
  std::optional<uint64_t> after_sequence;
  // Used if this call creates the instance. If empty, the server's default.
  std::optional<absl::Duration> idle_timeout;
  Expect expect = Expect::kAny;
  // Whether a reader that was lost joins again instead of ending. Lost means
  // any end but ABORTED, NOT_FOUND, INVALID_ARGUMENT, FAILED_PRECONDITION,
  // PERMISSION_DENIED and UNAUTHENTICATED; but a stream that the server had
  // answered makes one more attempt if its token is no longer taken (token.h).
  // (A reader that has never been in the room joins again only after
  // UNAVAILABLE and RESOURCE_EXHAUSTED.)
  bool reconnect = false;

  // Callbacks run on a thread of the reader, one at a time; the next event is
  // read when the previous one has returned. They must not destroy the reader.
  std::function<void(const JoinEvent&)> on_event;
  // Called when the reader was lost and will join again; only if `reconnect`.
  std::function<void(const absl::Status& why)> on_lost;
  // Called once, when reading has ended, with the reason. Not called if the
  // reader was destroyed. RESOURCE_EXHAUSTED: it was too slow. ABORTED:
  // somebody released the instance by force. UNAVAILABLE: the server is
  // draining, or was lost. CANCELLED: by Cancel. INVALID_ARGUMENT: the server
  // refuses the ID.
  std::function<void(const absl::Status&)> on_end;

  // If empty, gRPC's own timers.
  RunAfter run_after;
};

class JoinReader {
 public:
  // Joins over `channel`, which errors call `name`. Does not block.
  JoinReader(std::shared_ptr<grpc::Channel> channel, std::string name,
             JoinOptions options);
  // Waits for a running callback; no other one follows.
  ~JoinReader();
  JoinReader(const JoinReader&) = delete;
  JoinReader& operator=(const JoinReader&) = delete;

  // Ends the stream soon and calls on_end. Does not block.
  void Cancel();

 private:
  class Room;

  EventLoop loop_;
  const std::shared_ptr<Room> room_;
};

}  // namespace leasehold::client

#endif  // LEASEHOLD_CLIENT_SESSION_JOIN_READER_H_
