// JoinReader: the echoes of an instance, whoever sent them.
//
// Those who read one instance share a room. While somebody reads, the instance
// stays busy. A reader that loses its server, or that the server dropped
// because it was slow, may join again by itself: it asks for what came after
// the last echo that it has told, so that none is told twice, and is told how
// many are lost. If the instance was made anew meanwhile, its first echo comes
// next.
//
// Thread-safety: safe.   Lifetime: what the callbacks refer to outlives it.
#ifndef LEASEHOLD_CLIENT_JOIN_READER_H_
#define LEASEHOLD_CLIENT_JOIN_READER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/event_loop.h"
#include "client/instance_metadata.h"
#include "grpcpp/channel.h"

namespace leasehold::client {

struct JoinEvent {
  enum class Kind {
    // The reader is in the room; first of all, and again when it has joined
    // again. `sequence` is the latest echo so far, 0 if there was none.
    kJoined,
    // Somebody's echo.
    kEcho,
    // `missed` echoes that were asked for are no longer there.
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
  // Empty: the server makes one; kJoined tells it.
  std::string instance_id;
  // Begin after this echo; 0: with the oldest that the server still has. Empty:
  // only echoes that are yet to come.
  std::optional<uint64_t> after_sequence;
  // If this call creates the instance. Empty: the server's own.
  std::optional<absl::Duration> idle_timeout;
  Expect expect = Expect::kAny;
  // Join again after UNAVAILABLE and RESOURCE_EXHAUSTED, rather than end.
  bool reconnect = false;

  // Callbacks come on a thread of the reader, one at a time; the next event is
  // read when the one before has returned. They may not destroy the reader.
  std::function<void(const JoinEvent&)> on_event;
  // Called when the server was lost and is sought again; only if `reconnect`.
  std::function<void(const absl::Status& why)> on_lost;
  // Called once, when nothing more comes, and why; not if the reader was
  // destroyed. RESOURCE_EXHAUSTED: it was too slow. ABORTED: somebody released
  // the instance by force. UNAVAILABLE: the server drains, or is lost.
  // CANCELLED: by Cancel. INVALID_ARGUMENT: the server refuses the ID.
  std::function<void(const absl::Status&)> on_end;

  // Empty: gRPC's own timers.
  RunAfter run_after;
};

class JoinReader {
 public:
  // Joins at once, without waiting, over `channel`, which errors call `name`.
  JoinReader(std::shared_ptr<grpc::Channel> channel, std::string name,
             JoinOptions options);
  // No callback comes afterwards; blocks while one runs.
  ~JoinReader();
  JoinReader(const JoinReader&) = delete;
  JoinReader& operator=(const JoinReader&) = delete;

  // Ends it soon, and tells on_end. Does not block.
  void Cancel();

 private:
  class Room;

  EventLoop loop_;
  const std::shared_ptr<Room> room_;
};

}  // namespace leasehold::client

#endif  // LEASEHOLD_CLIENT_JOIN_READER_H_
