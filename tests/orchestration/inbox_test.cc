#include "service/orchestration/inbox.h"

#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace leasehold {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

Message Raised(int64_t sequence, size_t bytes, std::string execution_id = "") {
  Message message = MakeMessage(std::move(execution_id), EventRaised::kNumber,
                                std::string(bytes, 'x'));
  message.sequence = sequence;
  return message;
}

Message Other(int64_t sequence, int event_number) {
  Message message = MakeMessage("", event_number, "event");
  message.sequence = sequence;
  return message;
}

std::vector<int64_t> Sequences(absl::Span<const Message> messages) {
  std::vector<int64_t> sequences;
  for (const Message& message : messages) {
    sequences.push_back(message.sequence);
  }
  return sequences;
}

TEST(Inbox, SmallEventsAreInMemory) {
  Inbox inbox;
  EXPECT_TRUE(inbox.empty());
  inbox.Add(Raised(1, Inbox::kSmallBytes));
  ASSERT_FALSE(inbox.empty());
  EXPECT_FALSE(inbox.messages()[0].away);
  EXPECT_EQ(inbox.messages()[0].event.size(), Inbox::kSmallBytes);
  EXPECT_EQ(inbox.memory_bytes(), Inbox::kSmallBytes);
  EXPECT_EQ(inbox.bytes(), Inbox::kSmallBytes + Inbox::kBytesBeside);
}

TEST(Inbox, LargeEventsAreAway) {
  Inbox inbox;
  inbox.Add(Raised(1, Inbox::kSmallBytes + 1));
  EXPECT_TRUE(inbox.messages()[0].away);
  EXPECT_EQ(inbox.messages()[0].event.capacity(), std::string().capacity());
  EXPECT_EQ(inbox.memory_bytes(), 0u);
  EXPECT_EQ(inbox.bytes(), Inbox::kSmallBytes + 1 + Inbox::kBytesBeside);
}

TEST(Inbox, WhatComesWhileMuchIsThereIsAway) {
  constexpr size_t kBytes = 16 << 10;
  constexpr int64_t kFit = Inbox::kMemoryBytesMax / kBytes;
  Inbox inbox;
  for (int64_t i = 1; i <= kFit; ++i) inbox.Add(Raised(i, kBytes));
  inbox.Add(Raised(kFit + 1, 1));
  EXPECT_FALSE(inbox.messages()[kFit - 1].away);
  EXPECT_TRUE(inbox.messages()[kFit].away);
  // A mere wake-up has no event that could be away.
  inbox.Add(Raised(kFit + 2, 0));
  EXPECT_FALSE(inbox.messages()[kFit + 1].away);
  // There is room again after some were taken.
  inbox.Take(1);
  inbox.Add(Raised(kFit + 3, kBytes));
  EXPECT_FALSE(inbox.messages().back().away);
  EXPECT_EQ(inbox.memory_bytes(), Inbox::kMemoryBytesMax);
}

TEST(Inbox, CountsWhatIsOnItsWay) {
  Inbox inbox;
  const Message one = Raised(1, 1000);
  const Message two = Raised(2, 50);
  inbox.Announce(one);
  inbox.Announce(two);
  EXPECT_EQ(inbox.bytes(), 1050 + 2 * Inbox::kBytesBeside);
  inbox.Arrive(one);
  inbox.Add(one);
  EXPECT_EQ(inbox.bytes(), 1050 + 2 * Inbox::kBytesBeside);
  inbox.Clear();
  EXPECT_EQ(inbox.bytes(), 50 + Inbox::kBytesBeside);
  inbox.Arrive(two);
  EXPECT_EQ(inbox.bytes(), 0u);
}

TEST(Inbox, TakesWhatIsInTheHistory) {
  Inbox inbox;
  inbox.Add(Raised(-3, 10));
  inbox.Add(Raised(4, 20));
  inbox.Add(Raised(9, Inbox::kSmallBytes + 1));
  inbox.Take(4);
  EXPECT_THAT(Sequences(inbox.messages()), ElementsAre(9));
  EXPECT_EQ(inbox.memory_bytes(), 0u);
  EXPECT_EQ(inbox.bytes(), Inbox::kSmallBytes + 1 + Inbox::kBytesBeside);
  inbox.Take(100);
  EXPECT_TRUE(inbox.empty());
  EXPECT_EQ(inbox.bytes(), 0u);
}

TEST(Inbox, TurnHasAsMuchAsItMayBesideTheFirst) {
  Inbox inbox;
  EXPECT_THAT(inbox.NextTurn(), IsEmpty());
  inbox.Add(Raised(1, 3 * Inbox::kTurnBytesMax));
  inbox.Add(Raised(2, Inbox::kTurnBytesMax - 1));
  inbox.Add(Raised(3, 1));
  inbox.Add(Raised(4, 1));
  EXPECT_THAT(Sequences(inbox.NextTurn()), ElementsAre(1, 2, 3));
  inbox.Take(3);
  EXPECT_THAT(Sequences(inbox.NextTurn()), ElementsAre(4));
}

TEST(Inbox, RewindGoesAlone) {
  Inbox inbox;
  inbox.Add(Raised(1, 1));
  inbox.Add(Other(2, ExecutionRewound::kNumber));
  inbox.Add(Raised(3, 1));
  EXPECT_THAT(Sequences(inbox.NextTurn()), ElementsAre(1));
  inbox.Take(1);
  EXPECT_THAT(Sequences(inbox.NextTurn()), ElementsAre(2));
  inbox.Take(2);
  EXPECT_THAT(Sequences(inbox.NextTurn()), ElementsAre(3));
}

TEST(Inbox, NewExecutionKeepsWhatIsForAny) {
  Inbox inbox;
  inbox.Add(Raised(1, 10, "old"));
  inbox.Add(Raised(2, 20));
  Message fired;
  fired.sequence = 3;
  fired.timer = 7;
  inbox.Add(fired);
  inbox.BeginExecution({Other(-2, ExecutionStarted::kNumber),
                        Raised(-1, Inbox::kSmallBytes + 1)});
  EXPECT_THAT(Sequences(inbox.messages()), ElementsAre(-2, -1, 2));
  EXPECT_TRUE(inbox.messages()[1].away);
  EXPECT_EQ(inbox.memory_bytes(), 5u + 20u);
  EXPECT_EQ(inbox.bytes(),
            5 + 20 + Inbox::kSmallBytes + 1 + 3 * Inbox::kBytesBeside);
}

TEST(Inbox, KnowsWhatIsUrgentAndWhatStarts) {
  Inbox inbox;
  inbox.Add(Raised(1, 1));
  EXPECT_FALSE(inbox.HasUrgent());
  EXPECT_EQ(inbox.start(), nullptr);
  inbox.Add(Other(2, ExecutionStarted::kNumber));
  ASSERT_NE(inbox.start(), nullptr);
  EXPECT_EQ(inbox.start()->sequence, 2);
  for (const int number :
       {ExecutionTerminated::kNumber, ExecutionResumed::kNumber}) {
    Inbox urgent;
    urgent.Add(Other(1, number));
    EXPECT_TRUE(urgent.HasUrgent());
  }
  Inbox suspended;
  suspended.Add(Other(1, ExecutionSuspended::kNumber));
  EXPECT_FALSE(suspended.HasUrgent());
}

TEST(Inbox, EventThatIsAwayCanBeBroughtBack) {
  Inbox inbox;
  inbox.Add(MakeMessageAway(
      ExecutionStarted::kNumber,
      {.sequence = 5, .execution = "e", .beginning = "lon", .bytes = 20'000}));
  EXPECT_EQ(inbox.start()->execution_id, "e");
  EXPECT_EQ(inbox.start()->bytes, 20'000u);
  EXPECT_TRUE(inbox.start()->away);
  inbox.Keep(4, "another");
  EXPECT_TRUE(inbox.start()->away);
  inbox.Keep(5, "long");
  EXPECT_FALSE(inbox.start()->away);
  EXPECT_EQ(inbox.start()->event, "long");
  EXPECT_EQ(inbox.memory_bytes(), 4u);
  inbox.Take(5);
  EXPECT_EQ(inbox.memory_bytes(), 0u);
}

}  // namespace
}  // namespace leasehold
