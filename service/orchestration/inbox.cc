#include "service/orchestration/inbox.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace leasehold {

Message MakeMessage(std::string execution_id, int event_number,
                    std::string event) {
  Message message;
  message.execution_id = std::move(execution_id);
  message.bytes = event.size();
  message.event = std::move(event);
  message.urgent = IsUrgent(event_number);
  message.terminates = event_number == ExecutionTerminated::kNumber;
  message.rewinds = event_number == ExecutionRewound::kNumber;
  message.starts = event_number == ExecutionStarted::kNumber;
  return message;
}

PutMessage MakeRow(RunNumber number, Message& message) {
  PutMessage put{{.number = number,
                  .sequence = message.sequence,
                  .execution = message.execution_id,
                  .event = {}}};
  if (message.bytes > Inbox::kSmallBytes) {
    // The row has the only copy while it is being committed.
    put.row.event = std::exchange(message.event, {});
    message.away = true;
  } else {
    put.row.event = message.event;
  }
  return put;
}

Message MakeMessageAway(int event_number, LargeMessage stored) {
  Message message = MakeMessage(std::move(stored.execution), event_number, {});
  message.sequence = stored.sequence;
  message.bytes = stored.bytes;
  message.away = true;
  return message;
}

bool Inbox::HasUrgent() const {
  return std::any_of(messages_.begin(), messages_.end(),
                     [](const Message& message) { return message.urgent; });
}

const Message* Inbox::start() const {
  // The start comes before all other messages.
  for (const Message& message : messages_) {
    if (message.starts) return &message;
  }
  return nullptr;
}

const Message* Inbox::terminate() const {
  const auto it =
      std::find_if(messages_.begin(), messages_.end(),
                   [](const Message& message) { return message.terminates; });
  return it == messages_.end() ? nullptr : &*it;
}

void Inbox::Count(Message& message) {
  bytes_ += SizeOf(message);
  if (message.bytes > kSmallBytes ||
      memory_bytes_ + message.bytes > kMemoryBytesMax) {
    message.away = message.bytes > 0;
    std::string().swap(message.event);  // Frees its memory.
  }
  memory_bytes_ += message.event.size();
}

void Inbox::Add(Message message) {
  Count(message);
  messages_.push_back(std::move(message));
}

template <typename IsSo>
void Inbox::EraseIf(IsSo is_so) {
  std::erase_if(messages_, [&](const Message& message) {
    if (!is_so(message)) return false;
    bytes_ -= SizeOf(message);
    memory_bytes_ -= message.event.size();
    return true;
  });
}

void Inbox::BeginExecution(std::vector<Message> first) {
  EraseIf([](const Message& message) {
    return !message.execution_id.empty() || message.timer.has_value();
  });
  for (Message& message : first) Count(message);
  messages_.insert(messages_.begin(), std::make_move_iterator(first.begin()),
                   std::make_move_iterator(first.end()));
}

absl::Span<const Message> Inbox::NextTurn() const {
  size_t count = 0;
  size_t bytes = 0;
  for (const Message& message : messages_) {
    if (count > 0) {
      bytes += message.bytes;
      if (message.rewinds || bytes > kTurnBytesMax) break;
    }
    ++count;
    if (message.rewinds) break;
  }
  return absl::MakeConstSpan(messages_.data(), count);
}

void Inbox::Take(int64_t last_sequence) {
  EraseIf([last_sequence](const Message& message) {
    return message.sequence <= last_sequence;
  });
}

void Inbox::Keep(int64_t sequence, std::string event) {
  for (Message& message : messages_) {
    if (message.sequence != sequence || !message.away) continue;
    message.away = false;
    message.event = std::move(event);
    memory_bytes_ += message.event.size();
    return;
  }
}

void Inbox::Clear() {
  const size_t coming = coming_;
  *this = {};
  coming_ = coming;
}

}  // namespace leasehold
