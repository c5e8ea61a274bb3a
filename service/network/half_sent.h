// HalfSent: a limit for the received parts of incomplete messages.
//
// gRPC 1.51 assembles a message before it tells anyone of it, and limits only
// single messages: a client that begins a hundred large ones and ends none
// fills a server's memory with data that no handler ever sees. This class
// counts each stream's bytes from the first one of a message to the one before
// its last.
//
// A connection may have a limited number of bytes in unfinished messages; a
// single message always has room, up to the limit of its method. If all
// connections together exceed their limit, any connection with more than an
// equal share of it is refused, so that at most twice the limit is ever held.
//
// The place where gRPC parses data reports to it (frame_wraps.h). A message
// that arrives in one piece, while no other is unfinished, costs a read of a
// counter.
//
// Thread-safety: safe.
#ifndef LEASEHOLD_SERVICE_NETWORK_HALF_SENT_H_
#define LEASEHOLD_SERVICE_NETWORK_HALF_SENT_H_

#include <atomic>
#include <cstddef>
#include <functional>
#include <unordered_map>

#include "absl/strings/string_view.h"
#include "lease/base/mutex.h"

namespace leasehold {

struct HalfSentLimits {
  size_t connection_bytes_max = size_t{64} << 20;
  size_t bytes_max = size_t{512} << 20;
};

class HalfSent {
 public:
  // `on_refused` is called for each refused stream, on its thread; must not
  // block.
  HalfSent(HalfSentLimits limits, std::function<void()> on_refused);

  // The next bytes of a stream's messages. False: there is no room; the stream
  // is forgotten, and no more of it may come.
  bool Admit(const void* connection, const void* stream,
             absl::string_view bytes) ABSL_LOCKS_EXCLUDED(mu_);
  // The stream has ended; its address may now belong to another.
  void OnStreamEnded(const void* stream) ABSL_LOCKS_EXCLUDED(mu_);

  size_t bytes() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  // Precedes each message: one byte of flags, and four of size.
  static constexpr size_t kPrefixBytes = 5;

  struct Stream {
    const void* connection = nullptr;
    size_t bytes = 0;  // Received of the unfinished message.
    size_t size = 0;   // Total with prefix, once the prefix is complete.
  };
  struct Connection {
    size_t streams = 0;  // With an unfinished message.
    size_t bytes = 0;
  };
  using StreamMap = std::unordered_map<const void*, Stream>;

  // Adds `bytes` to the unfinished message. False: no message is unfinished.
  static bool Advance(Stream& stream, absl::string_view bytes);
  bool HasRoomLocked(const Connection& connection) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ForgetLocked(StreamMap::iterator stream)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // Constant after construction.
  const HalfSentLimits limits_;
  const std::function<void()> on_refused_;

  // How many streams have an unfinished message; written under the lock.
  std::atomic<size_t> unfinished_ = 0;

  mutable Mutex mu_;
  StreamMap streams_ ABSL_GUARDED_BY(mu_);
  std::unordered_map<const void*, Connection> connections_ ABSL_GUARDED_BY(mu_);
  size_t bytes_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_NETWORK_HALF_SENT_H_
