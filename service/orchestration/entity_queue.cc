#include "service/orchestration/entity_queue.h"

#include "service/base/invariant.h"
#include "service/orchestration/orchestration_info.h"

namespace leasehold {
namespace {

// A message without its event.
constexpr size_t kBytesBeside = 128;

size_t SizeOf(const EntityMessage& message) {
  return message.event.size() + kBytesBeside;
}

StoredTime DueAt(const std::optional<Timestamp>& scheduled) {
  if (!scheduled.has_value() || *scheduled == Timestamp()) return 0;
  return ToStored(ToTime(*scheduled));
}

void Print(std::ostream& out, const EntityMessage& message) {
  switch (message.kind) {
    case EntityMessage::Kind::kSignal:
      out << "signal " << message.sequence << ' ' << message.operation;
      break;
    case EntityMessage::Kind::kCall:
      out << "call " << message.sequence << ' ' << message.operation << " of "
          << message.caller << '/' << message.caller_execution;
      break;
    case EntityMessage::Kind::kLock:
      out << "lock " << message.sequence << " of " << message.caller;
      break;
  }
}

// As a worker gets it.
HistoryEvent OfTheContract(HistoryEvent event, EntityOperationCalled call) {
  call.legacy = false;
  event.body = std::move(call);
  return event;
}

}  // namespace

std::optional<EntityMessage> ReadEntityMessage(int64_t sequence,
                                               std::string event) {
  const std::optional<HistoryEvent> decoded = DecodeEvent(event);
  if (!decoded.has_value()) return std::nullopt;
  EntityMessage message{.sequence = sequence};
  if (const auto* signal = decoded->As<EntityOperationSignaled>()) {
    message.request_id = signal->request_id;
    message.operation = signal->operation;
    message.due = DueAt(signal->scheduled);
  } else if (const auto* call = decoded->As<EntityOperationCalled>()) {
    message.kind = EntityMessage::Kind::kCall;
    message.request_id = call->request_id;
    message.operation = call->operation;
    message.caller = call->caller.value_or("");
    message.caller_execution = call->caller_execution.value_or("");
    message.legacy = call->legacy;
    message.due = DueAt(call->scheduled);
    if (call->legacy) event = EncodeEvent(OfTheContract(*decoded, *call));
  } else if (const auto* lock = decoded->As<EntityLockRequested>()) {
    message.kind = EntityMessage::Kind::kLock;
    message.request_id = lock->section_id;
    message.caller = lock->requester.value_or("");
    message.caller_execution = lock->requester_execution;
  } else {
    return std::nullopt;
  }
  message.event = std::move(event);
  return message;
}

std::vector<const EntityMessage*> EntityQueue::All() const {
  std::vector<const EntityMessage*> all;
  auto later = later_.begin();
  const auto add_later = [&](int64_t before) {
    for (; later != later_.end() && later->first < before; ++later) {
      all.push_back(&later->second);
    }
  };
  for (const auto& [sequence, message] : ready_) {
    add_later(sequence);
    all.push_back(&message);
  }
  for (; later != later_.end(); ++later) all.push_back(&later->second);
  return all;
}

void EntityQueue::Add(EntityMessage message) {
  const int64_t sequence = message.sequence;
  CheckInvariant(Find(sequence) == nullptr,
                 "a message of an entity has a sequence of its own");
  bytes_ += SizeOf(message);
  if (message.due > 0) {
    due_.emplace(message.due, sequence);
    later_.emplace(sequence, std::move(message));
  } else {
    ready_.emplace(sequence, std::move(message));
  }
}

void EntityQueue::SetDurable(int64_t sequence) {
  for (auto* messages : {&ready_, &later_}) {
    const auto found = messages->find(sequence);
    if (found != messages->end()) found->second.durable = true;
  }
}

const EntityMessage* EntityQueue::Find(int64_t sequence) const {
  for (const auto* messages : {&ready_, &later_}) {
    const auto found = messages->find(sequence);
    if (found != messages->end()) return &found->second;
  }
  return nullptr;
}

void EntityQueue::Remove(int64_t sequence) {
  const EntityMessage* message = Find(sequence);
  if (message == nullptr) return;
  bytes_ -= SizeOf(*message);
  due_.erase({message->due, sequence});
  ready_.erase(sequence);
  later_.erase(sequence);
}

void EntityQueue::Release(StoredTime now) {
  while (!due_.empty() && due_.begin()->first <= now) {
    ready_.insert(later_.extract(due_.begin()->second));
    due_.erase(due_.begin());
  }
}

std::optional<StoredTime> EntityQueue::NextDue() const {
  if (due_.empty()) return std::nullopt;
  return due_.begin()->first;
}

const EntityMessage* EntityQueue::NextLock() const {
  if (!lock_.has_value()) {
    if (ready_.empty()) return nullptr;
    const EntityMessage& first = ready_.begin()->second;
    return first.kind == EntityMessage::Kind::kLock ? &first : nullptr;
  }
  for (const auto& [sequence, message] : ready_) {
    if (message.kind == EntityMessage::Kind::kLock &&
        message.caller == lock_->holder &&
        message.request_id == lock_->section_id) {
      return &message;
    }
  }
  return nullptr;
}

std::vector<int64_t> EntityQueue::LocksOf(std::string_view requester) const {
  std::vector<int64_t> locks;
  for (const auto& [sequence, message] : ready_) {
    if (message.kind == EntityMessage::Kind::kLock &&
        message.caller == requester) {
      locks.push_back(sequence);
    }
  }
  return locks;
}

bool EntityQueue::IsOfHolder(const EntityMessage& message) const {
  return message.kind == EntityMessage::Kind::kCall &&
         message.caller == lock_->holder &&
         (lock_->execution_id.empty() ||
          message.caller_execution == lock_->execution_id);
}

std::vector<int64_t> EntityQueue::NextBatch(const BatchLimits& limits) const {
  std::vector<int64_t> batch;
  size_t bytes = 0;
  for (const auto& [sequence, message] : ready_) {
    if (lock_.has_value()) {
      if (!IsOfHolder(message)) continue;
    } else if (message.kind == EntityMessage::Kind::kLock) {
      break;
    }
    // Those after it must not overtake it.
    if (!message.durable) break;
    bytes += SizeOf(message);
    if (batch.size() >= limits.count) break;
    if (!batch.empty() && bytes > limits.bytes) break;
    batch.push_back(sequence);
  }
  return batch;
}

std::ostream& operator<<(std::ostream& out, const EntityQueue& queue) {
  const char* between = "";
  if (queue.lock().has_value()) {
    out << "locked by " << queue.lock()->holder << " ("
        << queue.lock()->section_id << ')';
    between = "; ";
  }
  const std::optional<StoredTime> later = queue.NextDue();
  for (const EntityMessage* message : queue.All()) {
    out << between;
    if (later.has_value() && message->due >= *later) out << "later: ";
    Print(out, *message);
    between = "; ";
  }
  if (*between == '\0') out << "idle";
  return out;
}

}  // namespace leasehold
