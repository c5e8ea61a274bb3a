// Inbox: what an orchestration has received and no turn has taken yet.
//
// All of it is in the store (for a fired timer, the timer is). Small events are
// in memory too, so that a turn need not read them. Large events, and those
// that arrive while the memory is full, are only in the store: they are *away*,
// and are read when a turn takes them. So however much callers send to an
// orchestration that no worker takes, little of it is in memory.
//
// Thread-safety: none; guarded by the engine's lock.   Lifetime: a value.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_INBOX_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_INBOX_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "service/orchestration/history.h"
#include "service/storage/records.h"

namespace leasehold {

// An event that was received and that no turn has taken yet.
struct Message {
  int64_t sequence = 0;
  // Only for this execution; empty: for any.
  std::string execution_id = {};
  std::string event = {};   // Encoded; empty: a mere wake-up, or away.
  size_t bytes = 0;         // Of the event, wherever it is.
  bool away = false;        // Its event is only in the store.
  bool urgent = false;      // See IsUrgent.
  bool terminates = false;  // It is an ExecutionTerminated.
  bool rewinds = false;     // It is an ExecutionRewound.
  bool starts = false;      // It is an ExecutionStarted.
  // The timer that fired. The store has the timer instead of a message; the
  // event is made when it is sent.
  std::optional<int32_t> timer = std::nullopt;
};

// Whether a suspended or not yet started orchestration handles the event.
inline bool IsUrgent(int event_number) {
  return event_number == ExecutionTerminated::kNumber ||
         event_number == ExecutionResumed::kNumber;
}

// A message with this event. It has no sequence yet.
Message MakeMessage(std::string execution_id, int event_number,
                    std::string event);
// The row of a message of that run. A large event is kept in the row only: the
// message is then away.
PutMessage MakeRow(RunNumber number, Message& message);
// A message that is away.
Message MakeMessageAway(int event_number, LargeMessage stored);

class Inbox {
 public:
  // Maximum size of an event in memory, and of all of them together.
  static constexpr size_t kSmallBytes = kLargeMessageBytes;
  static constexpr size_t kMemoryBytesMax = 256 << 10;
  // Maximum size of a turn's events after the first.
  static constexpr size_t kTurnBytesMax = 4 << 20;
  // The size of a message without its event.
  static constexpr size_t kBytesBeside = 128;

  static size_t SizeOf(const Message& message) {
    return message.bytes + kBytesBeside;
  }

  bool empty() const { return messages_.empty(); }
  // In order of their sequences.
  const std::vector<Message>& messages() const { return messages_; }
  // Everything here, and everything announced.
  size_t bytes() const { return bytes_ + coming_; }
  // Of the events in memory.
  size_t memory_bytes() const { return memory_bytes_; }
  bool HasUrgent() const;
  // The ExecutionStarted; nullptr: none.
  const Message* start() const;
  // The first ExecutionTerminated; nullptr: none.
  const Message* terminate() const;

  // The message is being committed; it will arrive, unless memory is discarded.
  void Announce(const Message& message) { coming_ += SizeOf(message); }
  void Arrive(const Message& message) { coming_ -= SizeOf(message); }

  // Adds a message at the end.
  void Add(Message message);
  // A new execution begins: drops messages for other executions, and puts
  // `first` before the rest.
  void BeginExecution(std::vector<Message> first);
  // What the next turn takes: as many of the first messages as fit, at least
  // one. A rewind goes alone.
  absl::Span<const Message> NextTurn() const;
  // Messages up to this one are in the history now.
  void Take(int64_t last_sequence);
  // Keeps in memory the event of a message that is away and still here.
  void Keep(int64_t sequence, std::string event);
  // Announced messages still arrive.
  void Clear();
  void ShrinkToFit() { messages_.shrink_to_fit(); }

 private:
  template <typename IsSo>
  void EraseIf(IsSo is_so);
  void Count(Message& message);

  std::vector<Message> messages_;
  size_t bytes_ = 0;
  size_t coming_ = 0;
  size_t memory_bytes_ = 0;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_INBOX_H_
