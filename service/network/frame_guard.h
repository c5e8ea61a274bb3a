// FrameGuard: limits for two floods of HTTP/2 frames that gRPC 1.51 allows,
// whatever its settings.
//
//   header blocks   HEADERS and its CONTINUATIONs have no common limit, and
//                   an incomplete block is parsed from its start each time
//   resets          a stream that is opened and reset at once costs the server
//                   a call, and the client nothing
//
// A header block may have a limited number of bytes; a connection may reset a
// limited number of streams at once, and so many more each second. Only streams
// that lived for less than a second count: a client that drops thousands of old
// ones is not an attacker.
//
// The places where gRPC parses frames report to it (frame_wraps.h), and it says
// whether the connection may continue. An ordinary call costs a read of a
// counter and a record of when its stream began, in a lossy table: if two
// streams share a place, the older record is lost, and that stream counts as
// old.
//
// Thread-safety: safe.   Lifetime: the clock outlives it.
#ifndef LEASEHOLD_SERVICE_NETWORK_FRAME_GUARD_H_
#define LEASEHOLD_SERVICE_NETWORK_FRAME_GUARD_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <unordered_map>

#include "absl/time/time.h"
#include "lease/base/mutex.h"
#include "lease/clock.h"

namespace leasehold {

struct FrameLimits {
  size_t header_block_bytes_max = 64 << 10;
  double resets_max = 500;  // At once.
  double resets_per_second_max = 200;
};

class FrameGuard {
 public:
  // Resetting a stream of at least this age is free.
  static constexpr absl::Duration kYoung = absl::Seconds(1);

  enum class Cut { kHeaderBlock, kResets };

  // `on_cut` is called for each connection that must not continue, on its
  // thread; must not block.
  FrameGuard(const Clock& clock, FrameLimits limits,
             std::function<void(Cut)> on_cut);

  // A frame of a header block begins. `parser` is the connection's.
  void OnHeaderFrame(const void* parser, bool ends_block)
      ABSL_LOCKS_EXCLUDED(mu_);
  // Some bytes of the block. False: it is too large.
  bool AdmitHeaderBytes(const void* parser, size_t bytes, bool ends_frame)
      ABSL_LOCKS_EXCLUDED(mu_);
  // A stream begins.
  void OnStream(const void* stream);
  // A stream is reset; null: it no longer exists. False: too many resets.
  bool AdmitReset(const void* connection, const void* stream)
      ABSL_LOCKS_EXCLUDED(mu_);
  // From now on these addresses may belong to another connection.
  void OnGone(const void* connection, const void* parser)
      ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct Block {
    size_t bytes = 0;
    bool last_frame = true;
  };
  struct Bucket {
    double tokens = 0;
    Instant filled;
  };

  // Whether no header block is incomplete, as is usually the case.
  bool NoBlocks() const {
    return open_blocks_.load(std::memory_order_relaxed) == 0;
  }
  void CountBlocksLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    open_blocks_.store(blocks_.size(), std::memory_order_relaxed);
  }
  bool IsYoung(const void* stream, Instant now) const;
  bool TakeToken(const void* connection, Instant now) ABSL_LOCKS_EXCLUDED(mu_);

  // Constant after construction.
  const Clock& clock_;
  const FrameLimits limits_;
  const std::function<void(Cut)> on_cut_;

  // Synchronises itself: when streams began, each with part of its address.
  const std::unique_ptr<std::atomic<uint64_t>[]> births_;
  std::atomic<size_t> open_blocks_ = 0;

  Mutex mu_;
  std::unordered_map<const void*, Block> blocks_ ABSL_GUARDED_BY(mu_);
  std::unordered_map<const void*, Bucket> buckets_ ABSL_GUARDED_BY(mu_);
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_NETWORK_FRAME_GUARD_H_
