#include "service/echo/echo_room.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "service/echo/echo_instance.h"

namespace leasehold {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// A reader that counts how often it was woken and dropped.
struct Listener {
  std::atomic<int> woken{0};
  std::atomic<int> dropped{0};
  std::shared_ptr<EchoRoom::Reader> reader = std::make_shared<EchoRoom::Reader>(
      [this] { ++woken; }, [this] { ++dropped; });
};

std::vector<std::string> Texts(const EchoRoom::Batch& batch) {
  std::vector<std::string> texts;
  for (const EchoRoom::Echo& echo : batch.echoes) texts.push_back(*echo.text);
  return texts;
}

std::vector<uint64_t> Sequences(const EchoRoom::Batch& batch) {
  std::vector<uint64_t> sequences;
  for (const EchoRoom::Echo& echo : batch.echoes) {
    sequences.push_back(echo.sequence);
  }
  return sequences;
}

TEST(EchoInstance, CountsFromOne) {
  EchoInstance instance;
  EXPECT_EQ(instance.Echo("a"), 1u);
  EXPECT_EQ(instance.Echo("b"), 2u);
}

TEST(EchoInstance, KeepsCountingWhenTheRoomOpens) {
  EchoInstance instance;
  instance.Echo("a");
  instance.Room();
  EXPECT_EQ(instance.Echo("b"), 2u);
}

TEST(EchoRoom, AReaderThatAsksForNothingGetsWhatComesNext) {
  EchoInstance instance;
  instance.Echo("before");
  Listener listener;
  EXPECT_EQ(instance.Room().Join(listener.reader, std::nullopt), 1u);
  EXPECT_THAT(Texts(instance.Room().Read(*listener.reader)), IsEmpty());
  instance.Echo("after");
  EXPECT_EQ(listener.woken, 1);
  const EchoRoom::Batch batch = instance.Room().Read(*listener.reader);
  EXPECT_EQ(batch.missed, 0u);
  EXPECT_THAT(Texts(batch), ElementsAre("after"));
  EXPECT_THAT(Sequences(batch), ElementsAre(2u));
}

TEST(EchoRoom, AReaderThatComesBackGetsWhatItMissed) {
  EchoInstance instance;
  {
    Listener first;
    instance.Room().Join(first.reader, std::nullopt);
    instance.Echo("a");
    instance.Room().Leave(first.reader);
  }
  instance.Echo("b");
  instance.Echo("c");
  Listener again;
  instance.Room().Join(again.reader, 1);
  const EchoRoom::Batch batch = instance.Room().Read(*again.reader);
  EXPECT_EQ(batch.missed, 0u);
  EXPECT_THAT(Texts(batch), ElementsAre("b", "c"));
}

TEST(EchoRoom, WhatIsNoLongerThereIsCountedAsMissed) {
  EchoInstance instance;
  for (int i = 0; i < 3; ++i) instance.Echo("before the room");
  Listener listener;
  instance.Room().Join(listener.reader, 1);
  instance.Echo("d");
  const EchoRoom::Batch batch = instance.Room().Read(*listener.reader);
  EXPECT_EQ(batch.missed, 2u);
  EXPECT_THAT(Texts(batch), ElementsAre("d"));
}

TEST(EchoRoom, AReaderOfAnEarlierContextBeginsWithWhatComesNext) {
  EchoInstance instance;
  instance.Echo("a");
  Listener listener;
  EXPECT_EQ(instance.Room().Join(listener.reader, 1'000'000), 1u);
  instance.Echo("b");
  EXPECT_THAT(Sequences(instance.Room().Read(*listener.reader)),
              ElementsAre(2u));
}

TEST(EchoRoom, AReaderThatFallsBehindTheBufferIsDropped) {
  EchoInstance instance;
  Listener slow;
  EchoRoom& room = instance.Room();
  room.Join(slow.reader, std::nullopt);
  room.Read(*slow.reader);
  for (size_t i = 0; i < EchoRoom::kEchoesMax; ++i) instance.Echo("x");
  EXPECT_EQ(slow.dropped, 0);
  instance.Echo("one too many");
  EXPECT_EQ(slow.dropped, 1);
}

TEST(EchoRoom, TheBufferIsBoundedInBytesToo) {
  EchoInstance instance;
  Listener slow;
  EchoRoom& room = instance.Room();
  room.Join(slow.reader, std::nullopt);
  room.Read(*slow.reader);
  const std::string text(EchoRoom::kBytesMax / 2, 'x');
  instance.Echo(text);
  instance.Echo(text);
  EXPECT_EQ(slow.dropped, 0);
  instance.Echo(text);
  EXPECT_EQ(slow.dropped, 1);
}

TEST(EchoRoom, AnEchoLargerThanTheBufferIsStillTold) {
  EchoInstance instance;
  Listener listener;
  EchoRoom& room = instance.Room();
  room.Join(listener.reader, std::nullopt);
  instance.Echo(std::string(2 * EchoRoom::kBytesMax, 'x'));
  EXPECT_THAT(Sequences(room.Read(*listener.reader)), ElementsAre(1u));
}

TEST(EchoRoom, EchoesRecordedOutOfOrderAreReadInOrder) {
  EchoRoom room;
  room.Open([] { return std::optional<uint64_t>(0); });
  Listener listener;
  room.Join(listener.reader, std::nullopt);
  room.Record(2, "b");
  EXPECT_THAT(Texts(room.Read(*listener.reader)), IsEmpty());
  room.Record(1, "a");
  EXPECT_THAT(Texts(room.Read(*listener.reader)), ElementsAre("a", "b"));
}

TEST(EchoRoom, AReaderThatLeftIsNoLongerWoken) {
  EchoInstance instance;
  Listener listener;
  instance.Room().Join(listener.reader, std::nullopt);
  instance.Room().Leave(listener.reader);
  instance.Echo("a");
  EXPECT_EQ(listener.woken, 0);
}

// Several threads echo while the room opens and a reader reads. A reader that
// joins gets every echo after its join, once, in order.
TEST(EchoRoom, NoEchoIsLostOrDoubledWhileTheRoomOpens) {
  for (int round = 0; round < 200; ++round) {
    EchoInstance instance;
    constexpr int kThreads = 2;
    constexpr uint64_t kEchoes = 200;
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&instance] {
        for (uint64_t i = 0; i < kEchoes; ++i) instance.Echo("x");
      });
    }
    Listener listener;
    EchoRoom& room = instance.Room();
    uint64_t next = room.Join(listener.reader, std::nullopt) + 1;
    for (std::thread& thread : threads) thread.join();
    for (;;) {
      const EchoRoom::Batch batch = room.Read(*listener.reader);
      ASSERT_EQ(batch.missed, 0u);
      if (batch.echoes.empty()) break;
      for (const uint64_t sequence : Sequences(batch)) {
        ASSERT_EQ(sequence, next++);
      }
    }
    ASSERT_EQ(next, kThreads * kEchoes + 1);
  }
}

}  // namespace
}  // namespace leasehold
