// HistoryBuilder: builds histories for tests, one event per call; also random
// events.
//
//   const HistoryBuilder history = HistoryBuilder()
//       .Turn(1)                 // 1
//       .Started("Greet")        // 2
//       .Task(1, "SayHello");    // 3
//
// Events of one turn have the time of that turn.
//
// Thread-safety: values; callers synchronise.
#ifndef LEASEHOLD_TESTS_SUPPORT_HISTORY_BUILDER_H_
#define LEASEHOLD_TESTS_SUPPORT_HISTORY_BUILDER_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "service/orchestration/history.h"
#include "tests/support/seed.h"

namespace leasehold {

class HistoryBuilder {
 public:
  // Begins a turn at this second.
  HistoryBuilder& Turn(int64_t seconds) {
    now_ = {seconds, 0};
    return FromOutside(OrchestratorStarted{});
  }
  HistoryBuilder& Started(std::string name, Payload input = std::nullopt) {
    ExecutionStarted started;
    started.name = std::move(name);
    started.input = std::move(input);
    return FromOutside(std::move(started));
  }
  HistoryBuilder& Task(int32_t id, std::string name) {
    TaskScheduled task;
    task.name = std::move(name);
    return Echo(id, std::move(task));
  }
  HistoryBuilder& TaskDone(int32_t id, Payload result = std::nullopt) {
    return FromOutside(TaskCompleted{id, std::move(result)});
  }
  HistoryBuilder& TaskBroke(int32_t id) {
    return FromOutside(TaskFailed{id, MakeFailure("Broken", "it broke")});
  }
  HistoryBuilder& Timer(int32_t id, int64_t seconds) {
    return Echo(id, TimerCreated{{seconds, 0}});
  }
  HistoryBuilder& Fired(int32_t id, int64_t seconds) {
    return FromOutside(TimerFired{{seconds, 0}, id});
  }
  HistoryBuilder& Child(int32_t id, std::string instance_id) {
    SubOrchestrationCreated child;
    child.instance_id = std::move(instance_id);
    child.name = "Child";
    return Echo(id, std::move(child));
  }
  HistoryBuilder& ChildDone(int32_t id, Payload result = std::nullopt) {
    return FromOutside(SubOrchestrationCompleted{id, std::move(result)});
  }
  HistoryBuilder& ChildBroke(int32_t id) {
    return FromOutside(
        SubOrchestrationFailed{id, MakeFailure("Broken", "it broke")});
  }
  HistoryBuilder& Sent(int32_t id, std::string to, std::string name) {
    return Echo(id, EventSent{std::move(to), std::move(name), std::nullopt});
  }
  HistoryBuilder& Raised(std::string name, Payload input = std::nullopt) {
    return FromOutside(EventRaised{std::move(name), std::move(input)});
  }
  HistoryBuilder& Suspended() { return FromOutside(ExecutionSuspended{}); }
  HistoryBuilder& Resumed() { return FromOutside(ExecutionResumed{}); }
  HistoryBuilder& Terminated(Payload output, bool recursive) {
    return FromOutside(ExecutionTerminated{std::move(output), recursive});
  }
  HistoryBuilder& Ended(int32_t id, OrchestrationStatus status,
                        Payload result = std::nullopt) {
    return Echo(id, ExecutionCompleted{
                        static_cast<int32_t>(status), std::move(result), {}});
  }
  HistoryBuilder& Other(int number, std::string bytes) {
    return FromOutside(OtherEvent{number, std::move(bytes)});
  }

  const std::vector<HistoryEvent>& events() const { return events_; }
  // All events, in frames.
  std::string Frames() const { return Frames(events_.size()); }
  // The first `count` events, in frames.
  std::string Frames(size_t count) const {
    std::string frames;
    for (size_t i = 0; i < count; ++i) {
      AppendFrame(frames, kStoredFrame, EncodeEvent(events_[i]));
    }
    return frames;
  }

 private:
  HistoryBuilder& FromOutside(EventBody body) {
    return Echo(HistoryEvent::kFromOutside, std::move(body));
  }
  HistoryBuilder& Echo(int32_t id, EventBody body) {
    events_.push_back({id, now_, std::move(body)});
    return *this;
  }

  Timestamp now_;
  std::vector<HistoryEvent> events_;
};

// Fills the fields of a value with random data, biased towards difficult
// values.
class RandomFields {
 public:
  explicit RandomFields(Random& random) : random_(random) {}

  void operator()(int, std::string& value) { value = Text(); }
  void operator()(int, int32_t& value) {
    static constexpr int32_t kOften[] = {0,
                                         1,
                                         -1,
                                         127,
                                         128,
                                         std::numeric_limits<int32_t>::min(),
                                         std::numeric_limits<int32_t>::max()};
    value = OneIn(random_, 2)
                ? kOften[Uniform(random_, 0, std::size(kOften) - 1)]
                : static_cast<int32_t>(random_());
  }
  void operator()(int, int64_t& value) {
    value = OneIn(random_, 2) ? 0 : static_cast<int64_t>(random_());
  }
  void operator()(int, bool& value) { value = OneIn(random_, 2); }
  void operator()(int, Payload& value) {
    value.reset();
    if (OneIn(random_, 3)) return;
    value = OneIn(random_, 2) ? "" : Text();
  }
  void operator()(int, OpaqueMessage& value) {
    value = {};
    if (!OneIn(random_, 2)) value = MakeFailure(Text(), Text());
  }
  void operator()(int, StringMap& map) {
    map.clear();
    for (uint64_t i = Uniform(random_, 0, 3); i > 0; --i) {
      map.emplace_back("key " + std::to_string(4 - i), Text());
    }
  }
  void operator()(int, std::vector<std::string>& values) {
    values.clear();
    for (uint64_t i = Uniform(random_, 0, 3); i > 0; --i) {
      values.push_back(Text());
    }
  }
  template <typename Message>
  requires requires(Message& m, RandomFields& f) { Message::Visit(m, f); }
  void operator()(int, Message& message) { Message::Visit(message, *this); }
  template <typename Message>
  requires requires(Message& m, RandomFields& f) { Message::Visit(m, f); }
  void operator()(int number, std::optional<Message>& message) {
    message.reset();
    if (OneIn(random_, 2)) (*this)(number, message.emplace());
  }

 private:
  std::string Text() {
    static const std::string kOften[] = {"",
                                         "a",
                                         "\"json\"",
                                         std::string("\0", 1),
                                         "\xc3\xa4",
                                         std::string(127, 'x'),
                                         std::string(128, 'y'),
                                         std::string(20'000, 'z')};
    return kOften[Uniform(random_, 0, std::size(kOften) - 1)];
  }

  Random& random_;
};

template <size_t index = 0>
EventBody RandomBodyOfKind(Random& random, size_t kind) {
  if constexpr (index == std::variant_size_v<EventBody>) {
    return OtherEvent{};
  } else {
    if (kind != index) return RandomBodyOfKind<index + 1>(random, kind);
    std::variant_alternative_t<index, EventBody> body;
    if constexpr (index == 0) {
      // OrchestratorCompleted: no code under test reads it.
      body = OtherEvent{15, ""};
    } else {
      RandomFields fields(random);
      decltype(body)::Visit(body, fields);
    }
    return body;
  }
}

// `kind`: its index in EventBody.
inline HistoryEvent RandomEventOfKind(Random& random, size_t kind) {
  HistoryEvent event;
  RandomFields fields(random);
  fields(1, event.id);
  fields(2, event.time);
  event.body = RandomBodyOfKind(random, kind);
  return event;
}

inline HistoryEvent RandomEvent(Random& random) {
  return RandomEventOfKind(
      random, Uniform(random, 0, std::variant_size_v<EventBody> - 1));
}

}  // namespace leasehold

#endif  // LEASEHOLD_TESTS_SUPPORT_HISTORY_BUILDER_H_
