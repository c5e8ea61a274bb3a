#include "service/orchestration/history.h"

#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/history_builder.h"
#include "tests/support/seed.h"

namespace leasehold {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr size_t kKinds = std::variant_size_v<EventBody>;

HistoryEvent Decode(std::string_view bytes) {
  const std::optional<HistoryEvent> event = DecodeEvent(bytes);
  EXPECT_TRUE(event.has_value());
  return event.value_or(HistoryEvent{});
}

// ---- Every kind -------------------------------------------------------------

TEST(HistoryEvent, EveryKindComesBackWithAllItsFields) {
  ForEachSeed(100, [](Random& random) {
    for (size_t kind = 0; kind < kKinds; ++kind) {
      const HistoryEvent event = RandomEventOfKind(random, kind);
      const std::string bytes = EncodeEvent(event);
      const HistoryEvent again = Decode(bytes);
      EXPECT_EQ(again.body.index(), kind);
      EXPECT_EQ(again.id, event.id);
      EXPECT_EQ(again.time, event.time);
      EXPECT_EQ(EncodeEvent(again), bytes) << "kind " << kind;
    }
  });
}

TEST(HistoryEvent, ABeginningTellsTheKind) {
  ForEachSeed(100, [](Random& random) {
    for (size_t kind = 0; kind < kKinds; ++kind) {
      const HistoryEvent event = RandomEventOfKind(random, kind);
      const std::string bytes = EncodeEvent(event);
      EXPECT_EQ(NumberOf(bytes), NumberOf(event)) << "kind " << kind;
    }
  });
  const HistoryEvent large{
      -1, {1LL << 40, 999'999'999}, EventRaised{"e", std::string(1000, 'x')}};
  EXPECT_EQ(NumberOf(large), 17);
  const std::string bytes = EncodeEvent(large);
  EXPECT_EQ(NumberOf(std::string_view(bytes).substr(0, 256)), 17);
  EXPECT_EQ(NumberOf(std::string_view(bytes).substr(0, 3)), 0);
  EXPECT_EQ(NumberOf(std::string_view()), 0);
}

TEST(HistoryEvent, FieldsAreThoseThatWereSet) {
  ExecutionStarted started;
  started.name = "Greet";
  started.version = "2";
  started.input = "";
  started.orchestration = {"a-1", "e-1"};
  started.parent = ParentLink{0, "Parent", std::nullopt, {"p-1", "e-0"}};
  started.scheduled_start = Timestamp{-1, 999'999'999};
  started.trace = {"\x0a\x01t"};
  started.span_id = "s";
  started.tags = {{"k", "v"}};
  const HistoryEvent event = Decode(EncodeEvent({7, {5, 6}, started}));
  EXPECT_EQ(event.id, 7);
  EXPECT_EQ(event.time, (Timestamp{5, 6}));
  const auto* again = event.As<ExecutionStarted>();
  ASSERT_NE(again, nullptr);
  EXPECT_EQ(again->name, "Greet");
  EXPECT_EQ(again->version, "2");
  EXPECT_EQ(again->input, "");
  EXPECT_EQ(again->orchestration, started.orchestration);
  EXPECT_EQ(again->parent, started.parent);
  EXPECT_EQ(again->scheduled_start, started.scheduled_start);
  EXPECT_EQ(again->trace, started.trace);
  EXPECT_EQ(again->span_id, "s");
  EXPECT_EQ(again->tags, started.tags);
}

TEST(HistoryEvent, PayloadsKeepTheirThreeStates) {
  for (const Payload& input : {Payload(), Payload(""), Payload("null")}) {
    const HistoryEvent event =
        Decode(EncodeEvent({-1, {}, EventRaised{"e", input}}));
    ASSERT_NE(event.As<EventRaised>(), nullptr);
    EXPECT_EQ(event.As<EventRaised>()->input, input);
  }
}

TEST(HistoryEvent, IdsMayBeZeroOrNegative) {
  for (const int32_t id : {0, 1, -1, std::numeric_limits<int32_t>::min(),
                           std::numeric_limits<int32_t>::max()}) {
    const HistoryEvent event =
        Decode(EncodeEvent({id, {}, TaskCompleted{id, std::nullopt}}));
    EXPECT_EQ(event.id, id);
    EXPECT_EQ(event.As<TaskCompleted>()->task_scheduled_id, id);
  }
}

TEST(HistoryEvent, EventWithoutIdHasTheIdZero) {
  std::string bytes;
  WireWriter writer(bytes);
  writer(TimerCreated::kNumber, TimerCreated{});
  EXPECT_EQ(Decode(bytes).id, 0);
}

TEST(HistoryEvent, UnknownKindsAreKeptByteForByte) {
  const std::string inside("\x0a\x01\x00\xff garbage", 12);
  const std::string bytes = EncodeEvent({3, {1, 2}, OtherEvent{19, inside}});
  const HistoryEvent event = Decode(bytes);
  ASSERT_NE(event.As<OtherEvent>(), nullptr);
  EXPECT_EQ(event.As<OtherEvent>()->number, 19);
  EXPECT_EQ(event.As<OtherEvent>()->bytes, inside);
  EXPECT_EQ(EncodeEvent(event), bytes);
}

// A worker of a later version may add fields to an event.
TEST(HistoryEvent, UnknownFieldBesideAKnownKindIsPassedOver) {
  std::string bytes = EncodeEvent({-1, {1, 2}, EventRaised{"e", "1"}});
  WireWriter writer(bytes);
  writer.Bytes(90, "more");
  writer.Varint(91, 5);
  const HistoryEvent event = Decode(bytes);
  ASSERT_NE(event.As<EventRaised>(), nullptr);
  EXPECT_EQ(event.As<EventRaised>()->name, "e");
}

// ---- Broken bytes -----------------------------------------------------------

TEST(HistoryEvent, PrefixIsAnEventOnlyWhereAFieldEnds) {
  Random random(1);
  for (size_t kind = 0; kind < kKinds; ++kind) {
    HistoryEvent event = RandomEventOfKind(random, kind);
    event.id = 5;
    const std::string bytes = EncodeEvent(event);
    std::string head;
    WireWriter writer(head);
    writer(1, event.id);
    const size_t first = head.size();
    writer(2, event.time);
    for (size_t size = 0; size <= bytes.size(); ++size) {
      const bool whole = size == 0 || size == first || size == head.size() ||
                         size == bytes.size();
      EXPECT_EQ(
          DecodeEvent(std::string_view(bytes).substr(0, size)).has_value(),
          whole)
          << "kind " << kind << ", " << size << " of " << bytes.size();
    }
  }
}

TEST(HistoryEvent, MutatedBytesAreRefusedOrReadAndNothingElse) {
  ForEachSeed(2'000, [](Random& random) {
    std::string bytes = EncodeEvent(RandomEvent(random));
    for (uint64_t i = Uniform(random, 1, 4); i > 0 && !bytes.empty(); --i) {
      const size_t at = Uniform(random, 0, bytes.size() - 1);
      switch (Uniform(random, 0, 2)) {
        case 0:
          bytes[at] = static_cast<char>(random());
          break;
        case 1:
          bytes.erase(at, Uniform(random, 1, 8));
          break;
        default:
          bytes.insert(at, std::string(Uniform(random, 1, 8),
                                       static_cast<char>(random())));
          break;
      }
    }
    const std::optional<HistoryEvent> event = DecodeEvent(bytes);
    if (!event.has_value()) return;
    // A decoded event can be encoded like any other.
    const std::string again = EncodeEvent(*event);
    const std::optional<HistoryEvent> twice = DecodeEvent(again);
    // An event without a kind has no number to encode.
    if (event->body.index() == 0 && event->As<OtherEvent>()->number == 0)
      return;
    ASSERT_TRUE(twice.has_value());
    EXPECT_EQ(EncodeEvent(*twice), again);
  });
}

// Appends fields of any number and any wire type; those with bytes contain such
// fields again.
void AppendAnything(Random& random, int depth, std::string& out) {
  const auto varint = [&out](uint64_t value) {
    for (; value >= 0x80; value >>= 7) {
      out.push_back(static_cast<char>(value | 0x80));
    }
    out.push_back(static_cast<char>(value));
  };
  for (uint64_t count = Uniform(random, 0, 4); count > 0; --count) {
    const uint64_t field =
        OneIn(random, 10) ? 0x1fffffff : Uniform(random, 1, 40);
    switch (Uniform(random, 0, depth > 0 ? 4 : 2)) {
      case 0:
        varint(field << 3 | 0);
        varint(OneIn(random, 2) ? random() : Uniform(random, 0, 200));
        break;
      case 1:
        varint(field << 3 | 1);
        out.append(8, static_cast<char>(random()));
        break;
      case 2:
        varint(field << 3 | 5);
        out.append(4, static_cast<char>(random()));
        break;
      case 3: {
        std::string inner;
        AppendAnything(random, depth - 1, inner);
        varint(field << 3 | 2);
        varint(inner.size());
        out += inner;
        break;
      }
      default:
        varint(field << 3 | 3);
        AppendAnything(random, depth - 1, out);
        varint(field << 3 | 4);
        break;
    }
  }
}

// Protocol Buffers accept all of these as an event, and so does the server.
TEST(HistoryEvent, WhateverIsWellFormedIsReadAndReadAgain) {
  ForEachSeed(20, [](Random& random) {
    for (int i = 0; i < 500; ++i) {
      std::string bytes;
      AppendAnything(random, 5, bytes);
      const std::optional<HistoryEvent> event = DecodeEvent(bytes);
      ASSERT_TRUE(event.has_value());
      ASSERT_TRUE(DecodeEvent(EncodeEvent(*event)).has_value());
    }
  });
}

// ---- Frames -----------------------------------------------------------------

std::vector<std::string> Split(std::string_view frames, bool& good) {
  std::vector<std::string> events;
  good = ForEachFrame(
      frames, [&](std::string_view event) { events.emplace_back(event); });
  return events;
}

TEST(Frames, EventsComeBackInOrder) {
  std::string frames;
  AppendFrame(frames, kStoredFrame, "first");
  AppendFrame(frames, kStoredFrame, "");
  AppendFrame(frames, kStoredFrame, std::string(300, 'x'));
  bool good = false;
  EXPECT_THAT(Split(frames, good),
              ElementsAre("first", "", std::string(300, 'x')));
  EXPECT_TRUE(good);
}

TEST(Frames, NoBytesAreNoEvents) {
  bool good = false;
  EXPECT_THAT(Split("", good), IsEmpty());
  EXPECT_TRUE(good);
}

TEST(Frames, TwoPartsOfAHistoryOneAfterTheOtherAreOne) {
  std::string one;
  std::string two;
  AppendFrame(one, kStoredFrame, "a");
  AppendFrame(two, kStoredFrame, "b");
  bool good = false;
  EXPECT_THAT(Split(one + two, good), ElementsAre("a", "b"));
}

TEST(Frames, BrokenOnesAreRefused) {
  std::string frames;
  AppendFrame(frames, kStoredFrame, "first");
  AppendFrame(frames, kStoredFrame, "second");
  bool good = true;
  EXPECT_THAT(Split(frames.substr(0, frames.size() - 1), good),
              ElementsAre("first"));
  EXPECT_FALSE(good);
}

// ---- Statuses and times -----------------------------------------------------

TEST(OrchestrationStatus, HasTheNamesOfTheContract) {
  using S = OrchestrationStatus;
  EXPECT_EQ(StatusName(S::kRunning), "Running");
  EXPECT_EQ(StatusName(S::kCompleted), "Completed");
  EXPECT_EQ(StatusName(S::kContinuedAsNew), "ContinuedAsNew");
  EXPECT_EQ(StatusName(S::kFailed), "Failed");
  EXPECT_EQ(StatusName(S::kCanceled), "Canceled");
  EXPECT_EQ(StatusName(S::kTerminated), "Terminated");
  EXPECT_EQ(StatusName(S::kPending), "Pending");
  EXPECT_EQ(StatusName(S::kSuspended), "Suspended");
  EXPECT_EQ(StatusName(static_cast<S>(99)), "Unknown");
}

TEST(OrchestrationStatus, ThreeOfThemAreTheEnd) {
  for (int status = 0; status <= 7; ++status) {
    EXPECT_EQ(IsFinished(static_cast<OrchestrationStatus>(status)),
              status == 1 || status == 3 || status == 5)
        << status;
  }
}

TEST(Timestamp, TimesComeBackToTheNanosecond) {
  for (const absl::Time time :
       {absl::UnixEpoch(), absl::FromUnixNanos(1), absl::FromUnixNanos(-1),
        absl::FromUnixSeconds(-62'135'596'800),
        absl::FromUnixSeconds(253'402'300'799) + absl::Nanoseconds(999)}) {
    const Timestamp timestamp = ToTimestamp(time);
    EXPECT_EQ(ToTime(timestamp), time);
    EXPECT_GE(timestamp.nanos, 0);
    EXPECT_LT(timestamp.nanos, 1'000'000'000);
  }
}

TEST(MakeFailure, SaysItsTypeAndItsMessage) {
  const OpaqueMessage failure = MakeFailure("Type", "message");
  ASSERT_TRUE(failure.has_value());
  const auto details = DecodeMessage<FailureDetails>(*failure.bytes);
  EXPECT_EQ(details, (FailureDetails{"Type", "message"}));
}

}  // namespace
}  // namespace leasehold
