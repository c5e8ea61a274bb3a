// EchoRoom: the latest echoes of an instance, for all who join it.
//
// Echoes are kept in a bounded buffer, by sequence. A reader asks for the
// echoes after the last one it has read, and is woken when there are more. A
// reader that falls behind the buffer is dropped: nothing is kept for one
// reader alone.
//
// Thread-safety: safe. Readers are called without a lock.   Lifetime: the room
// lives as long as its instance; readers are shared.
#ifndef LEASEHOLD_SERVICE_ECHO_ECHO_ROOM_H_
#define LEASEHOLD_SERVICE_ECHO_ECHO_ROOM_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lease/base/mutex.h"

namespace leasehold {

class EchoRoom {
 public:
  static constexpr size_t kEchoesMax = 1000;
  static constexpr size_t kBytesMax = 1 << 20;

  struct Echo {
    uint64_t sequence;
    std::shared_ptr<const std::string> text;  // Shared by all readers.
  };
  struct Batch {
    uint64_t missed = 0;  // Requested echoes that are no longer kept.
    std::vector<Echo> echoes;
  };

  // A reader that joined. Both callbacks may run on any thread, more than once
  // and shortly after Leave; they must not block.
  class Reader {
   public:
    Reader(std::function<void()> wake, std::function<void()> drop)
        : wake_(std::move(wake)), drop_(std::move(drop)) {}

   private:
    friend class EchoRoom;
    const std::function<void()> wake_;  // There are echoes to read.
    const std::function<void()> drop_;  // It fell behind the buffer.
    uint64_t after_ = 0;      // Its last echo. Guarded by the room's lock.
    bool caught_up_ = false;  // Read what was there when it joined.
  };

  // `publish` makes the room visible to others and returns the sequence after
  // which echoes are recorded, or nullopt if another room was first. Others
  // wait until it has returned.
  void Open(const std::function<std::optional<uint64_t>()>& publish)
      ABSL_LOCKS_EXCLUDED(mu_);

  // Keeps an echo and wakes the readers. Sequences may arrive slightly out of
  // order; readers see them in order.
  void Record(uint64_t sequence, std::string_view text)
      ABSL_LOCKS_EXCLUDED(mu_);

  // `reader` joins. It begins after `after`, or with the next echo. Returns the
  // latest sequence so far.
  uint64_t Join(const std::shared_ptr<Reader>& reader,
                std::optional<uint64_t> after) ABSL_LOCKS_EXCLUDED(mu_);
  void Leave(const std::shared_ptr<Reader>& reader) ABSL_LOCKS_EXCLUDED(mu_);

  // The next echoes for `reader`, a few at a time; empty if it has read all.
  Batch Read(Reader& reader) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  using Readers = std::vector<std::shared_ptr<Reader>>;

  // The latest sequence up to which no echo is missing.
  uint64_t LatestLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return first_ + complete_ - 1;
  }

  Mutex mu_;
  uint64_t first_ ABSL_GUARDED_BY(mu_) = 1;  // Sequence of echoes_.front().
  // Null: a later echo was recorded first.
  std::deque<std::shared_ptr<const std::string>> echoes_ ABSL_GUARDED_BY(mu_);
  size_t complete_ ABSL_GUARDED_BY(mu_) = 0;  // Leading ones present.
  size_t bytes_ ABSL_GUARDED_BY(mu_) = 0;
  // Replaced, never changed, so that waking needs no lock.
  std::shared_ptr<const Readers> readers_ ABSL_GUARDED_BY(mu_) =
      std::make_shared<const Readers>();
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ECHO_ECHO_ROOM_H_
